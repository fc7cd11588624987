"""Suppression of a whole batch in one op: `use_combined_nms`."""

from __future__ import annotations

import tensorflow as tf

from ssd.core.detections import Detections, NmsLimits


def detect_batch(
    boxes: tf.Tensor,
    scores: tf.Tensor,
    windows: tf.Tensor,
    limits: NmsLimits,
    *,
    pad_per_class: bool,
) -> Detections:
    """Returns the detections of `tf.image.combined_non_max_suppression`, boxes cut at the windows.

    As in the original, cutting comes last and drops nothing: a box outside its window keeps its
    row and comes out inverted. Rows beyond num_detections are zero before the cut.

    Args:
      boxes: float32 [B, A, 4], A >= 1.
      scores: float32 [B, A, C], not NaN.
      windows: float32 [B, 4].
      limits: D is its total; soft_nms_sigma and is_frame_changed are not looked at.
      pad_per_class: D is at most C * per_class.

    Returns:
      anchor_indices are found by box and score, as the op does not tell them (the original then
      has none): of anchors that are equal in both, the lowest.
    """
    found = tf.image.combined_non_max_suppression(
        boxes[:, :, tf.newaxis],
        scores,
        max_output_size_per_class=limits.per_class,
        max_total_size=limits.total,
        iou_threshold=limits.iou_threshold,
        score_threshold=limits.score_threshold,
        pad_per_class=pad_per_class,
        clip_boxes=False,
    )
    classes = tf.cast(found.nmsed_classes, tf.int32)
    rows = tf.range(tf.shape(classes)[1])
    is_detection = rows < found.valid_detections[:, tf.newaxis]
    anchors = tf.map_fn(
        lambda image: _find_anchors(*image),
        (boxes, scores, found.nmsed_boxes, found.nmsed_scores, classes),
        fn_output_signature=tf.int32,
    )
    return Detections(
        detection_boxes=_cut(found.nmsed_boxes, windows[:, tf.newaxis]),
        detection_scores=found.nmsed_scores,
        detection_classes=classes,
        num_detections=found.valid_detections,
        anchor_indices=tf.where(is_detection, anchors, 0),
    )


def _find_anchors(
    boxes: tf.Tensor,
    scores: tf.Tensor,
    found_boxes: tf.Tensor,
    found_scores: tf.Tensor,
    found_classes: tf.Tensor,
) -> tf.Tensor:
    """int32 [D], for each detection of one image the first anchor with its box and its score."""
    class_scores = tf.gather(tf.transpose(scores), found_classes)  # [A, C] -> [D, A]
    is_same = class_scores == found_scores[:, tf.newaxis]
    for coordinate in range(4):
        is_same &= boxes[:, coordinate] == found_boxes[:, coordinate, tf.newaxis]
    return tf.argmax(tf.cast(is_same, tf.int8), axis=1, output_type=tf.int32)


def _cut(boxes: tf.Tensor, windows: tf.Tensor) -> tf.Tensor:
    low = tf.maximum(boxes[..., :2], windows[..., :2])
    return tf.concat([low, tf.minimum(boxes[..., 2:], windows[..., 2:])], axis=-1)
