"""All boxes of a .csv file in columns, 53 bytes a box, to be taken out picture by picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfrecord_tools.readers import csv_rows
from tfrecord_tools.readers.csv_rows import Rows

# A stated size beyond this is a mistake, and more than a C int holds.
_MAX_SIDE = 1 << 30
_BOX = np.dtype(
    [
        ("image", np.int32),
        ("class", np.int32),
        ("line", np.int64),
        ("truncated", np.bool_),
        ("group_of", np.bool_),
        ("corners", np.float64, 4),
    ]
)


class BoxColumns:
    """The rows of a file.

    Attributes:
      images: text that names a picture, to its number; in the order of their first rows.
      classes: class name to its number.
      wrong_images: numbers of the pictures with a row that cannot be read.
      sizes: number of a picture to its stated (height, width), that of its first row with one.
      num_absent: rows that say what is not there.
      has_groups: the file says of every box whether it is around a group.
      boxes: [N] with the fields image, class, line, truncated, group_of, and corners, float64 [4],
        yxyx, as written; in the order of the file.
    """

    def __init__(self) -> None:
        self.images: dict[str, int] = {}
        self.classes: dict[str, int] = {}
        self.wrong_images: set[int] = set()
        self.sizes: dict[int, tuple[int, int]] = {}
        self.num_absent = 0
        self.has_groups = False
        self.boxes = np.zeros(0, _BOX)
        self._parts: list[np.ndarray] = []

    def add(self, rows: Rows, line: int) -> None:
        """Adds rows; the first of them is `line` of the file."""
        texts, known = rows.images, self.images
        numbers = np.array([known.setdefault(t, len(known)) if t else -1 for t in texts], np.int32)
        self.wrong_images.update(numbers[rows.kinds == csv_rows.WRONG].tolist())
        self.num_absent += int((rows.kinds == csv_rows.ABSENT).sum())
        is_side = (rows.sizes > 0) & (rows.sizes < _MAX_SIDE)
        for i in np.flatnonzero(is_side.all(axis=1)).tolist():
            height, width = rows.sizes[i].tolist()
            self.sizes.setdefault(int(numbers[i]), (int(height), int(width)))
        self.has_groups |= rows.group_of is not None
        positions = np.flatnonzero(rows.kinds == csv_rows.BOX)
        names = [rows.class_names[i] for i in positions.tolist()]
        boxes = np.zeros(len(positions), _BOX)
        boxes["image"] = numbers[positions]
        boxes["class"] = [self.classes.setdefault(name, len(self.classes)) for name in names]
        boxes["line"] = line + positions
        boxes["truncated"] = rows.truncated[positions]
        boxes["group_of"] = False if rows.group_of is None else rows.group_of[positions]
        boxes["corners"] = rows.boxes[positions]
        self._parts.append(boxes)

    def finish(self) -> None:
        """Makes `boxes` and `of_images` ready; nothing is added from now on."""
        self.boxes = np.concatenate([self.boxes, *self._parts])
        self._parts = []
        self._order = np.argsort(self.boxes["image"], kind="stable")
        numbers = np.arange(len(self.images) + 1)
        self._starts = np.searchsorted(self.boxes["image"][self._order], numbers)

    def of_images(self, numbers: Sequence[int]) -> np.ndarray:
        """Returns the boxes of some pictures, in the order of the file."""
        parts = [self._order[self._starts[i] : self._starts[i + 1]] for i in numbers]
        return self.boxes[np.sort(np.concatenate(parts))]
