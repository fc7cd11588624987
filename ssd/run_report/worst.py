"""Which images went worst, and what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass

from ssd.run_report.analysis import Analysis, Judged


@dataclass(frozen=True)
class WorstImage:
    """One image with mistakes.

    Attributes:
      row: of the analysis' images.
      judged: at the recommended thresholds.
      f1: harmonic mean of this image's precision and recall; a detection of another class counts
        as missed and false.
      boxes: to be found.
    """

    row: int
    judged: Judged
    f1: float
    boxes: int

    @property
    def num_errors(self) -> int:
        """Boxes without a hit, and detections that are no hit."""
        judged = self.judged
        return len(judged.missed) + len(judged.false) + 2 * len(judged.confused)

    def what(self) -> str:
        """Returns what is wrong in words, such as "2 of 5 missed, 1 of another class, 1 false"."""
        judged = self.judged
        parts = (
            (len(judged.missed), f"{len(judged.missed)} of {self.boxes} missed"),
            (len(judged.confused), f"{len(judged.confused)} detected as another class"),
            (len(judged.false), f"{len(judged.false)} false"),
        )
        return ", ".join(text for count, text in parts if count)


def worst_images(analysis: Analysis, count: int) -> list[WorstImage]:
    """Returns the images with mistakes, worst first, at most `count`.

    An image is measured at the recommended thresholds by its own F1, 2 hits / (boxes +
    detections): lower is worse; of equal ones more mistakes, then the order of the records.
    """
    found = []
    for row, image in enumerate(analysis.images):
        judged = analysis.judged(row, analysis.best_thresholds)
        boxes = int((~image.groundtruth_is_crowd).sum())
        detections = len(judged.hits) + len(judged.confused) + len(judged.false)
        f1 = 2 * len(judged.hits) / max(boxes + detections, 1)
        worst = WorstImage(row, judged, f1, boxes)
        if worst.num_errors:
            found.append(worst)
    return sorted(found, key=lambda worst: (worst.f1, -worst.num_errors, worst.row))[:count]
