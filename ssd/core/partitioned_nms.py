"""Suppression tile by tile down the scores: `use_partitioned_nms`."""

from __future__ import annotations

import tensorflow as tf

_TILE = 512
_NOWHERE = -1.0
_EPSILON = 1e-8


def partitioned_nms(
    boxes: tf.Tensor,
    scores: tf.Tensor,
    *,
    max_output_size: int,
    iou_threshold: float,
    score_threshold: float,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns which anchors survive greedy suppression, best first.

    Differs from `tf.raw_ops.NonMaxSuppressionV5` in what the original's tiles differ in: an overlap
    of exactly the threshold suppresses, 1e-8 is added to every union, a box without a positive
    coordinate neither survives nor suppresses, and boxes lose the digits that adding 1 and taking
    it away costs.

    Args:
      boxes: float32 [A, 4], A >= 1.
      scores: float32 [A], not NaN.
      max_output_size: P.
      iou_threshold, score_threshold: as in `batch_non_max_suppression`.

    Returns:
      anchors int32 [P], boxes float32 [P, 4], and the int32 scalar number of rows that count, which
      may be more than P. Rows beyond are the anchor of the lowest score.
    """
    num_anchors = tf.size(scores)
    sorted_scores, order = tf.math.top_k(scores, num_anchors)
    takes_part = (sorted_scores > score_threshold)[:, tf.newaxis]
    moved = (tf.gather(boxes, order) + 1.0) * tf.cast(takes_part, tf.float32) - 1.0
    num_tiles = -(-tf.maximum(num_anchors, max_output_size) // _TILE)
    missing = num_tiles * _TILE - num_anchors
    padded = tf.pad(moved, [[0, missing], [0, 0]], constant_values=_NOWHERE)
    survivors, count = _suppress_tiles(padded, num_tiles, max_output_size, iou_threshold)

    is_survivor = tf.reduce_any(survivors > 0.0, axis=1)
    from_the_end = tf.range(num_tiles * _TILE, 0, -1) * tf.cast(is_survivor, tf.int32)
    first = num_tiles * _TILE - tf.math.top_k(from_the_end, max_output_size).values
    places = tf.minimum(first, num_anchors - 1)
    return tf.gather(order, places), tf.gather(moved, places), count


def _suppress_tiles(
    boxes: tf.Tensor, num_tiles: tf.Tensor, max_output_size: int, iou_threshold: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """The boxes [num_tiles * _TILE, 4] with those suppressed set to zero, and how many are left.

    Stops after the tile that completes the output; the boxes behind it stay as they are.
    """

    def next_tile(
        tile: tf.Tensor, boxes: tf.Tensor, count: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        start, end = tile * _TILE, (tile + 1) * _TILE
        before = _overlaps(boxes[:start], boxes[start:end])
        is_free = tf.reduce_all(before < iou_threshold, axis=0)
        free = tf.where(is_free[:, tf.newaxis], boxes[start:end], 0.0)
        kept = tf.where(_suppressed_within(free, iou_threshold)[:, tf.newaxis], 0.0, free)
        count += tf.reduce_sum(tf.cast(tf.reduce_any(kept > 0.0, axis=1), tf.int32))
        return tile + 1, tf.concat([boxes[:start], kept, boxes[end:]], axis=0), count

    _, survivors, count = tf.while_loop(
        lambda tile, boxes, count: (count < max_output_size) & (tile < num_tiles),
        next_tile,
        (tf.constant(0), boxes, tf.constant(0)),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, 4]), tf.TensorShape([])),
        parallel_iterations=1,
    )
    return survivors, count


def _suppressed_within(boxes: tf.Tensor, iou_threshold: float) -> tf.Tensor:
    """bool [_TILE]: which boxes of one tile an earlier one of the same tile suppresses.

    Every round lets the boxes that nothing overlaps any more take away what those they overlap
    could have done to others, until nothing changes.
    """
    rank = tf.range(_TILE)
    is_earlier = rank[:, tf.newaxis] < rank[tf.newaxis, :]
    overlap = _overlaps(boxes, boxes)
    threat = tf.where(is_earlier & (overlap >= iou_threshold), overlap, 0.0)

    def next_round(threat: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        is_safe = tf.reduce_max(threat, axis=0) <= iou_threshold
        certain = tf.where(is_safe[:, tf.newaxis], threat, 0.0)
        is_standing = tf.reduce_max(certain, axis=0) <= iou_threshold
        left = tf.where(is_standing[:, tf.newaxis], threat, 0.0)
        return left, tf.reduce_sum(threat) - tf.reduce_sum(left) > iou_threshold

    threat, _ = tf.while_loop(lambda _, is_changed: is_changed, next_round, (threat, True))
    return tf.reduce_sum(threat, axis=0) > 0.0


def _overlaps(boxes: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """IoU [N, M]; -1 where what two boxes share ends left of and above the image."""
    low = tf.maximum(boxes[:, tf.newaxis, :2], others[tf.newaxis, :, :2])
    high = tf.minimum(boxes[:, tf.newaxis, 2:], others[tf.newaxis, :, 2:])
    height, width = tf.unstack(tf.maximum(high - low, 0.0), axis=-1)
    shared = width * height
    union = _area(boxes)[:, tf.newaxis] + _area(others)[tf.newaxis, :] - shared + _EPSILON
    return tf.where(tf.reduce_all(high < 0.0, axis=-1), -1.0, shared / union)


def _area(boxes: tf.Tensor) -> tf.Tensor:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
