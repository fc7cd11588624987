"""Classification losses, before normalization.

Logits and targets have a column per class, background first. Weights are per anchor, the same for
all columns, or per column.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from ssd.core.types import TensorLike

# Of `penalty_reduced_focal`: how near to 0 and 1 a probability may come.
_CLIP = 1e-4


def sigmoid(logits: TensorLike, targets: TensorLike, weights: TensorLike) -> tf.Tensor:
    """Returns the cross entropy per column, each a sigmoid of its own; float32 [B, A, C+1].

    Args:
      logits, targets: float32 [B, A, C+1]; targets in [0, 1].
      weights: float32 [B, A] or [B, A, C+1].

    Example: a logit of 0 is a probability of 1/2, whatever the target: log 2.
      >>> loss = sigmoid(tf.zeros([1, 1, 1]), tf.ones([1, 1, 1]), tf.ones([1, 1]))
      >>> round(float(loss[0, 0, 0]), 4)
      0.6931
    """
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=logits)
    return entropy * _per_column(weights)


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
      weights: float32 [B, A] or [B, A, C+1].
      gamma: 0 leaves the cross entropy as it is.
      alpha: None leaves out alpha_t.
    """
    targets = tf.convert_to_tensor(targets, tf.float32)
    weights = _per_column(weights)
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


def bootstrapped_sigmoid(
    logits: TensorLike,
    targets: TensorLike,
    weights: TensorLike,
    *,
    alpha: float,
    hard_bootstrap: bool,
) -> tf.Tensor:
    """Returns the sigmoid loss against targets that partly follow the model; float32 [B, A, C+1].

    The target is alpha t + (1 - alpha) p, with p the predicted probability, or with
    hard_bootstrap 1 where p > 0.5 and 0 elsewhere (Reed et al. 2015). The gradient of the soft
    form also runs through p in the target.

    Args:
      logits, targets: float32 [B, A, C+1]; targets in [0, 1].
      weights: float32 [B, A] or [B, A, C+1].
      alpha: in [0, 1], how much the annotation counts.
      hard_bootstrap: whether p is rounded.
    """
    logits = tf.convert_to_tensor(logits, tf.float32)
    belief = tf.sigmoid(logits)
    if hard_bootstrap:
        belief = tf.cast(belief > 0.5, tf.float32)
    return sigmoid(logits, alpha * tf.convert_to_tensor(targets) + (1.0 - alpha) * belief, weights)


def softmax(
    logits: TensorLike, targets: TensorLike, weights: TensorLike, *, logit_scale: float = 1.0
) -> tf.Tensor:
    """Returns the cross entropy of the softmax over all columns; float32 [B, A].

    Args:
      logits, targets: float32 [B, A, C+1]; targets are one-hot or sum to 1. A row of zeros, which
        is an unmatched anchor with `encode_background_as_zeros`, costs nothing.
      weights: float32 [B, A] or [B, A, C+1]; of the latter the mean over the columns counts.
      logit_scale: logits are divided by it.
    """
    logits = tf.convert_to_tensor(logits, tf.float32) / logit_scale
    entropy = tf.nn.softmax_cross_entropy_with_logits(
        labels=tf.stop_gradient(targets), logits=logits
    )
    return entropy * _per_anchor(weights)


def softmax_against_logits(
    logits: TensorLike, targets: TensorLike, weights: TensorLike, *, logit_scale: float = 1.0
) -> tf.Tensor:
    """Returns the `softmax` loss against targets that are logits themselves; float32 [B, A].

    Args:
      logits, targets: float32 [B, A, C+1].
      weights: float32 [B, A] or [B, A, C+1]; of the latter the mean over the columns counts.
      logit_scale: logits and targets are divided by it.
    """
    probabilities = tf.nn.softmax(tf.convert_to_tensor(targets, tf.float32) / logit_scale)
    return softmax(logits, probabilities, weights, logit_scale=logit_scale)


def penalty_reduced_focal(
    logits: TensorLike, targets: TensorLike, weights: TensorLike, *, alpha: float, beta: float
) -> tf.Tensor:
    """Returns the focal loss that is lenient near a positive; float32 [B, A, C+1].

    (1 - p)^alpha (-log p) where the target is 1, (1 - t)^beta p^alpha (-log(1 - p)) elsewhere
    (Zhou et al. 2019, equation 1), with p kept within 1e-4 of 0 and 1: no gradient beyond.

    Args:
      logits, targets: float32 [B, A, C+1]; targets in [0, 1].
      weights: float32 [B, A] or [B, A, C+1].
      alpha, beta: the two exponents.
    """
    targets = tf.convert_to_tensor(targets, tf.float32)
    p = tf.clip_by_value(tf.sigmoid(logits), _CLIP, 1.0 - _CLIP)
    positive = tf.pow(1.0 - p, alpha) * tf.math.log(p)
    negative = tf.pow(1.0 - targets, beta) * tf.pow(p, alpha) * tf.math.log(1.0 - p)
    return -tf.where(targets == 1.0, positive, negative) * _per_column(weights)


def dice(
    logits: TensorLike,
    targets: TensorLike,
    weights: TensorLike,
    *,
    squared_normalization: bool,
    is_prediction_probability: bool,
) -> tf.Tensor:
    """Returns 1 - Dice coefficient of each column over all anchors; float32 [B, C+1].

    1 - 2 sum(w p w t) / max(sum(w p) + sum(w t), 1), the sums over the anchors of an image. There
    is no loss per anchor, so nothing can select among them.

    Args:
      logits, targets: float32 [B, A, C+1]; targets in [0, 1].
      weights: float32 [B, A] or [B, A, C+1].
      squared_normalization: p and t are squared first.
      is_prediction_probability: logits are probabilities already.
    """
    targets, weights = tf.convert_to_tensor(targets, tf.float32), _per_column(weights)
    p = tf.convert_to_tensor(logits, tf.float32)
    if not is_prediction_probability:
        p = tf.sigmoid(p)
    if squared_normalization:
        p, targets = tf.square(p), tf.square(targets)
    p, targets = p * weights, targets * weights
    area = tf.reduce_sum(p, axis=1) + tf.reduce_sum(targets, axis=1)
    return 1.0 - 2.0 * tf.reduce_sum(p * targets, axis=1) / tf.maximum(area, 1.0)


def _per_column(weights: TensorLike) -> tf.Tensor:
    """[B, A] -> [B, A, 1]; [B, A, C+1] stays."""
    weights = tf.convert_to_tensor(weights, tf.float32)
    return weights if weights.shape.rank == 3 else weights[..., tf.newaxis]


def _per_anchor(weights: TensorLike) -> tf.Tensor:
    """[B, A, C+1] -> [B, A], the mean; [B, A] stays."""
    weights = tf.convert_to_tensor(weights, tf.float32)
    return tf.reduce_mean(weights, axis=2) if weights.shape.rank == 3 else weights


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
