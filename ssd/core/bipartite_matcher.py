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
    # Other rows take at most G - 1 anchors away, so G candidates per row are enough. `top_k` puts
    # the lower anchor first on ties.
    values, candidates = tf.math.top_k(similarity, k=tf.minimum(rows, anchors))  # [B, G, K]
    is_open = tf.convert_to_tensor(valid_rows, tf.bool)[..., tf.newaxis]
    values = tf.where(is_open, values, nothing)

    def take_best(
        number: tf.Tensor, pairs: tf.Tensor, found: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        flat = tf.reshape(pairs, [batch, -1])
        best = tf.argmax(flat, axis=1, output_type=tf.int32)[:, tf.newaxis]  # [B, 1]
        is_pair = tf.gather(flat, best, batch_dims=1) > nothing
        anchor = tf.gather(tf.reshape(candidates, [batch, -1]), best, batch_dims=1)
        row = best // tf.shape(pairs)[2]
        is_row = tf.equal(tf.range(rows), row)  # [B, G]
        found = tf.where(is_row & is_pair, anchor, found)
        is_taken = is_row[..., tf.newaxis] | tf.equal(candidates, anchor[..., tf.newaxis])
        return number + 1, tf.where(is_taken, nothing, pairs), found

    rounds = tf.where(anchors > 0, rows, 0)
    no_anchors = tf.fill([batch, rows], anchors)
    anchor_of_row = tf.while_loop(
        lambda number, *_: number < rounds,
        take_best,
        (tf.constant(0), values, no_anchors),
        shape_invariants=tuple(tf.TensorShape([None] * rank) for rank in (0, 3, 2)),
    )[2]
    image = tf.broadcast_to(tf.range(batch)[:, tf.newaxis], [batch, rows])
    row = tf.broadcast_to(tf.range(rows), [batch, rows])
    # One more column, cut off again, for the rows that got no anchor.
    matched = tf.tensor_scatter_nd_update(
        tf.fill([batch, anchors + 1], UNMATCHED), tf.stack([image, anchor_of_row], axis=-1), row
    )
    return matched[:, :-1]
