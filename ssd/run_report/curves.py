"""Precision over recall of a class, and the score threshold that serves it best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# COCO reads a curve at these recalls.
_RECALLS = np.linspace(0.0, 1.0, 101)
# What a person may write into an app; two digits say where it was measured.
THRESHOLDS = np.arange(1, 100) / 100


@dataclass(frozen=True)
class OperatingPoint:
    """What detections from a score on are worth.

    Attributes:
      threshold: the score; detections with this score count.
      precision, recall, f1: fractions.
    """

    threshold: float
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Curve:
    """The detections of a class in all images, best first.

    Attributes:
      scores: float64 [K], falling.
      is_hit: bool [K].
      num_groundtruth: boxes to be found, crowds left out.
    """

    scores: NDArray[np.float64]
    is_hit: NDArray[np.bool_]
    num_groundtruth: int

    @classmethod
    def of(
        cls, scores: NDArray[np.floating], is_hit: NDArray[np.bool_], num_groundtruth: int
    ) -> Curve:
        """Returns the curve of detections in any order; of equal scores the first comes first."""
        order = np.argsort(-scores.astype(np.float64), kind="stable")
        return cls(scores[order].astype(np.float64), is_hit[order], num_groundtruth)

    def points(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns recall [K] and precision [K] after each detection; [0] without groundtruth."""
        if not self.num_groundtruth:
            return np.zeros(0), np.zeros(0)
        hits = np.cumsum(self.is_hit)
        return hits / self.num_groundtruth, hits / np.arange(1, len(hits) + 1)

    def envelope(self) -> NDArray[np.float64]:
        """Returns float64 [101]: at recall 0, 0.01 ... 1 the best precision there or beyond.

        This is COCO's curve; zeros beyond the last hit.
        """
        recall, precision = self.points()
        best = np.maximum.accumulate(np.append(precision, 0.0)[::-1])[::-1]
        return best[np.searchsorted(recall, _RECALLS, side="left")]

    @property
    def average_precision(self) -> float | None:
        """COCO's AP at this IoU; None without groundtruth."""
        return float(self.envelope().mean()) if self.num_groundtruth else None

    def counts(self, thresholds: NDArray[np.floating]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Returns int [T]: hits, and false detections, with a score of each threshold or more."""
        kept = len(self.scores) - np.searchsorted(self.scores[::-1], thresholds, side="left")
        hits = np.append(0, np.cumsum(self.is_hit))[kept]
        return hits, kept - hits

    def at(self, threshold: float) -> OperatingPoint:
        """Returns the operating point of a threshold; fractions of nothing are 0."""
        hits, false = (int(n[0]) for n in self.counts(np.array([threshold])))
        return OperatingPoint(
            threshold,
            precision=hits / max(hits + false, 1),
            recall=hits / max(self.num_groundtruth, 1),
            f1=2 * hits / max(hits + false + self.num_groundtruth, 1),
        )

    def f1(self) -> NDArray[np.float64]:
        """Returns float64 [99], the harmonic mean of precision and recall at `THRESHOLDS`."""
        hits, false = self.counts(THRESHOLDS)
        return 2 * hits / np.maximum(hits + false + self.num_groundtruth, 1)

    def best_point(self) -> OperatingPoint | None:
        """Returns where F1 is highest, of equal ones the middle; None where nothing is found."""
        f1 = self.f1()
        best = np.flatnonzero(f1 == f1.max())
        if f1.max() == 0:
            return None
        return self.at(float(THRESHOLDS[best[len(best) // 2]]))
