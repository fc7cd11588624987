"""What the heads should output for given groundtruth, per anchor."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from ssd.core import box_coder, matcher
from ssd.core import boxes as box_ops
from ssd.core.types import TensorLike


class Targets(NamedTuple):
    """Targets of a batch.

    Attributes:
      cls_targets: float32 [B, A, C+1]; column 0 (background) is 0 everywhere, and so is the whole
        row of an anchor without a box (`encode_background_as_zeros`).
      cls_weights: float32 [B, A], the same for all columns: the box's weight, 1 where unmatched,
        0 where ignored.
      reg_targets: float32 [B, A, 4] box encodings; 0 where not matched.
      reg_weights: float32 [B, A]: the box's weight, 0 where not matched.
      match: int32 [B, A], of `matcher.match`.
    """

    cls_targets: tf.Tensor
    cls_weights: tf.Tensor
    reg_targets: tf.Tensor
    reg_weights: tf.Tensor
    match: tf.Tensor


def assign(
    anchors: TensorLike,
    groundtruth_boxes: tf.Tensor,
    groundtruth_classes_one_hot: tf.Tensor,
    groundtruth_weights: tf.Tensor,
    *,
    matched_threshold: float | None,
    unmatched_threshold: float | None,
    negatives_lower_than_unmatched: bool = True,
    force_match_for_each_row: bool = False,
    scale_factors: box_coder.ScaleFactors = (10.0, 10.0, 5.0, 5.0),
) -> Targets:
    """Returns the targets of a batch, all images at once.

    A row of weight 0 is not forced onto an anchor, but anchors that overlap it enough still match
    it and get weight 0: they learn neither the box nor "background".

    Args:
      anchors: float32 [A, 4].
      groundtruth_boxes: float32 [B, G, 4], yxyx normalized; padding rows are all zero and come
        last. G may be 0.
      groundtruth_classes_one_hot: float32 [B, G, C].
      groundtruth_weights: float32 [B, G]; 0 in padding rows.
      matched_threshold, unmatched_threshold, negatives_lower_than_unmatched,
        force_match_for_each_row: see `matcher.match`; similarity is the IoU.
      scale_factors: of the box encodings.
    """
    is_used = tf.reduce_any(groundtruth_boxes != 0.0, axis=2) | (groundtruth_weights != 0.0)
    count = _rows_in_use(is_used)
    boxes, weights = groundtruth_boxes[:, :count], groundtruth_weights[:, :count]
    match = matcher.match(
        box_ops.iou(boxes, anchors),
        weights > 0.0,
        matched_threshold=matched_threshold,
        unmatched_threshold=unmatched_threshold,
        negatives_lower_than_unmatched=negatives_lower_than_unmatched,
        force_match_for_each_row=force_match_for_each_row,
    )
    # An image with nothing but padding has no row to match, whatever the thresholds.
    match = tf.where(tf.reduce_any(is_used, axis=1, keepdims=True), match, matcher.UNMATCHED)
    # Tables get a row of zeros in front, which is what an anchor without a box looks up.
    row = tf.maximum(match + 1, 0)
    weight = tf.gather(tf.pad(weights, [[0, 0], [1, 0]]), row, batch_dims=1)  # [B, A]
    classes = tf.pad(groundtruth_classes_one_hot[:, :count], [[0, 0], [1, 0], [1, 0]])
    matched_gt_boxes = tf.gather(tf.pad(boxes, [[0, 0], [1, 0], [0, 0]]), row, batch_dims=1)
    encodings = box_coder.encode_boxes(matched_gt_boxes, anchors, scale_factors)
    return Targets(
        cls_targets=tf.gather(classes, row, batch_dims=1),  # [B, G+1, C+1] -> [B, A, C+1]
        cls_weights=weight + tf.cast(match == matcher.UNMATCHED, tf.float32),
        reg_targets=tf.where((match >= 0)[..., tf.newaxis], encodings, 0.0),
        reg_weights=weight,
        match=match,
    )


def _rows_in_use(is_used: tf.Tensor) -> tf.Tensor:
    """Rows up to the last one that some image uses; is_used is bool [B, G].

    Padding overlaps nothing and is never forced, so leaving it out changes nothing; usually it is
    nine tenths of the rows, and IoU is what target assignment spends its time on.
    """
    is_used_by_any = tf.reduce_any(is_used, axis=0)
    numbers = tf.where(is_used_by_any, tf.range(1, tf.shape(is_used)[1] + 1), 0)
    return tf.reduce_max(tf.concat([numbers, [0]], axis=0))
