"""All boxes of a COCO file in columns, 65 bytes a box, to be taken out picture by picture."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from math import isfinite, nan
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ssd.errors import InputError
from tfrecord_tools.annotations import RefusedError
from tfrecord_tools.readers.coco_file import Annotation, CocoFile, Identifier, plain_id
from tfrecord_tools.readers.coco_segments import SegmentError, box_of

UNLISTED = -1
# A larger id is not kept: the object is then known by its position among those of its image.
_MAX_ID = 1 << 62


class Numbering:
    """Numbers ids in the order in which they come; 1, 1.0 and "1" are one id."""

    def __init__(self, ids: Iterable[Identifier]) -> None:
        self._plain: dict[int | str, int] = {}
        self._as_written: dict[Identifier | None, int] = {}
        for identifier in ids:
            number = self._plain.setdefault(plain_id(identifier), len(self._plain))
            self._as_written[identifier] = number

    def __len__(self) -> int:
        return len(self._plain)

    def of(self, identifier: Identifier | None) -> int:
        """Returns the number of an id, or UNLISTED."""
        number = self._as_written.get(identifier)
        return self._plain.get(plain_id(identifier), UNLISTED) if number is None else number


class CocoColumns:
    """The annotations of a file.

    Attributes:
      images, classes: number the ids.
      orphans: image ids that the file does not list, and how many annotations each has.

    Raises:
      InputError: an annotation of a category that the file does not list, or not one with a box.
    """

    def __init__(self, coco: CocoFile, file: Path) -> None:
        self.images = Numbering(image.id for image in coco.images)
        self.classes = Numbering(category.id for category in coco.categories)
        self.orphans: Counter[int | str] = Counter()
        self._wrong: dict[int, RefusedError] = {}
        ids, flags = array("q"), array("B")
        values = array("d")
        stray = ""
        for position, one in enumerate(coco.annotations()):
            image, class_ = self.images.of(one.image_id), self.classes.of(one.category_id)
            if image == UNLISTED:
                self.orphans[plain_id(one.image_id)] += 1
            if class_ == UNLISTED and not stray:
                stray = f"annotations[{position}] has category_id {one.category_id}"
            try:
                x, y, width, height = _xywh(one, coco, position)
            except RefusedError as refused:
                x = y = width = height = nan
                self._wrong.setdefault(image, refused)
            ids.extend((image, class_, _number(one)))
            flags.append(bool(one.iscrowd))
            values.extend((y, x, y + height, x + width, nan if one.area is None else one.area))
        # Views, not copies: of a large file these are large.
        self._ids = np.frombuffer(ids, np.int64).reshape(-1, 3)
        self._is_crowd = np.frombuffer(flags, np.bool_)
        self._values = np.frombuffer(values, np.float64).reshape(-1, 5)
        if len(flags) and np.isnan(self._values[:, 0]).all():
            raise InputError(
                f"{file}: none of the {len(flags)} annotations has a bbox or segmentation "
                "(captions, labels or panoptic segments?); detection needs instances_*.json"
            )
        if stray:
            raise InputError(
                f"{file}: {stray}, which is none of the {len(self.classes)} categories"
            )
        self._order = np.argsort(self._ids[:, 0], kind="stable")
        numbers = np.arange(len(self.images) + 1)
        self._starts = np.searchsorted(self._ids[self._order, 0], numbers)

    def used_classes(self) -> set[int]:
        """Returns the numbers of the classes that some box has."""
        return set(np.unique(self._ids[:, 1]).tolist())

    def of_image(self, number: int) -> ImageBoxes:
        """Returns the boxes of one image, in the order of the file.

        Raises:
          RefusedError: bbox-missing or unreadable-row, one of them cannot be used.
        """
        if number in self._wrong:
            raise self._wrong[number]
        rows = self._order[self._starts[number] : self._starts[number + 1]]
        ids, values = self._ids[rows], self._values[rows]
        numbers = [n if n != UNLISTED else i for i, n in enumerate(ids[:, 2].tolist(), 1)]
        classes = ids[:, 1].tolist()
        return ImageBoxes(classes, numbers, values[:, :4], values[:, 4], self._is_crowd[rows])


class ImageBoxes(NamedTuple):
    """The annotations of one image.

    Attributes:
      classes: [N], numbers.
      numbers: [N], ids of the annotations; the position from 1 of one without a whole number.
      boxes_pixels: float64 [N, 4], yxyx.
      area: float64 [N]; NaN where none is stated.
      is_crowd: bool [N].
    """

    classes: list[int]
    numbers: list[int]
    boxes_pixels: np.ndarray
    area: np.ndarray
    is_crowd: np.ndarray


def _xywh(annotation: Annotation, coco: CocoFile, position: int) -> list[float]:
    bbox = annotation.bbox
    if bbox and len(bbox) == 4 and isfinite(sum(bbox)):
        return bbox
    number = _number(annotation)
    place = None if number == UNLISTED else number
    if bbox:
        detail = f"bbox is {bbox}; expected four finite numbers: x, y, width, height"
        raise RefusedError("unreadable-row", detail, place)
    try:
        return box_of(coco.segmentation(position))
    except SegmentError as error:
        raise RefusedError(
            "bbox-missing", f"an annotation has no bbox, and {error}", place
        ) from None


def _number(annotation: Annotation) -> int:
    """Returns the id where it is a whole number of usual size, else UNLISTED."""
    number = annotation.id
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    return number if isinstance(number, int) and 0 <= number < _MAX_ID else UNLISTED
