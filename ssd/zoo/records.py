"""SHA-256 of files, and small JSON files that are whole or absent."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

_CHUNK = 1 << 20


def sha256(path: Path) -> str:
    """Returns the file's SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def digests(folder: Path) -> dict[str, str]:
    """Returns the SHA-256 of every file below `folder`, by its path relative to it."""
    return {file.relative_to(folder).as_posix(): sha256(file) for file in files_of(folder)}


def files_of(path: Path) -> list[Path]:
    """Returns the file itself, or every file below the folder; [] where nothing is."""
    return [path] if path.is_file() else sorted(item for item in path.rglob("*") if item.is_file())


def read(path: Path) -> dict[str, Any]:
    """Returns the JSON object in the file; {} if there is no such file, or not a whole one."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write(path: Path, value: dict[str, Any]) -> None:
    """Writes the JSON object; an interruption leaves the old file."""
    aside = path.with_name(path.name + ".tmp")
    aside.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    os.replace(aside, path)
