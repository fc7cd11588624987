"""Logits -> scores."""

from __future__ import annotations

from typing import Literal

import tensorflow as tf

from ssd.core.types import TensorLike

ScoreConverter = Literal["IDENTITY", "SIGMOID", "SOFTMAX"]


def convert_scores(
    logits: TensorLike, score_converter: ScoreConverter, *, logit_scale: float = 1.0
) -> tf.Tensor:
    """Returns float32 scores of the shape of the logits.

    Args:
      logits: float32 [..., C+1].
      score_converter: IDENTITY leaves the logits, SOFTMAX makes each row add up to 1, background
        included.
      logit_scale: not 0; whatever the converter, the logits are multiplied by 1 / logit_scale.
    """
    # The original multiplies by the reciprocal; dividing would end in other digits.
    scaled = tf.convert_to_tensor(logits, tf.float32) * (1.0 / logit_scale)
    if score_converter == "IDENTITY":
        return scaled
    return tf.sigmoid(scaled) if score_converter == "SIGMOID" else tf.nn.softmax(scaled)


def sigmoid_scores(logits: TensorLike, *, logit_scale: float = 1.0) -> tf.Tensor:
    """Returns float32 scores in [0, 1]: the sigmoid of logits / logit_scale, same shape."""
    return convert_scores(logits, "SIGMOID", logit_scale=logit_scale)
