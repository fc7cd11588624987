"""Which groundtruth box each anchor learns (`argmax_matcher`)."""

from __future__ import annotations

import tensorflow as tf

from ssd.core.types import TensorLike
from ssd.errors import InputError

UNMATCHED = -1  # learns "background"
IGNORED = -2  # learns nothing


def match(
    similarity: TensorLike,
    valid_rows: TensorLike,
    *,
    matched_threshold: float | None,
    unmatched_threshold: float | None,
    negatives_lower_than_unmatched: bool = True,
    force_match_for_each_row: bool = False,
) -> tf.Tensor:
    """Returns int32 [B, A] or [A]: the groundtruth row of each anchor, UNMATCHED or IGNORED.

    An anchor takes the row it is most similar to (the lowest one on ties) if that reaches
    matched_threshold. Without rows (G = 0) every anchor is UNMATCHED.

    Args:
      similarity: float32 [B, G, A] or [G, A].
      valid_rows: bool [B, G] or [G]; only these are forced.
      matched_threshold, unmatched_threshold: below the second an anchor is UNMATCHED, between the
        two IGNORED; None for both (`ignore_thresholds`): every anchor takes its best row.
      negatives_lower_than_unmatched: False swaps UNMATCHED and IGNORED.
      force_match_for_each_row: each valid row also takes the anchor it is most similar to (the
        lowest on ties), whatever the similarity; of two rows that want the same, the lower wins.

    Raises:
      InputError: the thresholds contradict each other.

    Example: anchor 1 is between the thresholds, row 1 is forced onto anchor 2.
      >>> similarity = tf.constant([[0.9, 0.4, 0.0], [0.3, 0.1, 0.35]])
      >>> match(similarity, [True, True], matched_threshold=0.6, unmatched_threshold=0.4,
      ...       force_match_for_each_row=True).numpy().tolist()
      [0, -2, 1]
    """
    _check_thresholds(matched_threshold, unmatched_threshold, negatives_lower_than_unmatched)
    similarity = tf.convert_to_tensor(similarity, tf.float32)
    valid_rows = tf.convert_to_tensor(valid_rows, tf.bool)
    if similarity.shape.rank == 2:
        return match(
            similarity[tf.newaxis],
            valid_rows[tf.newaxis],
            matched_threshold=matched_threshold,
            unmatched_threshold=unmatched_threshold,
            negatives_lower_than_unmatched=negatives_lower_than_unmatched,
            force_match_for_each_row=force_match_for_each_row,
        )[0]

    def match_rows() -> tf.Tensor:
        below, between = UNMATCHED, IGNORED
        if not negatives_lower_than_unmatched:
            below, between = between, below
        result = tf.argmax(similarity, axis=1, output_type=tf.int32)  # [B, G, A] -> [B, A]
        if matched_threshold is not None and unmatched_threshold is not None:
            best = tf.reduce_max(similarity, axis=1)
            result = tf.where(best < matched_threshold, between, result)
            result = tf.where(best < unmatched_threshold, below, result)
        if force_match_for_each_row:
            forced_row = _forced_rows(similarity, valid_rows)
            result = tf.where(forced_row < tf.shape(similarity)[1], forced_row, result)
        return result

    def match_nothing() -> tf.Tensor:
        batch, _, anchors = tf.unstack(tf.shape(similarity))
        return tf.fill([batch, anchors], UNMATCHED)

    rows = similarity.shape[1]
    if rows is not None:
        return match_rows() if rows else match_nothing()
    return tf.cond(tf.shape(similarity)[1] > 0, match_rows, match_nothing)


def _forced_rows(similarity: tf.Tensor, valid_rows: tf.Tensor) -> tf.Tensor:
    """int32 [B, A]: the lowest valid row whose best anchor this is; G where there is none."""
    batch, rows, anchors = tf.unstack(tf.shape(similarity))
    wanted = tf.argmax(similarity, axis=2, output_type=tf.int32)  # [B, G, A] -> [B, G]
    row_numbers = tf.where(valid_rows, tf.range(rows)[tf.newaxis], rows)
    image_numbers = tf.broadcast_to(tf.range(batch)[:, tf.newaxis], tf.shape(wanted))
    nobody = tf.fill([batch, anchors], tf.cast(rows, tf.float32))
    # float32, because GPUs scatter the minimum of floats only; exact up to 2^24 rows.
    forced = tf.tensor_scatter_nd_min(
        nobody, tf.stack([image_numbers, wanted], axis=-1), tf.cast(row_numbers, tf.float32)
    )
    return tf.cast(forced, tf.int32)


def _check_thresholds(matched: float | None, unmatched: float | None, is_lower: bool) -> None:
    """Thresholds are used together or not at all, and leave room for what lies between."""
    if (matched is None) != (unmatched is None):
        raise InputError(
            f"argmax_matcher: matched_threshold is {matched} and unmatched_threshold is "
            f"{unmatched}; give both, or neither"
        )
    if matched is None or unmatched is None:
        return
    if unmatched > matched:
        raise InputError(
            f"argmax_matcher.unmatched_threshold: {unmatched} is more than matched_threshold "
            f"({matched}); give one that is not"
        )
    if not is_lower and unmatched == matched:
        raise InputError(
            f"argmax_matcher.negatives_lower_than_unmatched: false makes anchors between the "
            f"thresholds background, but both are {matched}; give a lower unmatched_threshold"
        )
