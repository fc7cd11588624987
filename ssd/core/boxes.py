"""Geometry of boxes: float32 [..., 4], yxyx normalized."""

from __future__ import annotations

import tensorflow as tf

from ssd.core.types import TensorLike


def area(boxes: TensorLike) -> tf.Tensor:
    """Returns float32 [...], the signed area: negative for a box inverted on one axis."""
    ymin, xmin, ymax, xmax = tf.unstack(tf.convert_to_tensor(boxes), axis=-1)
    return (ymax - ymin) * (xmax - xmin)


def iou(boxes: TensorLike, others: TensorLike) -> tf.Tensor:
    """Returns float32 [..., G, A], intersection over union; exactly 0 where nothing intersects.

    Args:
      boxes: float32 [..., G, 4].
      others: float32 [A, 4] or [..., A, 4].
    """
    boxes = tf.convert_to_tensor(boxes)[..., :, tf.newaxis, :]
    others = tf.convert_to_tensor(others)[..., tf.newaxis, :, :]
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=-1)
    other_ymin, other_xmin, other_ymax, other_xmax = tf.unstack(others, axis=-1)
    height = tf.maximum(0.0, tf.minimum(ymax, other_ymax) - tf.maximum(ymin, other_ymin))
    width = tf.maximum(0.0, tf.minimum(xmax, other_xmax) - tf.maximum(xmin, other_xmin))
    intersection = height * width
    union = area(boxes) + area(others) - intersection
    return tf.where(intersection == 0.0, 0.0, intersection / union)


def clip(boxes: TensorLike) -> tf.Tensor:
    """Returns the boxes cut at the borders of the image."""
    return tf.clip_by_value(boxes, 0.0, 1.0)


def to_center_size(boxes: TensorLike) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns (y center, x center, height, width), each float32 [...]."""
    ymin, xmin, ymax, xmax = tf.unstack(tf.convert_to_tensor(boxes), axis=-1)
    height, width = ymax - ymin, xmax - xmin
    return ymin + height / 2.0, xmin + width / 2.0, height, width
