"""What all anchor generators share: the boxes of a cell around every centre of a grid (NumPy).

All arithmetic is float32 in the order of the TF Object Detection API, because a last digit decides
which box an anchor is matched to.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_F = np.float32


def cell_sizes(
    scales: Sequence[float], aspect_ratios: Sequence[float], base: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns float32 heights and widths of the anchors of a cell, in the units of `base`.

    Args:
      scales, aspect_ratios: of each anchor; the latter width over height.
      base: (height, width) of scale 1.
    """
    scale, ratio_root = np.array(scales, _F), np.sqrt(np.array(aspect_ratios, _F))
    return scale / ratio_root * _F(base[0]), scale * ratio_root * _F(base[1])


def tiled(
    shape: tuple[int, int],
    strides: Sequence[float],
    offsets: Sequence[float],
    sizes: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Returns float32 [rows * columns * K, 4], row by row, in the units of the lengths.

    Args:
      shape: (rows, columns) of the feature map.
      strides: (y, x) between centres.
      offsets: (y, x) of the first centre.
      sizes: heights [K] and widths [K] of the anchors of a cell, which vary fastest.
    """
    y_centers, x_centers = (
        np.arange(count, dtype=_F) * _F(stride) + _F(offset)
        for count, stride, offset in zip(shape, strides, offsets, strict=True)
    )
    y, x = (grid.reshape(-1, 1) for grid in np.meshgrid(y_centers, x_centers, indexing="ij"))
    half_heights, half_widths = (_F(0.5) * size for size in sizes)
    corners = (y - half_heights, x - half_widths, y + half_heights, x + half_widths)
    return np.stack(corners, axis=-1).reshape(-1, 4)


def normalized(boxes_pixels: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Returns float32 [A, 4], the boxes in shares of the image (H, W)."""
    height, width = image_size
    # Multiplied by the reciprocal: a division rounds differently, which moves matches at ties.
    return boxes_pixels * (_F(1) / np.array([height, width, height, width], _F))
