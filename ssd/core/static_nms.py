"""Suppression with `use_static_shapes`: every class yields the same number of rows.

What fills the rows beyond the detections is what the original leaves there; their score is -1.
"""

from __future__ import annotations

import tensorflow as tf

from ssd.core import boxes as box_ops
from ssd.core.detections import Detections, NmsLimits
from ssd.core.partitioned_nms import partitioned_nms


def detect_image(
    boxes: tf.Tensor,
    scores: tf.Tensor,
    window: tf.Tensor,
    limits: NmsLimits,
    *,
    use_partitioned_nms: bool,
) -> Detections:
    """Returns the detections of one image; D is the least of total and C * per_class.

    Boxes without area after clipping do not count and lie behind the detections. Behind them come
    the rows that no box took: the first anchor, or the last by score if `use_partitioned_nms`.

    Args:
      boxes: float32 [A, 4], A >= 1.
      scores: float32 [A, C], not NaN.
      window: float32 [4].
      limits: soft_nms_sigma must be 0.
      use_partitioned_nms: suppress as `partitioned_nms` does.
    """
    select = _select_partitioned if use_partitioned_nms else _select_padded

    def one_class(class_scores: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        anchors, kept_boxes, count = select(boxes, class_scores, limits)
        is_kept = tf.range(limits.per_class) < count
        return anchors, kept_boxes, tf.where(is_kept, tf.gather(class_scores, anchors), -1.0)

    anchors, kept_boxes, kept_scores = tf.map_fn(
        one_class,
        tf.transpose(scores),
        fn_output_signature=(
            tf.TensorSpec([limits.per_class], tf.int32),
            tf.TensorSpec([limits.per_class, 4], tf.float32),
            tf.TensorSpec([limits.per_class], tf.float32),
        ),
    )  # [C, A] -> [C, P]
    return _rank(anchors, kept_boxes, kept_scores, window, limits)


def _select_padded(
    boxes: tf.Tensor, scores: tf.Tensor, limits: NmsLimits
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Anchors [P], their boxes [P, 4] and how many of them count."""
    anchors, count = tf.image.non_max_suppression_padded(
        boxes,
        scores,
        limits.per_class,
        iou_threshold=limits.iou_threshold,
        score_threshold=limits.score_threshold,
        pad_to_max_output_size=True,
    )
    return anchors, tf.gather(boxes, anchors), count


def _select_partitioned(
    boxes: tf.Tensor, scores: tf.Tensor, limits: NmsLimits
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """As `_select_padded`; the boxes are a rounding away from those that came in."""
    return partitioned_nms(
        boxes,
        scores,
        max_output_size=limits.per_class,
        iou_threshold=limits.iou_threshold,
        score_threshold=limits.score_threshold,
    )


def _rank(
    anchors: tf.Tensor,
    boxes: tf.Tensor,
    scores: tf.Tensor,
    window: tf.Tensor,
    limits: NmsLimits,
) -> Detections:
    """The `total` best rows of [C, P]; those that do not count keep their order by score."""
    num_rows = scores.shape[0] * limits.per_class
    total = min(limits.total, num_rows)
    by_score = tf.math.top_k(tf.reshape(scores, [-1]), num_rows).indices
    clipped = box_ops.clip_to_window(tf.gather(tf.reshape(boxes, [-1, 4]), by_score), window)
    area = box_ops.area(clipped)
    # An inverted box has a negative area and counts, as in the original; NaN is neither.
    has_area = (area > 0.0) | (area < 0.0)
    ranked = tf.where(has_area, tf.gather(tf.reshape(scores, [-1]), by_score), -1.0)
    best_scores, rows = tf.math.top_k(ranked, total)
    best_boxes = tf.gather(clipped, rows)
    if limits.is_frame_changed:
        best_boxes = box_ops.change_coordinate_frame(best_boxes, window)
    places = tf.gather(by_score, rows)
    counting = tf.reduce_sum(tf.cast(ranked >= 0.0, tf.int32))
    return Detections(
        detection_boxes=best_boxes,
        detection_scores=best_scores,
        detection_classes=places // limits.per_class,
        num_detections=tf.minimum(counting, total),
        anchor_indices=tf.gather(tf.reshape(anchors, [-1]), places),
    )
