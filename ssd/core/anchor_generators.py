"""The anchor generators of pipeline.config as objects: how many per cell, and where.

Image and feature-map sizes are ints, or scalar int32 tensors where they are known only at run
time (resizers that keep the aspect ratio). With ints the anchors are NumPy, made once.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Union

import numpy as np
import tensorflow as tf

from ssd.core import anchor_grid, anchors
from ssd.errors import InputError

# (rows, columns) of a feature map, or (height, width) of an image.
Size = tuple[Union[int, tf.Tensor], Union[int, tf.Tensor]]  # noqa: UP007 (run time, Python 3.10)
_F = np.float32


class AnchorGenerator(Protocol):
    """Makes the anchors of all feature maps of an image."""

    def num_anchors_per_location(self, num_feature_maps: int) -> list[int]:
        """Returns the number of anchors of a cell, for each feature map."""

    def generate(
        self, feature_map_shapes: Sequence[Size], image_size: Size
    ) -> np.ndarray | tf.Tensor:
        """Returns float32 [A, 4], yxyx normalized, not clipped; finest feature map first."""


@dataclass(frozen=True)
class MultiscaleGridAnchorGenerator:
    """`multiscale_anchor_generator`; see `anchors.multiscale_grid_anchors`.

    In images whose size is known at run time only, centres are always half a stride from the
    border, as in the original.
    """

    min_level: int
    anchor_scale: float
    aspect_ratios: tuple[float, ...]
    scales_per_octave: int

    def num_anchors_per_location(self, num_feature_maps: int) -> list[int]:
        return [len(self.aspect_ratios) * self.scales_per_octave] * num_feature_maps

    def generate(
        self, feature_map_shapes: Sequence[Size], image_size: Size
    ) -> np.ndarray | tf.Tensor:
        make = functools.partial(
            anchors.multiscale_grid_anchors,
            anchor_scale=self.anchor_scale,
            aspect_ratios=self.aspect_ratios,
            scales_per_octave=self.scales_per_octave,
        )
        if _is_static(feature_map_shapes, image_size):
            return make(feature_map_shapes, image_size, min_level=self.min_level)
        levels = []
        for level, shape in enumerate(feature_map_shapes, start=self.min_level):
            stride = 2.0**level
            # One cell whose centre is at 0: sizes and order of a cell's anchors.
            cell = make([(1, 1)], (1, 1), min_level=level, normalize_coordinates=False)
            levels.append(_tiled(shape, (stride, stride), (stride / 2, stride / 2), cell))
        return _normalized(tf.concat(levels, axis=0), image_size)


@dataclass(frozen=True)
class SsdAnchorGenerator:
    """`ssd_anchor_generator`; see `anchors.ssd_anchors` and `anchors.ssd_anchor_shapes`."""

    aspect_ratios: tuple[float, ...]
    min_scale: float = 0.2
    max_scale: float = 0.95
    scales: tuple[float, ...] = ()
    interpolated_scale_aspect_ratio: float = 1.0
    reduce_boxes_in_lowest_layer: bool = True
    base_anchor_size: tuple[float, float] = (1.0, 1.0)
    height_stride: tuple[int, ...] = ()
    width_stride: tuple[int, ...] = ()
    height_offset: tuple[int, ...] = ()
    width_offset: tuple[int, ...] = ()

    def num_anchors_per_location(self, num_feature_maps: int) -> list[int]:
        return [len(shapes) for shapes in self._shapes(num_feature_maps)]

    def generate(
        self, feature_map_shapes: Sequence[Size], image_size: Size
    ) -> np.ndarray | tf.Tensor:
        if _is_static(feature_map_shapes, image_size):
            return anchors.ssd_anchors(
                feature_map_shapes,
                image_size,
                base_anchor_size=self.base_anchor_size,
                height_stride=self.height_stride,
                width_stride=self.width_stride,
                height_offset=self.height_offset,
                width_offset=self.width_offset,
                **self._shape_settings(),
            )
        anchors.check_positions(
            len(feature_map_shapes),
            self.height_stride,
            self.width_stride,
            self.height_offset,
            self.width_offset,
        )
        image = tf.cast(tf.stack(image_size), tf.float32)
        base = tf.reduce_min(image) / image * tf.constant(self.base_anchor_size, tf.float32)
        grids = []
        for n, (shape, shapes) in enumerate(
            zip(feature_map_shapes, self._shapes(len(feature_map_shapes)), strict=True)
        ):
            strides = 1.0 / tf.cast(tf.stack(shape), tf.float32)
            if self.height_stride:
                strides = tf.constant([self.height_stride[n], self.width_stride[n]], _F) / image
            offsets = 0.5 * strides
            if self.height_offset:
                offsets = tf.constant([self.height_offset[n], self.width_offset[n]], _F) / image
            scales, ratios = np.array(shapes, _F).T
            halves = 0.5 * tf.stack([scales / np.sqrt(ratios), scales * np.sqrt(ratios)], 1) * base
            cell = tf.concat([-halves, halves], axis=1)
            grids.append(_tiled(shape, tf.unstack(strides), tf.unstack(offsets), cell))
        return tf.concat(grids, axis=0)

    def _shapes(self, num_feature_maps: int) -> list[list[tuple[float, float]]]:
        return anchors.ssd_anchor_shapes(num_feature_maps, **self._shape_settings())

    def _shape_settings(self) -> dict:
        return {
            "aspect_ratios": self.aspect_ratios,
            "min_scale": self.min_scale,
            "max_scale": self.max_scale,
            "scales": self.scales,
            "interpolated_scale_aspect_ratio": self.interpolated_scale_aspect_ratio,
            "reduce_boxes_in_lowest_layer": self.reduce_boxes_in_lowest_layer,
        }


@dataclass(frozen=True)
class AnchorGrid:
    """The anchors of one feature map, all lengths in pixels, (height, width).

    Attributes:
      sizes: of each anchor of a cell.
      stride: between centres.
      offset: of the first centre.
    """

    sizes: tuple[tuple[float, float], ...]
    stride: tuple[float, float]
    offset: tuple[float, float]


@dataclass(frozen=True)
class FlexibleGridAnchorGenerator:
    """`flexible_grid_anchor_generator`, and `grid_anchor_generator` as one grid.

    The latter leaves pixels in the original, which nothing of an SSD fits; here it is normalized.
    """

    grids: tuple[AnchorGrid, ...]

    def num_anchors_per_location(self, num_feature_maps: int) -> list[int]:
        return [len(grid.sizes) for grid in self.grids]

    def generate(
        self, feature_map_shapes: Sequence[Size], image_size: Size
    ) -> np.ndarray | tf.Tensor:
        pairs = list(zip(feature_map_shapes, self.grids, strict=True))
        if _is_static(feature_map_shapes, image_size):
            grids = []
            for shape, grid in pairs:
                heights, widths = np.array(grid.sizes, _F).T
                grids.append(anchor_grid.tiled(shape, grid.stride, grid.offset, (heights, widths)))
            return anchor_grid.normalized(np.concatenate(grids), image_size)
        tiled = []
        for shape, grid in pairs:
            halves = _F(0.5) * np.array(grid.sizes, _F)
            cell = np.concatenate([-halves, halves], axis=1)
            tiled.append(_tiled(shape, grid.stride, grid.offset, cell))
        return _normalized(tf.concat(tiled, axis=0), image_size)


def grid_sizes(
    base_size: tuple[float, float], scales: Sequence[float], aspect_ratios: Sequence[float]
) -> tuple[tuple[float, float], ...]:
    """Returns (height, width) of anchors, each of one scale of `base_size` and one aspect ratio.

    Raises:
      InputError: there are not as many scales as aspect ratios, or none.
    """
    if len(scales) != len(aspect_ratios) or not scales:
        raise InputError(
            f"anchor_grid: {len(scales)} base_sizes and {len(aspect_ratios)} aspect_ratios; give "
            f"one of each per anchor, and at least one anchor"
        )
    heights, widths = anchor_grid.cell_sizes(scales, aspect_ratios, base_size)
    return tuple((float(h), float(w)) for h, w in zip(heights, widths, strict=True))


def _is_static(feature_map_shapes: Sequence[Size], image_size: Size) -> bool:
    sizes = [*image_size, *(side for shape in feature_map_shapes for side in shape)]
    return not any(tf.is_tensor(side) for side in sizes)


def _tiled(
    shape: Size, stride: Sequence[float], offset: Sequence[float], cell: np.ndarray | tf.Tensor
) -> tf.Tensor:
    """float32 [rows * columns * K, 4]: the boxes [K, 4] of a cell around 0, around every centre."""
    y, x = (
        tf.cast(tf.range(count), tf.float32) * step + first
        for count, step, first in zip(shape, stride, offset, strict=True)
    )
    y, x = tf.meshgrid(y, x, indexing="ij")
    centers = tf.reshape(tf.stack([y, x, y, x], axis=-1), [-1, 1, 4])
    return tf.reshape(centers + cell, [-1, 4])


def _normalized(boxes: tf.Tensor, image_size: Size) -> tf.Tensor:
    height, width = (tf.cast(side, tf.float32) for side in image_size)
    return boxes * (1.0 / tf.stack([height, width, height, width]))
