"""Figures of a training run: losses, learning rate, and metrics over the steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ssd.run_report.plot_style import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    SOFT,
    VIOLET,
    WIDTH,
    empty,
    legend,
    new_figure,
)

Line = dict[str, Any]
_PARTS = (
    ("total_loss", "total", INK),
    ("localization_loss", "localization", BLUE),
    ("classification_loss", "classification", ORANGE),
    ("regularization_loss", "regularization", SOFT),
)


def losses(lines: Sequence[Line]) -> Figure:
    """Returns the losses over the steps: single batches pale, their running mean strong.

    Args:
      lines: of losses.jsonl, by rising step.
    """
    figure = new_figure(WIDTH, 3.6)
    axes = figure.subplots()
    axes.set_title("Loss of training batches")
    if not lines:
        empty(axes, "no steps yet")
        return figure
    steps = np.array([line["step"] for line in lines])
    for key, name, color in _PARTS:
        values = np.array([line[key] for line in lines], np.float64)
        marker = "o" if len(lines) < 3 else None
        axes.plot(steps, values, color=color, lw=0.9, alpha=0.28, marker=marker)
        axes.plot(steps, smoothed(values), color=color, lw=1.9, label=f"{name} {values[-1]:.3f}")
    highest = max(line["total_loss"] for line in lines)
    lowest = min(line[key] for line in lines for key, _, _ in _PARTS[1:3])
    if lowest > 0 and highest / lowest > 30:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
    else:
        axes.set_ylim(bottom=0)
    axes.set(xlabel="step")
    axes.margins(x=0.02)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower right", ncols=2)
    return figure


def learning_rate(lines: Sequence[Line]) -> Figure:
    """Returns the learning rate over the steps; `lines` as for `losses`."""
    figure = new_figure(WIDTH, 2.8)
    axes = figure.subplots()
    axes.set_title("Learning rate")
    if not lines:
        empty(axes, "no steps yet")
        return figure
    marker = "o" if len(lines) < 3 else None
    steps = [line["step"] for line in lines]
    axes.plot(steps, [line["learning_rate"] for line in lines], color=VIOLET, lw=1.9, marker=marker)
    axes.set(xlabel="step")
    axes.set_ylim(bottom=0)
    axes.margins(x=0.02)
    return figure


def metrics(evaluations: Sequence[Line], best_step: int | None, metric: str) -> Figure:
    """Returns AP and AP50, and `metric` if it is another, over the steps, the best one marked.

    Args:
      evaluations: lines of metrics.jsonl, by rising step.
      best_step: that of the best weights; None for none.
      metric: which one decided.
    """
    figure = new_figure(WIDTH, 3.6)
    axes = figure.subplots()
    axes.set_title("Precision on the validation images")
    shown = dict.fromkeys(("AP50", "AP", metric))
    colors = (BLUE, GREEN, ORANGE)
    rows = [line for line in evaluations if line.get("AP") is not None]
    if not rows:
        empty(axes, "nothing evaluated yet")
        return figure
    for (name, color), z in zip(zip(shown, colors, strict=False), (3, 4, 5), strict=False):
        points = [(line["step"], line[name]) for line in rows if line.get(name) is not None]
        if points:
            steps, values = zip(*points, strict=True)
            axes.plot(steps, values, color=color, lw=1.9, marker="o", ms=4.5, label=name, zorder=z)
        for step, value in points:
            if step == best_step and name == metric:
                is_late = step > np.mean([line["step"] for line in rows])
                _mark(axes, step, value, f"best {name} {value:.3f}, step {step:,}", is_late)
    axes.set(xlabel="step", ylim=(0, 1.04))
    axes.margins(x=0.05)
    legend(axes, loc="lower right", bbox_to_anchor=(1.0, 0.99), ncols=3, borderaxespad=0)
    return figure


def _mark(axes: Any, step: int, value: float, text: str, is_late: bool) -> None:
    """Puts a ring around a point, and a text above it that ends or begins there."""
    axes.plot([step], [value], marker="o", ms=12, mfc="none", mec=INK, mew=1.3, zorder=6)
    axes.annotate(
        text,
        (step, value),
        xytext=(0, 11),
        textcoords="offset points",
        ha="right" if is_late else "left",
        fontsize=9,
        bbox={"fc": "white", "ec": "none", "alpha": 0.8, "pad": 1},
        zorder=7,
    )


def smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns float64 [N], means over a window around each value: a fifteenth of all of them.

    At both ends the window is as wide as there are values on the shorter side.
    """
    half = max(len(values) // 30, 1 if len(values) > 8 else 0)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    reach = np.minimum(half, np.minimum(places, len(values) - 1 - places))
    return (sums[places + reach + 1] - sums[places - reach]) / (2 * reach + 1)
