"""Which class was taken for which, as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ssd.run_report.plot_style import BLUE, INK, LINE, ORANGE, WIDTH, new_figure, short

_MAX_CLASSES = 20
_MAX_NARROW = 8  # classes that fit beside another figure
_WIDE = 12.0  # inches
_LETTERS_PER_INCH = 8.5  # below a matrix


def is_wide(num_classes: int) -> bool:
    """Returns whether the figure needs the whole width of the page."""
    return num_classes > _MAX_NARROW


def confusion(matrix: NDArray[np.int64], names: Sequence[str], title: str) -> Figure:
    """Returns the matrix as a heat map with its counts; shares of the row decide the colours.

    Args:
      matrix: see `Analysis.confusion`; of more than 20 classes those with most mistakes are drawn,
        the others as one.
      names: of the classes.
      title: of the figure.
    """
    matrix, names = _reduced(matrix, names)
    size = len(names) + 1
    is_large = is_wide(len(names))
    width = _WIDE if is_large else WIDTH
    figure = new_figure(width, min(max(3.0, 1.5 + 0.5 * size), 0.72 * _WIDE))
    axes = figure.subplots()
    axes.set_title(title)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(_cell_colors(share), aspect="auto")
    small = 8.5 if is_large else 10.0
    for row, column in np.ndindex(size, size):
        value = matrix[row, column]
        if value or (not is_large and (row, column) != (size - 1, size - 1)):
            is_dark = row == column and share[row, column] > 0.62
            color = "white" if is_dark else INK if value else LINE
            axes.text(
                column, row, f"{value:,}", ha="center", va="center", color=color, fontsize=small
            )
    labels = [short(name) for name in names]
    is_tight = size * max(map(len, ["missed", *labels])) > _LETTERS_PER_INCH * width
    turned: Any = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if is_tight else {}
    axes.set_xticks(range(size), [*labels, "missed"], color=INK, **turned)
    axes.set_yticks(range(size), [*labels, "background"], color=INK)
    axes.tick_params(length=0, labelsize=small)
    axes.set(xlabel="detected as", ylabel="groundtruth")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return figure


def _cell_colors(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 [S, S, 3] in [0, 1]: blue for what is right, orange for what is not."""
    is_right = np.eye(len(share), dtype=bool)[..., np.newaxis]
    blue, orange = (
        np.array([int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]) for color in (BLUE, ORANGE)
    )
    strength = 0.85 * share[..., np.newaxis]
    return 1.0 - strength * (1.0 - np.where(is_right, blue, orange))


def _reduced(
    matrix: NDArray[np.int64], names: Sequence[str]
) -> tuple[NDArray[np.int64], list[str]]:
    """The rows and columns of the classes with most mistakes, and one of the others' sums."""
    count = len(names)
    if count <= _MAX_CLASSES:
        return matrix, list(names)
    errors = matrix.sum(axis=0) + matrix.sum(axis=1) - 2 * matrix.diagonal()
    kept = sorted(np.argsort(-errors[:count], kind="stable")[: _MAX_CLASSES - 1].tolist())
    place = np.full(count + 1, len(kept))
    place[kept] = np.arange(len(kept))
    place[count] = len(kept) + 1
    small = np.zeros((len(kept) + 2, len(kept) + 2), np.int64)
    np.add.at(small, (place[:, np.newaxis], place[np.newaxis, :]), matrix)
    return small, [*(names[k] for k in kept), f"{count - len(kept)} other classes"]
