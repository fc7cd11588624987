"""Other settings of a config's anchor generator that fit given boxes better.

As many anchors as before, on the same feature maps: the network keeps its form, and what is found
costs nothing when it runs. Found by walking over a grid of settings, one at a time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ssd.anchor_fit.recall import AnchorModel, Frame, PlacedBoxes, best_iou
from ssd.anchor_fit.search import Point, Space, spaces
from ssd.config import pipeline
from ssd.core import anchor_overlap
from ssd.core.anchor_generators import AnchorGenerator
from ssd.core.anchor_overlap import ShapeGrid
from ssd.models import anchor_builder

RECALL_IOU = 0.5
# Less than this is not worth other anchors than those of the checkpoint.
WORTHWHILE = 0.02
# Settings are compared on a part of the boxes; the last word have all of them.
_MAX_COMPARED, _MAX_FRAMES = 4000, 24
_MAX_TRIED = 400
_STEPS = (1, -1, 3, -3)
# So much more a figure below the present one counts than one above it: one box is too many.
_SHORTFALL_WEIGHT = 1000.0


@dataclass(frozen=True)
class Suggestion:
    """Settings that no figure speaks against.

    Attributes:
      anchor_generator: AnchorGenerator message.
      best_iou: float32 [M], of all boxes.
    """

    anchor_generator: Any
    best_iou: np.ndarray


def suggest(
    model: AnchorModel,
    placed: PlacedBoxes,
    present: np.ndarray,
    class_ids: np.ndarray,
    *,
    seed: int = 0,
) -> Suggestion | None:
    """Returns the best settings found, or None where none are better by two hundredths.

    Never worse than the present ones in mean best IoU, in recall at IoU 0.5 and in recall at the
    config's matched_threshold, where every class counts the same.

    Args:
      model: its anchor generator must be one that `anchor_search` knows.
      placed: the boxes; those without area are left out by the caller.
      present: float32 [M], the best IoU with the config's own anchors.
      class_ids: int [M].
      seed: of the part of the boxes that is compared.
    """
    if not len(present):
        return None
    weights = class_weights(class_ids)
    chosen = _part(placed, seed)
    objective = _Objective(model, placed.rows(chosen), present[chosen], weights[chosen])
    found = [
        _walk(space, objective)
        for space in spaces(model.ssd.anchor_generator, placed.sides_pixels[chosen])
    ]
    for _, message in sorted(found, key=lambda pair: -pair[0]):
        best = model.best_iou(placed, message)
        now, then = (figures(v, model.matched_threshold, weights) for v in (present, best))
        gains = [b - a for a, b in zip(now, then, strict=True)]
        if min(gains) >= 0.0 and max(gains) >= WORTHWHILE:
            return Suggestion(message, best)
    return None


def class_weights(class_ids: np.ndarray) -> np.ndarray:
    """Returns float64 [M], weights of boxes by which every class counts the same.

    A class that most boxes belong to would otherwise decide alone: BCCD's red blood cells are 85 %.
    """
    _, inverse, counts = np.unique(class_ids, return_inverse=True, return_counts=True)
    return 1.0 / (counts * max(len(counts), 1))[inverse.reshape(-1)]


def figures(
    best: np.ndarray, matched_threshold: float | None, weights: np.ndarray | None = None
) -> tuple[float, ...]:
    """Returns recall at IoU 0.5, at the config's own threshold if that differs, mean best IoU.

    `weights` (float [M]) say what each box counts; None: all the same.
    """
    thresholds = [RECALL_IOU]
    if matched_threshold is not None and matched_threshold != RECALL_IOU:
        thresholds.append(matched_threshold)
    # In float32, where a threshold of 0.7 is the 0.7 of the config.
    hits = [best >= np.float32(threshold) for threshold in thresholds]
    return tuple(float(np.average(values, weights=weights)) for values in (*hits, best))


def to_text(anchor_generator: Any) -> str:
    """Returns the message as the section of a pipeline.config, each list in one line."""
    lines: list[str] = []
    for line in pipeline.to_text(anchor_generator).splitlines():
        name, _, value = line.partition(": ")
        before = lines[-1] if lines else ""
        if value and before.startswith(f"{name}: "):
            values = before.removeprefix(f"{name}: ").strip("[]")
            lines[-1] = f"{name}: [{values}, {value}]"
        else:
            lines.append(line)
    return "\n".join(["anchor_generator {", *(f"  {line}" for line in lines), "}"])


class _Objective:
    """What is maximized: the figures, of a part of the boxes."""

    def __init__(
        self, model: AnchorModel, placed: PlacedBoxes, present: np.ndarray, weights: np.ndarray
    ) -> None:
        self._model = model
        self._placed = placed
        self._weights = weights
        self._present = figures(present, model.matched_threshold, weights)
        own = anchor_builder.build(model.ssd.anchor_generator)
        # Where the centres are does not depend on the settings that are searched.
        self._grids = {
            placed.frames[number]: model.grids(own, placed.frames[number])
            for number in np.unique(placed.frame_numbers)
        }

    def __call__(self, anchor_generator: Any) -> float:
        generator = anchor_builder.build(anchor_generator)
        best = best_iou(self._placed, lambda frame: self._with_sizes_of(generator, frame))
        found = figures(best, self._model.matched_threshold, self._weights)
        lost = sum(max(a - b, 0.0) for a, b in zip(self._present, found, strict=True))
        return sum(found) - _SHORTFALL_WEIGHT * lost

    def _with_sizes_of(self, generator: AnchorGenerator, frame: Frame) -> list[ShapeGrid]:
        grids = self._grids[frame]
        single = [(1, 1)] * len(grids)
        anchors = np.asarray(generator.generate(single, frame.size))
        per_location = generator.num_anchors_per_location(len(grids))
        cells = anchor_overlap.grids_of(anchors, single, per_location)
        return anchor_overlap.with_sizes(grids, [cell.sizes for cell in cells])


def _walk(space: Space, objective: Callable[[Any], float]) -> tuple[float, Any]:
    """Returns the highest value that is found, and its settings."""
    tried: dict[Point, float] = {}

    def value(point: Point) -> float:
        if point not in tried:
            message = space.message(point)
            tried[point] = -np.inf if message is None else objective(message)
        return tried[point]

    here = max(space.starts, key=value)
    goes_on = True
    while goes_on and len(tried) < _MAX_TRIED:
        goes_on = False
        for axis, step in itertools.product(range(len(here)), _STEPS):
            there = (*here[:axis], here[axis] + step, *here[axis + 1 :])
            if value(there) > value(here):
                here, goes_on = there, True
    return value(here), space.message(here)


def _part(placed: PlacedBoxes, seed: int) -> np.ndarray:
    """Returns row numbers: at most _MAX_COMPARED boxes of the most common inputs."""
    counts = np.bincount(placed.frame_numbers, minlength=len(placed.frames))
    common = np.argsort(-counts, kind="stable")[:_MAX_FRAMES]
    rows = np.flatnonzero(np.isin(placed.frame_numbers, common))
    if len(rows) <= _MAX_COMPARED:
        return rows
    generator = np.random.default_rng(seed)
    return np.sort(generator.choice(rows, _MAX_COMPARED, replace=False))
