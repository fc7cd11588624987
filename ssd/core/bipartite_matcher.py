"""Which groundtruth box each anchor learns, one anchor per box (`bipartite_matcher`)."""

from __future__ import annotations

import tensorflow as tf

from ssd.core.matcher import UNMATCHED
from ssd.core.types import TensorLike


def match(similarity: TensorLike, valid_rows: TensorLike) -> tf.Tensor:
    """Returns int32 [B, A]: the groundtruth row of each anchor, or UNMATCHED.

    Greedily: of all rows and anchors left, the pair that is most alike belongs together, until no
    valid row is left. On ties the lower row, then the lower anchor.

    Args:
      similarity: float32 [B, G, A].
      valid_rows: bool [B, G]; the others match nothing.

    Example: row 1 is the better one for anchor 0, so row 0 takes its second best.
      >>> similarity = tf.constant([[[0.6, 0.5, 0.0], [0.9, 0.1, 0.2]]])
      >>> match(similarity, tf.constant([[True, True]])).numpy().tolist()
      [[1, 0, -1]]
    """
    similarity = tf.convert_to_tensor(similarity, tf.float32)
    nothing = similarity.dtype.min
    batch, rows, anchors = tf.unstack(tf.shape(similarity))
    is_open = tf.convert_to_tensor(valid_rows, tf.bool)[..., tf.newaxis]
    open_pairs = tf.where(is_open, similarity, nothing)  # [B, G, A]
    matched = tf.fill([batch, anchors], UNMATCHED)

    def take_best(
        number: tf.Tensor, pairs: tf.Tensor, found: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        flat = tf.reshape(pairs, [batch, rows * anchors])
        best = tf.argmax(flat, axis=1, output_type=tf.int32)
        row, anchor = best // anchors, best % anchors
        is_pair = tf.gather(flat, best, batch_dims=1) > nothing
        places = tf.stack([tf.range(batch), anchor], axis=1)
        found = tf.tensor_scatter_nd_max(found, places, tf.where(is_pair, row, UNMATCHED))
        is_row = tf.equal(tf.range(rows), row[:, tf.newaxis])[:, :, tf.newaxis]
        is_anchor = tf.equal(tf.range(anchors), anchor[:, tf.newaxis])[:, tf.newaxis, :]
        return number + 1, tf.where(is_row | is_anchor, nothing, pairs), found

    rounds = tf.where(anchors > 0, rows, 0)
    return tf.while_loop(
        lambda number, *_: number < rounds,
        take_best,
        (tf.constant(0), open_pairs, matched),
    )[2]
