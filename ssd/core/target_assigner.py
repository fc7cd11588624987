"""What the heads should output for given groundtruth, per anchor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from ssd.core.box_coder import BoxCoder, FasterRcnnBoxCoder
from ssd.core.matcher import UNMATCHED
from ssd.core.similarity import Similarity, iou
from ssd.core.types import TensorLike

Match = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
DEFAULT_BOX_CODER = FasterRcnnBoxCoder()
# Corners of padding rows while matching: no overlap with anything, and farther than any box.
_FAR_AWAY = -1e6


class Targets(NamedTuple):
    """Targets of a batch.

    Attributes:
      cls_targets: float32 [B, A, C+1]; column 0 (background) is 0 wherever there is a box. An
        anchor without one has zeros everywhere (`encode_background_as_zeros`), or 1 in column 0.
      cls_weights: float32 [B, A], the same for all columns: the box's weight, the negative class
        weight where unmatched, 0 where ignored. [B, A, C+1] of `assign_confidences`.
      reg_targets: float32 [B, A, code size] box encodings; 0 where not matched.
      reg_weights: float32 [B, A]: the box's weight, 0 where not matched.
      match: int32 [B, A], of the matcher.
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
    match: Match,
    similarity: Similarity = iou,
    box_coder: BoxCoder = DEFAULT_BOX_CODER,
    unmatched_class_label: Sequence[float] | None = None,
    has_background: bool = True,
    negative_class_weight: float = 1.0,
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
      match: (similarity [B, G, A], valid rows bool [B, G]) -> int32 [B, A], of `matcher.match` or
        `bipartite_matcher.match`.
      similarity: (boxes [B, G, 4], anchors) -> float32 [B, G, A].
      box_coder: makes the regression targets.
      unmatched_class_label: the class target of an anchor without a box, [C+1]; None: zeros.
      has_background: classes get a column 0 for the background (`add_background_class`); else the
        columns are C.
      negative_class_weight: classification weight of an anchor without a box.
    """
    is_used = tf.reduce_any(groundtruth_boxes != 0.0, axis=2) | (groundtruth_weights != 0.0)
    count = _rows_in_use(is_used)
    boxes, weights = groundtruth_boxes[:, :count], groundtruth_weights[:, :count]
    # At the origin, padding would be the nearest box of some anchors (negative_squared_distance).
    compared = tf.where(is_used[:, :count, tf.newaxis], boxes, _FAR_AWAY)
    matched = match(similarity(compared, anchors), weights > 0.0)
    # An image with nothing but padding has no row to match, whatever the thresholds.
    matched = tf.where(tf.reduce_any(is_used, axis=1, keepdims=True), matched, UNMATCHED)
    # Tables get a row of zeros in front, which is what an anchor without a box looks up.
    row = tf.maximum(matched + 1, 0)
    weight = tf.gather(tf.pad(weights, [[0, 0], [1, 0]]), row, batch_dims=1)  # [B, A]
    columns_before = 1 if has_background else 0
    classes = tf.pad(groundtruth_classes_one_hot[:, :count], [[0, 0], [1, 0], [columns_before, 0]])
    matched_gt_boxes = tf.gather(tf.pad(boxes, [[0, 0], [1, 0], [0, 0]]), row, batch_dims=1)
    is_matched = (matched >= 0)[..., tf.newaxis]
    cls_targets = tf.gather(classes, row, batch_dims=1)  # [B, G+1, C+1] -> [B, A, C+1]
    if unmatched_class_label is not None and any(unmatched_class_label):
        label = tf.constant(unmatched_class_label, tf.float32)
        cls_targets = tf.where(is_matched, cls_targets, label)
    is_unmatched = tf.cast(matched == UNMATCHED, tf.float32)
    return Targets(
        cls_targets=cls_targets,
        cls_weights=weight + negative_class_weight * is_unmatched,
        reg_targets=tf.where(is_matched, box_coder.encode(matched_gt_boxes, anchors), 0.0),
        reg_weights=weight,
        match=matched,
    )


def assign_confidences(
    anchors: TensorLike,
    groundtruth_boxes: tf.Tensor,
    groundtruth_confidences: tf.Tensor,
    groundtruth_weights: tf.Tensor,
    *,
    match: Match,
    similarity: Similarity = iou,
    box_coder: BoxCoder = DEFAULT_BOX_CODER,
    has_background: bool = True,
    implicit_example_weight: float = 1.0,
) -> Targets:
    """Returns the targets of a batch whose boxes say which classes they are certainly not.

    For `use_confidences_as_targets`. Nothing is ignored, and a box's weight only decides whether
    it may be forced: an anchor whose box has a positive class learns the box with weight 1, every
    other one is background (column 0 is then 1).

    Args:
      anchors, groundtruth_boxes, groundtruth_weights, match, similarity, box_coder: as for
        `assign`.
      groundtruth_confidences: float32 [B, G, C]: above 0 a positive class, which is its target;
        below 0 a certain negative, 0 otherwise. One-hot classes are confidences of 1.
      has_background: False: no column for the background, as for `assign`.
      implicit_example_weight: classification weight of what no confidence says anything about: a
        class at 0, and the background of an anchor that is background. All else has weight 1.

    Returns:
      Targets with cls_weights [B, A, C+1].
    """
    targets = assign(
        anchors,
        groundtruth_boxes,
        groundtruth_confidences,
        groundtruth_weights,
        match=match,
        similarity=similarity,
        box_coder=box_coder,
        has_background=False,
    )
    confidences = targets.cls_targets  # [B, A, C]
    is_positive = tf.reduce_any(confidences > 0.0, axis=2, keepdims=True)
    reg_weights = tf.cast(is_positive, tf.float32)  # [B, A, 1]
    cls_targets = tf.maximum(confidences, 0.0)
    is_explicit = tf.cast(confidences != 0.0, tf.float32)
    if has_background:
        cls_targets = tf.concat([1.0 - reg_weights, cls_targets], axis=2)
        is_explicit = tf.concat([reg_weights, is_explicit], axis=2)
    return Targets(
        cls_targets=cls_targets,
        cls_weights=(1.0 - implicit_example_weight) * is_explicit + implicit_example_weight,
        reg_targets=targets.reg_targets * reg_weights,
        reg_weights=reg_weights[..., 0],
        match=targets.match,
    )


def _rows_in_use(is_used: tf.Tensor) -> tf.Tensor:
    """Rows up to the last one that some image uses; is_used is bool [B, G].

    Padding overlaps nothing and is never forced, so leaving it out changes nothing; usually it is
    nine tenths of the rows, and IoU is what target assignment spends its time on.
    """
    is_used_by_any = tf.reduce_any(is_used, axis=0)
    numbers = tf.where(is_used_by_any, tf.range(1, tf.shape(is_used)[1] + 1), 0)
    return tf.reduce_max(tf.concat([numbers, [0]], axis=0))
