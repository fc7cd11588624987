"""What localization and classification losses have in common: what they are divided by."""

from __future__ import annotations

import tensorflow as tf

from ssd.core import replicas
from ssd.core.classification_losses import sigmoid_focal as sigmoid_focal
from ssd.core.localization_losses import smooth_l1 as smooth_l1
from ssd.core.types import TensorLike


def num_matches_normalizer(reg_weights: TensorLike) -> tf.Tensor:
    """Returns the float32 scalar that losses are divided by: the matched weight, at least 1.

    Args:
      reg_weights: float32 [B, A]; the sum runs over the whole batch, that of all replicas.
    """
    return tf.maximum(replicas.summed(tf.reduce_sum(reg_weights)), 1.0)
