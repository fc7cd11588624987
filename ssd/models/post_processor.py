"""From predictions to detections, as `post_processing` says."""

from __future__ import annotations

from dataclasses import dataclass, field

import tensorflow as tf

from ssd.core import post_processing
from ssd.core.calibration import Calibration, calibrated_scores
from ssd.core.score_conversion import ScoreConverter
from ssd.standard_fields import DetectionFields


@dataclass(frozen=True)
class NmsSettings:
    """`batch_non_max_suppression`; see `post_processing.multiclass_nms` for the fields."""

    score_threshold: float
    iou_threshold: float
    max_detections_per_class: int
    max_total_detections: int
    change_coordinate_frame: bool = True
    use_static_shapes: bool = False
    use_class_agnostic_nms: bool = False
    soft_nms_sigma: float = 0.0
    use_partitioned_nms: bool = False
    use_combined_nms: bool = False


@dataclass(frozen=True)
class PostProcessor:
    """Score conversion, calibration and suppression.

    Attributes:
      nms: how overlapping boxes are suppressed.
      score_converter, logit_scale: logits -> scores.
      calibration: what maps those scores once more.
      has_background: column 0 of the class predictions is the background.
    """

    nms: NmsSettings
    score_converter: ScoreConverter = "SIGMOID"
    logit_scale: float = 1.0
    calibration: Calibration = field(default_factory=Calibration)
    has_background: bool = True

    def scores(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns float32 [B, A, C+1] scores of the class predictions, background included."""
        return calibrated_scores(
            logits,
            self.calibration,
            score_converter=self.score_converter,
            logit_scale=self.logit_scale,
        )

    @property
    def keeps_order(self) -> bool:
        """Whether a larger logit always means a larger score, whatever its row and column.

        Then the largest can be chosen before any score is computed, and `scores` takes them in any
        shape.
        """
        curves = self.calibration.curve is not None or self.calibration.class_curves
        return self.score_converter != "SOFTMAX" and self.logit_scale > 0 and not curves

    def class_scores(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns float32 [B, A, C]: `scores` without the background's column."""
        if self.score_converter == "SOFTMAX" or self.calibration.class_curves:
            return self.without_background(self.scores(logits))
        # Every column by itself: what is cut off afterwards need not be computed.
        return self.scores(self.without_background(logits))

    def without_background(self, columns: tf.Tensor) -> tf.Tensor:
        """Returns the class predictions or scores [..., C+1] without the background's column."""
        return columns[..., 1:] if self.has_background else columns

    def detections(
        self, raw_boxes: tf.Tensor, raw_scores: tf.Tensor, windows: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Returns detections by DetectionFields, classes as float32 class indices.

        Args:
          raw_boxes: float32 [B, A, 4].
          raw_scores: float32 [B, A, C+1], of `scores`.
          windows: float32 [B, 4], the part of each image that is not padding; None: all of it.
        """
        nms, fields = self.nms, DetectionFields
        found = post_processing.multiclass_nms(
            raw_boxes,
            self.without_background(raw_scores),
            score_threshold=nms.score_threshold,
            iou_threshold=nms.iou_threshold,
            max_detections_per_class=nms.max_detections_per_class,
            max_total_detections=nms.max_total_detections,
            clip_window=post_processing.WHOLE_IMAGE if windows is None else windows,
            change_coordinate_frame=nms.change_coordinate_frame and windows is not None,
            use_static_shapes=nms.use_static_shapes,
            use_class_agnostic_nms=nms.use_class_agnostic_nms,
            soft_nms_sigma=nms.soft_nms_sigma,
            use_partitioned_nms=nms.use_partitioned_nms,
            use_combined_nms=nms.use_combined_nms,
        )
        multiclass = tf.gather(raw_scores, found.anchor_indices, batch_dims=1)
        if not nms.use_static_shapes:  # There, rows beyond num_detections hold a real box.
            rows = tf.range(tf.shape(found.detection_scores)[1])[tf.newaxis]
            is_detection = (rows < found.num_detections[:, tf.newaxis])[..., tf.newaxis]
            multiclass = tf.where(is_detection, multiclass, 0.0)
        return {
            fields.detection_boxes: found.detection_boxes,
            fields.detection_scores: found.detection_scores,
            fields.detection_classes: tf.cast(found.detection_classes, tf.float32),
            fields.detection_anchor_indices: found.anchor_indices,
            fields.detection_multiclass_scores: multiclass,
            fields.num_detections: tf.cast(found.num_detections, tf.float32),
            fields.raw_detection_boxes: raw_boxes,
            fields.raw_detection_scores: raw_scores,
        }
