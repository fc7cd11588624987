"""Detections against groundtruth -> the 12 COCO numbers, and those numbers for a screen.

Pixels and xywh exist only here and in `coco_evaluation.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssd.coco_categories import (
    NO_CATEGORIES,
    CategoryMetrics,
    metrics_of_categories,
    require_known,
)
from ssd.coco_evaluation import CocoImage, evaluate_images
from ssd.errors import InputError
from ssd.label_map import LabelMap
from ssd.metric_names import COCO_NAMES, class_names

METRIC_NAMES = tuple(COCO_NAMES)

# What each number says, and what is not there when it has no value.
MEANINGS = {
    "AP": ("average precision, IoU 0.50 to 0.95", "objects"),
    "AP50": ("average precision, IoU 0.50", "objects"),
    "AP75": ("average precision, IoU 0.75", "objects"),
    "APs": ("average precision, small objects", "small objects"),
    "APm": ("average precision, medium objects", "medium objects"),
    "APl": ("average precision, large objects", "large objects"),
    "AR1": ("average recall, best detection per image and class", "objects"),
    "AR10": ("average recall, best 10", "objects"),
    "AR100": ("average recall, best 100", "objects"),
    "ARs": ("average recall, small objects", "small objects"),
    "ARm": ("average recall, medium objects", "medium objects"),
    "ARl": ("average recall, large objects", "large objects"),
}


class CocoMetrics:
    """Collects images one by one; `summarize` scores all of them.

    An image counts once per `add`, whatever its source_id: empty and repeated ones are fine. Only
    is_crowd takes a box out of the count, as in the TF Object Detection API's COCO metrics:
    `difficult` and `group_of` boxes are measured like any other.

    Args:
      label_map: names the classes.
      categories: which numbers by category to add to the summary.

    Attributes:
      num_images: how many were added.
      num_unknown_detections: detections of a class id that the label map does not have; they are
        left out, since nothing can be said about them.

    Raises:
      InputError: a super-category names a class that the label map does not have.
    """

    def __init__(self, label_map: LabelMap, categories: CategoryMetrics = NO_CATEGORIES) -> None:
        require_known(categories, label_map)
        self._label_map, self._categories = label_map, categories
        self._names = class_names(label_map)
        self._images: list[CocoImage] = []
        self.num_unknown_detections = 0

    @property
    def num_images(self) -> int:
        return len(self._images)

    def add(
        self,
        *,
        source_id: str,
        image_size: tuple[int, int],
        groundtruth_boxes: ArrayLike,
        groundtruth_classes: ArrayLike,
        detection_boxes: ArrayLike,
        detection_scores: ArrayLike,
        detection_classes: ArrayLike,
        groundtruth_is_crowd: ArrayLike | None = None,
        groundtruth_area: ArrayLike | None = None,
        groundtruth_difficult: ArrayLike | None = None,
        groundtruth_group_of: ArrayLike | None = None,
    ) -> None:
        """Adds one image; the arrays are copied.

        Args:
          source_id: named in messages only.
          image_size: (height, width) of the original image in pixels: it decides which boxes are
            small (below 32x32), medium, and large (above 96x96).
          groundtruth_boxes: float [N, 4], yxyx normalized.
          groundtruth_classes: int [N], class ids 1..C.
          detection_boxes: float [D, 4], yxyx normalized. May reach out of the image; not clipped.
          detection_scores: float [D], in any order; only the best 100 of a class count.
          detection_classes: int [D], class ids 1..C.
          groundtruth_is_crowd: bool [N]; None means that no box is a crowd.
          groundtruth_area: float [N], square pixels of the object, for small, medium and large.
            None, or a value that is not above 0, means the area of the box.
          groundtruth_difficult: accepted, without influence.
          groundtruth_group_of: accepted, without influence.

        Raises:
          InputError: a groundtruth class id is not in the label map, or a detection is not finite.
            The message names the image.
          ValueError: an array has the wrong shape.
        """
        del groundtruth_difficult, groundtruth_group_of
        where = f"image {source_id or self.num_images + 1}"
        gt_boxes = _array(where, "groundtruth_boxes", groundtruth_boxes, np.float64, (-1, 4))
        count = len(gt_boxes)
        classes = _array(where, "groundtruth_classes", groundtruth_classes, np.int64, (count,))
        crowd = np.zeros(count) if groundtruth_is_crowd is None else groundtruth_is_crowd
        area = np.zeros(count) if groundtruth_area is None else groundtruth_area
        dt_boxes = _array(where, "detection_boxes", detection_boxes, np.float64, (-1, 4))
        kept = (len(dt_boxes),)
        dt_scores = _array(where, "detection_scores", detection_scores, np.float64, kept)
        dt_classes = _array(where, "detection_classes", detection_classes, np.int64, kept)

        self._check_classes(where, classes)
        if not (np.isfinite(dt_boxes).all() and np.isfinite(dt_scores).all()):
            raise InputError(
                f"{where}: a detection's box or score is NaN or infinite, expected finite numbers; "
                f"the model's weights have diverged or its file is damaged."
            )
        known = np.isin(dt_classes, list(self._names))
        self.num_unknown_detections += int(np.count_nonzero(~known))
        gt_xywh = _to_xywh_pixels(gt_boxes, image_size)
        given_area = _array(where, "groundtruth_area", area, np.float64, (count,))
        self._images.append(
            CocoImage(
                groundtruth_xywh=gt_xywh,
                groundtruth_classes=classes,
                groundtruth_is_crowd=_array(where, "groundtruth_is_crowd", crowd, bool, (count,)),
                groundtruth_area=np.where(
                    given_area > 0, given_area, gt_xywh[:, 2] * gt_xywh[:, 3]
                ),
                detection_xywh=_to_xywh_pixels(dt_boxes, image_size)[known],
                detection_scores=dt_scores[known],
                detection_classes=dt_classes[known],
            )
        )

    def summarize(self) -> dict[str, Any]:
        """Returns the COCO numbers of everything added so far; may be called again later.

        Returns:
          The 12 names of `METRIC_NAMES`, each a fraction in [0, 1] or None where there is nothing
          to measure (no groundtruth of that size); and `per_class`, in the order of class ids:
          {name: {"AP": fraction or None, "AP50": fraction or None, "boxes": groundtruth boxes of
          this class without crowds}}. Then the numbers by category that were asked for.
        """
        boxes = dict.fromkeys(self._names, 0)
        for image in self._images:
            for class_id in image.groundtruth_classes[~image.groundtruth_is_crowd].tolist():
                boxes[class_id] += 1
        numbers, per_class = evaluate_images(self._images, list(self._names))
        summary: dict[str, Any] = dict(numbers)
        summary["per_class"] = {
            name: {key: per_class[class_id][key] for key in ("AP", "AP50")}
            | {"boxes": boxes[class_id]}
            for class_id, name in self._names.items()
        }
        return summary | metrics_of_categories(self._categories, self._label_map, per_class)

    def _check_classes(self, where: str, classes: NDArray[np.int64]) -> None:
        for class_id in classes.tolist():
            if class_id not in self._names:
                raise InputError(
                    f"{where}: groundtruth class id {class_id}, but the label map has "
                    f"{sorted(self._names)}; evaluate with the label map the records were made of."
                )


def format_table(summary: dict[str, Any]) -> str:
    """Returns the summary as plain text for a screen: the 12 numbers, then one row per class."""
    lines = []
    for name in METRIC_NAMES:
        meaning, absent = MEANINGS[name]
        value = summary[name]
        text = f"n/a (no {absent})" if value is None else f"{value:.4f}  {meaning}"
        lines.append(f"{name:<6} {text}")
    per_class = summary["per_class"]
    if per_class:
        width = max(len("class"), *map(len, per_class))
        lines += ["", f"{'class':<{width}}  {'AP':<6}  {'AP50':<6}  boxes"]
    for name, row in per_class.items():
        values = "  ".join(f"{_cell(row[key]):<6}" for key in ("AP", "AP50"))
        lines.append(f"{name:<{width}}  {values}  {row['boxes']}")
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.4f}"


def _array(
    where: str, name: str, value: ArrayLike, dtype: Any, shape: tuple[int, ...]
) -> NDArray[Any]:
    """Returns a checked copy; -1 in `shape` is any length, and [] is a table of no rows."""
    array = np.array(value, dtype=dtype)
    if array.size == 0 and shape[0] <= 0:
        array = array.reshape(0, *shape[1:])
    fits = array.ndim == len(shape) and all(
        want in (-1, have) for have, want in zip(array.shape, shape, strict=True)
    )
    if not fits:
        raise ValueError(f"{where}: {name} has shape {array.shape}, expected {shape}")
    return array


def _to_xywh_pixels(boxes: NDArray[np.float64], image_size: tuple[int, int]) -> NDArray[np.float64]:
    height, width = image_size
    ymin, xmin, ymax, xmax = boxes.T
    return np.stack(
        [xmin * width, ymin * height, (xmax - xmin) * width, (ymax - ymin) * height], axis=-1
    )
