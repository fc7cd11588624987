"""Detections against groundtruth -> the 12 COCO numbers, and those numbers for a screen.

Pixels and xywh exist only inside this file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssd.errors import InputError

if TYPE_CHECKING:
    from ssd.label_map import LabelMap


METRIC_NAMES = (
    "AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl",
)  # fmt: skip

# What each number says, and what is not there when it has no value.
_ROWS = {
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


@dataclass(frozen=True)
class _Image:
    """One image's share of the evaluation, in pixels."""

    groundtruth_xywh: NDArray[np.float64]  # [N, 4]
    groundtruth_classes: NDArray[np.int64]  # [N]
    groundtruth_is_crowd: NDArray[np.bool_]  # [N]
    groundtruth_area: NDArray[np.float64]  # [N]
    detection_xywh: NDArray[np.float64]  # [D, 4]
    detection_scores: NDArray[np.float64]  # [D]
    detection_classes: NDArray[np.int64]  # [D]


class CocoMetrics:
    """Collects images one by one; `summarize` scores all of them.

    An image counts once per `add`, whatever its source_id: empty and repeated ones are fine. Only
    is_crowd takes a box out of the count, as in the TF Object Detection API's COCO metrics:
    `difficult` and `group_of` boxes are measured like any other.

    Attributes:
      num_images: how many were added.
      num_unknown_detections: detections of a class id that the label map does not have; they are
        left out, since nothing can be said about them.
    """

    def __init__(self, label_map: LabelMap) -> None:
        shown = [label_map.name_of(item.id) for item in label_map.items]
        # What people call two classes may be the same word; the record's own name never is.
        self._names = {
            item.id: name if shown.count(name) == 1 else item.name
            for item, name in zip(label_map.items, shown, strict=True)
        }
        self._images: list[_Image] = []
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
            _Image(
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
          this class without crowds}}.
        """
        boxes = dict.fromkeys(self._names, 0)
        for image in self._images:
            for class_id in image.groundtruth_classes[~image.groundtruth_is_crowd].tolist():
                boxes[class_id] += 1
        stats = [-1.0] * len(METRIC_NAMES)
        per_class: dict[int, dict[str, float | None]] = {}
        if self._images and self._names:
            stats, per_class = self._evaluate()
        summary: dict[str, Any] = dict(zip(METRIC_NAMES, map(_fraction, stats), strict=True))
        summary["per_class"] = {
            name: {**per_class.get(class_id, {"AP": None, "AP50": None}), "boxes": boxes[class_id]}
            for class_id, name in self._names.items()
        }
        return summary

    def _check_classes(self, where: str, classes: NDArray[np.int64]) -> None:
        for class_id in classes.tolist():
            if class_id not in self._names:
                raise InputError(
                    f"{where}: groundtruth class id {class_id}, but the label map has "
                    f"{sorted(self._names)}; evaluate with the label map the records were made of."
                )

    def _evaluate(self) -> tuple[list[float], dict[int, dict[str, float | None]]]:
        # Inside the function so that `--help` does not pay for the import.
        from faster_coco_eval import COCO, COCOeval_faster

        groundtruth, detections = COCO(print_function=_silent), COCO(print_function=_silent)
        shared = {
            "images": [{"id": number + 1} for number in range(self.num_images)],
            "categories": [{"id": class_id} for class_id in self._names],
        }
        groundtruth.dataset = {**shared, "annotations": self._groundtruth_annotations()}
        # Filled by hand: the library's own loader would add a polygon to every detection.
        detections.dataset = {**shared, "annotations": self._detection_annotations()}
        groundtruth.createIndex()
        detections.createIndex()
        evaluator = COCOeval_faster(groundtruth, detections, "bbox", print_function=_silent)
        evaluator.run()
        # [T, R, K, A, M] -> [T, R, K]: all areas, 100 detections; IoU 0.50 is the first of T.
        precision = evaluator.eval["precision"][:, :, :, 0, -1]
        per_class = {
            class_id: {
                "AP": _mean_precision(precision[:, :, k]),
                "AP50": _mean_precision(precision[0, :, k]),
            }
            for k, class_id in enumerate(evaluator.params.catIds)
        }
        return [float(value) for value in evaluator.all_stats[: len(METRIC_NAMES)]], per_class

    def _groundtruth_annotations(self) -> list[dict[str, Any]]:
        annotations: list[dict[str, Any]] = []
        for number, image in enumerate(self._images):
            for xywh, class_id, is_crowd, area in zip(
                image.groundtruth_xywh.tolist(),
                image.groundtruth_classes.tolist(),
                image.groundtruth_is_crowd.tolist(),
                image.groundtruth_area.tolist(),
                strict=True,
            ):
                annotations.append(
                    {
                        "id": len(annotations) + 1,  # 0 would read as "unmatched"
                        "image_id": number + 1,
                        "category_id": class_id,
                        "bbox": xywh,
                        "area": area,
                        "iscrowd": int(is_crowd),
                    }
                )
        return annotations

    def _detection_annotations(self) -> list[dict[str, Any]]:
        annotations: list[dict[str, Any]] = []
        for number, image in enumerate(self._images):
            for xywh, class_id, score in zip(
                image.detection_xywh.tolist(),
                image.detection_classes.tolist(),
                image.detection_scores.tolist(),
                strict=True,
            ):
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": number + 1,
                        "category_id": class_id,
                        "bbox": xywh,
                        "area": xywh[2] * xywh[3],
                        "iscrowd": 0,
                        "score": score,
                    }
                )
        return annotations


def format_table(summary: dict[str, Any]) -> str:
    """Returns the summary as plain text for a screen: the 12 numbers, then one row per class."""
    lines = []
    for name in METRIC_NAMES:
        meaning, absent = _ROWS[name]
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


def _mean_precision(precision: NDArray[np.float64]) -> float | None:
    measured = precision[precision > -1]
    return float(measured.mean()) if measured.size else None


def _fraction(value: float) -> float | None:
    return None if value < 0 else float(value)


def _silent(*args: object, **kwargs: object) -> None:
    """The library reports every step through a print function; nobody asked."""
