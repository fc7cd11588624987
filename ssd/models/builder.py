"""`model` of a pipeline.config -> Detector. The only place of this room that sees messages."""

from __future__ import annotations

from typing import Any

import keras

from ssd.core import anchors
from ssd.errors import InputError
from ssd.models.box_predictor import WeightSharedBoxPredictor
from ssd.models.detector import (
    Detector,
    LossSettings,
    MatcherSettings,
    PostProcessingSettings,
    SsdNetwork,
)
from ssd.models.feature_maps import FpnFeatureExtractor
from ssd.models.hyperparams import ConvHyperparams
from ssd.models.mobilenet import MobileNetV2

# Smaller inputs leave the coarsest backbone level without a pixel to pad from.
_MIN_IMAGE_SIDE = 33


def build_detector(model: Any, *, seed: int | None = None) -> Detector:
    """Returns the detector that `model` (a DetectionModel message) describes, freshly initialized.

    Args:
      model: its `ssd` section must be one that `ssd.config` does not refuse.
      seed: makes the initial variables repeatable; None draws new ones.

    Raises:
      InputError: the image size does not fit the feature pyramid.
    """
    if seed is not None:
        keras.utils.set_random_seed(seed)
    ssd = model.ssd
    resizer = ssd.image_resizer.fixed_shape_resizer
    image_size = (resizer.height, resizer.width)
    generator = ssd.anchor_generator.multiscale_anchor_generator
    per_location = len(generator.aspect_ratios) * generator.scales_per_octave
    network = SsdNetwork(
        _feature_extractor(ssd.feature_extractor, ssd.freeze_batchnorm, image_size),
        _box_predictor(ssd, per_location),
    )
    predictions = network(keras.Input((*image_size, 3), batch_size=1))
    shapes = [tuple(feature_map.shape[1:3]) for feature_map in predictions["feature_maps"]]
    coder = ssd.box_coder.faster_rcnn_box_coder
    return Detector(
        network,
        anchors.multiscale_grid_anchors(
            shapes,
            image_size,
            min_level=generator.min_level,
            anchor_scale=generator.anchor_scale,
            aspect_ratios=tuple(generator.aspect_ratios),
            scales_per_octave=generator.scales_per_octave,
        ),
        num_classes=ssd.num_classes,
        image_size=image_size,
        box_code_scales=(coder.y_scale, coder.x_scale, coder.height_scale, coder.width_scale),
        matcher=_matcher(ssd.matcher.argmax_matcher),
        loss=_loss(ssd),
        post_processing=_post_processing(ssd.post_processing),
    )


def conv_hyperparams(message: Any, *, freeze_batchnorm: bool) -> ConvHyperparams:
    """Returns the plain form of a Hyperparams message."""
    kind = message.initializer.WhichOneof("initializer_oneof")
    values = getattr(message.initializer, kind)
    if kind == "variance_scaling_initializer":
        initializer = _variance_scaling(values)
    else:
        names = {
            "truncated_normal_initializer": "TruncatedNormal",
            "random_normal_initializer": "RandomNormal",
        }
        config = {"mean": values.mean, "stddev": values.stddev}
        initializer = {"class_name": names[kind], "config": config}
    has_l2 = message.regularizer.WhichOneof("regularizer_oneof") == "l2_regularizer"
    return ConvHyperparams(
        l2_weight=message.regularizer.l2_regularizer.weight if has_l2 else 0.0,
        initializer=initializer,
        batch_norm_decay=message.batch_norm.decay,
        batch_norm_epsilon=message.batch_norm.epsilon,
        freeze_batchnorm=freeze_batchnorm,
    )


def _variance_scaling(values: Any) -> dict[str, Any]:
    modes = {0: "fan_in", 1: "fan_out", 2: "fan_avg"}
    distribution = "uniform" if values.uniform else "truncated_normal"
    config = {"scale": values.factor, "mode": modes[values.mode], "distribution": distribution}
    return {"class_name": "VarianceScaling", "config": config}


def _feature_extractor(
    message: Any, freeze_batchnorm: bool, image_size: tuple[int, int]
) -> FpnFeatureExtractor:
    hyperparams = conv_hyperparams(message.conv_hyperparams, freeze_batchnorm=freeze_batchnorm)
    fpn = message.fpn
    stride = 2 ** min(fpn.max_level, 5)
    if min(image_size) < _MIN_IMAGE_SIDE or any(side % stride for side in image_size):
        raise InputError(
            f"model.ssd.image_resizer.fixed_shape_resizer: {image_size[0]} x {image_size[1]} "
            f"(height x width) does not fit a feature pyramid up to stride {stride}: give "
            f"multiples of {stride}, at least 64"
        )
    backbone = MobileNetV2(hyperparams, message.depth_multiplier, message.min_depth)
    depth = max(int(fpn.additional_layer_depth * message.depth_multiplier), message.min_depth)
    return FpnFeatureExtractor(
        backbone,
        hyperparams,
        min_level=fpn.min_level,
        max_level=fpn.max_level,
        depth=depth,
        use_depthwise=message.use_depthwise,
    )


def _box_predictor(ssd: Any, num_anchors_per_location: int) -> WeightSharedBoxPredictor:
    message = ssd.box_predictor.weight_shared_convolutional_box_predictor
    fpn = ssd.feature_extractor.fpn
    return WeightSharedBoxPredictor(
        conv_hyperparams(message.conv_hyperparams, freeze_batchnorm=ssd.freeze_batchnorm),
        num_levels=fpn.max_level - fpn.min_level + 1,
        num_classes=ssd.num_classes,
        num_anchors_per_location=num_anchors_per_location,
        depth=message.depth,
        num_layers_before_predictor=message.num_layers_before_predictor,
        kernel_size=message.kernel_size,
        class_prediction_bias_init=message.class_prediction_bias_init,
        share_prediction_tower=message.share_prediction_tower,
        use_depthwise=message.use_depthwise,
    )


def _matcher(message: Any) -> MatcherSettings:
    ignore = message.ignore_thresholds
    return MatcherSettings(
        # Without thresholds every anchor takes its best box, however little they overlap.
        matched_threshold=None if ignore else message.matched_threshold,
        unmatched_threshold=None if ignore else message.unmatched_threshold,
        negatives_lower_than_unmatched=message.negatives_lower_than_unmatched,
        force_match_for_each_row=message.force_match_for_each_row,
    )


def _loss(ssd: Any) -> LossSettings:
    focal = ssd.loss.classification_loss.weighted_sigmoid_focal
    return LossSettings(
        gamma=focal.gamma,
        alpha=focal.alpha if focal.HasField("alpha") else None,
        delta=ssd.loss.localization_loss.weighted_smooth_l1.delta,
        classification_weight=ssd.loss.classification_weight,
        localization_weight=ssd.loss.localization_weight,
        normalize_loss_by_num_matches=ssd.normalize_loss_by_num_matches,
        normalize_loc_loss_by_codesize=ssd.normalize_loc_loss_by_codesize,
    )


def _post_processing(message: Any) -> PostProcessingSettings:
    nms = message.batch_non_max_suppression
    return PostProcessingSettings(
        score_threshold=nms.score_threshold,
        iou_threshold=nms.iou_threshold,
        max_detections_per_class=nms.max_detections_per_class,
        max_total_detections=nms.max_total_detections,
        logit_scale=message.logit_scale,
    )
