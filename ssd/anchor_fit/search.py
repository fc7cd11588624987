"""Which settings of an anchor generator are tried: points of whole steps on logarithmic scales."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_MAX_SCALES_PER_OCTAVE = 4

Point = tuple[int, ...]


@dataclass(frozen=True)
class Space:
    """Settings that one walk goes through: where it may begin, and point -> message."""

    starts: list[Point]
    message: Callable[[Point], Any]


def spaces(anchor_generator: Any, sides_pixels: np.ndarray) -> list[Space]:
    """Returns what can be searched for an AnchorGenerator message; nothing for other kinds.

    Args:
      anchor_generator: the present settings; how many anchors a cell has is kept.
      sides_pixels: float32 [M, 2], height and width of the boxes, M > 0, every side > 0.
    """
    log_ratios = np.log2(sides_pixels[:, 1] / sides_pixels[:, 0])
    match anchor_generator.WhichOneof("anchor_generator_oneof"):
        case "multiscale_anchor_generator":
            return list(_multiscale_spaces(anchor_generator, log_ratios))
        case "ssd_anchor_generator":
            return list(_ssd_spaces(anchor_generator, log_ratios))
    return []


def _multiscale_spaces(own: Any, log_ratios: np.ndarray) -> Iterator[Space]:
    """One space for each way to share the anchors of a cell between ratios and octave."""
    values = own.multiscale_anchor_generator
    present = list(values.aspect_ratios)
    count = len(present) * values.scales_per_octave
    for scales_per_octave in range(1, _MAX_SCALES_PER_OCTAVE + 1):
        if count % scales_per_octave:
            continue

        def message(point: Point, scales_per_octave: int = scales_per_octave) -> Any | None:
            scale, *ratios = point
            if not _are_sane(ratios) or not -16 <= scale <= 40:
                return None
            changed = type(own)()
            changed.CopyFrom(own)
            target = changed.multiscale_anchor_generator
            target.anchor_scale = round(2 ** (scale / 8), 2)
            target.scales_per_octave = scales_per_octave
            target.aspect_ratios[:] = _in_order_of(present, [_ratio(r) for r in ratios])
            return changed

        ratios = _typical_ratios(log_ratios, count // scales_per_octave)
        yield Space([(scale, *ratios) for scale in range(-8, 33, 4)], message)


def _ssd_spaces(own: Any, log_ratios: np.ndarray) -> Iterator[Space]:
    values = own.ssd_anchor_generator
    present, layers = list(values.aspect_ratios), values.num_layers

    def message(point: Point) -> Any | None:
        least, most, bend, *ratios = point
        if not _are_sane(ratios) or not -48 <= least < most <= 0 or not 0 <= bend <= 4:
            return None
        changed = type(own)()
        changed.CopyFrom(own)
        target = changed.ssd_anchor_generator
        # They have no say beside a list of scales.
        target.ClearField("min_scale")
        target.ClearField("max_scale")
        target.scales[:] = _scales(2 ** (least / 8), 2 ** (most / 8), bend / 4, layers)
        target.aspect_ratios[:] = _in_order_of(present, [_ratio(r) for r in ratios])
        return changed

    ratios = _typical_ratios(log_ratios, len(present))
    ends = itertools.product(range(-44, -15, 4), range(-10, 1, 2), (0, 4))
    yield Space([(*end, *ratios) for end in ends], message)


def _scales(least: float, most: float, bend: float, count: int) -> list[float]:
    """Returns rising scales: evenly spaced at bend 0, each so many times the one before at 1.

    Free ones would fit the boxes at hand better and leave gaps for those to come.
    """
    even, growing = np.linspace(least, most, count), np.geomspace(least, most, count)
    return [round(float(scale), 3) for scale in (1 - bend) * even + bend * growing]


def _ratio(step: int) -> float:
    return round(2 ** (step / 4), 2)


def _are_sane(ratios: Sequence[int]) -> bool:
    """Whether all are different, from 1:8 to 8:1."""
    return len(set(ratios)) == len(ratios) and max(map(abs, ratios)) <= 12


def _typical_ratios(log_ratios: np.ndarray, count: int) -> list[int]:
    """Returns `count` different steps of `_ratio`, spread as the boxes' aspect ratios are."""
    shares = (np.arange(count) + 0.5) / count
    wanted = np.rint(4 * np.clip(np.quantile(log_ratios, shares), -3, 3)).astype(int).tolist()
    steps: list[int] = []
    for step in wanted:
        free = [s for s in range(-12, 13) if s not in steps]
        steps.append(min(free, key=lambda s: (abs(s - step), s)))
    return steps


def _in_order_of(present: Sequence[float], ratios: Sequence[float]) -> list[float]:
    """Returns the ratios ranked as the present ones are, so that heads keep their meaning."""
    ordered = sorted(ratios)
    if len(present) != len(ordered):
        return ordered
    ranks = np.argsort(np.argsort(present, kind="stable"), kind="stable")
    return [ordered[rank] for rank in ranks]
