"""The detector: one object from images to losses or detections."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from ssd.core import box_coder, losses, post_processing, target_assigner
from ssd.core.image_resizer import resize_bilinear_legacy
from ssd.models.box_predictor_builder import BoxPredictor
from ssd.models.feature_extractor_builder import FeatureExtractor
from ssd.standard_fields import DetectionFields, InputFields, PredictionFields

# Keras names a variable by its role in the layer, checkpoints by this.
_LEAF_NAMES = {keras.layers.DepthwiseConv2D: {"kernel": "depthwise_kernel"}}


@dataclass(frozen=True)
class MatcherSettings:
    """`argmax_matcher`; field names are those of pipeline.config."""

    matched_threshold: float | None
    unmatched_threshold: float | None
    negatives_lower_than_unmatched: bool
    force_match_for_each_row: bool


@dataclass(frozen=True)
class LossSettings:
    """`loss` and the normalization switches; field names are those of pipeline.config."""

    gamma: float
    alpha: float | None
    delta: float
    classification_weight: float
    localization_weight: float
    normalize_loss_by_num_matches: bool
    normalize_loc_loss_by_codesize: bool


@dataclass(frozen=True)
class PostProcessingSettings:
    """`post_processing`; field names are those of pipeline.config."""

    score_threshold: float
    iou_threshold: float
    max_detections_per_class: int
    max_total_detections: int
    logit_scale: float


class SsdNetwork(keras.Model):
    """Feature extractor and box predictor: everything that holds variables."""

    def __init__(self, feature_extractor: FeatureExtractor, box_predictor: BoxPredictor) -> None:
        super().__init__(name="ssd")
        self.feature_extractor = feature_extractor
        self.box_predictor = box_predictor

    def call(
        self, inputs: tf.Tensor, training: bool | None = None
    ) -> dict[str, tf.Tensor | list[tf.Tensor]]:
        """Returns predictions (PredictionFields) of float32 [B, H, W, 3] in [-1, 1]."""
        feature_maps = self.feature_extractor(inputs, training=training)
        predictions = self.box_predictor(feature_maps, training=training)
        return {**predictions, PredictionFields.feature_maps: feature_maps}


class Detector:
    """An SSD model with its anchors, losses and post-processing; no state but the variables.

    Args:
      network: built for `image_size`.
      anchors: float32 [A, 4], yxyx normalized, in the order of the predictions.
      num_classes: background not counted.
      image_size: (H, W) of the network's input.
      box_code_scales: (y, x, height, width) factors of the box encodings.
      matcher, loss, post_processing: settings of these stages.
    """

    def __init__(
        self,
        network: SsdNetwork,
        anchors: np.ndarray,
        *,
        num_classes: int,
        image_size: tuple[int, int],
        box_code_scales: tuple[float, float, float, float],
        matcher: MatcherSettings,
        loss: LossSettings,
        post_processing: PostProcessingSettings,
    ) -> None:
        self.network = network
        self.anchors = anchors
        self.num_classes = num_classes
        self.image_size = image_size
        self.box_code_scales = box_code_scales
        self.matcher_settings = matcher
        self.loss_settings = loss
        self.post_processing_settings = post_processing

    def preprocess(self, images: tf.Tensor) -> tf.Tensor:
        """Returns float32 [B, H, W, 3] in [-1, 1] of images [B, h, w, 3] with values 0..255.

        Scales first and resizes then, as the original does; images that already have the
        network's size are only scaled.
        """
        scaled = (2.0 / 255.0) * tf.cast(images, tf.float32) - 1.0
        if tuple(images.shape[1:3]) == self.image_size:
            return scaled
        return resize_bilinear_legacy(scaled, self.image_size)

    def predict(self, preprocessed: tf.Tensor, training: bool = False) -> dict:
        """Returns box_encodings [B, A, 4], class_predictions_with_background [B, A, C+1], maps."""
        return self.network(preprocessed, training=training)

    def assign_targets(self, groundtruth: dict[str, tf.Tensor]) -> target_assigner.Targets:
        """Returns what the heads should output for a training batch (InputFields keys)."""
        settings = self.matcher_settings
        return target_assigner.assign(
            self.anchors,
            groundtruth[InputFields.groundtruth_boxes],
            groundtruth[InputFields.groundtruth_classes_one_hot],
            groundtruth[InputFields.groundtruth_weights],
            matched_threshold=settings.matched_threshold,
            unmatched_threshold=settings.unmatched_threshold,
            negatives_lower_than_unmatched=settings.negatives_lower_than_unmatched,
            force_match_for_each_row=settings.force_match_for_each_row,
            scale_factors=self.box_code_scales,
        )

    def loss(
        self, predictions: dict[str, tf.Tensor], groundtruth: dict[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Returns the named scalars whose sum is minimized.

        Args:
          predictions: of `predict`.
          groundtruth: groundtruth_boxes [B, G, 4], groundtruth_classes_one_hot [B, G, C],
            groundtruth_weights [B, G] (0 in padded rows).

        Returns:
          float32 scalars localization_loss and classification_loss, both divided by the sum of
          the matched anchors' weights over the whole batch (at least 1) if
          normalize_loss_by_num_matches. Regularization is not in them: see `regularization_loss`.
        """
        settings = self.loss_settings
        targets = self.assign_targets(groundtruth)
        localization = losses.smooth_l1(
            predictions[PredictionFields.box_encodings],
            targets.reg_targets,
            targets.reg_weights,
            delta=settings.delta,
        )
        classification = losses.sigmoid_focal(
            predictions[PredictionFields.class_predictions_with_background],
            targets.cls_targets,
            targets.cls_weights,
            gamma=settings.gamma,
            alpha=settings.alpha,
        )
        normalizer = tf.constant(1.0)
        if settings.normalize_loss_by_num_matches:
            normalizer = losses.num_matches_normalizer(targets.reg_weights)
        code_size = 4.0 if settings.normalize_loc_loss_by_codesize else 1.0
        localization_scale = settings.localization_weight / (normalizer * code_size)
        classification_scale = settings.classification_weight / normalizer
        return {
            "localization_loss": tf.reduce_sum(localization) * localization_scale,
            "classification_loss": tf.reduce_sum(classification) * classification_scale,
        }

    def regularization_loss(self) -> tf.Tensor:
        """Returns the float32 scalar sum of all kernels' regularizers."""
        terms = self.network.losses
        return tf.add_n(terms) if terms else tf.constant(0.0)

    def postprocess(self, predictions: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns detections by DetectionFields, classes as float32 class indices.

        Returns:
          detection_boxes [B, D, 4] clipped to the image, detection_scores, detection_classes,
          detection_anchor_indices [B, D], detection_multiclass_scores [B, D, C+1],
          num_detections [B]; raw_detection_boxes [B, A, 4], raw_detection_scores [B, A, C+1].
          Rows beyond num_detections are zero.
        """
        settings = self.post_processing_settings
        raw_boxes = box_coder.decode_boxes(
            predictions[PredictionFields.box_encodings], self.anchors, self.box_code_scales
        )
        raw_scores = post_processing.sigmoid_scores(
            predictions[PredictionFields.class_predictions_with_background],
            logit_scale=settings.logit_scale,
        )
        nms = post_processing.multiclass_nms(
            raw_boxes,
            raw_scores[..., 1:],
            score_threshold=settings.score_threshold,
            iou_threshold=settings.iou_threshold,
            max_detections_per_class=settings.max_detections_per_class,
            max_total_detections=settings.max_total_detections,
        )
        rows = tf.range(tf.shape(nms.detection_scores)[1])[tf.newaxis]
        is_detection = (rows < nms.num_detections[:, tf.newaxis])[..., tf.newaxis]
        multiclass = tf.gather(raw_scores, nms.anchor_indices, batch_dims=1)
        fields = DetectionFields
        return {
            fields.detection_boxes: nms.detection_boxes,
            fields.detection_scores: nms.detection_scores,
            fields.detection_classes: tf.cast(nms.detection_classes, tf.float32),
            fields.detection_anchor_indices: nms.anchor_indices,
            fields.detection_multiclass_scores: tf.where(is_detection, multiclass, 0.0),
            fields.num_detections: tf.cast(nms.num_detections, tf.float32),
            fields.raw_detection_boxes: raw_boxes,
            fields.raw_detection_scores: raw_scores,
        }

    def checkpoint_layers(self) -> dict[str, keras.layers.Layer]:
        """All layers that hold variables, by their path below `model/` in checkpoints."""
        parts = {
            "_feature_extractor": self.network.feature_extractor.checkpoint_layers(),
            "_box_predictor": self.network.box_predictor.checkpoint_layers(),
        }
        return {
            f"{part}/{path}": layer
            for part, layers in parts.items()
            for path, layer in layers.items()
        }

    def checkpoint_variables(self) -> dict[str, tf.Variable]:
        """All variables by their path below `model/` in checkpoints."""
        return {
            f"{path}/{leaf}": variable
            for path, layer in self.checkpoint_layers().items()
            for leaf, variable in _layer_variables(layer).items()
        }


def _layer_variables(layer: keras.layers.Layer) -> dict[str, tf.Variable]:
    renamed = _LEAF_NAMES.get(type(layer), {})
    return {renamed.get(v.name, v.name): v.value for v in layer.variables}
