"""Localization losses per anchor, before normalization.

`smooth_l1`, `l2` and `l1` compare box encodings, `iou` and `giou` boxes. A target coordinate that
is NaN counts as predicted exactly. Gradients flow to the predictions only.
"""

from __future__ import annotations

import tensorflow as tf

from ssd.core import boxes as box_ops
from ssd.core.types import TensorLike


def smooth_l1(
    predictions: TensorLike, targets: TensorLike, weights: TensorLike, *, delta: float = 1.0
) -> tf.Tensor:
    """Returns the Huber loss summed over the four encodings, times the weight; float32 [B, A].

    0.5 d^2 up to |d| = delta, delta |d| - 0.5 delta^2 beyond (Huber 1964). A target that is NaN
    adds nothing.

    Args:
      predictions, targets: float32 [B, A, 4].
      weights: float32 [B, A].
      delta: where the parabola becomes a line.

    Example: differences of 0.5 and 3.
      >>> loss = smooth_l1(tf.constant([[[0.5, 3.0, 0.0, 0.0]]]), tf.zeros([1, 1, 4]), [[1.0]])
      >>> float(loss[0, 0])
      2.625
    """
    distance = tf.abs(_difference(predictions, targets))
    quadratic = tf.minimum(distance, delta)
    per_code = 0.5 * quadratic * quadratic + delta * (distance - quadratic)
    return tf.reduce_sum(per_code, axis=-1) * weights


def l2(predictions: TensorLike, targets: TensorLike, weights: TensorLike) -> tf.Tensor:
    """Returns half the squared distance of the weighted encodings; float32 [B, A].

    0.5 sum (w d)^2: a weight counts squared here, unlike in the other losses. A target that is
    NaN adds nothing.

    Args:
      predictions, targets: float32 [B, A, 4].
      weights: float32 [B, A].

    Example: a difference of 3 with weight 2.
      >>> loss = l2(tf.constant([[[3.0, 0.0, 0.0, 0.0]]]), tf.zeros([1, 1, 4]), [[2.0]])
      >>> float(loss[0, 0])
      18.0
    """
    weighted = _difference(predictions, targets) * tf.convert_to_tensor(weights)[..., tf.newaxis]
    return 0.5 * tf.reduce_sum(tf.square(weighted), axis=-1)


def l1(predictions: TensorLike, targets: TensorLike, weights: TensorLike) -> tf.Tensor:
    """Returns the absolute differences summed over the encodings, times the weight; float32 [B, A].

    A target that is NaN adds nothing.

    Args:
      predictions, targets: float32 [B, A, 4].
      weights: float32 [B, A].
    """
    return tf.reduce_sum(tf.abs(_difference(predictions, targets)), axis=-1) * weights


def iou(predictions: TensorLike, targets: TensorLike, weights: TensorLike) -> tf.Tensor:
    """Returns 1 - IoU of each predicted box with its target, times the weight; float32 [B, A].

    Boxes that share nothing cost 1 and have no gradient. A target coordinate that is NaN is taken
    from the prediction.

    Args:
      predictions, targets: float32 [B, A, 4], yxyx boxes, not encodings.
      weights: float32 [B, A].
    """
    predictions, targets = _boxes(predictions, targets)
    overlap = box_ops.iou(predictions[..., tf.newaxis, :], targets[..., tf.newaxis, :])
    return (1.0 - overlap[..., 0, 0]) * weights  # [B, A, 1, 1] -> [B, A]


def giou(predictions: TensorLike, targets: TensorLike, weights: TensorLike) -> tf.Tensor:
    """Returns 1 - generalized IoU of each predicted box, times the weight; float32 [B, A].

    GIoU = IoU - (hull - union) / hull, hull being the smallest box around both (Rezatofighi et
    al. 2019): from -1 to 1, and a gradient also where the boxes share nothing. 0 where the hull
    has no area. A target coordinate that is NaN is taken from the prediction.

    Args:
      predictions, targets: float32 [B, A, 4], yxyx boxes, not encodings.
      weights: float32 [B, A].

    Example: two boxes of area 0.25 in opposite corners of a hull of area 1.
      >>> loss = giou(tf.constant([[[0.0, 0.0, 0.5, 0.5]]]),
      ...             tf.constant([[[0.5, 0.5, 1.0, 1.0]]]), [[1.0]])
      >>> float(loss[0, 0])
      1.5
    """
    predictions, targets = _boxes(predictions, targets)
    shared = box_ops.intersection(predictions[..., tf.newaxis, :], targets[..., tf.newaxis, :])
    shared = shared[..., 0, 0]  # [B, A, 1, 1] -> [B, A]
    union = box_ops.area(targets) + box_ops.area(predictions) - shared
    overlap = tf.math.divide_no_nan(shared, union)
    top_left = tf.minimum(predictions[..., :2], targets[..., :2])
    bottom_right = tf.maximum(predictions[..., 2:], targets[..., 2:])
    hull = box_ops.area(tf.concat([top_left, bottom_right], axis=-1))
    empty = tf.math.divide_no_nan(hull - union, hull)
    return (1.0 - overlap + tf.where(hull > 0.0, empty, overlap)) * weights


def _difference(predictions: TensorLike, targets: TensorLike) -> tf.Tensor:
    targets = tf.stop_gradient(tf.convert_to_tensor(targets, tf.float32))
    return tf.where(tf.math.is_nan(targets), 0.0, predictions - targets)


def _boxes(predictions: TensorLike, targets: TensorLike) -> tuple[tf.Tensor, tf.Tensor]:
    """Both as tensors, NaN of the targets replaced."""
    predictions = tf.convert_to_tensor(predictions, tf.float32)
    targets = tf.stop_gradient(tf.convert_to_tensor(targets, tf.float32))
    return predictions, tf.where(tf.math.is_nan(targets), predictions, targets)
