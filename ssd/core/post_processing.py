"""Raw predictions -> detections: scores, then non-maximum suppression per class."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from ssd.core import boxes as box_ops

# Candidates per class that are looked at first. Greedy suppression goes down the scores, so what
# it finds among the best is final; how far down it must go is checked afterwards.
_PRESELECTED = 256


class Detections(NamedTuple):
    """Detections of a batch, highest score first; rows beyond num_detections are zero.

    Attributes:
      detection_boxes: float32 [B, D, 4], yxyx normalized, inside the image.
      detection_scores: float32 [B, D].
      detection_classes: int32 [B, D], class indices.
      num_detections: int32 [B].
      anchor_indices: int32 [B, D], which anchor each comes from.
    """

    detection_boxes: tf.Tensor
    detection_scores: tf.Tensor
    detection_classes: tf.Tensor
    num_detections: tf.Tensor
    anchor_indices: tf.Tensor


class _Limits(NamedTuple):
    score_threshold: float
    iou_threshold: float
    per_class: int
    total: int


def sigmoid_scores(logits: tf.Tensor, *, logit_scale: float = 1.0) -> tf.Tensor:
    """Returns float32 scores in [0, 1]: the sigmoid of logits / logit_scale, same shape."""
    return tf.sigmoid(logits / logit_scale)


def multiclass_nms(
    boxes: tf.Tensor,
    scores: tf.Tensor,
    *,
    score_threshold: float,
    iou_threshold: float,
    max_detections_per_class: int,
    max_total_detections: int,
) -> Detections:
    """Returns the boxes that survive greedy suppression in their class.

    A box must score more than score_threshold; it is suppressed by a better one of its class if
    their IoU is more than iou_threshold. Boxes are clipped to the image after that; those left
    without area go; the best of all classes stay. On ties the lower class, then the lower anchor.

    Args:
      boxes: float32 [B, A, 4], the same for all classes.
      scores: float32 [B, A, C], background cut off.
      score_threshold, iou_threshold, max_detections_per_class, max_total_detections: as in
        `batch_non_max_suppression`.
    """
    limits = _Limits(score_threshold, iou_threshold, max_detections_per_class, max_total_detections)
    signature = (tf.float32, tf.float32, tf.int32, tf.int32, tf.int32)
    return Detections(
        *tf.map_fn(
            lambda image: tuple(_detect(image[0], image[1], limits)),
            (boxes, scores),
            fn_output_signature=signature,
        )
    )


def _detect(boxes: tf.Tensor, scores: tf.Tensor, limits: _Limits) -> Detections:
    """Detections of one image: boxes [A, 4], scores [A, C]."""
    scores = tf.transpose(scores)  # [A, C] -> [C, A]
    preselected = tf.minimum(_PRESELECTED, tf.shape(scores)[1])
    best_scores, best_anchors = tf.math.top_k(scores, preselected)
    first_look = _suppress(boxes, best_scores, best_anchors, limits)

    def look_at_all() -> Detections:
        every_score, every_anchor = tf.math.top_k(scores, tf.shape(scores)[1])
        return _suppress(boxes, every_score, every_anchor, limits)

    def is_final() -> tf.Tensor:
        # Candidates left out score at most as the last one looked at. They cannot become
        # detections if that is under the threshold, or under the worst of a full set.
        is_full = first_look.num_detections == limits.total
        floor = tf.where(is_full, first_look.detection_scores[-1], limits.score_threshold)
        left_out = best_scores[:, -1]
        return tf.reduce_all((left_out < floor) | (left_out <= limits.score_threshold))

    has_all = preselected == tf.shape(scores)[1]
    return Detections(*tf.cond(has_all | is_final(), lambda: first_look, look_at_all))


def _suppress(
    boxes: tf.Tensor, scores: tf.Tensor, anchors: tf.Tensor, limits: _Limits
) -> Detections:
    """Detections among candidates: scores [C, K] in falling order, of anchors [C, K]."""

    def one_class(candidates: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        class_scores, class_anchors = candidates
        kept, _, count = tf.raw_ops.NonMaxSuppressionV5(
            boxes=tf.gather(boxes, class_anchors),
            scores=class_scores,
            max_output_size=limits.per_class,
            iou_threshold=limits.iou_threshold,
            score_threshold=limits.score_threshold,
            soft_nms_sigma=0.0,
            pad_to_max_output_size=True,
        )
        is_kept = tf.range(limits.per_class) < count
        return (
            tf.gather(class_anchors, kept),
            tf.where(is_kept, tf.gather(class_scores, kept), -1.0),
        )

    kept_anchors, kept_scores = tf.map_fn(
        one_class, (scores, anchors), fn_output_signature=(tf.int32, tf.float32)
    )
    kept_boxes = box_ops.clip(tf.gather(boxes, kept_anchors))  # [C, P, 4]
    kept_scores = tf.where(box_ops.area(kept_boxes) > 0.0, kept_scores, -1.0)
    return _best(kept_boxes, kept_scores, kept_anchors, limits)


def _best(boxes: tf.Tensor, scores: tf.Tensor, anchors: tf.Tensor, limits: _Limits) -> Detections:
    """The `total` best of [C, P] candidates; those with score -1 do not count."""
    missing = tf.maximum(0, limits.total - tf.size(scores))
    flat_scores = tf.pad(tf.reshape(scores, [-1]), [[0, missing]], constant_values=-1.0)
    best_scores, places = tf.math.top_k(flat_scores, limits.total)
    is_detection = best_scores >= 0.0
    places = tf.where(is_detection, places, 0)
    found = tf.cast(is_detection, tf.int32)
    best_boxes = tf.gather(tf.reshape(boxes, [-1, 4]), places)
    return Detections(
        detection_boxes=tf.where(is_detection[:, tf.newaxis], best_boxes, 0.0),
        detection_scores=tf.where(is_detection, best_scores, 0.0),
        detection_classes=places // limits.per_class * found,
        num_detections=tf.reduce_sum(found),
        anchor_indices=tf.gather(tf.reshape(anchors, [-1]), places) * found,
    )
