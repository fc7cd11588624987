"""Losses per anchor, before normalization."""

from __future__ import annotations

import tensorflow as tf


def smooth_l1(
    predictions: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, *, delta: float = 1.0
) -> tf.Tensor:
    """Returns the Huber loss summed over the four encodings, times the weight; float32 [B, A].

    0.5 d^2 up to |d| = delta, delta |d| - 0.5 delta^2 beyond (Huber 1964). A target that is NaN
    adds nothing.

    Args:
      predictions, targets: float32 [B, A, 4].
      weights: float32 [B, A].
      delta: where the parabola becomes a line.
    """
    difference = tf.where(tf.math.is_nan(targets), 0.0, predictions - targets)
    distance = tf.abs(difference)
    quadratic = tf.minimum(distance, delta)
    per_code = 0.5 * quadratic * quadratic + delta * (distance - quadratic)
    return tf.reduce_sum(per_code, axis=-1) * weights


def sigmoid_focal(
    logits: tf.Tensor,
    targets: tf.Tensor,
    weights: tf.Tensor,
    *,
    gamma: float = 2.0,
    alpha: float | None = 0.25,
) -> tf.Tensor:
    """Returns the focal loss per anchor and column, times the weight; float32 [B, A, C+1].

    alpha_t (1 - p_t)^gamma cross_entropy (Lin et al. 2017, equation 5), every column a sigmoid of
    its own, with p_t = t p + (1 - t)(1 - p) and alpha_t = t alpha + (1 - t)(1 - alpha), which
    also holds for soft targets.

    Args:
      logits, targets: float32 [B, A, C+1]; targets in [0, 1].
      weights: float32 [B, A], the same for all columns.
      gamma: 0 leaves the cross entropy as it is.
      alpha: None leaves out alpha_t.
    """
    cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=logits)
    p = tf.sigmoid(logits)
    # 1 - p_t
    miss = targets * (1.0 - p) + (1.0 - targets) * p
    loss = cross_entropy
    if gamma:  # tf.pow(x, 0) has no gradient at x = 0
        loss *= tf.square(miss) if gamma == 2.0 else tf.pow(miss, gamma)
    if alpha is not None:
        loss *= targets * alpha + (1.0 - targets) * (1.0 - alpha)
    return loss * weights[..., tf.newaxis]


def num_matches_normalizer(reg_weights: tf.Tensor) -> tf.Tensor:
    """Returns the float32 scalar that losses are divided by: the matched weight, at least 1.

    Args:
      reg_weights: float32 [B, A]; the sum runs over the whole batch.
    """
    return tf.maximum(tf.reduce_sum(reg_weights), 1.0)
