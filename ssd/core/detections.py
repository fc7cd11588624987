"""What suppression is told and what it returns, whichever way it goes."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf


class Detections(NamedTuple):
    """Detections, highest score first; of one image without the B in front.

    Attributes:
      detection_boxes: float32 [B, D, 4], yxyx normalized, inside the clip window.
      detection_scores: float32 [B, D].
      detection_classes: int32 [B, D], class indices.
      num_detections: int32 [B], how many rows count.
      anchor_indices: int32 [B, D], which anchor each comes from.
    """

    detection_boxes: tf.Tensor
    detection_scores: tf.Tensor
    detection_classes: tf.Tensor
    num_detections: tf.Tensor
    anchor_indices: tf.Tensor


class NmsLimits(NamedTuple):
    """What bounds suppression.

    Attributes:
      score_threshold: scores of more than this take part.
      iou_threshold: overlaps of more than this suppress; soft suppression does not look at it.
      per_class: most detections of one class.
      total: most detections of an image.
      soft_nms_sigma: how gently boxes lose score to better ones; 0 is hard suppression.
      is_frame_changed: boxes are given as seen from the clip window.
    """

    score_threshold: float
    iou_threshold: float
    per_class: int
    total: int
    soft_nms_sigma: float = 0.0
    is_frame_changed: bool = False
