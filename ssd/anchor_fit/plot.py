"""The report of `anchors` as one picture."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ssd.anchor_fit.clusters import Clusters
from ssd.anchor_fit.recall import AnchorModel, PlacedBoxes
from ssd.anchor_fit.suggestion import RECALL_IOU, Suggestion
from ssd.errors import InputError
from ssd.models import anchor_builder

_BLUE, _ORANGE, _RED, _INK = "#2979ff", "#ff7010", "#d81b60", "#20242c"
# More dots are one blot, and slow.
_MAX_DOTS = 5000


def save(
    path: Path,
    model: AnchorModel,
    placed: PlacedBoxes,
    best_iou: np.ndarray,
    clusters: Clusters,
    suggestion: Suggestion | None,
    title: str,
) -> None:
    """Writes the picture: the shapes of boxes and anchors, and how many boxes reach which IoU.

    Raises:
      InputError: the file cannot be written.
    """
    figure = Figure(figsize=(13, 6), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{title}: anchors and {len(best_iou):,} boxes")
    shapes, reached = figure.subplots(1, 2)
    _draw_shapes(shapes, model, placed, best_iou, clusters, suggestion)
    _draw_reached(reached, best_iou, suggestion)
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            figure.savefig(part, format="png", dpi=110)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None


def _draw_shapes(
    axes: Any,
    model: AnchorModel,
    placed: PlacedBoxes,
    best_iou: np.ndarray,
    clusters: Clusters,
    suggestion: Suggestion | None,
) -> None:
    step = -(-len(best_iou) // _MAX_DOTS)
    heights, widths = placed.sides_pixels[::step].T
    is_low = best_iou[::step] < RECALL_IOU
    for rows, color, label in (
        (~is_low, "#9aa4b5", "box, IoU 0.5 or more"),
        (is_low, _RED, "box, less"),
    ):
        axes.scatter(widths[rows], heights[rows], s=9, c=color, alpha=0.5, lw=0, label=label)
    _draw_anchors(axes, model, placed, model.ssd.anchor_generator, _BLUE, "these anchors", "s")
    if suggestion is not None:
        _draw_anchors(axes, model, placed, suggestion.anchor_generator, _ORANGE, "suggested", "D")
    axes.scatter(
        clusters.sides[:, 1], clusters.sides[:, 0], s=90, c=_INK, marker="x", lw=2, label="k-means"
    )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="width at the model's input, pixels",
        ylabel="height, pixels",
        title="shapes",
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
    axes.set_box_aspect(1)
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right", fontsize=8, framealpha=0.9)


def _draw_anchors(
    axes: Any,
    model: AnchorModel,
    placed: PlacedBoxes,
    message: Any,
    color: str,
    label: str,
    marker: str,
) -> None:
    # Where inputs differ in size, those of the most common one.
    frame = placed.frames[int(np.bincount(placed.frame_numbers).argmax())]
    grids = model.grids(anchor_builder.build(message), frame)
    sides = np.concatenate([grid.sizes for grid in grids]) * frame.size
    axes.scatter(
        sides[:, 1], sides[:, 0], s=44, facecolors="none", edgecolors=color, marker=marker,
        lw=1.4, label=label,
    )  # fmt: skip


def _draw_reached(axes: Any, best_iou: np.ndarray, suggestion: Suggestion | None) -> None:
    thresholds = np.linspace(0, 1, 101)
    lines = [(best_iou, _BLUE, "these anchors")]
    if suggestion is not None:
        lines.append((suggestion.best_iou, _ORANGE, "suggested"))
    for values, color, label in lines:
        # Descending counts of what is at or above each threshold.
        below = np.searchsorted(np.sort(values), thresholds.astype(np.float32), side="left")
        share = 1 - below / len(values)
        recall = float((values >= np.float32(RECALL_IOU)).mean())
        shown = f"{label}: {recall:.3f} at 0.5, mean {values.mean():.3f}"
        axes.plot(thresholds, share, color=color, lw=2, label=shown)
    axes.axvline(RECALL_IOU, color=_INK, lw=0.8, ls=":")
    axes.set(
        xlabel="IoU with the best anchor",
        ylabel="share of boxes that reach it",
        title="recall",
        xlim=(0, 1),
        ylim=(0, 1.02),
    )
    axes.set_box_aspect(1)
    axes.grid(alpha=0.25)
    axes.legend(loc="lower left", fontsize=9)
