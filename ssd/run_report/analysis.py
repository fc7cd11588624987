"""All images of an evaluation: a curve per class, and which classes are taken for which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssd.evaluated_image import EvaluatedImage
from ssd.label_map import LabelMap
from ssd.metric_names import class_names
from ssd.run_report.curves import Curve, OperatingPoint
from ssd.run_report.matching import MATCHING_IOU, Matches, iou, match

# Where a class has no best threshold because nothing of it was found.
DEFAULT_THRESHOLD = 0.5


class Judged(NamedTuple):
    """One image at given thresholds.

    Attributes:
      hits: int [K, 2], rows of detections and of the boxes that they found.
      confused: int [M, 2], of a detection and the box of another class that it lies on.
      missed: int [P], rows of boxes that nothing lies on.
      false: int [Q], rows of detections that lie on nothing.
    """

    hits: NDArray[np.intp]
    confused: NDArray[np.intp]
    missed: NDArray[np.intp]
    false: NDArray[np.intp]


@dataclass(frozen=True)
class Analysis:
    """One evaluation.

    Attributes:
      names: class id -> name, rising.
      images: in the order of their numbers.
      matches: of each image.
    """

    names: dict[int, str]
    images: Sequence[EvaluatedImage]
    matches: Sequence[Matches]

    @classmethod
    def of(cls, images: Sequence[EvaluatedImage], label_map: LabelMap) -> Analysis:
        """Returns the analysis of what an evaluation's observer was given."""
        names = class_names(label_map)
        ids = frozenset(names)
        return cls(names, images, [match(image, ids) for image in images])

    @cached_property
    def num_boxes(self) -> dict[int, int]:
        """Class id -> boxes to be found; crowds are left out."""
        counts = dict.fromkeys(self.names, 0)
        for image in self.images:
            for class_id in image.groundtruth_classes[~image.groundtruth_is_crowd].tolist():
                counts[class_id] += 1
        return counts

    @cached_property
    def curves(self) -> dict[int, Curve]:
        """Class id -> its curve, rising."""
        classes, scores, is_hit = self._counted
        order = np.argsort(classes, kind="stable")
        classes, scores, is_hit = classes[order], scores[order], is_hit[order]
        curves = {}
        for class_id in self.names:
            part = slice(*np.searchsorted(classes, [class_id, class_id + 1]))
            curves[class_id] = Curve.of(scores[part], is_hit[part], self.num_boxes[class_id])
        return curves

    @cached_property
    def all_classes(self) -> Curve:
        """The curve of all detections together: a box is a box, of whatever class."""
        _, scores, is_hit = self._counted
        return Curve.of(scores, is_hit, sum(self.num_boxes.values()))

    @cached_property
    def best_points(self) -> dict[int, OperatingPoint | None]:
        """Class id -> where its F1 is highest; None where nothing of it was found."""
        return {class_id: curve.best_point() for class_id, curve in self.curves.items()}

    @cached_property
    def best_thresholds(self) -> dict[int, float]:
        """Class id -> the recommended threshold, 0.5 where there is none."""
        return {
            class_id: point.threshold if point else DEFAULT_THRESHOLD
            for class_id, point in self.best_points.items()
        }

    def judged(self, row: int, thresholds: Mapping[int, float]) -> Judged:
        """Returns what image `row` comes to with the detections from these thresholds on.

        Boxes and detections that have no partner of their class become pairs of different classes,
        by falling IoU, from 0.5 on; what is left then is missed, or false.

        Args:
          row: of `images`.
          thresholds: class id -> score, of all classes.
        """
        image, matches = self.images[row], self.matches[row]
        classes = image.detection_classes.tolist()
        limits = np.array([thresholds.get(class_id, np.inf) for class_id in classes])
        counts = matches.counts & (image.detection_scores >= limits)
        found = np.flatnonzero(counts & matches.is_hit)
        hits = np.stack([found, matches.groundtruth[found]], axis=1)
        lone = np.flatnonzero(counts & ~matches.is_hit)
        is_left = ~image.groundtruth_is_crowd
        is_left[hits[:, 1]] = False
        boxes = np.flatnonzero(is_left)
        confused = _pairs(image, lone, boxes)
        return Judged(
            hits, confused, np.setdiff1d(boxes, confused[:, 1]), np.setdiff1d(lone, confused[:, 0])
        )

    def confusion(self, thresholds: Mapping[int, float]) -> NDArray[np.int64]:
        """Returns int64 [C + 1, C + 1]: boxes of a row's class, detected as the column's.

        Classes are in the order of `names`; the last row is background (false detections), the last
        column nothing (missed boxes); where both meet is 0.
        """
        place = {class_id: k for k, class_id in enumerate(self.names)}
        matrix = np.zeros((len(place) + 1, len(place) + 1), np.int64)
        for row, image in enumerate(self.images):
            truth = [place[class_id] for class_id in image.groundtruth_classes.tolist()]
            found = [place.get(class_id, -1) for class_id in image.detection_classes.tolist()]
            judged = self.judged(row, thresholds)
            for detection, box in (*judged.hits.tolist(), *judged.confused.tolist()):
                matrix[truth[box], found[detection]] += 1
            for box in judged.missed.tolist():
                matrix[truth[box], -1] += 1
            for detection in judged.false.tolist():
                matrix[-1, found[detection]] += 1
        return matrix

    @cached_property
    def _counted(
        self,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
        """Class, score and hit of every detection that counts, in the order of the images."""
        classes, scores, is_hit = [np.zeros(0, np.int64)], [np.zeros(0)], [np.zeros(0, bool)]
        for image, matches in zip(self.images, self.matches, strict=True):
            kept = matches.counts
            classes.append(image.detection_classes[kept].astype(np.int64))
            scores.append(image.detection_scores[kept].astype(np.float64))
            is_hit.append(matches.is_hit[kept])
        return np.concatenate(classes), np.concatenate(scores), np.concatenate(is_hit)


def _pairs(
    image: EvaluatedImage, lone: NDArray[np.intp], boxes: NDArray[np.intp]
) -> NDArray[np.intp]:
    """int [M, 2], rows of a detection and a box each, one to one, by falling IoU."""
    overlap = iou(image.detection_boxes[lone], image.groundtruth_boxes[boxes])
    pairs = []
    while overlap.size and overlap.max() >= MATCHING_IOU:
        detection, box = np.unravel_index(int(overlap.argmax()), overlap.shape)
        pairs.append((lone[detection], boxes[box]))
        overlap[detection], overlap[:, box] = -1.0, -1.0
    return np.array(pairs, np.intp).reshape(-1, 2)
