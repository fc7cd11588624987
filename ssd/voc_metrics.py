"""Detections against groundtruth -> Pascal VOC and Open Images metrics at IoU 0.5.

Numbers and names are those of the TF Object Detection API's object_detection_evaluation.py.
"""

from __future__ import annotations

import unicodedata

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssd.label_map import LabelMap
from ssd.metric_names import class_names
from ssd.voc_matching import MATCHING_IOU, by_falling_score, match_detections

PASCAL_VOC = "pascal_voc_detection_metrics"
PRECISION_AT_RECALL = "precision_at_recall_detection_metrics"
_OPEN_IMAGES, _WEIGHTED = "OpenImagesV2", "WeightedPascalBoxes"

# `eval_config.metrics_set` -> the prefix of its names.
PREFIXES = {
    PASCAL_VOC: "PascalBoxes",
    "weighted_pascal_voc_detection_metrics": _WEIGHTED,
    PRECISION_AT_RECALL: "PrecisionAtRecallBoxes",
    "open_images_V2_detection_metrics": _OPEN_IMAGES,
    "oid_V2_detection_metrics": _OPEN_IMAGES,
}


class VocMetrics:
    """Collects images one by one; `summarize` says the average precision per class.

    Difficult boxes count for nothing, and neither do detections of them; Open Images does not know
    difficult boxes, and treats groups so, which the others count as boxes like any other. is_crowd
    has no influence. See `voc_matching` for what a hit is.

    Args:
      metrics_set: one of PREFIXES. Weighted: the mean is over detections, all classes as one.
      label_map: names the classes.
      recall_bounds: only the part of each curve with recall between these two, both included,
        has a precision.
    """

    def __init__(
        self,
        metrics_set: str,
        label_map: LabelMap,
        *,
        recall_bounds: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        self.prefix = PREFIXES[metrics_set]
        self._names = class_names(label_map)
        self._recall_bounds = recall_bounds
        self._num_groundtruth = dict.fromkeys(self._names, 0)
        self._scores: list[NDArray[np.float64]] = []
        self._classes: list[NDArray[np.int64]] = []
        self._is_hit: list[NDArray[np.bool_]] = []

    def add(
        self,
        *,
        groundtruth_boxes: ArrayLike,
        groundtruth_classes: ArrayLike,
        detection_boxes: ArrayLike,
        detection_scores: ArrayLike,
        detection_classes: ArrayLike,
        groundtruth_difficult: ArrayLike | None = None,
        groundtruth_group_of: ArrayLike | None = None,
    ) -> None:
        """Adds one image; nothing of the arrays is kept.

        Args:
          groundtruth_boxes: float [N, 4], yxyx in any unit.
          groundtruth_classes: int [N], class ids of the label map.
          detection_boxes: float [D, 4], yxyx in the same unit.
          detection_scores: float [D], in any order.
          detection_classes: int [D], class ids; those the label map does not have are left out.
          groundtruth_difficult, groundtruth_group_of: bool [N]; None means that no box is.
        """
        classes = np.asarray(groundtruth_classes, np.int64).reshape(-1)
        is_open_images, nowhere = self.prefix == _OPEN_IMAGES, np.zeros(len(classes), bool)
        difficult, group_of = groundtruth_difficult, groundtruth_group_of
        is_difficult = nowhere if difficult is None or is_open_images else difficult
        is_group = group_of if group_of is not None and is_open_images else nowhere
        is_difficult, is_group = np.asarray(is_difficult, bool), np.asarray(is_group, bool)
        for class_id in classes[~is_difficult & ~is_group].tolist():
            self._num_groundtruth[class_id] += 1

        scores = np.asarray(detection_scores, np.float64).reshape(-1)
        found = np.asarray(detection_classes, np.int64).reshape(-1)
        rows, is_hit = match_detections(
            groundtruth_boxes=np.asarray(groundtruth_boxes, np.float64).reshape(-1, 4),
            groundtruth_classes=classes,
            is_difficult=is_difficult,
            is_group=is_group,
            detection_boxes=np.asarray(detection_boxes, np.float64).reshape(-1, 4),
            detection_scores=scores,
            detection_classes=found,
        )
        self._scores.append(scores[rows])
        self._classes.append(found[rows])
        self._is_hit.append(is_hit)

    def summarize(self) -> dict[str, float | None]:
        """Returns the original's names -> fractions in [0, 1]; may be called again later.

        Returns:
          The mean, then each class in the order of class ids. None for a class without groundtruth
          that counts, which the mean leaves out, and for the mean of no class at all.
        """
        curves = self._curves()
        by_class = {
            class_id: self._average_precision(*curves[class_id], count) if count else None
            for class_id, count in self._num_groundtruth.items()
        }
        known = [value for value in by_class.values() if value is not None]
        mean = sum(known) / len(known) if known else None
        if self.prefix == _WEIGHTED and known:
            counted = [curves[class_id] for class_id, n in self._num_groundtruth.items() if n]
            scores, is_hit = map(np.concatenate, zip(*counted, strict=True))
            mean = self._average_precision(scores, is_hit, sum(self._num_groundtruth.values()))
        per_category = f"{self.prefix}_PerformanceByCategory/AP@{MATCHING_IOU}IOU"
        return {
            self._name_of_mean(): mean,
            **{
                f"{per_category}/{unicodedata.normalize('NFKD', name)}": by_class[class_id]
                for class_id, name in self._names.items()
            },
        }

    def _name_of_mean(self) -> str:
        low, high = self._recall_bounds
        bounds = f"@[{low:.1f},{high:.1f}]Recall" if low > 0 or high < 1 else ""
        return f"{self.prefix}_Precision/mAP@{MATCHING_IOU}IOU{bounds}"

    def _curves(self) -> dict[int, tuple[NDArray[np.float64], NDArray[np.bool_]]]:
        """Class id -> scores and hits of all images."""
        scores = np.concatenate([np.zeros(0), *self._scores])
        classes = np.concatenate([np.zeros(0, np.int64), *self._classes])
        is_hit = np.concatenate([np.zeros(0, bool), *self._is_hit])
        order = np.argsort(classes, kind="stable")
        scores, classes, is_hit = scores[order], classes[order], is_hit[order]
        starts = {class_id: np.searchsorted(classes, class_id) for class_id in self._names}
        ends = {class_id: np.searchsorted(classes, class_id, "right") for class_id in self._names}
        parts = {class_id: slice(starts[class_id], ends[class_id]) for class_id in self._names}
        return {class_id: (scores[part], is_hit[part]) for class_id, part in parts.items()}

    def _average_precision(
        self, scores: NDArray[np.float64], is_hit: NDArray[np.bool_], num_groundtruth: int
    ) -> float:
        """The area below precision over recall; precision never rises with recall (VOC 2010)."""
        hits = np.cumsum(is_hit[by_falling_score(scores)])
        precision = hits / np.arange(1, len(hits) + 1)
        recall = hits / num_groundtruth
        low, high = self._recall_bounds
        is_within = (recall >= low) & (recall <= high)
        recall = np.concatenate([[0.0], recall[is_within], [1.0]])
        # The best precision at this recall or a higher one; 0 beyond the last detection.
        best = np.maximum.accumulate(np.append(precision[is_within], 0.0)[::-1])[::-1]
        return float(np.sum(np.diff(recall) * best))
