"""Raw predictions -> detections: scores, then non-maximum suppression per class."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from ssd.core import boxes as box_ops
from ssd.core.types import TensorLike

WHOLE_IMAGE = (0.0, 0.0, 1.0, 1.0)
# Anchors whose best scores are looked at first, per detection wanted, and how many times more are
# looked at each time they were not enough.
_FIRST_LOOK = 8
_NEXT_LOOK = 8


class Detections(NamedTuple):
    """Detections of a batch, highest score first; rows beyond num_detections are zero.

    Attributes:
      detection_boxes: float32 [B, D, 4], yxyx normalized, inside the clip window.
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
    is_frame_changed: bool


def sigmoid_scores(logits: TensorLike, *, logit_scale: float = 1.0) -> tf.Tensor:
    """Returns float32 scores in [0, 1]: the sigmoid of logits / logit_scale, same shape."""
    return tf.sigmoid(logits / logit_scale)


def multiclass_nms(
    boxes: TensorLike,
    scores: TensorLike,
    *,
    score_threshold: float,
    iou_threshold: float,
    max_detections_per_class: int,
    max_total_detections: int,
    clip_window: TensorLike | tuple[float, float, float, float] = WHOLE_IMAGE,
    change_coordinate_frame: bool = False,
    use_class_agnostic_nms: bool = False,
) -> Detections:
    """Returns the boxes that survive greedy suppression in their class.

    A box must score more than score_threshold; it is suppressed by a better one of its class if
    their IoU is more than iou_threshold. Boxes are clipped to the window after that; those left
    without area go; the best of all classes stay. On ties the lower class, then the lower anchor.

    Args:
      boxes: float32 [B, A, 4], yxyx normalized, the same for all classes.
      scores: float32 [B, A, C], background cut off.
      score_threshold, iou_threshold, max_detections_per_class, max_total_detections: as in
        `batch_non_max_suppression`; D is max_total_detections.
      clip_window: float32 [4] or [B, 4], yxyx.
      change_coordinate_frame: the window's corners become (0, 0) and (1, 1).
      use_class_agnostic_nms: each anchor counts with its best class only, all classes suppress
        each other, and max_detections_per_class does not matter.
    """
    boxes = tf.convert_to_tensor(boxes, tf.float32)
    scores = tf.convert_to_tensor(scores, tf.float32)
    windows = tf.broadcast_to(tf.cast(clip_window, tf.float32), [tf.shape(boxes)[0], 4])
    per_class = max_total_detections if use_class_agnostic_nms else max_detections_per_class
    limits = _Limits(
        score_threshold, iou_threshold, per_class, max_total_detections, change_coordinate_frame
    )
    class_scores = tf.reduce_max(scores, 2, keepdims=True) if use_class_agnostic_nms else scores

    def detect(image: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        image_boxes, image_scores, window = image
        return tuple(_detect(image_boxes, image_scores, window, limits))

    signature = (tf.float32, tf.float32, tf.int32, tf.int32, tf.int32)
    detections = Detections(
        *tf.map_fn(detect, (boxes, class_scores, windows), fn_output_signature=signature)
    )
    if not use_class_agnostic_nms:
        return detections
    best_class = tf.argmax(scores, axis=2, output_type=tf.int32)  # [B, A, C] -> [B, A]
    classes = tf.gather(best_class, detections.anchor_indices, batch_dims=1)
    is_detection = tf.range(limits.total) < detections.num_detections[:, tf.newaxis]
    return detections._replace(detection_classes=tf.where(is_detection, classes, 0))


def _detect(boxes: tf.Tensor, scores: tf.Tensor, window: tf.Tensor, limits: _Limits) -> Detections:
    """Detections of one image: boxes [A, 4], scores [A, C].

    Suppression goes down the scores, so leaving out everything up to some score changes nothing
    above it: if the detections are complete without the rest, they are those of all candidates.
    Most images need a few hundred of the A * C candidates.
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
    boxes: tf.Tensor, scores: tf.Tensor, window: tf.Tensor, floor: tf.Tensor, limits: _Limits
) -> Detections:
    """Detections of one image among scores [C, A] of more than `floor`."""

    def one_class(class_scores: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        kept, kept_scores, count = tf.raw_ops.NonMaxSuppressionV5(
            boxes=boxes,
            scores=class_scores,
            max_output_size=limits.per_class,
            iou_threshold=limits.iou_threshold,
            score_threshold=floor,
            soft_nms_sigma=0.0,
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
