"""Annotated pictures to look at, from records or from annotations, one at a time, twice over."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from PIL import Image

from ssd import label_map as label_maps
from ssd.errors import InputError
from ssd.standard_fields import LABEL_ID_OFFSET
from tfrecord_tools import image_check, tf_example
from tfrecord_tools.annotations import ImageAnnotation, ProblemLog, RefusedError, StatedAnnotation
from tfrecord_tools.readers import by_name
from tfrecord_tools.readers.image_index import ImageIndex, extensions_below, files_below
from tfrecord_tools.record_file import read_records
from tfrecord_tools.validation import validate

# train.record, val-00001-of-00004.tfrecord, coco_train.record-00003-of-00100
_RECORD_NAME = re.compile(
    r"(?P<name>.+?)(-\d{5}-of-\d{5})?\.(tfrecords?|record)(-\d{5}-of-\d{5})?", re.IGNORECASE
)
# Header and end of every picture; those that are drawn are decoded then.
_GLANCE = image_check.ImageSettings(decodes=False)


@dataclass(frozen=True, eq=False)
class Picture:
    """One annotated picture.

    Attributes:
      group: the split or file that it counts for.
      place: where it lies, for messages.
      annotation: image_size may be (0, 0) for a record that neither states it nor holds a picture.
      encoded: bytes of a JPEG, PNG or another known format.
    """

    group: str
    place: str
    annotation: ImageAnnotation
    encoded: bytes


class PictureSource(Protocol):
    """Pictures with their numbers, which count from 0 and are the same in every pass.

    Attributes:
      class_names: in the order of their ids, as far as a label map says it.
    """

    class_names: tuple[str, ...]

    @property
    def notes(self) -> list[str]:
        """What the person is to know, after a whole pass."""

    def pictures(self, numbers: Collection[int] | None = None) -> Iterator[tuple[int, Picture]]:
        """Yields all pictures in order, or those of these numbers alone."""


def open_source(path: Path) -> PictureSource:
    """Returns the pictures of a record file, a folder of records, or images/ and annotations/.

    Raises:
      InputError: nothing to show there.
    """
    if (path / "annotations").is_dir() and (path / "images").is_dir():
        return _Annotated(path)
    if path.is_dir():
        files = _record_files(path)
        if not files:
            raise InputError(
                f"{path}: no .tfrecord or .record below it, but {extensions_below(path)}"
            )
        return _Recorded(files, path / "label_map.pbtxt")
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    return _Recorded([path], path.parent / "label_map.pbtxt")


def _record_files(folder: Path) -> list[Path]:
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            Path(root, name)
            for name in sorted(names)
            if not name.startswith(".") and _RECORD_NAME.fullmatch(name)
        ]
    return found


def group_of(path: Path) -> str:
    """Returns what the records of a file are counted under: the name without shard and ending.

    >>> group_of(Path("data/val-00001-of-00004.tfrecord")), group_of(Path("pets.record"))
    ('val', 'pets')
    """
    found = _RECORD_NAME.fullmatch(path.name)
    return found["name"] if found else path.name


class _Recorded:
    """The pictures of record files."""

    def __init__(self, files: Sequence[Path], label_map_path: Path) -> None:
        self._files = files
        self.notes = []
        self.class_names: tuple[str, ...] = ()
        if label_map_path.is_file():
            try:
                self.class_names = label_maps.load(label_map_path).names
            except InputError as error:
                self.notes.append(f"not used: {error}")

    def pictures(self, numbers: Collection[int] | None = None) -> Iterator[tuple[int, Picture]]:
        count = -1
        for path in self._files:
            for number, record in enumerate(read_records(path), 1):
                count += 1
                if numbers is None or count in numbers:
                    yield count, self._picture(record, path, number)
                if numbers is not None and count >= max(numbers, default=-1):
                    return

    def _picture(self, record: bytes, path: Path, number: int) -> Picture:
        place = f"{path}: record {number}"
        try:
            annotation, encoded, _, class_ids = tf_example.decode(record)
        except ValueError as error:
            raise InputError(f"{place}: {error}") from None
        names = tuple(
            name or self._name_of(class_id)
            for name, class_id in zip(annotation.class_names, class_ids, strict=True)
        )
        size = annotation.image_size
        shown = replace(
            annotation,
            class_names=names,
            # Absent or 1: what the original's decoder takes for a size that is not there.
            image_size=size if min(size) > 1 else _size_in_header(encoded) or size,
        )
        return Picture(group_of(path), place, shown, encoded)

    def _name_of(self, class_id: int) -> str:
        index = class_id - LABEL_ID_OFFSET
        name = self.class_names[index] if 0 <= index < len(self.class_names) else ""
        return name or f"id {class_id}"


class _Annotated:
    """The pictures of a folder with images/ and annotations/ of any format; no problem stops it."""

    def __init__(self, path: Path) -> None:
        self._path, self._log = path, ProblemLog()
        index = ImageIndex(path / "images")
        self._images: list[tuple[str, Sequence[StatedAnnotation]]] = []
        names: list[str] = []
        for kind, file in _annotation_files(path / "annotations"):
            found = by_name.read(kind, file, index, self._log, {})
            group = path.name if file.is_dir() else file.stem
            self._images.append((group, found.images))
            names += [name for name in found.class_names if name not in names]
        self.class_names = tuple(names)
        self._num_unreadable = 0

    @property
    def notes(self) -> list[str]:
        problems = sum(problem.fails_strict for problem in self._log.problems)
        return [
            f"{count} {what}; ./run.sh lint {self._path / 'annotations'} says more"
            for count, what in (
                (problems, "problems with the annotations"),
                (self._num_unreadable, "pictures cannot be read and are left out"),
            )
            if count
        ]

    def pictures(self, numbers: Collection[int] | None = None) -> Iterator[tuple[int, Picture]]:
        self._num_unreadable, count = 0, -1
        for group, images in self._images:
            for position in range(len(images)):
                count += 1
                if numbers is not None and count not in numbers:
                    continue
                picture = self._picture(group, images[position])
                if picture is None:
                    self._num_unreadable += 1
                else:
                    yield count, picture

    def _picture(self, group: str, stated: StatedAnnotation) -> Picture | None:
        log = ProblemLog()
        try:
            image = image_check.check(stated, log, _GLANCE)
        except RefusedError:
            return None
        annotation = validate(stated, image.size, log)
        return Picture(group, str(stated.image_path), annotation, image.encoded)


def _annotation_files(folder: Path) -> list[tuple[str, Path]]:
    """Returns kind and path of what is to be read: .json and .csv files each, else the folder."""
    names = files_below(folder, frozenset({".json", ".csv"}))
    if not names or files_below(folder, frozenset({".xml"})):
        return [(by_name.kind_of(folder), folder)]
    return [(by_name.kind_of(folder / name), folder / name) for name in names]


def _size_in_header(encoded: bytes) -> tuple[int, int] | None:
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            return image.height, image.width
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
