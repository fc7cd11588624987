"""Finds pictures with the same bytes: a copy in val of a picture in train flatters AP."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import partial
from pathlib import Path

_HEAD_BYTES = 4096


def find_copies(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Returns name of the copy -> name of the first picture, by name, with the same bytes.

    Files are compared by size, then by their beginnings, and read whole where these agree.

    Args:
      folder: what `names` are below; a file that cannot be read is nobody's copy.
    """
    groups = _split([list(names)], folder, lambda path: os.stat(path).st_size)
    for how_much in (_HEAD_BYTES, -1):
        groups = _split(groups, folder, partial(_digest, how_much=how_much))
    return {copy: first for first, *copies in map(sorted, groups) for copy in copies}


def _split(
    groups: Iterable[list[str]], folder: Path, key_of: Callable[[str], Hashable]
) -> list[list[str]]:
    """Returns the groups divided by a key of the files, without those of one file."""
    found = []
    for group in groups:
        by_key: dict[Hashable, list[str]] = defaultdict(list)
        for name in group:
            try:
                by_key[key_of(os.path.join(folder, name))].append(name)
            except OSError:
                continue  # The check of the picture says so by name.
        found += [members for members in by_key.values() if len(members) > 1]
    return found


def _digest(path: str, how_much: int) -> bytes:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read(how_much)).digest()
