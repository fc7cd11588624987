"""Anchors as a table of regular grids: a few hundred bytes instead of 16 for each."""

from __future__ import annotations

import numpy as np

from ssd.tflite_raw.ssd_decode import AnchorLevel, grid_anchors

# How far a centre or a side may be from the grid's, in shares of the image.
_TOLERANCE = 1e-6
# Values that a level costs beside its sizes: rows, columns, first and step.
_LEVEL_VALUES = 6


def find_levels(anchors: np.ndarray) -> tuple[AnchorLevel, ...]:
    """Returns the grids whose anchors these are, to 1e-6; empty where a table would save nothing.

    Args:
      anchors: float32 [A, 4]: ycenter, xcenter, height, width.
    """
    levels, start = [], 0
    num_values = 0
    while start < len(anchors):
        level = _first_level(anchors[start:])
        levels.append(level)
        start += level.rows * level.columns * len(level.sizes)
        num_values += _LEVEL_VALUES + 2 * len(level.sizes)
        if num_values >= anchors.size:
            return ()
    found = tuple(levels)
    is_close = bool(levels) and np.abs(grid_anchors(found) - anchors).max() <= _TOLERANCE
    return found if is_close else ()


def _first_level(anchors: np.ndarray) -> AnchorLevel:
    """The longest grid at the beginning of anchors [A, 4]."""
    per_cell = _run(anchors[:, :2], np.zeros(2))
    sizes = anchors[:per_cell, 2:]
    whole = len(anchors) // per_cell * per_cell
    cells = anchors[:whole].reshape(-1, per_cell, 4)  # [A, 4] -> [cells, K, 4]
    is_same = _near(cells[:, :, :2], cells[:, :1, :2]) & _near(cells[:, :, 2:], sizes)
    centers = cells[: _leading(is_same), 0, :2].astype(np.float64)
    columns = _run(centers, _difference(centers) * [0, 1])
    whole = len(centers) // columns * columns
    lines = centers[:whole].reshape(-1, columns, 2)
    is_line = _near(lines - lines[:, :1], lines[0] - lines[0, 0])
    starts = lines[: _leading(is_line), 0]
    rows = _run(starts, _difference(starts) * [1, 0])
    last = lines[rows - 1, -1]
    spans = np.maximum([rows - 1, columns - 1], 1)
    return AnchorLevel(
        rows,
        columns,
        _numbers(lines[0, 0]),
        _numbers((last - lines[0, 0]) / spans),
        tuple(_numbers(size) for size in sizes),
    )


def _run(points: np.ndarray, step: np.ndarray) -> int:
    """How many of the first points [N, 2] lie `step` apart, each from the one before it."""
    return 1 + _leading(_near(np.diff(points, axis=0), step))


def _difference(points: np.ndarray) -> np.ndarray:
    """How far the second point is from the first; 0 where there is none."""
    return points[1] - points[0] if len(points) > 1 else np.zeros(2)


def _near(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """bool [N]: whether the rows of two arrays [N, ...] agree."""
    far = np.abs(values - others) > _TOLERANCE
    return np.asarray(~far.any(axis=tuple(range(1, far.ndim))))


def _leading(facts: np.ndarray) -> int:
    """How many are true before the first that is not."""
    return len(facts) if facts.all() else int(np.argmin(facts))


def _numbers(pair: np.ndarray) -> tuple[float, float]:
    """Two float32 as the shortest decimals that come back to them within a rounding."""
    first, second = (float(f"{value:.9g}") for value in pair.astype(np.float32))
    return first, second
