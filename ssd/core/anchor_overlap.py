"""How well each box is overlapped by the anchor that fits it best, without comparing it with all.

Anchors lie on grids and are not clipped. Of all anchors of one shape the one whose centre is
nearest, on each axis by itself, shares most with a box; so a box is compared with one anchor per
shape and feature map.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

# Boxes at a time: what is computed of them stays in the cache of a processor.
_CHUNK = 1 << 14


@dataclass(frozen=True)
class AxisCenters:
    """Where the centres of a grid lie along one axis: first, first + step, ... of `count`."""

    first: float
    step: float
    count: int

    def distance(self, positions: np.ndarray) -> np.ndarray:
        """Returns float64 [M], from each position to the nearest centre."""
        numbers = np.clip(np.rint((positions - self.first) / self.step), 0, self.count - 1)
        return np.abs(positions - (self.first + numbers * self.step))


@dataclass(frozen=True)
class ShapeGrid:
    """The anchors of one feature map.

    Attributes:
      y, x: their centres.
      sizes: float64 [K, 2], height and width of the anchors of a cell.
    """

    y: AxisCenters
    x: AxisCenters
    sizes: np.ndarray


def grids_of(
    anchors: np.ndarray, feature_map_shapes: Sequence[tuple[int, int]], per_location: Sequence[int]
) -> list[ShapeGrid]:
    """Returns the grids that the anchors of a generator lie on.

    Args:
      anchors: float32 [A, 4], yxyx: by feature map, row by row, then per cell.
      feature_map_shapes: (rows, columns) of each.
      per_location: anchors of a cell, of each.
    """
    grids, begin = [], 0
    for (rows, columns), count in zip(feature_map_shapes, per_location, strict=True):
        end = begin + rows * columns * count
        cells = anchors[begin:end].astype(np.float64).reshape(rows, columns, count, 4)
        centers = (cells[:, :, 0, :2] + cells[:, :, 0, 2:]) / 2
        sizes = cells[0, 0, :, 2:] - cells[0, 0, :, :2]
        y, x = _axis(centers[:, 0, 0]), _axis(centers[0, :, 1])
        grids.append(ShapeGrid(y, x, sizes))
        begin = end
    assert begin == len(anchors), (begin, len(anchors))
    return grids


def with_sizes(grids: Sequence[ShapeGrid], sizes: Sequence[np.ndarray]) -> list[ShapeGrid]:
    """Returns the grids with other anchors at the same centres; sizes are [K, 2] per grid."""
    return [replace(grid, sizes=own) for grid, own in zip(grids, sizes, strict=True)]


def best_iou(boxes: np.ndarray, grids: Sequence[ShapeGrid]) -> np.ndarray:
    """Returns float32 [M], the IoU of each box with the anchor that overlaps it most.

    Args:
      boxes: [M, 4], yxyx in the units of the grids; a box without area gets 0.
      grids: of all feature maps.

    Example: an anchor of 2 x 2 around (2, 2) and a box that is its left quarter.
      >>> grid = ShapeGrid(AxisCenters(2.0, 4.0, 3), AxisCenters(2.0, 4.0, 3), np.array([[2.0, 2]]))
      >>> best_iou(np.array([[1.0, 1.0, 3.0, 1.5]]), [grid]).tolist()
      [0.25]
    """
    return np.concatenate([np.zeros(0, np.float32), *_chunks(boxes, grids)])


def _chunks(boxes: np.ndarray, grids: Sequence[ShapeGrid]) -> Iterator[np.ndarray]:
    for begin in range(0, len(boxes), _CHUNK):
        # float64: sides are differences of like numbers.
        low, high = np.split(boxes[begin : begin + _CHUNK].astype(np.float64), 2, axis=1)
        heights, widths = np.maximum(high - low, 0).T
        y_centers, x_centers = ((low + high) / 2).T
        areas = heights * widths
        best = np.zeros(len(areas))
        for grid in grids:
            y, x = grid.y.distance(y_centers), grid.x.distance(x_centers)
            for height, width in grid.sizes:
                shared = _shared(heights, height, y) * _shared(widths, width, x)
                # An anchor has an area, so this is no division by 0.
                np.maximum(best, shared / (areas + height * width - shared), out=best)
        yield best.astype(np.float32)


def _shared(lengths: np.ndarray, length: float, distances: np.ndarray) -> np.ndarray:
    """What intervals and one of `length` share, their centres being `distances` apart."""
    touching = np.minimum(np.minimum(lengths, length), (lengths + length) / 2 - distances)
    return np.maximum(touching, 0)


def _axis(centers: np.ndarray) -> AxisCenters:
    count = len(centers)
    step = (centers[-1] - centers[0]) / (count - 1) if count > 1 else 1.0
    return AxisCenters(float(centers[0]), float(step), count)
