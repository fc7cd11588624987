"""Anchors: the fixed reference boxes [A, 4] that box encodings refer to.

The arithmetic of `multiscale_anchor_generator` and `ssd_anchor_generator`, in NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ssd.core import anchor_grid
from ssd.errors import InputError

_F = np.float32
# The three anchors of the finest SSD feature map under reduce_boxes_in_lowest_layer: a small
# square, whatever min_scale says, then the layer's own scale in these aspect ratios.
_LOWEST_LAYER_SCALE = 0.1
_LOWEST_LAYER_ASPECT_RATIOS = (2.0, 0.5)


def multiscale_grid_anchors(
    feature_map_shapes: Sequence[tuple[int, int]],
    image_size: tuple[int, int],
    *,
    min_level: int,
    anchor_scale: float,
    aspect_ratios: Sequence[float],
    scales_per_octave: int,
    normalize_coordinates: bool = True,
) -> np.ndarray:
    """Returns the anchors of a feature pyramid (`multiscale_anchor_generator`).

    A cell of level l has anchors of base size anchor_scale * 2^l, in scales_per_octave sizes times
    the aspect ratios (width over height); its centre is (row + 1/2, column + 1/2) * 2^l, without
    the half on an axis whose image side 2^l does not divide.

    Args:
      feature_map_shapes: (rows, columns) of each level, finest first.
      image_size: (H, W) in pixels.
      min_level: of the first feature map; stride 2^min_level.
      anchor_scale, aspect_ratios, scales_per_octave: as in `multiscale_anchor_generator`.
      normalize_coordinates: False leaves the anchors in pixels.

    Returns:
      float32 [A, 4], yxyx normalized, not clipped to the image. By level, then row by row, then
      per cell: scales vary fastest, then aspect ratios.

    Example: one cell of 8 x 8 pixels in an image of 8 x 16.
      >>> multiscale_grid_anchors([(1, 1)], (8, 16), min_level=3, anchor_scale=1.0,
      ...                         aspect_ratios=[1.0], scales_per_octave=1).tolist()
      [[0.0, 0.0, 1.0, 0.5]]
    """
    octave = [2.0 ** (n / scales_per_octave) for n in range(scales_per_octave)]
    scales = [scale for _ in aspect_ratios for scale in octave]
    ratios = [ratio for ratio in aspect_ratios for _ in octave]
    levels = []
    for level, shape in enumerate(feature_map_shapes, start=min_level):
        stride = 2**level
        offsets = [stride / 2 if side % stride == 0 else 0 for side in image_size]
        base = anchor_scale * stride
        sizes = anchor_grid.cell_sizes(scales, ratios, (base, base))
        levels.append(anchor_grid.tiled(shape, (stride, stride), offsets, sizes))
    anchors = np.concatenate(levels)
    return anchor_grid.normalized(anchors, image_size) if normalize_coordinates else anchors


def num_multiscale_anchors_per_location(
    *, aspect_ratios: Sequence[float], scales_per_octave: int
) -> int:
    """Returns the anchors of one cell, the same number at every level."""
    return len(aspect_ratios) * scales_per_octave


def ssd_anchors(
    feature_map_shapes: Sequence[tuple[int, int]],
    image_size: tuple[int, int],
    *,
    aspect_ratios: Sequence[float],
    min_scale: float = 0.2,
    max_scale: float = 0.95,
    scales: Sequence[float] = (),
    interpolated_scale_aspect_ratio: float = 1.0,
    reduce_boxes_in_lowest_layer: bool = True,
    base_anchor_size: tuple[float, float] = (1.0, 1.0),
    height_stride: Sequence[int] = (),
    width_stride: Sequence[int] = (),
    height_offset: Sequence[int] = (),
    width_offset: Sequence[int] = (),
) -> np.ndarray:
    """Returns the anchors of the SSD paper (`ssd_anchor_generator`; Liu et al. 2016, section 2.2).

    A scale is the share of the image's shorter side, so square anchors are square in pixels.

    Args:
      feature_map_shapes: (rows, columns) of each of the num_layers feature maps, finest first.
      image_size: (H, W) in pixels.
      min_scale, max_scale, scales, aspect_ratios, interpolated_scale_aspect_ratio,
        reduce_boxes_in_lowest_layer: see `ssd_anchor_shapes`.
      base_anchor_size: (base_anchor_height, base_anchor_width), factors of the anchors' sides.
      height_stride, width_stride: pixels between centres, one per feature map; empty: the image
        divided by the feature map.
      height_offset, width_offset: pixels to the first centre; empty: half a stride.

    Returns:
      float32 [A, 4], yxyx normalized, not clipped to the image. By feature map, then row by row,
      then per cell in the order of `ssd_anchor_shapes`.

    Raises:
      InputError: a list has another length than there are feature maps, or only one of a height
        and a width list is given.

    Example: an image twice as wide as high; scale 0.5 of its height is a quarter of its width.
      >>> anchors = ssd_anchors([(1, 1)], (60, 120), scales=[0.5], aspect_ratios=[1.0],
      ...                       interpolated_scale_aspect_ratio=0.0,
      ...                       reduce_boxes_in_lowest_layer=False)
      >>> anchors.tolist()
      [[0.25, 0.375, 0.75, 0.625]]
    """
    layers = ssd_anchor_shapes(
        len(feature_map_shapes),
        min_scale=min_scale,
        max_scale=max_scale,
        scales=scales,
        aspect_ratios=aspect_ratios,
        interpolated_scale_aspect_ratio=interpolated_scale_aspect_ratio,
        reduce_boxes_in_lowest_layer=reduce_boxes_in_lowest_layer,
    )
    check_positions(
        len(feature_map_shapes), height_stride, width_stride, height_offset, width_offset
    )
    shortest = _F(min(image_size))
    base = [
        float(shortest / _F(side) * _F(factor))
        for side, factor in zip(image_size, base_anchor_size, strict=True)
    ]
    positions = [
        _ssd_positions(feature_map_shapes, axis, image_size[axis], strides, offsets)
        for axis, (strides, offsets) in enumerate(
            [(height_stride, height_offset), (width_stride, width_offset)]
        )
    ]
    grids = []
    for shape, shapes, y, x in zip(feature_map_shapes, layers, *positions, strict=True):
        sizes = anchor_grid.cell_sizes([s for s, _ in shapes], [r for _, r in shapes], base)
        grids.append(anchor_grid.tiled(shape, (y[0], x[0]), (y[1], x[1]), sizes))
    return np.concatenate(grids)


def ssd_anchor_shapes(
    num_layers: int,
    *,
    aspect_ratios: Sequence[float],
    min_scale: float = 0.2,
    max_scale: float = 0.95,
    scales: Sequence[float] = (),
    interpolated_scale_aspect_ratio: float = 1.0,
    reduce_boxes_in_lowest_layer: bool = True,
) -> list[list[tuple[float, float]]]:
    """Returns (scale, aspect ratio) of the anchors of one cell, for each feature map.

    The length of an inner list is that feature map's number of anchors per location.

    Args:
      num_layers: how many feature maps.
      min_scale, max_scale: of the finest and the coarsest map, evenly spaced between.
      scales: one per map, instead of the two above.
      aspect_ratios: width over height.
      interpolated_scale_aspect_ratio: of one more anchor, between this map's scale and the next
        one's (1 after the last) by the geometric mean; 0: no such anchor.
      reduce_boxes_in_lowest_layer: the finest map has three fixed anchors only.

    Raises:
      InputError: `scales` has another length than num_layers.

    Example:
      >>> ssd_anchor_shapes(2, scales=[0.25, 0.36], aspect_ratios=[2.0])
      [[(0.1, 1.0), (0.25, 2.0), (0.25, 0.5)], [(0.36, 2.0), (0.6, 1.0)]]
    """
    _check_length("scales", scales, num_layers)
    step = (max_scale - min_scale) / max(num_layers - 1, 1)
    own = list(scales) or [min_scale + step * n for n in range(num_layers)]
    layers = []
    for n, (scale, following) in enumerate(zip(own, [*own[1:], 1.0], strict=True)):
        if n == 0 and reduce_boxes_in_lowest_layer:
            wide_and_high = [(scale, ratio) for ratio in _LOWEST_LAYER_ASPECT_RATIOS]
            layers.append([(_LOWEST_LAYER_SCALE, 1.0), *wide_and_high])
            continue
        shapes = [(scale, ratio) for ratio in aspect_ratios]
        if interpolated_scale_aspect_ratio > 0.0:
            shapes.append((math.sqrt(scale * following), interpolated_scale_aspect_ratio))
        layers.append(shapes)
    return layers


def check_positions(
    num_layers: int,
    height_stride: Sequence[int],
    width_stride: Sequence[int],
    height_offset: Sequence[int],
    width_offset: Sequence[int],
) -> None:
    """Raises InputError unless each pair of lists is empty or has one value per feature map."""
    for what, height, width in (
        ("stride", height_stride, width_stride),
        ("offset", height_offset, width_offset),
    ):
        _check_length(f"height_{what}", height, num_layers)
        _check_length(f"width_{what}", width, num_layers)
        if bool(height) != bool(width):
            given, other = ("height", "width") if height else ("width", "height")
            raise InputError(
                f"ssd_anchor_generator.{given}_{what}: {num_layers} values, but {other}_{what} has "
                f"none; give both, or neither"
            )


def _ssd_positions(
    feature_map_shapes: Sequence[tuple[int, int]],
    axis: int,
    side: int,
    strides: Sequence[int],
    offsets: Sequence[int],
) -> list[tuple[float, float]]:
    """(stride, offset) per feature map along one axis, in shares of the image's side."""
    shares = [stride / side for stride in strides]
    shares = shares or [1.0 / shape[axis] for shape in feature_map_shapes]
    firsts = [offset / side for offset in offsets] or [0.5 * share for share in shares]
    return list(zip(shares, firsts, strict=True))


def _check_length(name: str, values: Sequence[float], num_layers: int) -> None:
    if values and len(values) != num_layers:
        raise InputError(
            f"ssd_anchor_generator.{name}: {len(values)} values for {num_layers} feature maps; "
            f"give one per feature map, or none"
        )
