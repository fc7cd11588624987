"""Which groundtruth box each anchor learns (`argmax_matcher`)."""

from __future__ import annotations

import tensorflow as tf

UNMATCHED = -1  # learns "background"
IGNORED = -2  # learns nothing


def match(
    similarity: tf.Tensor,
    valid_rows: tf.Tensor,
    *,
    matched_threshold: float | None,
    unmatched_threshold: float | None,
    negatives_lower_than_unmatched: bool = True,
    force_match_for_each_row: bool = False,
) -> tf.Tensor:
    """Returns int32 [B, A]: the groundtruth row of each anchor, UNMATCHED or IGNORED.

    An anchor takes the row it is most similar to (the lowest one on ties) if that reaches
    matched_threshold.

    Args:
      similarity: float32 [B, G, A], G >= 1.
      valid_rows: bool [B, G]; only these are forced.
      matched_threshold, unmatched_threshold: below the second an anchor is UNMATCHED, between the
        two IGNORED; None for both: every anchor takes its best row.
      negatives_lower_than_unmatched: False swaps UNMATCHED and IGNORED.
      force_match_for_each_row: each valid row also takes the anchor it is most similar to (the
        lowest on ties), whatever the similarity; of two rows that want the same, the lower wins.
    """
    best_row = tf.argmax(similarity, axis=1, output_type=tf.int32)  # [B, G, A] -> [B, A]
    result = best_row
    if matched_threshold is not None and unmatched_threshold is not None:
        best = tf.reduce_max(similarity, axis=1)
        below, between = UNMATCHED, IGNORED
        if not negatives_lower_than_unmatched:
            below, between = between, below
        result = tf.where(
            best < unmatched_threshold, below, tf.where(best < matched_threshold, between, best_row)
        )
    if not force_match_for_each_row:
        return result
    forced_row = _forced_rows(similarity, valid_rows)
    is_forced = forced_row < tf.shape(similarity)[1]
    return tf.where(is_forced, forced_row, result)


def _forced_rows(similarity: tf.Tensor, valid_rows: tf.Tensor) -> tf.Tensor:
    """int32 [B, A]: the lowest valid row whose best anchor this is; G where there is none."""
    batch, rows, anchors = tf.unstack(tf.shape(similarity))
    wanted = tf.argmax(similarity, axis=2, output_type=tf.int32)  # [B, G]
    row_numbers = tf.where(valid_rows, tf.range(rows)[tf.newaxis], rows)
    image_numbers = tf.broadcast_to(tf.range(batch)[:, tf.newaxis], tf.shape(wanted))
    nobody = tf.fill([batch, anchors], tf.cast(rows, tf.float32))
    # float32, because GPUs scatter the minimum of floats only; exact up to 2^24 rows.
    forced = tf.tensor_scatter_nd_min(
        nobody, tf.stack([image_numbers, wanted], axis=-1), tf.cast(row_numbers, tf.float32)
    )
    return tf.cast(forced, tf.int32)
