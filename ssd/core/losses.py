"""Losses per anchor, before normalization."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

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
    difference = tf.where(tf.math.is_nan(targets), 0.0, predictions - targets)
    distance = tf.abs(difference)
    quadratic = tf.minimum(distance, delta)
    per_code = 0.5 * quadratic * quadratic + delta * (distance - quadratic)
    return tf.reduce_sum(per_code, axis=-1) * weights


def sigmoid_focal(
    logits: TensorLike,
    targets: TensorLike,
    weights: TensorLike,
    *,
    gamma: float = 2.0,
    alpha: float | None = 0.25,
) -> tf.Tensor:
    """Returns the focal loss per anchor and column, times the weight; float32 [B, A, C+1].

    alpha_t (1 - p_t)^gamma cross_entropy (Lin et al. 2017, equation 5), every column a sigmoid of
    its own, with p_t = t p + (1 - t)(1 - p) and alpha_t = t alpha + (1 - t)(1 - alpha), which
    also holds for soft targets. Gradients flow to the logits only.

    Args:
      logits, targets: float32 [B, A, C+1]; targets in [0, 1].
      weights: float32 [B, A], the same for all columns.
      gamma: 0 leaves the cross entropy as it is.
      alpha: None leaves out alpha_t.
    """
    targets = tf.convert_to_tensor(targets, tf.float32)
    weights = tf.convert_to_tensor(weights, tf.float32)[..., tf.newaxis]
    alpha_weights = weights
    if alpha is not None:
        alpha_weights = ((1.0 - alpha) + targets * (2.0 * alpha - 1.0)) * weights

    # The written-out gradient takes a third less time than the recorded one: this is by far the
    # largest tensor of a training step outside the network, and every operation is one pass.
    @tf.custom_gradient
    def loss_of(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        # In terms of q = sigmoid(-|x|) nothing cancels: p is 1 - q or q, and 1 - p_t and the
        # derivatives follow from how far off the target is from the side that x is on.
        distance = tf.abs(x)
        q = tf.sigmoid(-distance)
        side = tf.cast(x > 0.0, tf.float32)
        off = tf.abs(side - targets)
        mirror = 1.0 - 2.0 * off
        # Softplus in two operations, which take half the time of the one.
        cross_entropy = off * distance + tf.math.log1p(tf.exp(-distance))
        modulation, modulation_slope = _power(off + mirror * q, gamma)
        scale = alpha_weights * modulation

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            slope = scale * (off - q)
            if gamma != 0.0:
                slope -= alpha_weights * modulation_slope(q * (1.0 - q)) * mirror * cross_entropy
            return upstream * slope * (2.0 * side - 1.0)

        return scale * cross_entropy, gradient

    return loss_of(tf.convert_to_tensor(logits, tf.float32))


def num_matches_normalizer(reg_weights: TensorLike) -> tf.Tensor:
    """Returns the float32 scalar that losses are divided by: the matched weight, at least 1.

    Args:
      reg_weights: float32 [B, A]; the sum runs over the whole batch.
    """
    return tf.maximum(tf.reduce_sum(reg_weights), 1.0)


def _power(base: tf.Tensor, exponent: float) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """base^exponent, and a function that multiplies its argument by the derivative.

    The common exponents go without `pow`, which takes as long as all the rest.
    """
    if exponent == 0.0:
        return tf.ones_like(base), tf.zeros_like
    if exponent == 2.0:
        return base * base, lambda factor: 2.0 * base * factor
    # The argument is 0 where the base is: no contribution, even if 0 has an infinite derivative.
    return tf.pow(
        base, exponent
    ), lambda factor: exponent * tf.math.multiply_no_nan(tf.pow(base, exponent - 1.0), factor)
