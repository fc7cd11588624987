"""Anchors: the fixed reference boxes [A, 4] that box encodings refer to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_F = np.float32


def multiscale_grid_anchors(
    feature_map_shapes: Sequence[tuple[int, int]],
    image_size: tuple[int, int],
    *,
    min_level: int,
    anchor_scale: float,
    aspect_ratios: Sequence[float],
    scales_per_octave: int,
) -> np.ndarray:
    """Returns the anchors of a feature pyramid; all arithmetic in float32, in the original's order.

    A cell of level l has anchors of base size anchor_scale * 2^l, in scales_per_octave sizes times
    the aspect ratios (width over height); its centre is (row + 1/2, column + 1/2) * 2^l, without
    the half on an axis whose image side 2^l does not divide.

    Args:
      feature_map_shapes: (rows, columns) of each level, finest first.
      image_size: (H, W) in pixels.
      min_level: of the first feature map; stride 2^min_level.
      anchor_scale, aspect_ratios, scales_per_octave: as in `multiscale_anchor_generator`.

    Returns:
      float32 [A, 4], yxyx normalized, not clipped to the image. By level, then row by row, then
      per cell: scales vary fastest, then aspect ratios.

    Example: one cell of 8 x 8 pixels in an image of 8 x 16.
      >>> multiscale_grid_anchors([(1, 1)], (8, 16), min_level=3, anchor_scale=1.0,
      ...                         aspect_ratios=[1.0], scales_per_octave=1).tolist()
      [[0.0, 0.0, 1.0, 0.5]]
    """
    scales = [2.0 ** (n / scales_per_octave) for n in range(scales_per_octave)]
    levels = []
    for level, (rows, columns) in enumerate(feature_map_shapes, start=min_level):
        stride = 2**level
        heights, widths = _sizes(anchor_scale * stride, scales, aspect_ratios)
        y_centers, x_centers = (
            np.arange(count, dtype=_F) * _F(stride) + _F(stride / 2 if side % stride == 0 else 0)
            for count, side in zip((rows, columns), image_size, strict=True)
        )
        y, x = (grid.reshape(-1, 1) for grid in np.meshgrid(y_centers, x_centers, indexing="ij"))
        half = _F(0.5)
        corners = (y - half * heights, x - half * widths, y + half * heights, x + half * widths)
        levels.append(np.stack(corners, axis=-1).reshape(-1, 4))
    height, width = image_size
    # Multiplied by the reciprocal: a division rounds differently, which moves matches at ties.
    return np.concatenate(levels) * (_F(1) / np.array([height, width, height, width], _F))


def _sizes(
    base: float, scales: Sequence[float], aspect_ratios: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Heights and widths in pixels of the anchors of one cell."""
    scale = np.array([s for _ in aspect_ratios for s in scales], _F)
    ratio_root = np.sqrt(np.array([r for r in aspect_ratios for _ in scales], _F))
    return scale / ratio_root * _F(base), scale * ratio_root * _F(base)
