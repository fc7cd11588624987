"""Greedy suppression, hard or soft, that looks at the best anchors first."""

from __future__ import annotations

import tensorflow as tf

from ssd.core import boxes as box_ops
from ssd.core.detections import Detections, NmsLimits

# Anchors whose best scores are looked at first, per detection wanted, and how many times more are
# looked at each time they were not enough.
_FIRST_LOOK = 8
_NEXT_LOOK = 8


def detect_image(
    boxes: tf.Tensor, scores: tf.Tensor, window: tf.Tensor, limits: NmsLimits
) -> Detections:
    """Returns the detections of one image; rows beyond num_detections are zero.

    Suppression goes down the scores, so leaving out everything up to some score changes nothing
    above it: if the detections are complete without the rest, they are those of all candidates.
    Most images need a few hundred of the A * C candidates. Soft suppression only lowers scores:
    what was left out cannot come to lie above.

    Args:
      boxes: float32 [A, 4], A >= 1.
      scores: float32 [A, C].
      window: float32 [4]; boxes are clipped to it after suppression, those without area go.
      limits: D is its total.
    """
    best_of_anchors = tf.reduce_max(scores, axis=1)  # [A, C] -> [A]
    num_anchors = tf.size(best_of_anchors)
    class_scores = tf.transpose(scores)  # [A, C] -> [C, A]

    def look(count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, Detections]:
        """Detections among the candidates above the floor, which is the count-th anchor's best."""
        last = tf.reduce_min(tf.math.top_k(best_of_anchors, count, sorted=False).values)
        is_partial = (count < num_anchors) & (last > limits.score_threshold)
        floor = tf.where(is_partial, last, limits.score_threshold)
        return count, floor, _suppress(boxes, class_scores, window, floor, limits)

    def is_incomplete(count: tf.Tensor, floor: tf.Tensor, found: Detections) -> tf.Tensor:
        return (found.num_detections < limits.total) & (floor > limits.score_threshold)

    return tf.while_loop(
        is_incomplete,
        lambda count, floor, found: look(tf.minimum(_NEXT_LOOK * count, num_anchors)),
        look(tf.minimum(_FIRST_LOOK * limits.total, num_anchors)),
    )[2]


def _suppress(
    boxes: tf.Tensor, scores: tf.Tensor, window: tf.Tensor, floor: tf.Tensor, limits: NmsLimits
) -> Detections:
    """Detections of one image among scores [C, A] of more than `floor`."""

    def one_class(class_scores: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        kept, kept_scores, count = tf.raw_ops.NonMaxSuppressionV5(
            boxes=boxes,
            scores=class_scores,
            max_output_size=limits.per_class,
            iou_threshold=limits.iou_threshold,
            score_threshold=floor,
            soft_nms_sigma=limits.soft_nms_sigma,
            pad_to_max_output_size=True,
        )
        return kept, tf.where(tf.range(limits.per_class) < count, kept_scores, -1.0)

    anchors, kept_scores = tf.map_fn(
        one_class, scores, fn_output_signature=(tf.int32, tf.float32)
    )  # [C, A] -> [C, P]
    kept_boxes = box_ops.clip_to_window(tf.gather(boxes, anchors), window)
    kept_scores = tf.where(box_ops.area(kept_boxes) > 0.0, kept_scores, -1.0)
    if limits.is_frame_changed:
        kept_boxes = box_ops.change_coordinate_frame(kept_boxes, window)
    return _best(kept_boxes, kept_scores, anchors, limits)


def _best(boxes: tf.Tensor, scores: tf.Tensor, anchors: tf.Tensor, limits: NmsLimits) -> Detections:
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
