"""Boxes in pixels -> COCO's 12 numbers, for all classes and for each one.

Pixels and xywh exist only here and in `coco_metrics.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssd.metric_names import COCO_NAMES

# The 12 names -> a fraction in [0, 1], or None where there is nothing to measure.
CocoNumbers = dict[str, float | None]


class _Slice(NamedTuple):
    """Where a number stands in what the evaluation returns."""

    array: str
    iou: slice  # of 0.50, 0.55 ... 0.95
    area: int  # of all, small, medium, large
    detections: int  # of 1, 10, 100 per image and class


_EVERY_IOU = slice(None)
_SLICES = {
    "AP": _Slice("precision", _EVERY_IOU, 0, 2),
    "AP50": _Slice("precision", slice(0, 1), 0, 2),
    "AP75": _Slice("precision", slice(5, 6), 0, 2),
    "APs": _Slice("precision", _EVERY_IOU, 1, 2),
    "APm": _Slice("precision", _EVERY_IOU, 2, 2),
    "APl": _Slice("precision", _EVERY_IOU, 3, 2),
    "AR1": _Slice("recall", _EVERY_IOU, 0, 0),
    "AR10": _Slice("recall", _EVERY_IOU, 0, 1),
    "AR100": _Slice("recall", _EVERY_IOU, 0, 2),
    "ARs": _Slice("recall", _EVERY_IOU, 1, 2),
    "ARm": _Slice("recall", _EVERY_IOU, 2, 2),
    "ARl": _Slice("recall", _EVERY_IOU, 3, 2),
}


@dataclass(frozen=True)
class CocoImage:
    """One image's share of the evaluation, in pixels."""

    groundtruth_xywh: NDArray[np.float64]  # [N, 4]
    groundtruth_classes: NDArray[np.int64]  # [N]
    groundtruth_is_crowd: NDArray[np.bool_]  # [N]
    groundtruth_area: NDArray[np.float64]  # [N]
    detection_xywh: NDArray[np.float64]  # [D, 4]
    detection_scores: NDArray[np.float64]  # [D]
    detection_classes: NDArray[np.int64]  # [D]


def evaluate_images(
    images: Sequence[CocoImage], class_ids: Sequence[int]
) -> tuple[CocoNumbers, dict[int, CocoNumbers]]:
    """Returns the numbers of all classes together, and class id -> those of each class.

    Args:
      images: those of no class id outside `class_ids`.
      class_ids: rising.
    """
    if not images or not class_ids:
        nothing: CocoNumbers = dict.fromkeys(COCO_NAMES)
        return nothing, {class_id: dict(nothing) for class_id in class_ids}
    # Inside the function so that `--help` does not pay for the import.
    from faster_coco_eval import COCO, COCOeval_faster

    groundtruth, detections = COCO(print_function=_silent), COCO(print_function=_silent)
    shared = {
        "images": [{"id": number + 1} for number in range(len(images))],
        "categories": [{"id": class_id} for class_id in class_ids],
    }
    groundtruth.dataset = {**shared, "annotations": _groundtruth_annotations(images)}
    # Filled by hand: the library's own loader would add a polygon to every detection.
    detections.dataset = {**shared, "annotations": _detection_annotations(images)}
    groundtruth.createIndex()
    detections.createIndex()
    evaluator = COCOeval_faster(groundtruth, detections, "bbox", print_function=_silent)
    evaluator.run()
    stats = [float(value) for value in evaluator.all_stats[: len(COCO_NAMES)]]
    numbers = {
        name: None if value < 0 else value for name, value in zip(COCO_NAMES, stats, strict=True)
    }
    return numbers, {
        class_id: _numbers_of_class(evaluator.eval, k)
        for k, class_id in enumerate(evaluator.params.catIds)
    }


def _numbers_of_class(evaluation: dict[str, Any], k: int) -> CocoNumbers:
    """Precision comes as [T, R, K, A, M], recall as [T, K, A, M]; -1 is "nothing to measure"."""
    numbers: CocoNumbers = {}
    for name, (array, iou, area, detections) in _SLICES.items():
        values = evaluation[array][iou, ..., k, area, detections]
        measured = values[values > -1]
        numbers[name] = float(measured.mean()) if measured.size else None
    return numbers


def _groundtruth_annotations(images: Sequence[CocoImage]) -> list[dict[str, Any]]:
    annotations: list[dict[str, Any]] = []
    for number, image in enumerate(images):
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


def _detection_annotations(images: Sequence[CocoImage]) -> list[dict[str, Any]]:
    annotations: list[dict[str, Any]] = []
    for number, image in enumerate(images):
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


def _silent(*args: object, **kwargs: object) -> None:
    """The library reports every step through a print function; nobody asked."""
