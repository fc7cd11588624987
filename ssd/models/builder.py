"""`model` of a pipeline.config -> Detector. The builders of this room are what sees messages."""

from __future__ import annotations

from typing import Any

import keras

from ssd.core import anchors
from ssd.errors import InputError
from ssd.models import box_predictor_builder, feature_extractor_builder
from ssd.models.detector import (
    Detector,
    LossSettings,
    MatcherSettings,
    PostProcessingSettings,
    SsdNetwork,
)

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
    extractor_type = feature_extractor_builder.EXTRACTOR_TYPES[ssd.feature_extractor.type]
    if extractor_type.has_fpn:
        _check_pyramid(ssd.feature_extractor, image_size)
    extractor = feature_extractor_builder.build(
        ssd.feature_extractor, freeze_batchnorm=ssd.freeze_batchnorm
    )
    num_maps = _num_feature_maps(ssd.feature_extractor, extractor_type.has_fpn)
    network = SsdNetwork(
        extractor,
        box_predictor_builder.build(
            ssd.box_predictor,
            num_class_columns=ssd.num_classes + int(ssd.add_background_class),
            num_anchors_per_location=_anchors_per_location(ssd.anchor_generator, num_maps),
            freeze_batchnorm=ssd.freeze_batchnorm,
            is_tf1=extractor_type.is_tf1,
        ),
    )
    predictions = network(keras.Input((*image_size, 3), batch_size=1))
    shapes = [tuple(feature_map.shape[1:3]) for feature_map in predictions["feature_maps"]]
    coder = ssd.box_coder.faster_rcnn_box_coder
    return Detector(
        network,
        _anchors(ssd.anchor_generator, shapes, image_size),
        num_classes=ssd.num_classes,
        image_size=image_size,
        box_code_scales=(coder.y_scale, coder.x_scale, coder.height_scale, coder.width_scale),
        matcher=_matcher(ssd.matcher.argmax_matcher),
        loss=_loss(ssd),
        post_processing=_post_processing(ssd.post_processing),
    )


def _num_feature_maps(message: Any, has_fpn: bool) -> int:
    return message.fpn.max_level - message.fpn.min_level + 1 if has_fpn else message.num_layers


def _anchors_per_location(message: Any, num_maps: int) -> list[int]:
    if message.HasField("multiscale_anchor_generator"):
        values = message.multiscale_anchor_generator
        return [len(values.aspect_ratios) * values.scales_per_octave] * num_maps
    return [
        len(shapes)
        for shapes in anchors.ssd_anchor_shapes(
            num_maps, **_ssd_shape_arguments(message.ssd_anchor_generator)
        )
    ]


def _ssd_shape_arguments(values: Any) -> dict[str, Any]:
    return {
        "min_scale": values.min_scale,
        "max_scale": values.max_scale,
        "scales": tuple(values.scales),
        "aspect_ratios": tuple(values.aspect_ratios),
        "interpolated_scale_aspect_ratio": values.interpolated_scale_aspect_ratio,
        "reduce_boxes_in_lowest_layer": values.reduce_boxes_in_lowest_layer,
    }


def _anchors(message: Any, shapes: Any, image_size: tuple[int, int]) -> Any:
    if message.HasField("multiscale_anchor_generator"):
        generator = message.multiscale_anchor_generator
        return anchors.multiscale_grid_anchors(
            shapes,
            image_size,
            min_level=generator.min_level,
            anchor_scale=generator.anchor_scale,
            aspect_ratios=tuple(generator.aspect_ratios),
            scales_per_octave=generator.scales_per_octave,
        )
    values = message.ssd_anchor_generator
    return anchors.ssd_anchors(
        shapes,
        image_size,
        **_ssd_shape_arguments(values),
        base_anchor_size=(values.base_anchor_height, values.base_anchor_width),
        height_stride=tuple(values.height_stride),
        width_stride=tuple(values.width_stride),
        height_offset=tuple(values.height_offset),
        width_offset=tuple(values.width_offset),
    )


def _check_pyramid(message: Any, image_size: tuple[int, int]) -> None:
    if message.use_explicit_padding:
        return
    stride = 2 ** min(message.fpn.max_level, 5)
    multiple = message.pad_to_multiple
    padded = [-(-side // multiple) * multiple for side in image_size]
    if min(image_size) < _MIN_IMAGE_SIDE or any(side % stride for side in padded):
        raise InputError(
            f"model.ssd.image_resizer.fixed_shape_resizer: {image_size[0]} x {image_size[1]} "
            f"(height x width) does not fit a feature pyramid up to stride {stride}: give "
            f"multiples of {stride}, at least 64"
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
