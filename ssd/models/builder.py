"""`model` of a pipeline.config -> Detector. The builders of this room are what sees messages."""

from __future__ import annotations

import itertools
from typing import Any

import keras

from ssd import image_resizer_builder
from ssd.errors import InputError
from ssd.models import (
    anchor_builder,
    box_predictor_builder,
    feature_extractor_builder,
    loss_builder,
    post_processing_builder,
    target_builder,
)
from ssd.models.detector import Detector, SsdNetwork

# Smaller inputs leave the coarsest backbone level without a pixel to pad from.
_MIN_IMAGE_SIDE = 33


def build_detector(model: Any, *, seed: int | None = None) -> Detector:
    """Returns the detector that `model` (a DetectionModel message) describes, freshly initialized.

    Args:
      model: its `ssd` section must be one that `ssd.config` does not refuse.
      seed: makes the initial variables repeatable; None draws new ones.

    Raises:
      InputError: the image size does not fit the feature pyramid, or heads and anchors do not fit.
    """
    if seed is not None:
        keras.utils.set_random_seed(seed)
    ssd = model.ssd
    image_resizer = image_resizer_builder.build(ssd.image_resizer)
    extractor_type = feature_extractor_builder.EXTRACTOR_TYPES[ssd.feature_extractor.type]
    if extractor_type.has_fpn and image_resizer.output_size is not None:
        _check_pyramid(ssd.feature_extractor, image_resizer.output_size)
    anchor_generator = anchor_builder.build(ssd.anchor_generator)
    num_maps = feature_extractor_builder.num_feature_maps(ssd.feature_extractor)
    extractor = feature_extractor_builder.build(
        ssd.feature_extractor, freeze_batchnorm=ssd.freeze_batchnorm
    )
    box_predictor = box_predictor_builder.build(
        ssd.box_predictor,
        num_class_columns=ssd.num_classes + int(ssd.add_background_class),
        num_anchors_per_location=anchor_generator.num_anchors_per_location(num_maps),
        feature_map_channels=extractor.feature_map_channels,
        freeze_batchnorm=ssd.freeze_batchnorm,
        is_tf1=extractor_type.is_tf1,
    )
    network = SsdNetwork(extractor, box_predictor)
    size = image_resizer.output_size or (None, None)
    predictions = network(keras.Input((*size, image_resizer.channels), batch_size=1))
    shapes = [tuple(feature_map.shape[1:3]) for feature_map in predictions["feature_maps"]]
    return Detector(
        network,
        anchor_generator=anchor_generator,
        num_classes=ssd.num_classes,
        image_resizer=image_resizer,
        box_coder=target_builder.build_box_coder(ssd.box_coder),
        assign_targets=target_builder.build(ssd),
        unmatched_class_label=target_builder.unmatched_class_label(ssd),
        loss=loss_builder.build(ssd),
        post_processor=post_processing_builder.build(
            ssd.post_processing, has_background=ssd.add_background_class
        ),
        feature_map_shapes=shapes if image_resizer.output_size else None,
    )


def _check_pyramid(message: Any, image_size: tuple[int, int]) -> None:
    if message.use_explicit_padding:
        return
    coarsest, multiple = min(message.fpn.max_level, 5), message.pad_to_multiple
    stride = 2**coarsest
    levels = range(message.fpn.min_level, coarsest + 1)
    padded = [-(-side // multiple) * multiple for side in image_size]
    # Maps of doubled size are added, and a convolution of stride 2 rounds up.
    maps = [[-(-side // 2**level) for level in levels] for side in padded]
    halves = all(fine == 2 * coarse for m in maps for fine, coarse in itertools.pairwise(m))
    if min(image_size) < _MIN_IMAGE_SIDE or not halves:
        raise InputError(
            f"model.ssd.image_resizer: {image_size[0]} x {image_size[1]} "
            f"(height x width) does not fit a feature pyramid up to stride {stride}: give "
            f"multiples of {stride}, at least 64"
        )
