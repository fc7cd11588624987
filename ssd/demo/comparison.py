"""What is shown of the detections of a picture, and which boxes two models agree on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ssd.run_report.matching import MATCHING_IOU, iou

Detection = dict[str, Any]  # as `ssd.detect.detect` gives it


@dataclass(frozen=True)
class Choice:
    """What a person wants to see.

    Attributes:
      score_threshold: lower scores are not shown.
      max_boxes: of each model.
      classes: names; none means all.
    """

    score_threshold: float
    max_boxes: int
    classes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Pair:
    """A box that both models found.

    Attributes:
      first, other: detections of one class.
      iou: of the two boxes, 0.5 to 1.
    """

    first: Detection
    other: Detection
    iou: float


@dataclass(frozen=True)
class Differences:
    """The first model's shown boxes against another's.

    Attributes:
      matched: found by both.
      only_first, only_other: found by one, each with the score of the other model's detection at
        the same place that is not shown, None where that has none.
    """

    matched: list[Pair] = field(default_factory=list)
    only_first: list[tuple[Detection, float | None]] = field(default_factory=list)
    only_other: list[tuple[Detection, float | None]] = field(default_factory=list)


def shown(detections: Sequence[Detection], choice: Choice) -> list[Detection]:
    """Returns those to be shown, best first.

    Args:
      detections: of one model, highest score first.
      choice: `max_boxes` counts what the other two leave.
    """
    wanted = [
        one
        for one in detections
        if one["score"] >= choice.score_threshold
        and (not choice.classes or one["class"] in choice.classes)
    ]
    return wanted[: choice.max_boxes]


def differences(
    first: Sequence[Detection], other: Sequence[Detection], choice: Choice
) -> Differences:
    """Returns what two models make of one picture; classes are compared by name.

    Args:
      first, other: all their detections, highest score first.
      choice: what is shown of both.
    """
    shown_first, shown_other = shown(first, choice), shown(other, choice)
    matched = pairs(shown_first, shown_other)
    alone_first = _without([pair.first for pair in matched], shown_first)
    alone_other = _without([pair.other for pair in matched], shown_other)
    return Differences(
        matched,
        _with_hidden_scores(alone_first, _without(shown_other, other)),
        _with_hidden_scores(alone_other, _without(shown_first, first)),
    )


def pairs(first: Sequence[Detection], other: Sequence[Detection]) -> list[Pair]:
    """Returns boxes of one class that overlap by IoU 0.5 or more, each in one pair at most.

    The pair that overlaps most is made first, so that it does not matter whose list is the first.
    The order is that of `first`.
    """
    if not first or not other:
        return []
    overlap = iou(_boxes(first), _boxes(other))
    is_same_class = np.array([[a["class"] == b["class"] for b in other] for a in first])
    overlap = np.where(is_same_class, overlap, -1.0)
    found: dict[int, Pair] = {}
    while True:
        row, column = divmod(int(overlap.argmax()), len(other))
        if overlap[row, column] < MATCHING_IOU:
            return [found[number] for number in sorted(found)]
        found[row] = Pair(first[row], other[column], float(overlap[row, column]))
        overlap[row], overlap[:, column] = -1.0, -1.0


def _with_hidden_scores(
    alone: list[Detection], hidden: list[Detection]
) -> list[tuple[Detection, float | None]]:
    scores = {id(pair.first): float(pair.other["score"]) for pair in pairs(alone, hidden)}
    return [(one, scores.get(id(one))) for one in alone]


def _without(taken: Sequence[Detection], detections: Sequence[Detection]) -> list[Detection]:
    identities = {id(one) for one in taken}
    return [one for one in detections if id(one) not in identities]


def _boxes(detections: Sequence[Detection]) -> np.ndarray:
    return np.array([one["box"] for one in detections], np.float64)
