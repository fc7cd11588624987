"""What is in a data set, counted in columns: a few dozen bytes a box, whatever the pictures."""

from __future__ import annotations

import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from tfrecord_tools.show.picture_sources import Picture

_LONGEST_NAME = 40


class DataSummary:
    """Counts pictures and boxes by group (split or file) and class.

    Args:
      class_names: those that are known beforehand, in this order; "" is skipped. Others follow by
        name.

    Attributes:
      groups: in the order in which they were added.
    """

    def __init__(self, class_names: Iterable[str] = ()) -> None:
        self.groups: list[str] = []
        self._known = [name for name in dict.fromkeys(class_names) if name]
        self._names: list[str] = list(self._known)
        self._index_of = {name: index for index, name in enumerate(self._names)}
        self._numbers = array("q")
        self._group_indices = array("i")
        self._sizes = array("i")
        self._box_counts = array("i")
        self._boxes = array("f")
        self._class_indices = array("i")
        self._flags = array("B")

    def add(self, number: int, picture: Picture) -> None:
        """Counts one picture; numbers rise."""
        annotation = picture.annotation
        if picture.group not in self.groups:
            self.groups.append(picture.group)
        for name in annotation.class_names:
            if name not in self._index_of:
                self._index_of[name] = len(self._names)
                self._names.append(name)
        self._numbers.append(number)
        self._group_indices.append(self.groups.index(picture.group))
        self._sizes.extend(annotation.image_size)
        self._box_counts.append(len(annotation.boxes))
        self._boxes.frombytes(np.ascontiguousarray(annotation.boxes, np.float32).tobytes())
        self._class_indices.extend(self._index_of[name] for name in annotation.class_names)
        flags = annotation.is_crowd + 2 * annotation.difficult.astype(np.uint8)
        self._flags.frombytes(flags.astype(np.uint8).tobytes())

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def class_names(self) -> list[str]:
        """All names: the known ones, then the others by name."""
        return [*self._known, *sorted(self._names[len(self._known) :])]

    @property
    def numbers(self) -> np.ndarray:
        """Int64 [I], the number of every picture."""
        return np.array(self._numbers, np.int64)

    @property
    def group_indices(self) -> np.ndarray:
        """Int64 [I], index into `groups`."""
        return np.array(self._group_indices, np.int64)

    @property
    def image_sizes(self) -> np.ndarray:
        """Int64 [I, 2], (height, width)."""
        return np.array(self._sizes, np.int64).reshape(-1, 2)

    @property
    def box_counts(self) -> np.ndarray:
        """Int64 [I]."""
        return np.array(self._box_counts, np.int64)

    @property
    def boxes(self) -> np.ndarray:
        """Float32 [M, 4], yxyx normalized; the pictures' boxes follow each other."""
        return np.array(self._boxes, np.float32).reshape(-1, 4)

    @property
    def owners(self) -> np.ndarray:
        """Int64 [M], row of the picture of each box, 0..I-1."""
        return np.repeat(np.arange(len(self)), self.box_counts)

    @property
    def class_indices(self) -> np.ndarray:
        """Int64 [M], index into `class_names`."""
        index_of = {name: index for index, name in enumerate(self.class_names)}
        order = np.array([index_of[name] for name in self._names], np.int64)
        return order[np.array(self._class_indices, np.int64)]

    @property
    def is_crowd(self) -> np.ndarray:
        """Bool [M]."""
        return (np.array(self._flags, np.uint8) & 1) > 0

    @property
    def is_difficult(self) -> np.ndarray:
        """Bool [M]."""
        return (np.array(self._flags, np.uint8) & 2) > 0

    def boxes_by_class(self) -> dict[str, Counter[str]]:
        """Group -> class name -> boxes; classes without boxes are not in it."""
        names, table = self.class_names, self.class_table()
        return {
            group: Counter({name: int(n) for name, n in zip(names, row, strict=True) if n})
            for group, row in zip(self.groups, table, strict=True)
        }

    def class_table(self) -> np.ndarray:
        """Int64 [groups, classes], boxes."""
        classes = len(self._names)
        cells = self.group_indices[self.owners] * classes + self.class_indices
        counts = np.bincount(cells, minlength=len(self.groups) * classes)
        return counts.reshape(len(self.groups), classes)

    def facts(self) -> list[tuple[str, list[str]]]:
        """Rows of the split table: what is counted, and its text for each group."""
        rows: dict[str, list[str]] = {}
        owners, counts, sizes = self.owners, self.box_counts, self.image_sizes
        for number, _ in enumerate(self.groups):
            images = self.group_indices == number
            own = counts[images]
            crowd, difficult = (
                np.count_nonzero(flags & images[owners])
                for flags in (self.is_crowd, self.is_difficult)
            )
            for name, value in (
                ("images", f"{len(own):,}"),
                ("boxes", f"{own.sum():,}"),
                ("images without boxes", f"{np.count_nonzero(own == 0):,}"),
                ("boxes in an image, mean", f"{own.mean():.1f}"),
                ("boxes in an image, most", f"{own.max():,}"),
                ("crowd boxes", f"{crowd:,}"),
                ("difficult boxes", f"{difficult:,}"),
                *_size_facts(sizes[images]),
            ):
                rows.setdefault(name, []).append(value)
        optional = ("crowd boxes", "difficult boxes")
        return [
            (name, values)
            for name, values in rows.items()
            if name not in optional or any(value != "0" for value in values)
        ]

    def lines(self) -> Iterator[str]:
        """Yields the table for the screen: facts, then boxes per class."""
        rows = [*self.facts(), ("boxes of a class", [""] * len(self.groups))]
        rows += [
            (f"  {shortened(name) or '(no class text)'}", [f"{n:,}" for n in column])
            for name, column in zip(self.class_names, self.class_table().T, strict=True)
        ]
        yield from aligned([("", self.groups), *rows])


def _size_facts(sizes: np.ndarray) -> list[tuple[str, str]]:
    """Rows about (height, width) [I, 2] of pictures; written width x height, as people do."""
    areas = sizes.prod(axis=1)
    smallest, largest = sizes[areas.argmin()], sizes[areas.argmax()]
    median = np.median(sizes, axis=0)
    return [
        (f"{name} picture, width x height", f"{size[1]:.0f}x{size[0]:.0f}")
        for name, size in (("smallest", smallest), ("median", median), ("largest", largest))
    ]


def aligned(rows: Sequence[tuple[str, Sequence[str]]]) -> Iterator[str]:
    """Yields the rows with names at the left and values under each other at the right."""
    first = max(display_width(name) for name, _ in rows)
    widths = [
        max(display_width(values[column]) for _, values in rows)
        for column in range(len(rows[0][1]))
    ]
    for name, values in rows:
        cells = [
            " " * (width - display_width(value)) + value
            for width, value in zip(widths, values, strict=True)
        ]
        padding = " " * (first - display_width(name))
        yield "  ".join([name + padding, *cells]).rstrip()


def display_width(text: str) -> int:
    """Returns how many columns a terminal gives the text: two for a wide letter.

    >>> display_width("cat"), display_width("猫")
    (3, 2)
    """
    return sum(
        0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "WF")
        for letter in text
    )


def shortened(name: str, longest: int = _LONGEST_NAME) -> str:
    """Returns the name in one line, its middle left out where it is too long.

    >>> shortened("a very long name of a class", 11)
    'a ver…class'
    """
    name = " ".join(name.split())
    if len(name) <= longest:
        return name
    half = (longest - 1) // 2
    return f"{name[: longest - 1 - half]}…{name[-half:]}"
