"""Which detections of an image are hits, by COCO's rules at one IoU."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssd.evaluated_image import EvaluatedImage

MATCHING_IOU = 0.5
NO_MATCH = -1
# Of one class in one image; COCO's maxDets.
_MAX_DETECTIONS = 100


class Matches(NamedTuple):
    """The detections of one image, judged.

    Attributes:
      counts: bool [D]; False for what lies in a crowd, comes after the best 100 of its class, or
        is of a class that the label map does not have.
      groundtruth: int [D], the box that a hit has found; NO_MATCH for what found none, or a crowd.
    """

    counts: NDArray[np.bool_]
    groundtruth: NDArray[np.intp]

    @property
    def is_hit(self) -> NDArray[np.bool_]:
        """bool [D], detections that found a box."""
        return self.groundtruth != NO_MATCH


def match(image: EvaluatedImage, class_ids: frozenset[int]) -> Matches:
    """Returns the detections judged as COCO does at IoU 0.5.

    By falling score, each detection takes the free box of its class that it overlaps most (of equal
    ones the last), from IoU 0.5 on. One without such a box but inside of a crowd does not count.
    What a detection becomes depends on higher scores only, so a threshold may be set afterwards.

    Args:
      image: with N boxes and D detections.
      class_ids: those of the label map.
    """
    count = len(image.detection_scores)
    counts, groundtruth = np.zeros(count, bool), np.full(count, NO_MATCH)
    for class_id in np.unique(image.detection_classes).tolist():
        if class_id not in class_ids:
            continue
        rows = np.flatnonzero(image.detection_classes == class_id)
        rows = rows[np.argsort(-image.detection_scores[rows], kind="stable")][:_MAX_DETECTIONS]
        counts[rows] = True
        boxes = np.flatnonzero(image.groundtruth_classes == class_id)
        if len(boxes):
            _match_class(image, rows, boxes, counts, groundtruth)
    return Matches(counts, groundtruth)


def _match_class(
    image: EvaluatedImage,
    rows: NDArray[np.intp],
    boxes: NDArray[np.intp],
    counts: NDArray[np.bool_],
    groundtruth: NDArray[np.intp],
) -> None:
    """Judges the detections `rows` against the boxes of their class, in place."""
    is_crowd = image.groundtruth_is_crowd[boxes]
    overlap = iou(image.detection_boxes[rows], image.groundtruth_boxes[boxes], is_crowd)
    is_free = ~is_crowd
    for k in np.flatnonzero((overlap >= MATCHING_IOU).any(axis=1)):
        free = np.where(is_free, overlap[k], -1.0)
        best = len(free) - 1 - int(free[::-1].argmax())
        if free[best] >= MATCHING_IOU:
            groundtruth[rows[k]] = boxes[best]
            is_free[best] = False
        elif (overlap[k, is_crowd] >= MATCHING_IOU).any():
            counts[rows[k]] = False


def iou(
    detections: NDArray[np.floating],
    boxes: NDArray[np.floating],
    is_crowd: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Returns float64 [D, N]: intersection over union; of a crowd, over the detection's area.

    Args:
      detections: float [D, 4], yxyx in any unit.
      boxes: float [N, 4], in the same unit.
      is_crowd: bool [N]; None means that no box is.
    """
    detections, boxes = detections.astype(np.float64), boxes.astype(np.float64)
    low = np.maximum(detections[:, np.newaxis, :2], boxes[:, :2])
    high = np.minimum(detections[:, np.newaxis, 2:], boxes[:, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=-1)
    area = np.prod(detections[:, 2:] - detections[:, :2], axis=1)[:, np.newaxis]
    whole = area + np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) - shared
    if is_crowd is not None:
        whole = np.where(is_crowd, area, whole)
    return np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
