"""Finds pictures with the same bytes: a copy in val of a picture in train flatters AP."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path


def find_copies(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Returns name of the copy -> name of the first picture, by name, with the same bytes.

    Files are compared by size, and read only where two have the same.

    Args:
      folder: what `names` are below; a file that cannot be read is nobody's copy.
    """
    by_size: dict[int, list[str]] = defaultdict(list)
    for name in names:
        try:
            by_size[os.stat(os.path.join(folder, name)).st_size].append(name)
        except OSError:
            continue  # The check of the picture says so by name.
    copies = {}
    for alike in by_size.values():
        if len(alike) < 2:
            continue
        first: dict[bytes, str] = {}
        for name in sorted(alike):
            digest = _digest(os.path.join(folder, name))
            if digest and first.setdefault(digest, name) != name:
                copies[name] = first[digest]
    return copies


def _digest(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).digest()
    except OSError:
        return None
