"""What both kinds of box predictor share: which columns they have and how maps become rows."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from ssd.models.padding import spatial_size
from ssd.standard_fields import PredictionFields

BOX, CLASS = PredictionFields.box_encodings, PredictionFields.class_predictions_with_background


@dataclass(frozen=True)
class Columns:
    """The columns of the predictions of one anchor, and what happens to them.

    Attributes:
      box_code_size: of the box encodings; 4 but for the square box coder.
      num_class_columns: C+1, or C where the background has no column (`add_background_class`).
      box_encodings_clip_range: (min, max) that encodings are clipped to; None: not clipped.
    """

    box_code_size: int
    num_class_columns: int
    box_encodings_clip_range: tuple[float, float] | None = None

    def box_rows(self, encodings: tf.Tensor) -> tf.Tensor:
        """Returns float32 [B, H*W*K, code size] of [B, H, W, K * code size] of any precision."""
        encodings = tf.cast(encodings, tf.float32)
        if self.box_encodings_clip_range is not None:
            encodings = tf.clip_by_value(encodings, *self.box_encodings_clip_range)
        return _rows(encodings, self.box_code_size)

    def class_rows(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns float32 [B, H*W*K, class columns] of [B, H, W, K * class columns]."""
        return _rows(tf.cast(logits, tf.float32), self.num_class_columns)


def dropped_out(x: tf.Tensor, rate: float | None, seed: tf.Tensor | None, level: int) -> tf.Tensor:
    """Returns `x` with a share of its elements 0 and the others divided by 1 - `rate`.

    Args:
      x: float, any shape.
      rate: the share; at 0 or None nothing is drawn.
      seed: int [2]; the same seed drops the same elements, in every process. Needed above rate 0.
      level: of the feature map; each draws on its own.
    """
    if not rate:
        return x
    if seed is None:
        raise ValueError("dropout needs a seed")
    own = tf.random.fold_in(seed, level)
    # Of one algorithm, so that another device draws the same.
    return tf.nn.experimental.stateless_dropout(x, rate, own, rng_alg="philox")


def _rows(tensor: tf.Tensor, columns: int) -> tf.Tensor:
    """Anchors ordered by cell, row by row, then anchor in the cell."""
    per_cell = tensor.shape[-1] // columns
    height, width = spatial_size(tensor)
    return tf.reshape(tensor, [-1, height * width * per_cell, columns])
