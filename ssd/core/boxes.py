"""Geometry of boxes: float32 [..., 4], yxyx normalized."""

from __future__ import annotations

import tensorflow as tf

from ssd.core.types import TensorLike


def area(boxes: TensorLike) -> tf.Tensor:
    """Returns float32 [...], the signed area: negative for a box inverted on one axis."""
    ymin, xmin, ymax, xmax = tf.unstack(tf.convert_to_tensor(boxes), axis=-1)
    return (ymax - ymin) * (xmax - xmin)


def intersection(boxes: TensorLike, others: TensorLike) -> tf.Tensor:
    """Returns float32 [..., G, A], the area that two boxes share, never negative.

    Args:
      boxes: float32 [..., G, 4].
      others: float32 [A, 4] or [..., A, 4].
    """
    boxes = tf.convert_to_tensor(boxes)[..., :, tf.newaxis, :]
    others = tf.convert_to_tensor(others)[..., tf.newaxis, :, :]
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=-1)
    other_ymin, other_xmin, other_ymax, other_xmax = tf.unstack(others, axis=-1)
    height = tf.minimum(ymax, other_ymax) - tf.maximum(ymin, other_ymin)
    width = tf.minimum(xmax, other_xmax) - tf.maximum(xmin, other_xmin)
    return tf.maximum(height, 0.0) * tf.maximum(width, 0.0)


def iou(boxes: TensorLike, others: TensorLike) -> tf.Tensor:
    """Returns float32 [..., G, A], intersection over union; exactly 0 where nothing intersects.

    Args:
      boxes: float32 [..., G, 4].
      others: float32 [A, 4] or [..., A, 4].

    Example: two boxes of area 0.5 and 0.25 that share 0.125.
      >>> one, other = [[0.0, 0.0, 1.0, 0.5]], [[0.5, 0.25, 1.0, 0.75]]
      >>> float(iou(tf.constant(one), tf.constant(other))[0, 0])
      0.20000000298023224
    """
    shared = intersection(boxes, others)
    union = area(boxes)[..., :, tf.newaxis] + area(others)[..., tf.newaxis, :] - shared
    # Boxes that share something have a union, so 0 / 0 is the only division by 0.
    return tf.math.divide_no_nan(shared, union)


def ioa(boxes: TensorLike, others: TensorLike) -> tf.Tensor:
    """Returns float32 [..., G, A], how much of each of `others` lies in a box.

    Args:
      boxes: float32 [..., G, 4].
      others: float32 [A, 4] or [..., A, 4]; those without area give NaN.
    """
    return intersection(boxes, others) / area(others)[..., tf.newaxis, :]


def clip_to_window(boxes: TensorLike, window: TensorLike) -> tf.Tensor:
    """Returns the boxes cut at the borders of the window; one outside it loses its area.

    Args:
      boxes: float32 [..., 4].
      window: float32 [4] or [..., 4], yxyx.
    """
    ymin, xmin, ymax, xmax = tf.unstack(tf.convert_to_tensor(window), axis=-1)
    low = tf.stack([ymin, xmin, ymin, xmin], axis=-1)
    high = tf.stack([ymax, xmax, ymax, xmax], axis=-1)
    return tf.maximum(tf.minimum(boxes, high), low)


def change_coordinate_frame(boxes: TensorLike, window: TensorLike) -> tf.Tensor:
    """Returns the boxes as seen from the window: its corners become (0, 0) and (1, 1).

    Args:
      boxes: float32 [..., 4].
      window: float32 [4] or [..., 4], yxyx, every side > 0.
    """
    ymin, xmin, ymax, xmax = tf.unstack(tf.convert_to_tensor(window), axis=-1)
    origin = tf.stack([ymin, xmin, ymin, xmin], axis=-1)
    y_scale, x_scale = 1.0 / (ymax - ymin), 1.0 / (xmax - xmin)
    return (boxes - origin) * tf.stack([y_scale, x_scale, y_scale, x_scale], axis=-1)


def to_center_size(boxes: TensorLike) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns (y center, x center, height, width), each float32 [...]."""
    ymin, xmin, ymax, xmax = tf.unstack(tf.convert_to_tensor(boxes), axis=-1)
    height, width = ymax - ymin, xmax - xmin
    return ymin + height / 2.0, xmin + width / 2.0, height, width


def from_center_size(
    y_center: tf.Tensor, x_center: tf.Tensor, height: tf.Tensor, width: tf.Tensor
) -> tf.Tensor:
    """Returns float32 [..., 4] boxes; undoes `to_center_size`."""
    half_height, half_width = height / 2.0, width / 2.0
    return tf.stack(
        [
            y_center - half_height,
            x_center - half_width,
            y_center + half_height,
            x_center + half_width,
        ],
        axis=-1,
    )
