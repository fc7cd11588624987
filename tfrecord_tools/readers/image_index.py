"""Finds the picture that an annotation means, only ever below the images folder."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from ssd.errors import InputError
from tfrecord_tools.annotations import RefusedError

_EXTENSIONS = ".jpg .jpeg .jpe .jfif .png .gif .bmp .webp .tif .tiff .mpo .ppm"
IMAGE_EXTENSIONS = frozenset(_EXTENSIONS.split())

# Folded name -> the picture of that name, or all of them where there are several.
_Names = dict[str, str | list[str]]


def fold(name: str) -> str:
    """Returns `name` for comparisons: case and Unicode composition do not count."""
    return unicodedata.normalize("NFC", name).casefold()


def basename(text: str) -> str:
    """Returns the last part of a POSIX or Windows path."""
    return text.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1].strip()


def stem(name: str) -> str:
    """Returns the last part of `name` without a picture's extension; other dots stay."""
    base = basename(name)
    bare, extension = os.path.splitext(base)
    return bare if extension.lower() in IMAGE_EXTENSIONS else base


def files_below(folder: Path, extensions: frozenset[str]) -> list[str]:
    """Returns paths below `folder`, forward slashes, sorted; hidden files and folders excluded."""
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = [f for f in folders if not f.startswith(".") and f != "__MACOSX"]
        below = Path(root).relative_to(folder).as_posix()
        start = "" if below == "." else f"{below}/"
        for name in files:
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in extensions:
                found.append(start + name)
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

    Attributes:
      folder: as given.
      names: paths of the pictures below it, forward slashes, sorted.

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

    @cached_property
    def _by_base(self) -> _Names:
        return _by(basename, self.names)

    @cached_property
    def _by_stem(self) -> _Names:
        # Many formats never ask for it, and it takes 150 bytes a picture.
        return _by(stem, self.names)

    @cached_property
    def _by_path(self) -> _Names:
        return _by(lambda name: name, self.names)

    @cached_property
    def _by_bare_path(self) -> _Names:
        return _by(_bare_path, self.names)

    def by_name(self, text: str, near: str = "") -> str | None:
        """Returns the picture of that path, else of that base name; None where there is none.

        Of several pictures of one base name, the one whose folders agree best with the end of
        `text` is meant. A name in the form of a URL is read as one where nothing fits it as it is.

        Args:
          text: any path, POSIX or Windows, or a URL; only what lies below the images folder can
            match.
          near: folder below the images folder that is preferred among pictures of one name.

        Raises:
          RefusedError: image-ambiguous, several pictures fit equally well.
        """
        path = text.strip().replace("\\", "/").removeprefix("./")
        for spelling in _spellings(path):
            found = self._by_base.get(fold(basename(spelling)))
            if isinstance(found, list):
                # Not among all of one name: there may be thousands in as many folders.
                beside = f"{near}/{spelling}" if near and "/" not in spelling else spelling
                paths = self._by_path
                found = paths.get(fold(beside)) or paths.get(fold(spelling)) or found
            if found is not None:
                return _one_of(found, spelling, near) if isinstance(found, list) else found
        return None

    def by_stem(self, text: str, near: str = "") -> str | None:
        """Returns the picture whose name without extension is that of `text`; see `by_name`."""
        wanted = stem(text)
        found = self._by_stem.get(fold(wanted))
        if isinstance(found, list):
            found = self._by_bare_path.get(fold(f"{near}/{wanted}" if near else wanted), found)
        return _one_of(found, wanted, near) if isinstance(found, list) else found


def _by(part: Callable[[str], str], names: Iterable[str]) -> _Names:
    index: _Names = {}
    for name in names:
        key = fold(part(name))
        # One string for key and name, if they are equal, saves a third of the memory.
        before = index.setdefault(name if key == name else key, name)
        if isinstance(before, list):
            before.append(name)
        elif before is not name:
            index[key] = [before, name]
    return index


def _spellings(path: str) -> Iterable[str]:
    yield path
    plain = path.split("?", 1)[0].split("#", 1)[0] if "://" in path else path
    if "%" in plain:
        plain = unquote(plain)
    if plain != path:
        yield plain


def _bare_path(name: str) -> str:
    return name[: len(name) - len(basename(name))] + stem(name)


def _one_of(names: list[str], wanted: str, near: str) -> str:
    """Returns the picture that `wanted` means among pictures of one folded name."""
    spellings = {wanted, basename(wanted)}
    folders = wanted.rpartition("/")[0]
    narrower: tuple[Callable[[str], int], ...] = (
        lambda name: _agreement(name.rpartition("/")[0], folders),
        lambda name: int(bool(spellings & {name, basename(name), stem(name)})),
        lambda name: int(name.rpartition("/")[0] == near),
        lambda name: _agreement(name.rpartition("/")[0], near),
    )
    for score in narrower:
        best = max(map(score, names))
        names = [name for name in names if score(name) == best]
        if len(names) == 1:
            return names[0]
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    raise RefusedError("image-ambiguous", f"{wanted!r} fits {len(names)} pictures: {shown}")


def _agreement(folder: str, other: str) -> int:
    """Returns how many folders at the end of two paths are the same."""
    count = 0
    pairs = zip(reversed(fold(folder).split("/")), reversed(fold(other).split("/")), strict=False)
    for one, two in pairs:
        if not one or one != two:
            break
        count += 1
    return count
