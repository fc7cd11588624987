"""Weights in place of a drawn sample: how much each anchor counts (`expected_loss_weights`).

An anchor is foreground with a probability p, which is 0 or 1 for hard targets. It counts with p
against its own target and with beta (1 - p) against background, with beta such that foreground and
background are balanced over an image. N is the number of anchors of an image, M the sum of their p
and K the desired_negative_sampling_ratio. An image without foreground gets
beta = min_num_negative_samples / N.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from ssd.core.types import TensorLike

# cls_targets [B, N, 2 or more] -> foreground_weights, background_weights, both float32 [B, N].
WeightsFunction = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def expected_sampling(
    cls_targets: TensorLike,
    *,
    min_num_negative_samples: float,
    desired_negative_sampling_ratio: float,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns (foreground_weights, background_weights), float32 [B, N] (`EXPECTED_SAMPLING`).

    beta is the probability that a sampler that takes K negatives per positive takes this anchor,
    given that it is negative: min(1, K m / (N - m)), with m = M - p expected among the others.

    Args:
      cls_targets: float32 [B, N, C+1]; p is 1 minus column 0 (background).
      min_num_negative_samples: how many negatives an image without foreground counts as.
      desired_negative_sampling_ratio: K.
    """
    foreground, num_anchors, total = _foreground(cls_targets)
    others = total - foreground
    beta = tf.math.divide_no_nan(desired_negative_sampling_ratio * others, num_anchors - others)
    at_least = min_num_negative_samples / num_anchors
    beta = tf.minimum(tf.where(total == 0.0, at_least, beta), 1.0)
    return foreground, (1.0 - foreground) * beta


def reweighting_unmatched_anchors(
    cls_targets: TensorLike,
    *,
    min_num_negative_samples: float,
    desired_negative_sampling_ratio: float,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns (foreground_weights, background_weights), float32 [B, N].

    For `REWEIGHTING_UNMATCHED_ANCHORS`. beta = K M / (N - M): all background together weighs K
    times as much as all foreground, also where that takes weights over 1.

    Args:
      cls_targets: float32 [B, N, C+1]; p is 1 minus column 0 (background).
      min_num_negative_samples: how many negatives an image without foreground counts as.
      desired_negative_sampling_ratio: K.

    Example: one of four anchors is foreground, so that three share the weight of 3.
      >>> foreground, background = reweighting_unmatched_anchors(
      ...     tf.one_hot([[0, 0, 1, 0]], 2), min_num_negative_samples=0.0,
      ...     desired_negative_sampling_ratio=3.0)
      >>> background.numpy().tolist()
      [[1.0, 1.0, 0.0, 1.0]]
    """
    foreground, num_anchors, total = _foreground(cls_targets)
    beta = tf.math.divide_no_nan(desired_negative_sampling_ratio * total, num_anchors - total)
    beta = tf.where(total == 0.0, min_num_negative_samples / num_anchors, beta)
    return foreground, (1.0 - foreground) * beta


def reweighted(
    location_losses: TensorLike,
    cls_losses: TensorLike,
    unmatched_cls_losses: TensorLike,
    cls_targets: TensorLike,
    weights_function: WeightsFunction,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns (localization_loss, classification_loss), float32 scalars, sums over the batch.

    Classification losses per column are weighted one by one: each column of each anchor is then
    an anchor of its own for the weights, foreground with its target as the probability. The
    location loss of an anchor counts with the foreground weights of all its columns.

    Args:
      location_losses: float32 [B, A].
      cls_losses: float32 [B, A] or [B, A, C+1], against cls_targets.
      unmatched_cls_losses: same shape; the same loss against what an unmatched anchor should
        output.
      cls_targets: float32 [B, A, C+1].
      weights_function: `expected_sampling` or `reweighting_unmatched_anchors`, settings bound.
    """
    location_losses = tf.convert_to_tensor(location_losses, tf.float32)
    cls_losses = tf.convert_to_tensor(cls_losses, tf.float32)
    targets = tf.convert_to_tensor(cls_targets, tf.float32)
    if cls_losses.shape.rank == 3:
        batch, columns = tf.shape(targets)[0], tf.shape(targets)[2]
        cls_losses = tf.reshape(cls_losses, [batch, -1])  # [B, A, C+1] -> [B, A*(C+1)]
        unmatched_cls_losses = tf.reshape(unmatched_cls_losses, [batch, -1])
        targets = tf.reshape(targets, [batch, -1])
        targets = tf.stack([1.0 - targets, targets], axis=-1)
        location_losses = tf.repeat(location_losses, columns, axis=1)
    foreground, background = weights_function(targets)
    classification = foreground * cls_losses + background * unmatched_cls_losses
    return tf.reduce_sum(foreground * location_losses), tf.reduce_sum(classification)


def _foreground(cls_targets: TensorLike) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """p [B, N], N as float32 scalar, M [B, 1]."""
    foreground = 1.0 - tf.convert_to_tensor(cls_targets, tf.float32)[..., 0]
    num_anchors = tf.cast(tf.shape(foreground)[1], tf.float32)
    return foreground, num_anchors, tf.reduce_sum(foreground, axis=1, keepdims=True)
