"""From the cells of rows to boxes; says of every row what it is, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tfrecord_tools.readers.csv_layouts import CORNERS, Columns
from tfrecord_tools.readers.csv_text import OVERFLOW
from tfrecord_tools.readers.via_regions import NO_REGION, RegionError, read_region

# What a row is. A PICTURE row says that there is no object, an ABSENT one that there is none of its
# class, as far as somebody has looked.
BOX, PICTURE, ABSENT, WRONG, BLANK = range(5)
_TRUE = frozenset(("1", "1.0", "true", "yes"))

Cells = Mapping[str, Sequence[str]]


@dataclass(eq=False)
class Rows:
    """Some rows of a file.

    Attributes:
      images, class_names: [N] texts.
      boxes: float64 [N, 4], yxyx, as written; NaN where a row has none.
      kinds: uint8 [N]: BOX, PICTURE, ABSENT, WRONG or BLANK.
      reasons: what is wrong with a row, by its position.
      truncated: bool [N].
      group_of: bool [N]; None where the file has no such column.
      sizes: float64 [N, 2], the stated (height, width); NaN where none is.
    """

    images: list[str]
    class_names: list[str]
    boxes: np.ndarray
    kinds: np.ndarray
    truncated: np.ndarray
    group_of: np.ndarray | None
    sizes: np.ndarray
    reasons: dict[int, str] = field(default_factory=dict)

    def refuse(self, row: int, reason: str) -> None:
        """Marks a row as wrong; the first reason stays."""
        self.kinds[row] = WRONG
        self.reasons.setdefault(row, reason)


def read_rows(cells: Cells, columns: Columns, has_decimal_comma: bool) -> Rows:
    """Returns what the rows say.

    Args:
      cells: text of every role of `columns`, and of OVERFLOW.
      has_decimal_comma: 12,5 is a number.
    """
    n = len(cells["image"])
    rows = Rows(
        images=[text.strip() for text in cells["image"]],
        class_names=[text.strip() for text in cells.get("class", [""] * n)],
        boxes=np.full((n, 4), np.nan),
        kinds=np.full(n, BOX, np.uint8),
        truncated=_flags(cells, "truncated", n),
        group_of=_flags(cells, "group_of", n) if "group_of" in columns.positions else None,
        sizes=np.stack([_numbers(cells, s, has_decimal_comma) for s in ("height", "width")], 1),
    )
    for i, text in enumerate(cells[OVERFLOW]):
        if text.strip():
            rows.refuse(i, f"more than {columns.count} columns; quote cells that hold a separator")
    if columns.layout == "via":
        _add_regions(rows, cells, columns.attribute)
    elif columns.layout == "automl":
        _add_vertices(rows, cells, has_decimal_comma)
    else:
        _add_corners(rows, cells, has_decimal_comma)
    for i, name in enumerate(rows.class_names):
        if not name and rows.kinds[i] == BOX:
            rows.refuse(i, "a box without a class")
    if "confidence" in columns.positions:
        is_absent = _numbers(cells, "confidence", has_decimal_comma) == 0
        rows.kinds[is_absent & (rows.kinds == BOX)] = ABSENT
    for i, image in enumerate(rows.images):
        if not image and rows.kinds[i] == PICTURE:
            rows.kinds[i] = BLANK
        elif not image:
            rows.refuse(i, "names no picture")
    return rows


def _add_corners(rows: Rows, cells: Cells, has_decimal_comma: bool) -> None:
    for i, corner in enumerate(CORNERS):
        rows.boxes[:, i] = _numbers(cells, corner, has_decimal_comma)
    for i in np.flatnonzero(~np.isfinite(rows.boxes).all(axis=1)).tolist():
        texts = {corner: cells[corner][i].strip() for corner in CORNERS}
        if not any(texts.values()):
            _note_no_box(rows, i)
            continue
        wrong = next(c for j, c in enumerate(CORNERS) if not np.isfinite(rows.boxes[i, j]))
        what = f"is {texts[wrong]!r}, not a number" if texts[wrong] else "is empty"
        rows.refuse(i, f"{wrong} {what}")


def _add_vertices(rows: Rows, cells: Cells, has_decimal_comma: bool) -> None:
    """Two opposite corners, or all four; the rest is empty."""
    for axis, letter in ((1, "x"), (0, "y")):
        roles = [f"{letter}{vertex}" for vertex in (1, 2, 3, 4)]
        values = np.stack([_numbers(cells, role, has_decimal_comma) for role in roles], axis=1)
        is_number = np.isfinite(values)
        rows.boxes[:, axis] = np.where(is_number, values, np.inf).min(axis=1)
        rows.boxes[:, axis + 2] = np.where(is_number, values, -np.inf).max(axis=1)
        rows.boxes[is_number.sum(axis=1) < 2] = np.nan
        for i, j in np.argwhere(~is_number).tolist():
            if text := cells[roles[j]][i].strip():
                rows.refuse(i, f"{text!r} is not a number")
    for i in np.flatnonzero(~np.isfinite(rows.boxes).all(axis=1)).tolist():
        if any(cells[f"{letter}{vertex}"][i].strip() for letter in "xy" for vertex in (1, 2, 3, 4)):
            rows.refuse(i, "fewer than two corners of a box")
        else:
            _note_no_box(rows, i)


def _add_regions(rows: Rows, cells: Cells, attribute: str) -> None:
    pairs = zip(cells["shape"], cells["attributes"], strict=True)
    for i, (shape, attributes) in enumerate(pairs):
        try:
            region = read_region(shape, attributes, attribute)
        except RegionError as error:
            rows.refuse(i, str(error))
            continue
        if region is NO_REGION:
            _note_no_box(rows, i)
        else:
            rows.boxes[i], rows.class_names[i] = region


def _note_no_box(rows: Rows, row: int) -> None:
    if rows.class_names[row]:
        rows.refuse(row, f"{rows.class_names[row]!r} without a box")
    elif rows.kinds[row] == BOX:
        rows.kinds[row] = PICTURE


def _flags(cells: Cells, role: str, n: int) -> np.ndarray:
    """Returns bool [N]; what is unknown (-1, empty) is False."""
    texts = cells.get(role)
    if texts is None:
        return np.zeros(n, bool)
    return np.array([text.strip().lower() in _TRUE for text in texts], bool)


def _numbers(cells: Cells, role: str, has_decimal_comma: bool) -> np.ndarray:
    """Returns float64 [N] of one column; NaN where there is no number, or no such column."""
    texts = cells.get(role)
    if texts is None:
        return np.full(len(cells["image"]), np.nan)
    try:
        # To the last bit: pandas' own conversion is not, by default, in all its versions.
        return np.array(list(map(float, texts)), np.float64)
    except ValueError:
        return np.array([_number(text, has_decimal_comma) for text in texts], np.float64)


def _number(text: str, has_decimal_comma: bool) -> float:
    try:
        return float(text.replace(",", ".") if has_decimal_comma else text)
    except ValueError:
        return float("nan")
