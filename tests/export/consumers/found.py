"""What a consumer finds in pictures, and where two of them differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# Detections with less are not compared.
MIN_SCORE = 0.3
# A step of an int8 score.
QUANTUM = 1 / 256


@dataclass(frozen=True)
class Found:
    """What one consumer finds in one picture.

    Attributes:
      boxes: float [N, 4], yxyx normalized.
      names: class names.
      scores: float [N].
    """

    boxes: np.ndarray
    names: tuple[str, ...]
    scores: np.ndarray


def differences(
    ours: list[Found],
    theirs: list[Found],
    *,
    min_iou: float = 0.99,
    max_score_error: float = QUANTUM,
    is_same_box: Callable[[np.ndarray, np.ndarray], bool] | None = None,
) -> list[str]:
    """Returns what one run finds above 0.3 and the other does not, in words; [] if nothing.

    Both ways: a detection of one has its own partner among those of the other, of the same class,
    with an IoU over `min_iou` and a score within `max_score_error`. The scores of partners may lie
    on both sides of 0.3.

    Args:
      is_same_box: instead of the IoU, whether the second box, of theirs, is what the consumer makes
        of the first.
    """
    assert len(ours) == len(theirs) > 0
    assert sum(int((one.scores > MIN_SCORE).sum()) for one in ours) >= 10, "nothing to compare"
    is_same = is_same_box or (lambda mine, other: _iou(mine, other) > min_iou)
    said = []
    for number, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        # [N, M]: which of ours may be which of theirs.
        alike = np.array(
            [
                [
                    mine.names[n] == other.names[m]
                    and abs(mine.scores[n] - other.scores[m]) <= max_score_error
                    and is_same(mine.boxes[n], other.boxes[m])
                    for m in range(len(other.scores))
                ]
                for n in range(len(mine.scores))
            ],
            bool,
        ).reshape(len(mine.scores), len(other.scores))
        for who, these, table in (("ours", mine, alike), ("theirs", other, alike.T)):
            free = np.ones(table.shape[1], bool)
            for row in np.flatnonzero(these.scores > MIN_SCORE):
                partners = np.flatnonzero(table[row] & free)
                if len(partners):
                    free[partners[0]] = False
                else:
                    said.append(
                        f"picture {number}: only {who}: {these.names[row]} "
                        f"{these.scores[row]:.4f} {np.round(these.boxes[row], 4).tolist()}"
                    )
    return said


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    both = float(np.prod(np.maximum(sides, 0)))
    union = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - both
    return both / union if union > 0 else float(np.array_equal(a, b))
