"""Which detections of an image are hits, by the rules of Pascal VOC and Open Images.

The rules are those of the TF Object Detection API's per_image_evaluation.py.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MATCHING_IOU = 0.5


def match_detections(
    *,
    groundtruth_boxes: NDArray[np.floating],
    groundtruth_classes: NDArray[np.integer],
    is_difficult: NDArray[np.bool_],
    is_group: NDArray[np.bool_],
    detection_boxes: NDArray[np.floating],
    detection_scores: NDArray[np.floating],
    detection_classes: NDArray[np.integer],
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Returns the detections of one image that count, best first, and which of them are hits.

    A detection goes to the box of its class, groups left out, that it overlaps most. From IoU
    0.5 on, the best scored detection of a box is a hit, and the others are misses; those of a
    difficult box do not count. What is no hit and lies with half of its area or more in a group of
    its class does not count either. Detections without area do not exist.

    Args:
      groundtruth_boxes: float [N, 4], ymin, xmin, ymax, xmax in any unit.
      groundtruth_classes: int [N], class ids.
      is_difficult, is_group: bool [N].
      detection_boxes: float [D, 4], in the unit of the groundtruth.
      detection_scores: float [D], in any order; of equal scores the later one comes first.
      detection_classes: int [D], class ids.

    Returns:
      int [K] rows of the detections, by falling score over all classes; bool [K] is_hit.
    """
    rows = by_falling_score(detection_scores)
    is_positive = detection_boxes[:, :2] < detection_boxes[:, 2:]
    has_area = is_positive[:, 0] & is_positive[:, 1]
    rows = rows[has_area[rows]]
    is_hit = np.zeros(len(rows), bool)
    if not len(groundtruth_boxes) or not len(rows):
        return rows, is_hit

    is_same_class = np.equal(detection_classes[rows, np.newaxis], groundtruth_classes)
    iou, share = _iou_and_share(detection_boxes[rows], groundtruth_boxes)
    iou = np.where(is_same_class & ~is_group, iou, -1.0)
    best = iou.argmax(axis=1)
    is_matched = iou[np.arange(len(rows)), best] >= MATCHING_IOU
    # The first of a box has the highest score.
    candidates = np.flatnonzero(is_matched & ~is_difficult[best])
    _, first = np.unique(best[candidates], return_index=True)
    is_hit[candidates[first]] = True

    is_ignored = is_matched & is_difficult[best]
    if is_group.any():
        is_ignored |= (is_same_class & is_group & (share >= MATCHING_IOU)).any(axis=1)
    counts = is_hit | ~is_ignored
    return rows[counts], is_hit[counts]


def by_falling_score(scores: NDArray[np.floating]) -> NDArray[np.intp]:
    """Returns int [D], the rows by falling score; of equal ones the later row comes first."""
    return np.argsort(scores, kind="stable")[::-1]


def _iou_and_share(
    detections: NDArray[np.floating], boxes: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(IoU, share of the detection that lies in the box), float64 [K, N] each."""
    detections, boxes = detections.astype(np.float64), boxes.astype(np.float64)
    low = np.maximum(detections[:, np.newaxis, :2], boxes[:, :2])
    high = np.minimum(detections[:, np.newaxis, 2:], boxes[:, 2:])
    sides = np.maximum(high - low, 0.0)
    shared = sides[..., 0] * sides[..., 1]
    area = np.prod(detections[:, 2:] - detections[:, :2], axis=1)[:, np.newaxis]
    union = area + np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0), shared / area
