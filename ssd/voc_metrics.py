"""Pascal VOC and Open Images metrics: average precision at IoU 0.5, as in the original."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ssd.label_map import LabelMap

# `eval_config.metrics_set` -> the prefix of its names.
PREFIXES = {
    "pascal_voc_detection_metrics": "PascalBoxes",
    "weighted_pascal_voc_detection_metrics": "WeightedPascalBoxes",
    "open_images_V2_detection_metrics": "OpenImagesV2",
    "oid_V2_detection_metrics": "OpenImagesV2",
}
_MATCHING_IOU = 0.5


@dataclass
class _ClassTotals:
    """What one class has collected: groundtruth that counts, and each detection that counts."""

    num_groundtruth: int = 0
    scores: list[np.ndarray] = field(default_factory=list)
    is_true_positive: list[np.ndarray] = field(default_factory=list)


class VocMetrics:
    """Collects images, then says the average precision per class.

    A detection takes the groundtruth box of its class that it overlaps most, from IoU 0.5 on, if
    no better one has; the others are false. Matches with difficult boxes count for nothing; under
    Open Images, detections that lie by half or more in a group do not. Precision is made monotonic
    and integrated over recall (VOC 2010).

    Args:
      metrics_set: one of PREFIXES. Weighted: all classes are one for the mean.
      label_map: names the classes.
    """

    def __init__(self, metrics_set: str, label_map: LabelMap) -> None:
        self.metrics_set = metrics_set
        self.prefix = PREFIXES[metrics_set]
        self.label_map = label_map
        self._totals = {item.id: _ClassTotals() for item in label_map.items}

    def add(
        self,
        *,
        groundtruth_boxes: np.ndarray,
        groundtruth_classes: np.ndarray,
        groundtruth_difficult: np.ndarray,
        groundtruth_group_of: np.ndarray,
        detection_boxes: np.ndarray,
        detection_scores: np.ndarray,
        detection_classes: np.ndarray,
    ) -> None:
        """Adds one image; boxes [N, 4] and [D, 4] in the same units, class ids, bools [N]."""
        # Each of the two knows only one kind of boxes that do not count.
        is_open_images = self.prefix == "OpenImagesV2"
        is_difficult = groundtruth_difficult.astype(bool) & (not is_open_images)
        is_in_group = groundtruth_group_of.astype(bool) & is_open_images
        for class_id, totals in self._totals.items():
            of_class = groundtruth_classes == class_id
            found = detection_classes == class_id
            boxes, is_group = groundtruth_boxes[of_class], is_in_group[of_class]
            difficult = is_difficult[of_class]
            totals.num_groundtruth += int(np.sum(~difficult & ~is_group))
            order = _falling(detection_scores[found])
            detections = detection_boxes[found][order]
            is_true, counts = _label(detections, boxes[~is_group], difficult[~is_group])
            in_group = _share_inside(detections, boxes[is_group]).max(axis=1, initial=0.0)
            counts &= is_true | (in_group < _MATCHING_IOU)
            totals.scores.append(detection_scores[found][order][counts])
            totals.is_true_positive.append(is_true[counts])

    def summarize(self) -> dict[str, Any]:
        """Returns fractions by the original's names; None for classes without groundtruth."""
        precision = {
            class_id: _average_precision(
                totals.scores, totals.is_true_positive, totals.num_groundtruth
            )
            for class_id, totals in self._totals.items()
        }
        known = [value for value in precision.values() if value is not None]
        mean: float | None = float(np.mean(known)) if known else None
        if self.prefix == "WeightedPascalBoxes":
            known_classes = [t for t in self._totals.values() if t.num_groundtruth]
            mean = _average_precision(
                [scores for totals in known_classes for scores in totals.scores],
                [flags for totals in known_classes for flags in totals.is_true_positive],
                sum(totals.num_groundtruth for totals in known_classes),
            )
        per_category = f"{self.prefix}_PerformanceByCategory/AP@{_MATCHING_IOU}IOU"
        return {
            f"{self.prefix}_Precision/mAP@{_MATCHING_IOU}IOU": mean,
            **{
                f"{per_category}/{self.label_map.name_of(class_id)}": value
                for class_id, value in precision.items()
            },
        }


def _label(
    detections: np.ndarray, boxes: np.ndarray, is_difficult: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(is true positive, counts at all) of detections [D, 4], best first; bool [D] each."""
    is_true = np.zeros(len(detections), bool)
    counts = np.ones(len(detections), bool)
    if not len(boxes):
        return is_true, counts
    overlaps = _iou(detections, boxes)
    best, is_taken = overlaps.argmax(axis=1), np.zeros(len(boxes), bool)
    for n in np.flatnonzero(overlaps[np.arange(len(detections)), best] >= _MATCHING_IOU):
        if is_difficult[best[n]]:
            counts[n] = False
        elif not is_taken[best[n]]:
            is_true[n] = is_taken[best[n]] = True
    return is_true, counts


def _average_precision(
    scores: list[np.ndarray], is_true_positive: list[np.ndarray], num_groundtruth: int
) -> float | None:
    if not num_groundtruth:
        return None
    flags = np.concatenate([*is_true_positive, np.zeros(0, bool)])
    order = _falling(np.concatenate([*scores, np.zeros(0)]))
    true = np.cumsum(flags[order])
    precision = true / np.arange(1, len(true) + 1)
    recall = np.concatenate([[0.0], true / num_groundtruth, [1.0]])
    # The best precision at this recall or a higher one.
    envelope = np.maximum.accumulate(np.concatenate([[0.0], precision, [0.0]])[::-1])[::-1]
    return float(np.sum(np.diff(recall) * envelope[1:]))


def _falling(scores: np.ndarray) -> np.ndarray:
    # Of equal scores the later comes first, as in the original.
    return np.argsort(scores, kind="stable")[::-1]


def _intersection(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    top_left = np.maximum(boxes[:, np.newaxis, :2], others[np.newaxis, :, :2])
    bottom_right = np.minimum(boxes[:, np.newaxis, 2:], others[np.newaxis, :, 2:])
    return np.prod(np.maximum(bottom_right - top_left, 0.0), axis=2)


def _area(boxes: np.ndarray) -> np.ndarray:
    return np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)


def _iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    shared = _intersection(boxes, others)
    union = _area(boxes)[:, np.newaxis] + _area(others)[np.newaxis] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _share_inside(boxes: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """How much of each box lies in each group, [D, number of groups]."""
    shared = _intersection(boxes, groups)
    area = np.broadcast_to(_area(boxes)[:, np.newaxis], shared.shape)
    return np.divide(shared, area, out=np.zeros_like(shared), where=area > 0)
