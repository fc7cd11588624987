"""Which anchors train: all positives and some negatives, drawn (`random_example_sampler`)."""

from __future__ import annotations

import tensorflow as tf

from ssd.core.types import TensorLike


def sample_balanced(
    cls_targets: TensorLike,
    cls_weights: TensorLike,
    *,
    positive_sample_fraction: float,
    seed: TensorLike,
) -> tf.Tensor:
    """Returns bool [B, A]: every positive anchor, and negatives until the fraction is reached.

    Image by image; n positives are joined by int(n (1 - fraction) / fraction) negatives, all
    equally likely, or by all if there are fewer. An image without positives trains nothing.
    Anchors of weight 0 are neither counted nor drawn.

    Args:
      cls_targets: float32 [B, A, C+1]; an anchor is positive if a column other than 0 (background)
        holds anything.
      cls_weights: float32 [B, A] or [B, A, C+1].
      positive_sample_fraction: in (0, 1].
      seed: int [2]; the same seed draws the same anchors.

    Example: one positive, a quarter: three of the four negatives.
      >>> targets = tf.one_hot([[0, 2, 0, 0, 0]], 3)
      >>> sampled = sample_balanced(targets, tf.ones([1, 5]), positive_sample_fraction=0.25,
      ...                           seed=[7, 1])
      >>> bool(sampled[0, 1]), int(tf.math.count_nonzero(sampled))
      (True, 4)
    """
    weights = tf.convert_to_tensor(cls_weights, tf.float32)
    if weights.shape.rank == 3:
        weights = tf.reduce_mean(weights, axis=2)
    is_positive = tf.reduce_sum(tf.convert_to_tensor(cls_targets)[..., 1:], axis=2) != 0.0
    is_usable = weights != 0.0
    positives = is_positive & is_usable
    negatives = ~is_positive & is_usable

    num_positives = tf.math.count_nonzero(positives, axis=1, dtype=tf.float32)
    ratio = (1.0 - positive_sample_fraction) / positive_sample_fraction
    num_negatives = tf.cast(ratio * num_positives, tf.int32)[:, tf.newaxis]
    draws = tf.random.stateless_uniform(tf.shape(weights), seed)
    # The rank of each anchor in its image, by its draw; all negatives come before the rest.
    order = tf.argsort(tf.where(negatives, draws, 2.0), axis=1, stable=True)
    rank = tf.argsort(order, axis=1)
    return positives | (negatives & (rank < num_negatives))
