"""SsdFeatureExtractor messages -> backbone and feature maps, of TF2 and of TF1 types.

A TF1 type is the same network with the differences of the original's TF1 graphs: widths after
min_depth decide about shortcuts, widths are scaled once, all kernels follow conv_hyperparams, and
pyramids pass sums on, not smoothed maps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import keras

from ssd.models import hyperparams_builder
from ssd.models.extra_levels import SsdFeatureExtractor
from ssd.models.feature_pyramid import FpnFeatureExtractor
from ssd.models.hyperparams import BACKBONE_DEFAULTS, ConvHyperparams
from ssd.models.mobilenet_v1 import MobileNetV1
from ssd.models.mobilenet_v2 import MobileNetV2

FeatureExtractor = FpnFeatureExtractor | SsdFeatureExtractor

# Last blocks of the backbone below a feature pyramid with use_depthwise, at depth 1.0.
_LITE_V1_LAST_BLOCKS = (512, 256)
_LITE_V2_LAST_CHANNELS = 256


@dataclass(frozen=True)
class ExtractorType:
    """What `feature_extractor.type` says.

    Attributes:
      mobilenet: 1 or 2.
      has_fpn: feature pyramid, or extra levels.
      is_tf1: of the TF1 original.
    """

    mobilenet: int
    has_fpn: bool
    is_tf1: bool


EXTRACTOR_TYPES = {
    f"ssd_mobilenet_v{version}{fpn}{suffix}": ExtractorType(version, bool(fpn), not suffix)
    for version in (1, 2)
    for fpn in ("", "_fpn")
    for suffix in ("_keras", "")
}


def num_feature_maps(message: Any) -> int:
    """Returns how many feature maps the extractor of an SsdFeatureExtractor message has."""
    if EXTRACTOR_TYPES[message.type].has_fpn:
        return int(message.fpn.max_level - message.fpn.min_level + 1)
    return int(message.num_layers)


def build(message: Any, *, freeze_batchnorm: bool) -> FeatureExtractor:
    """Returns the feature extractor that an SsdFeatureExtractor message describes."""
    kind = EXTRACTOR_TYPES[message.type]
    hyperparams = hyperparams_builder.build(
        message.conv_hyperparams, freeze_batchnorm=freeze_batchnorm, is_tf1=kind.is_tf1
    )
    backbone = _backbone(message, kind, hyperparams)
    padding = {
        "use_explicit_padding": message.use_explicit_padding,
        "pad_to_multiple": message.pad_to_multiple,
    }
    if not kind.has_fpn:
        return SsdFeatureExtractor(
            backbone,
            hyperparams,
            depth_multiplier=message.depth_multiplier,
            min_depth=message.min_depth,
            num_layers=message.num_layers,
            base_name="Conv2d_13_pointwise" if kind.mobilenet == 1 else "layer_19",
            # The original's two Keras classes name the same attribute differently.
            checkpoint_name=f"{'_' if kind.mobilenet == 1 else ''}feature_map_generator",
            use_depthwise=message.use_depthwise,
            **padding,
        )
    fpn = message.fpn
    depth = max(int(fpn.additional_layer_depth * message.depth_multiplier), message.min_depth)
    return FpnFeatureExtractor(
        backbone,
        hyperparams,
        min_level=fpn.min_level,
        max_level=fpn.max_level,
        depth=depth,
        first_coarse_number=14 if kind.mobilenet == 1 else 20,
        use_depthwise=message.use_depthwise,
        passes_smoothed=not kind.is_tf1,
        **padding,
    )


def _backbone(
    message: Any, kind: ExtractorType, hyperparams: ConvHyperparams
) -> keras.layers.Layer:
    if not message.override_base_feature_extractor_hyperparams:
        hyperparams = replace(
            BACKBONE_DEFAULTS,
            freeze_batchnorm=hyperparams.freeze_batchnorm,
            # TF1's MobileNetV2 leaves its depthwise kernels out, its MobileNetV1 does not.
            regularizes_backbone_depthwise=not (kind.is_tf1 and kind.mobilenet == 2),
        )
    is_lite = kind.has_fpn and message.use_depthwise
    widths = (hyperparams, message.depth_multiplier, message.min_depth)
    if kind.mobilenet == 1:
        return MobileNetV1(
            *widths,
            multiplies_once=kind.is_tf1,
            last_block_channels=_LITE_V1_LAST_BLOCKS if is_lite else None,
            use_explicit_padding=message.use_explicit_padding,
        )
    return MobileNetV2(
        *widths,
        # The original's Keras model makes this narrow layer, too, but does not use it.
        last_channels=_LITE_V2_LAST_CHANNELS if is_lite and kind.is_tf1 else 1280,
        compares_actual_widths=kind.is_tf1,
        use_explicit_padding=message.use_explicit_padding,
    )
