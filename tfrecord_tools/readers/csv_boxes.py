"""Boxes in one .csv file, as TensorFlow tutorials, VoTT, Open Images, VIA and others have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ssd.errors import InputError
from tfrecord_tools.annotation_table import AnnotationTable
from tfrecord_tools.annotations import AnnotationSet, ProblemLog, RefusedError, StatedAnnotation
from tfrecord_tools.readers import csv_rows
from tfrecord_tools.readers.csv_columns import BoxColumns
from tfrecord_tools.readers.csv_layouts import AUTO
from tfrecord_tools.readers.csv_text import CsvText, open_csv
from tfrecord_tools.readers.image_index import ImageIndex, fold
from tfrecord_tools.readers.open_images_names import find_display_names, load_display_names

# Shares reach from 0 to 1. Boxes may reach over the edge; what is beyond this is in pixels.
_MAX_SHARE = 1.5


def read_annotations(
    file: Path,
    index: ImageIndex,
    log: ProblemLog,
    *,
    layout: str = AUTO,
    names: str | Path | None = None,
) -> AnnotationSet:
    """Returns the pictures that a .csv file names, by picture name.

    A row is a box; one that names a picture and nothing else says that it shows no object. A row
    that cannot be read is noted in `log`, and its picture left out. The number of an object is the
    line of its row. Classes are numbered by name.

    Args:
      layout: what the columns mean; by the first row where `auto`. See `csv_layouts.LAYOUTS`;
        `via:NAME` is VIA with the region attribute that holds the class.
      names: of Open Images, the .csv that gives the classes their names; where None, the
        class-descriptions .csv beside `file`, if there is one, else classes keep their MIDs.

    Raises:
      InputError: no such file or layout, an unknown header, or boxes evidently in another unit.
    """
    text = open_csv(file, layout)
    found = _read(text, log)
    class_names = list(found.classes)
    if text.columns.layout == "open-images":
        display = find_display_names(file) if names is None else load_display_names(Path(names))
        class_names = [display.get(name, name) for name in class_names]
    images = _find_images(file, found.images, index, log)
    table = AnnotationTable(index.folder)
    for image_name in sorted(images):
        if found.wrong_images.isdisjoint(images[image_name].values()):
            table.append(_stated(text, image_name, images[image_name], found, class_names, index))
    for name in index.names:
        if name not in images:
            where = str(index.folder / name)
            log.add("annotation-missing", where, f"no row of {file} names it; left out")
    return AnnotationSet(table, tuple(sorted(table.class_names)))


def _read(text: CsvText, log: ProblemLog) -> BoxColumns:
    found = BoxColumns()
    for line, cells in text.chunks():
        rows = csv_rows.read_rows(cells, text.columns, has_decimal_comma=text.separator != ",")
        for i, reason in sorted(rows.reasons.items()):
            log.add("unreadable-row", f"{text.file}:{line + i}", reason)
        found.add(rows, line)
    found.finish()
    _refuse_other_unit(text, found.boxes["corners"])
    if found.num_absent:
        detail = f"{found.num_absent} rows say that a class is not there; they are no boxes"
        log.add("absent-class", str(text.file), detail)
    return found


def _refuse_other_unit(text: CsvText, corners: np.ndarray) -> None:
    """Stops boxes that are evidently all in pixels where shares are expected, or the reverse."""
    if not len(corners):
        return
    layout, largest = text.columns.layout, np.abs(corners).max(axis=1)
    if text.columns.is_normalized and (largest > _MAX_SHARE).all():
        raise InputError(
            f"{text.file}: all {len(corners)} boxes reach beyond {_MAX_SHARE:g}, so they are in "
            f"pixels; the layout {layout} has shares of the picture, 0 to 1"
        )
    if not text.columns.is_normalized and (largest <= 1).all():
        raise InputError(
            f"{text.file}: all {len(corners)} boxes lie within 0 to 1, so they are shares of the "
            f"picture; the layout {layout} has pixels (--layout tensorflow-normalized has not)"
        )


def _find_images(
    file: Path, texts: Mapping[str, int], index: ImageIndex, log: ProblemLog
) -> dict[str, dict[str, int]]:
    """Returns the pictures that are there, each with the texts that name it and their numbers.

    Two paths mean the same picture if one ends in the other, case and slashes aside. Else they mean
    two, though only one of them be there: the one that has the very path counts, else the first.
    """
    found: dict[str, dict[str, int]] = {}
    for text, number in texts.items():
        try:
            image_name = index.by_name(text) or index.by_stem(text)
            if image_name is None:
                raise RefusedError("image-missing", f"no {text} below {index.folder}")
        except RefusedError as refused:
            log.add(refused.rule, f"{file}: {text}", refused.detail)
            continue
        found.setdefault(image_name, {})[text] = number
    for image_name, named in found.items():
        if len(named) > 1:
            meant = min(named, key=lambda text: _path(text) != f"/{fold(image_name)}")
            for text in [text for text in named if not _is_same(text, meant)]:
                del named[text]
                detail = f"{image_name} is annotated as {meant} already; left out"
                log.add("duplicate-image", f"{file}: {text}", detail)
    return found


def _path(text: str) -> str:
    return "/" + fold(text.replace("\\", "/").removeprefix("./").removeprefix("/"))


def _is_same(text: str, other: str) -> bool:
    return _path(text).endswith(_path(other)) or _path(other).endswith(_path(text))


def _stated(
    text: CsvText,
    image_name: str,
    named: Mapping[str, int],
    found: BoxColumns,
    class_names: Sequence[str],
    index: ImageIndex,
) -> StatedAnnotation:
    numbers = list(named.values())
    boxes = found.of_images(numbers)
    return StatedAnnotation(
        file=f"{text.file}: {next(iter(named))}",
        source_id=image_name,
        image_name=image_name,
        image_path=index.folder / image_name,
        image_size=next((found.sizes[i] for i in numbers if i in found.sizes), None),
        object_numbers=tuple(boxes["line"].tolist()),
        class_names=tuple(class_names[i] for i in boxes["class"].tolist()),
        boxes_pixels=boxes["corners"],
        difficult=np.zeros(len(boxes), bool),
        truncated=boxes["truncated"],
        is_crowd=np.zeros(len(boxes), bool),
        area=np.full(len(boxes), np.nan),
        is_normalized=text.columns.is_normalized,
        group_of=boxes["group_of"] if found.has_groups else None,
    )
