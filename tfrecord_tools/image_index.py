"""Finds the picture that an annotation means, only ever below the images folder."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from pathlib import Path, PurePosixPath

from ssd.errors import InputError
from tfrecord_tools.annotations import RefusedError

_EXTENSIONS = ".jpg .jpeg .jpe .jfif .png .gif .bmp .webp .tif .tiff .mpo .ppm"
IMAGE_EXTENSIONS = frozenset(_EXTENSIONS.split())


def fold(name: str) -> str:
    """Returns `name` for comparisons: case and Unicode composition do not count."""
    return unicodedata.normalize("NFC", name).casefold()


def basename(text: str) -> str:
    """Returns the last part of a POSIX or Windows path."""
    return text.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1].strip()


def stem(name: str) -> str:
    """Returns the last part of `name` without a picture's extension; other dots stay."""
    base = basename(name)
    path = PurePosixPath(base)
    return path.stem if path.suffix.lower() in IMAGE_EXTENSIONS else base


def files_below(folder: Path, extensions: frozenset[str]) -> list[str]:
    """Returns paths below `folder`, forward slashes, sorted; hidden files and folders excluded."""
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = [f for f in folders if not f.startswith(".") and f != "__MACOSX"]
        below = Path(root).relative_to(folder)
        for name in files:
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in extensions:
                found.append((below / name).as_posix())
    return sorted(found)


def extensions_below(folder: Path, most: int = 3) -> str:
    """Returns what a folder holds instead, for messages: '12 .json, 3 .txt' or 'nothing'."""
    counts: dict[str, int] = defaultdict(int)
    for _, _, files in os.walk(folder):
        for name in files:
            counts[os.path.splitext(name)[1].lower() or "without extension"] += 1
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most]
    return ", ".join(f"{count} {extension}" for extension, count in ranked) or "nothing"


class ImageIndex:
    """The pictures below one folder, found by path, name or stem, case not counting.

    Raises:
      InputError: the folder is none, or holds no picture.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; --images takes the folder of pictures")
        self.folder = folder
        self.names = files_below(folder, IMAGE_EXTENSIONS)
        if not self.names:
            raise InputError(f"{folder}: no picture below it, but {extensions_below(folder)}")
        self._by_path: dict[str, list[str]] = defaultdict(list)
        self._by_base: dict[str, list[str]] = defaultdict(list)
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        for name in self.names:
            self._by_path[fold(name)].append(name)
            self._by_base[fold(basename(name))].append(name)
            self._by_stem[fold(stem(name))].append(name)

    def by_name(self, text: str, near: str = "") -> str | None:
        """Returns the picture of that path, else of that base name; None where there is none.

        Args:
          text: any path, POSIX or Windows; only what lies below the images folder can match.
          near: folder below the images folder that is preferred among pictures of one name.

        Raises:
          RefusedError: image-ambiguous, several pictures fit equally well.
        """
        path = text.strip().replace("\\", "/")
        exact = self._by_path.get(fold(path), [])
        return _one_of(exact or self._by_base.get(fold(basename(path)), []), path, near)

    def by_stem(self, text: str, near: str = "") -> str | None:
        """Returns the picture whose name without extension is that of `text`; see `by_name`."""
        wanted = stem(text)
        return _one_of(self._by_stem.get(fold(wanted), []), wanted, near)


def _one_of(names: list[str], wanted: str, near: str) -> str | None:
    if len(names) > 1:
        spellings = {wanted, basename(wanted)}
        same_case = [n for n in names if spellings & {n, basename(n), stem(n)}]
        names = same_case or names
    if len(names) > 1 and near:
        beside = [n for n in names if PurePosixPath(n).parent.as_posix() == near]
        names = beside or names
    if len(names) > 1:
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        raise RefusedError("image-ambiguous", f"{wanted!r} fits {len(names)} pictures: {shown}")
    return names[0] if names else None
