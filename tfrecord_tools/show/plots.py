"""Plots of a data set: classes, box sizes and places, the split table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from tfrecord_tools.show import lettering
from tfrecord_tools.show.box_drawing import ClassLook
from tfrecord_tools.show.summary import DataSummary, shortened

_COLORS = ("#2979ff", "#ff7010", "#00a651", "#d618f0", "#8a6d3b", "#00a5b5")
_INK, _QUIET, _WARNING = "#20242c", "#6b7280", "#c62828"
# More bars are no picture any more; the table on the screen has them all.
_MOST_CLASSES = 100
_INPUT_SIDE = 320
# Sides of COCO's small and medium objects end here.
_COCO_SIDES = (32, 96)
_MOST_HEAT_CELLS = 32
_SIZE_LABEL = "square root of the area, pixels"
_DPI = 110


def draw(summary: DataSummary, classes: dict[str, ClassLook]) -> Iterator[tuple[str, Figure]]:
    """Yields file name and figure of each plot; `save` writes one.

    Args:
      summary: at least one picture.
      classes: the look of every class.
    """
    yield "splits.png", _split_table(summary)
    yield "classes.png", _class_bars(summary, classes)
    yield "boxes.png", _box_plots(summary)


def save(figure: Figure, file: Any) -> None:
    """Writes a figure as PNG to an open binary file or a path."""
    figure.savefig(file, format="png", dpi=_DPI)


def _figure(width: float, height: float, title: str) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=14, color=_INK)
    return figure


def _split_table(summary: DataSummary) -> Figure:
    rows = summary.facts()
    groups = [lettering.legible(shortened(group, 24)) for group in summary.groups]
    figure = _figure(4.5 + 1.6 * len(groups), 1.0 + 0.34 * (len(rows) + 1), "the data set")
    axes = figure.subplots()
    axes.axis("off")
    table = axes.table(
        cellText=[[name, *values] for name, values in rows],
        colLabels=["", *groups],
        colWidths=[0.5, *[0.5 / len(groups)] * len(groups)],
        bbox=Bbox([[0, 0], [1, 1]]),
    )
    table.auto_set_font_size(False)
    table.set_fontsize(11)
    for (row, column), cell in table.get_celld().items():
        cell.set_edgecolor("#d5d9e0")
        cell.set_facecolor("#f3f4f7" if row % 2 else "white")
        cell.set_text_props(
            ha="left" if column == 0 else "right", weight="bold" if row == 0 else "normal"
        )
        cell.get_text().set_parse_math(False)
    return figure


def _class_bars(summary: DataSummary, classes: dict[str, ClassLook]) -> Figure:
    names, table = summary.class_names, summary.class_table()
    order = np.argsort(-table.sum(axis=0), kind="stable")[:_MOST_CLASSES]
    groups = len(summary.groups)
    left_out = len(names) - len(order)
    title = f"boxes of {len(names):,} class{'es' * (len(names) != 1)}"
    figure = _figure(
        9.5,
        1.9 + len(order) * (0.16 + 0.16 * groups),
        title + f", the {len(order)} largest" * (left_out > 0),
    )
    axes = figure.subplots()
    height = 0.8 / groups
    most = max(int(table.max(initial=0)), 1)
    for number, group in enumerate(summary.groups):
        counts = table[number, order]
        places = np.arange(len(order)) - 0.4 + (number + 0.5) * height
        label = lettering.legible(shortened(group))
        axes.barh(places, counts, height, color=_COLORS[number % len(_COLORS)], label=label)
        for place, count in zip(places, counts, strict=True):
            axes.annotate(
                f"{count:,}", (count, place), (4, 0), textcoords="offset points", va="center",
                fontsize=8, color=_QUIET if count else _WARNING,
            )  # fmt: skip
    axes.set(ylim=(len(order) - 0.4, -0.6), xlim=(0, most * 1.12), xlabel="boxes")
    axes.set_yticks(range(len(order)))
    axes.set_yticklabels([shortened(classes[names[i]].word) for i in order])
    for word in axes.get_yticklabels():
        word.set_fontproperties(FontProperties(fname=lettering.font_path(word.get_text()), size=9))
        word.set_parse_math(False)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if groups > 1:
        axes.legend(loc="lower right")
    return figure


def _box_plots(summary: DataSummary) -> Figure:
    figure = _figure(12, 9, f"{len(summary.boxes):,} boxes")
    axes = figure.subplots(2, 2)
    heights, widths = np.maximum(summary.boxes[:, 2:] - summary.boxes[:, :2], 0).T
    shares = heights.astype(np.float64) * widths
    sizes = summary.image_sizes[summary.owners].astype(np.float64)
    has_area = (shares > 0) & (sizes > 0).all(axis=1)
    ratios = np.divide(
        widths * sizes[:, 1], heights * sizes[:, 0], out=np.ones(len(shares)), where=has_area
    )
    histogram = partial(_histogram, summary, has_area)
    histogram(axes[0, 0], _INPUT_SIDE * np.sqrt(shares), np.geomspace(2, _INPUT_SIDE, 45))
    axes[0, 0].set(title=f"size at {_INPUT_SIDE}x{_INPUT_SIDE}", xlabel=_SIZE_LABEL)
    _mark_coco_sizes(axes[0, 0])
    _ticks(axes[0, 0], (2, 4, 8, 16, 32, 64, 96, 160, 320), "{:g}".format)
    histogram(axes[0, 1], 100 * shares, np.geomspace(0.01, 100, 45))
    axes[0, 1].set(title="share of the picture", xlabel="% of its area")
    _ticks(axes[0, 1], (0.01, 0.1, 1, 10, 100), "{:g}".format)
    histogram(axes[1, 0], ratios, np.geomspace(1 / 8, 8, 49))
    axes[1, 0].set(title="aspect ratio in the picture", xlabel="width : height")
    _ticks(axes[1, 0], (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8), _as_ratio)
    _heat_map(axes[1, 1], summary)
    if not has_area.any():
        for own in axes.flat:
            own.text(
                0.5, 0.5, "no boxes", transform=own.transAxes, ha="center", color=_QUIET,
                bbox={"facecolor": "white", "edgecolor": "none"},
            )  # fmt: skip
    elif len(summary.groups) > 1:
        axes[0, 0].legend(loc="upper left", fontsize=9)
    return figure


def _histogram(
    summary: DataSummary, is_shown: np.ndarray, axes: Any, values: np.ndarray, bins: np.ndarray
) -> None:
    """Draws percent of the boxes of each group; values beyond the bins count at their ends."""
    groups = summary.group_indices[summary.owners]
    for number, group in enumerate(summary.groups):
        rows = is_shown & (groups == number)
        if not rows.any():
            continue
        # One filled, the others as lines over it: mixed colours say nothing.
        style = {"histtype": "step", "lw": 1.8} if number else {"alpha": 0.5}
        axes.hist(
            np.clip(values[rows], bins[0], bins[-1]), bins,
            weights=np.full(rows.sum(), 100 / rows.sum()), color=_COLORS[number % len(_COLORS)],
            label=lettering.legible(shortened(group, 24)), **style,
        )  # fmt: skip
    axes.set(xscale="log", xlim=(bins[0], bins[-1]), ylabel="% of the boxes")
    axes.set_ylim(0, axes.get_ylim()[1] * 1.1)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _mark_coco_sizes(axes: Any) -> None:
    for side in _COCO_SIDES:
        axes.axvline(side, color=_INK, lw=0.9, ls=":")
    for place, name in ((8, "small"), (55, "medium"), (175, "large")):
        axes.annotate(
            name, (place, 1.0), (0, -12), xycoords=("data", "axes fraction"),
            textcoords="offset points", ha="center", fontsize=9, color=_QUIET,
        )  # fmt: skip


def _heat_map(axes: Any, summary: DataSummary) -> None:
    finite = summary.boxes[np.isfinite(summary.boxes).all(axis=1)]
    centers = np.clip((finite[:, :2] + finite[:, 2:]) / 2, 0, 1)
    # Enough boxes in a cell for a pattern to show through chance.
    cells = int(np.clip(np.sqrt(len(centers) / 12), 6, _MOST_HEAT_CELLS))
    counts, _, _ = np.histogram2d(centers[:, 0], centers[:, 1], bins=cells, range=[[0, 1], [0, 1]])
    image = axes.imshow(
        counts, extent=(0, 1, 1, 0), cmap="viridis", vmin=0, vmax=max(counts.max(), 1)
    )
    axes.set(title="where the boxes' centres lie", xlabel="x, share of the width")
    axes.set_ylabel("y, share of the height")
    axes.figure.colorbar(
        image, ax=axes, label="boxes", shrink=0.85, ticks=MaxNLocator(nbins=6, integer=True)
    )


def _ticks(axes: Any, places: tuple[float, ...], text: Callable[[float], str]) -> None:
    axes.set_xticks(places, [text(place) for place in places])
    axes.minorticks_off()


def _as_ratio(value: float) -> str:
    return f"{value:g}:1" if value >= 1 else f"1:{1 / value:g}"
