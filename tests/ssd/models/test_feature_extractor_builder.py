from __future__ import annotations

import pytest
from google.protobuf import text_format

from ssd.config.messages import message_class
from ssd.errors import InputError
from ssd.models import feature_extractor_builder
from ssd.models.extra_levels import SsdFeatureExtractor
from ssd.models.feature_pyramid import FpnFeatureExtractor
from ssd.models.hyperparams import BatchNorm
from ssd.models.mobilenet_v1 import MobileNetV1
from ssd.models.mobilenet_v2 import MobileNetV2

BATCH_NORM = "batch_norm { decay: 0.75 epsilon: 0.25 }"


def extractor_message(kind: str, text: str = "", normalizer: str = BATCH_NORM):
    message = message_class("SsdFeatureExtractor")()
    text_format.Parse(f"conv_hyperparams {{ activation: SWISH {normalizer} }} {text}", message)
    message.type = kind
    return message


def built(kind: str, text: str = "", normalizer: str = BATCH_NORM, frozen: bool = False):
    message = extractor_message(kind, text, normalizer)
    return feature_extractor_builder.build(message, freeze_batchnorm=frozen)


@pytest.mark.parametrize(
    ("kind", "text", "extractor", "backbone", "count"),
    [
        ("ssd_mobilenet_v1_keras", "", SsdFeatureExtractor, MobileNetV1, 6),
        ("ssd_mobilenet_v2_keras", "num_layers: 3", SsdFeatureExtractor, MobileNetV2, 3),
        ("ssd_mobilenet_v1_fpn_keras", "fpn { max_level: 6 }", FpnFeatureExtractor, MobileNetV1, 4),
        ("ssd_mobilenet_v2_fpn", "fpn { min_level: 4 }", FpnFeatureExtractor, MobileNetV2, 4),
    ],
)
def test_types(kind, text, extractor, backbone, count):
    found = built(kind, text + " depth_multiplier: 0.25")
    assert type(found) is extractor
    assert type(found.backbone) is backbone
    message = extractor_message(kind, text)
    assert feature_extractor_builder.num_feature_maps(message) == count
    assert len(found.feature_map_channels) == count


@pytest.mark.parametrize("kind", ["ssd_mobilenet_v2_keras", "ssd_mobilenet_v1_fpn_keras"])
@pytest.mark.parametrize("frozen", [False, True])
def test_a_backbone_follows_the_config_only_where_that_says_so(kind, frozen):
    given = BatchNorm(decay=0.75, epsilon=0.25, scale=False)
    found = built(kind, "depth_multiplier: 0.25", frozen=frozen)
    assert found.hyperparams.normalizer == given
    backbone = found.backbone.hyperparams
    assert backbone.normalizer == BatchNorm(decay=0.9997, epsilon=1e-3)
    assert backbone.activation == "RELU_6"
    assert backbone.initializer["config"]["stddev"] == 0.09
    assert backbone.freeze_batchnorm is frozen
    override = "override_base_feature_extractor_hyperparams: true"
    found = built(kind, f"depth_multiplier: 0.25 {override}", frozen=frozen)
    assert found.backbone.hyperparams == found.hyperparams
    assert found.backbone.stem_bn.frozen is frozen


@pytest.mark.parametrize(
    ("kind", "use_depthwise", "last", "top"),
    [
        # With use_depthwise the last blocks of a MobileNetV1 are narrower; here min_depth is 16.
        ("ssd_mobilenet_v1_fpn_keras", False, 256, 64),
        ("ssd_mobilenet_v1_fpn_keras", True, 128, 64),
        # The narrow last layer of a MobileNetV2 is only used under TF1.
        ("ssd_mobilenet_v2_fpn_keras", False, 640, 64),
        ("ssd_mobilenet_v2_fpn_keras", True, 640, 64),
        ("ssd_mobilenet_v2_fpn", False, 640, 64),
        ("ssd_mobilenet_v2_fpn", True, 128, 64),
    ],
)
def test_widths_of_a_pyramid(kind, use_depthwise, last, top):
    text = "depth_multiplier: 0.5 fpn { additional_layer_depth: 128 } use_depthwise: "
    found = built(kind, text + str(use_depthwise).lower())
    assert found.backbone.ssd_channels[1] == last
    assert found.feature_map_channels == (top,) * 5


def test_group_norm_where_all_channels_divide():
    override = "override_base_feature_extractor_hyperparams: true"
    found = built("ssd_mobilenet_v1_keras", override, "group_norm {}")
    kinds = {type(norm).__name__ for pairs in found.extra_levels for _, norm in pairs}
    assert kinds | {type(found.backbone.stem_bn).__name__} == {"GroupNormalization"}


@pytest.mark.parametrize(
    ("kind", "text", "layer", "channels"),
    [
        (
            "ssd_mobilenet_v2_keras",
            "override_base_feature_extractor_hyperparams: true",
            "expanded_conv_project_BN",
            16,
        ),
        # 256 * 0.35 = 89.6, cut.
        (
            "ssd_mobilenet_v1_keras",
            "depth_multiplier: 0.35",
            "Conv2d_13_pointwise_1_Conv2d_2_1x1_89_batchnorm",
            89,
        ),
        (
            "ssd_mobilenet_v2_fpn_keras",
            "fpn { additional_layer_depth: 80 }",
            "smoothing_2_batchnorm",
            80,
        ),
    ],
)
def test_group_norm_names_the_first_layer_that_does_not_divide(kind, text, layer, channels):
    with pytest.raises(
        InputError,
        match=rf"^conv_hyperparams.group_norm: {layer} has {channels} channels, which do not "
        r"divide into 32 groups; give batch_norm, or ",
    ):
        built(kind, text, "group_norm {}")
