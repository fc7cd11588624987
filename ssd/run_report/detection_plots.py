"""Figures of one evaluation: AP per class, precision over recall, scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ssd.run_report.analysis import Analysis
from ssd.run_report.curves import THRESHOLDS, Curve
from ssd.run_report.plot_style import (
    BLUE,
    GREEN,
    INK,
    RED,
    SOFT,
    WIDTH,
    color_of,
    empty,
    legend,
    new_figure,
    short,
)
from ssd.standard_fields import LABEL_ID_OFFSET

# More classes than this: the best and the worst of them.
MAX_BARS = 40
_MAX_LINES = 10
_RECALLS = np.linspace(0.0, 1.0, 101)


def average_precision(per_class: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Returns a bar of AP50 and one of AP per class, best on top.

    Args:
      per_class: as `CocoMetrics.summarize` gives it; of more than 40 classes with boxes the 20 best
        and the 20 worst are drawn.
    """
    rows = ranked(per_class)
    gap = len(rows) > MAX_BARS
    if gap:
        rows = [*rows[: MAX_BARS // 2], *rows[-MAX_BARS // 2 :]]
    figure = new_figure(WIDTH, max(2.3, 1.0 + 0.34 * (len(rows) + gap)))
    axes = figure.subplots()
    axes.set_title("AP: 20 best, 20 worst classes" if gap else "Average precision per class")
    if not rows:
        empty(axes, "no class has groundtruth boxes")
        return figure
    places = [k + (gap and k >= MAX_BARS // 2) for k in range(len(rows))]
    for place, (_, numbers) in zip(places, rows, strict=True):
        axes.barh(place, numbers["AP50"], height=0.66, color="#bfd3fb")
        axes.barh(place, numbers["AP"], height=0.66, color=BLUE)
        text = f"{numbers['AP']:.3f} / {numbers['AP50']:.3f}"
        axes.text(numbers["AP50"] + 0.012, place, text, va="center", fontsize=9, color=SOFT)
    axes.barh(0, 0, color=BLUE, label="AP (IoU 0.50 to 0.95)")
    axes.barh(0, 0, color="#bfd3fb", label="AP50")
    names = [f"{short(name)}  ({numbers['boxes']:,})" for name, numbers in rows]
    axes.set_yticks(places, names, color=INK)
    axes.set(xlim=(0, 1.2), xticks=np.arange(0, 1.01, 0.2))
    axes.set_ylim(max(places) + 0.6, -0.6)
    axes.grid(axis="y", visible=False)
    axes.tick_params(length=0)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower right", ncols=2, fontsize=9)
    return figure


def ranked(per_class: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    """Returns the classes with groundtruth boxes, highest AP first."""
    rows = [(name, numbers) for name, numbers in per_class.items() if numbers["AP"] is not None]
    return sorted(rows, key=lambda row: -row[1]["AP"])


def precision_recall(analysis: Analysis) -> Figure:
    """Returns COCO's curves at IoU 0.5, a dot where F1 is highest.

    Of more than 10 classes those with most boxes are drawn.
    """
    figure = new_figure(WIDTH, 4.1)
    axes = figure.subplots()
    axes.set_title("Precision over recall, IoU 0.5" + _which(analysis))
    for class_id in _drawn_classes(analysis):
        curve, point = analysis.curves[class_id], analysis.best_points[class_id]
        color = color_of(class_id - LABEL_ID_OFFSET)
        name = short(analysis.names[class_id])
        label = f"{curve.average_precision:.3f}  {name}"
        axes.plot(*_reached(curve), color=color, lw=1.9, label=label)
        if point:
            axes.plot([point.recall], [point.precision], marker="o", ms=6, color=color, mec="white")
    _add_all_classes(axes, analysis)
    axes.set(xlabel="recall", ylabel="precision", ylim=(0, 1.04))
    _add_legend_beside(axes, "AP50")
    return figure


def _add_all_classes(axes: Any, analysis: Analysis) -> None:
    curve = analysis.all_classes
    if not curve.num_groundtruth:
        empty(axes, "no groundtruth boxes")
    elif len(analysis.names) > 1:
        axes.plot(
            *_reached(curve),
            color=INK,
            lw=1.5,
            ls=(0, (4, 2)),
            label=f"{curve.average_precision:.3f}  all as one class",
        )


def _reached(curve: Curve) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """COCO's curve up to the highest recall that is reached."""
    envelope = curve.envelope()
    end = int(np.count_nonzero(envelope))
    return _RECALLS[:end], envelope[:end]


def _add_legend_beside(axes: Any, title: str) -> None:
    """Puts the legend to the right of 1.0, where no line is."""
    labels = axes.get_legend_handles_labels()[1]
    if not labels:
        return
    room = 0.12 + 0.0125 * max(map(len, labels))
    axes.set_xlim(0, 1.01 / (1 - min(room, 0.48)))
    axes.set_xticks(np.arange(0, 1.01, 0.2))
    legend(axes, loc="upper right", title=title, alignment="left", borderaxespad=0)


def f1_over_threshold(analysis: Analysis) -> Figure:
    """Returns F1 over the score threshold per class, a dot where it is highest."""
    figure = new_figure(WIDTH, 4.1)
    axes = figure.subplots()
    axes.set_title("F1 over score threshold, IoU 0.5" + _which(analysis))
    for class_id in _drawn_classes(analysis):
        point = analysis.best_points[class_id]
        color = color_of(class_id - LABEL_ID_OFFSET)
        name = short(analysis.names[class_id])
        chosen = f"{point.threshold:.2f}" if point else " n/a"
        f1 = analysis.curves[class_id].f1()
        axes.plot(THRESHOLDS, f1, color=color, lw=1.9, label=f"{chosen}  {name}")
        if point:
            axes.plot([point.threshold], [point.f1], marker="o", ms=6, color=color, mec="white")
    if not analysis.all_classes.num_groundtruth:
        empty(axes, "no groundtruth boxes")
    axes.set(xlabel="score threshold", ylabel="F1", ylim=(0, 1.04))
    _add_legend_beside(axes, "recommended")
    return figure


def scores(analysis: Analysis) -> Figure:
    """Returns how many hits and false detections have which score."""
    figure = new_figure(WIDTH, 3.4)
    axes = figure.subplots()
    axes.set_title("Scores of all detections")
    curve = analysis.all_classes
    if not len(curve.scores):
        empty(axes, "nothing was detected")
        return figure
    edges = np.linspace(0.0, 1.0, 41)
    for values, color, name in (
        (curve.scores[~curve.is_hit], RED, "false"),
        (curve.scores[curve.is_hit], GREEN, "hits"),
    ):
        counts, _ = np.histogram(np.clip(values, 0, 1), edges)
        axes.stairs(counts, edges, color=color, lw=1.7, label=f"{len(values):,} {name}")
        axes.stairs(counts, edges, color=color, fill=True, alpha=0.12)
    axes.set_yscale("symlog", linthresh=1)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set(xlabel="score", ylabel="detections", xlim=(0, 1))
    axes.set_ylim(bottom=0)
    legend(axes, loc="lower right", bbox_to_anchor=(1.0, 0.99), ncols=2, borderaxespad=0)
    return figure


def _drawn_classes(analysis: Analysis) -> list[int]:
    """Those with groundtruth, rising; of more than 10 those with most boxes."""
    counts = analysis.num_boxes
    ids = [class_id for class_id, count in counts.items() if count]
    return sorted(sorted(ids, key=lambda class_id: -counts[class_id])[:_MAX_LINES])


def _which(analysis: Analysis) -> str:
    is_some = sum(map(bool, analysis.num_boxes.values())) > _MAX_LINES
    return f": {_MAX_LINES} classes with most boxes" if is_some else ""
