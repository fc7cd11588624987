"""What is in records, or in a folder of pictures and annotations: a table, pictures, plots."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ssd.errors import InputError
from tfrecord_tools import image_check
from tfrecord_tools.annotations import RefusedError
from tfrecord_tools.readers.image_index import stem
from tfrecord_tools.show.picture_choice import choose
from tfrecord_tools.show.picture_sources import Picture, PictureSource, open_source
from tfrecord_tools.show.summary import DataSummary

if TYPE_CHECKING:
    from PIL import Image

    from tfrecord_tools.show.box_drawing import ClassLook
    from tfrecord_tools.show.contact_sheet import Cell

DEFAULT_PICTURES = 16
_JPEG_QUALITY = 90


def show(
    path: str | Path,
    *,
    output: str | Path | None = None,
    pictures: int = DEFAULT_PICTURES,
    say: Callable[[str], None] = print,
) -> dict[str, Counter[str]]:
    """Prints images and boxes of every split or file; returns boxes by group and class.

    Args:
      path: a record file, a folder of records, or a folder with images/ and annotations/.
      output: folder that gets contact sheets (sheet_train.png, ...), plots (splits.png,
        classes.png, boxes.png) and single pictures (pictures/), boxes drawn; None draws none.
      pictures: how many of every split or file are drawn, chosen from all over it so that every
        class is among them.
      say: gets the lines meant for the person.

    Raises:
      InputError: nothing to show there, a damaged record file, or a record that is no tf.Example
        with a picture; the message gives file and record number.
    """
    if pictures < 1:
        raise InputError(f"--pictures is {pictures}; expected 1 or more")
    source = open_source(Path(path))
    summary = DataSummary(source.class_names)
    for number, picture in source.pictures():
        summary.add(number, picture)
    if not len(summary):
        raise InputError(f"{path}: {_nothing(source)}")
    for line in (*summary.lines(), *source.notes):
        say(line)
    if output is not None:
        for line in _draw(Path(output), source, summary, pictures):
            say(line)
    return summary.boxes_by_class()


def _nothing(source: PictureSource) -> str:
    return "; ".join(source.notes) or "0 records; write it again with convert"


def _draw(
    folder: Path, source: PictureSource, summary: DataSummary, pictures: int
) -> Iterator[str]:
    """Writes everything below `folder`; yields lines about it."""
    # Imported here: without --output there is nothing to draw, and matplotlib takes its time.
    from tfrecord_tools.show import box_drawing, plots

    classes, missing = box_drawing.looks(summary.class_names)
    if missing:
        names = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        yield (
            f"no installed font has the letters of {len(missing)} class names ({names}): the "
            "pictures say #1, #2, ... in the order of the table; install one, such as Noto Sans"
        )
    chosen = _chosen(summary, pictures)
    sheets = {
        group: _Sheets(folder, group, summary, classes, len(numbers))
        for group, numbers in chosen.items()
    }
    drawn = 0
    for _, picture in source.pictures({n for numbers in chosen.values() for n in numbers}):
        image, drawn = _open(picture), drawn + 1
        sheets[picture.group].add(image, picture)
        single = box_drawing.draw_boxes(image, picture.annotation, classes)
        parts = (_file_name(picture.group), _file_name(stem(picture.annotation.filename)))
        name = f"{parts[0]}_{drawn:04d}_{parts[1]}.jpg"
        save = partial(single.save, format="JPEG", quality=_JPEG_QUALITY)
        _write(folder / "pictures" / name, save)
    yield from (line for group in sheets.values() for line in group.written)
    for name, figure in plots.draw(summary, classes):
        _write(folder / name, partial(plots.save, figure))
        yield f"wrote {folder / name}"
    yield f"wrote {drawn} pictures to {folder / 'pictures'}"


def _chosen(summary: DataSummary, pictures: int) -> dict[str, list[int]]:
    """Returns the numbers of the pictures to draw, for each group."""
    numbers, groups = summary.numbers, summary.group_indices
    owners, class_indices = summary.owners, summary.class_indices
    found = {}
    for index, group in enumerate(summary.groups):
        rows = np.flatnonzero(groups == index)
        of_group = groups[owners] == index
        own = np.searchsorted(rows, owners[of_group])
        chosen = choose(own, class_indices[of_group], len(rows), pictures)
        found[group] = [int(numbers[rows[row]]) for row in chosen]
    return found


class _Sheets:
    """The contact sheets of one group, each written as soon as it is full.

    Attributes:
      written: lines about the sheets that are.
    """

    def __init__(
        self,
        folder: Path,
        group: str,
        summary: DataSummary,
        classes: dict[str, ClassLook],
        count: int,
    ) -> None:
        self._folder, self._group, self._classes = folder, group, classes
        self._left = count
        self._cells: list[Cell] = []
        of_group = summary.group_indices == summary.groups.index(group)
        boxes, images = int(summary.box_counts[of_group].sum()), int(of_group.sum())
        shown = "all of them here" if count == images else f"{count} of them here"
        self._facts = f"images: {images:,}, {shown}; boxes: {boxes:,}"
        self.written: list[str] = []

    def add(self, image: Image.Image, picture: Picture) -> None:
        """Adds one picture; the last one that was announced closes the sheet."""
        from tfrecord_tools.show import contact_sheet

        self._cells.append(contact_sheet.make_cell(image, picture.annotation, self._classes))
        self._left -= 1
        if self._left and len(self._cells) < contact_sheet.PICTURES_PER_SHEET:
            return
        number = len(self.written) + 1
        name = f"sheet_{_file_name(self._group)}" + (f"_{number}" if number > 1 else "")
        sheet = contact_sheet.paint(self._cells, self._group, self._facts, self._classes)
        self._cells = []
        _write(self._folder / f"{name}.png", partial(sheet.save, format="PNG"))
        self.written.append(f"wrote {self._folder / name}.png")


def _open(picture: Picture) -> Image.Image:
    try:
        return image_check.open_rgb(picture.encoded)
    except RefusedError as refused:
        raise InputError(f"{picture.place}: {refused.detail}") from None


def _file_name(text: str) -> str:
    """Returns the text as part of a file's name on any system."""
    printable = text.encode("utf-8", "replace").decode("utf-8")
    return re.sub(r"[^\w.-]+", "_", printable)[:80] or "picture"


def _write(path: Path, save: Callable[[Any], object]) -> None:
    """Calls `save` with an open file; `path` is whole or absent."""
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as file:
                save(file)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None
