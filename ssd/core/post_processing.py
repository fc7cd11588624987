"""Raw predictions -> detections: scores, then non-maximum suppression per class."""

from __future__ import annotations

import tensorflow as tf

from ssd.core import combined_nms, greedy_nms, static_nms
from ssd.core.detections import Detections as Detections
from ssd.core.detections import NmsLimits
from ssd.core.score_conversion import sigmoid_scores as sigmoid_scores
from ssd.core.types import TensorLike
from ssd.errors import InputError

WHOLE_IMAGE = (0.0, 0.0, 1.0, 1.0)


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
    use_static_shapes: bool = False,
    use_class_agnostic_nms: bool = False,
    soft_nms_sigma: float = 0.0,
    use_partitioned_nms: bool = False,
    use_combined_nms: bool = False,
) -> Detections:
    """Returns the boxes that survive greedy suppression in their class.

    A box must score more than score_threshold; it is suppressed by a better one of its class if
    their IoU is more than iou_threshold. Boxes are clipped to the window after that; those left
    without area go; the best of all classes stay. On ties the lower class, then the lower anchor.
    Rows beyond num_detections are zero.

    The other settings of `batch_non_max_suppression` change no number: use_hard_nms is what
    soft_nms_sigma 0 means, use_cpu_nms where it runs, and max_classes_per_detection must be 1 for
    use_class_agnostic_nms and is for nothing else.

    Args:
      boxes: float32 [B, A, 4], yxyx normalized, the same for all classes.
      scores: float32 [B, A, C], background cut off; A and C static.
      score_threshold, iou_threshold, max_detections_per_class, max_total_detections: as in
        `batch_non_max_suppression`; D is max_total_detections.
      clip_window: float32 [4] or [B, 4], yxyx.
      change_coordinate_frame: the window's corners become (0, 0) and (1, 1).
      use_static_shapes: D is at most C * max_detections_per_class, and rows beyond num_detections
        are what the original leaves in them, with score -1 (see `static_nms`).
      use_class_agnostic_nms: each anchor counts with its best class only, all classes suppress
        each other, and max_detections_per_class does not matter.
      soft_nms_sigma: if not 0, nothing is suppressed: every better box of its class takes score off
        a box, by the factor exp(-IoU^2 / (2 sigma)), and iou_threshold does not matter
        (https://arxiv.org/abs/1704.04503, whose sigma is twice this one).
      use_partitioned_nms: suppress tile by tile; only looked at with use_static_shapes.
      use_combined_nms: detections of `tf.image.combined_non_max_suppression`: boxes are cut at the
        window last, and none goes for it (see `combined_nms`).

    Raises:
      InputError: settings that exclude each other, as in the original.
    """
    _check(
        use_combined_nms=use_combined_nms,
        use_static_shapes=use_static_shapes,
        soft_nms_sigma=soft_nms_sigma,
        use_class_agnostic_nms=use_class_agnostic_nms,
        change_coordinate_frame=change_coordinate_frame,
    )
    boxes = tf.convert_to_tensor(boxes, tf.float32)
    scores = tf.convert_to_tensor(scores, tf.float32)
    if boxes.shape[1] == 0:
        # One anchor that is never detected, so that there is something to gather from.
        boxes = tf.pad(boxes, [[0, 0], [0, 1], [0, 0]])
        scores = tf.pad(scores, [[0, 0], [0, 1], [0, 0]], constant_values=scores.dtype.min)
    if use_combined_nms or use_static_shapes:
        scores = tf.where(tf.math.is_nan(scores), scores.dtype.min, scores)
    windows = tf.broadcast_to(tf.cast(clip_window, tf.float32), [tf.shape(boxes)[0], 4])
    limits = NmsLimits(
        score_threshold,
        iou_threshold,
        max_total_detections if use_class_agnostic_nms else max_detections_per_class,
        max_total_detections,
        soft_nms_sigma,
        change_coordinate_frame,
    )
    if use_combined_nms:
        return combined_nms.detect_batch(
            boxes, scores, windows, limits, pad_per_class=use_static_shapes
        )

    def detect(image: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        if use_static_shapes:
            return tuple(
                static_nms.detect_image(*image, limits, use_partitioned_nms=use_partitioned_nms)
            )
        return tuple(greedy_nms.detect_image(*image, limits))

    class_scores = tf.reduce_max(scores, 2, keepdims=True) if use_class_agnostic_nms else scores
    signature = (tf.float32, tf.float32, tf.int32, tf.int32, tf.int32)
    detections = Detections(
        *tf.map_fn(detect, (boxes, class_scores, windows), fn_output_signature=signature)
    )
    if not use_class_agnostic_nms:
        return detections
    classes = _best_classes(scores, detections)
    if not use_static_shapes:
        rows = tf.range(max_total_detections)
        classes = tf.where(rows < detections.num_detections[:, tf.newaxis], classes, 0)
    return detections._replace(detection_classes=classes)


def _best_classes(scores: tf.Tensor, detections: Detections) -> tf.Tensor:
    """int32 [B, D], the class in which the anchor of each row scores most; the lower on ties."""
    best_class = tf.argmax(scores, axis=2, output_type=tf.int32)  # [B, A, C] -> [B, A]
    return tf.gather(best_class, detections.anchor_indices, batch_dims=1)


def _check(
    *,
    use_combined_nms: bool,
    use_static_shapes: bool,
    soft_nms_sigma: float,
    use_class_agnostic_nms: bool,
    change_coordinate_frame: bool,
) -> None:
    if use_static_shapes and soft_nms_sigma:
        raise InputError(
            f"soft_nms_sigma is {soft_nms_sigma:g}, which does not go with use_static_shapes; "
            "remove one of them."
        )
    excluded = {
        "soft_nms_sigma": bool(soft_nms_sigma),
        "use_class_agnostic_nms": use_class_agnostic_nms,
        "change_coordinate_frame": change_coordinate_frame,
    }
    for name, is_set in excluded.items():
        if use_combined_nms and is_set:
            raise InputError(
                f"{name} is set, which does not go with use_combined_nms; remove one of them."
            )
