"""Sizes of feature maps without a network: those that the networks have."""

from __future__ import annotations

import keras
import pytest
from google.protobuf import text_format

from ssd.config.messages import message_class
from ssd.models import feature_extractor_builder
from ssd.models.feature_map_shapes import feature_map_shapes


def message_of(kind: str, text: str):
    message = message_class("SsdFeatureExtractor")()
    text_format.Parse(f"type: '{kind}' depth_multiplier: 0.1 min_depth: 4 {text}", message)
    return message


@pytest.mark.parametrize(
    ("kind", "text", "size"),
    [
        ("ssd_mobilenet_v2_keras", "", (300, 211)),
        ("ssd_mobilenet_v1_keras", "num_layers: 4 pad_to_multiple: 32", (95, 170)),
        ("ssd_mobilenet_v2", "use_explicit_padding: true", (101, 333)),
        ("ssd_mobilenet_v2_fpn_keras", "", (96, 160)),
        ("ssd_mobilenet_v1_fpn", "fpn { min_level: 4 max_level: 5 }", (64, 224)),
        (
            "ssd_mobilenet_v2_fpn_keras",
            "use_explicit_padding: true fpn { min_level: 3 max_level: 6 }",
            (101, 250),
        ),
        ("ssd_mobilenet_v1_fpn_keras", "pad_to_multiple: 64 fpn { max_level: 6 }", (70, 129)),
    ],
)
def test_those_of_the_network(kind, text, size):
    message = message_of(kind, text)
    extractor = feature_extractor_builder.build(message, freeze_batchnorm=False)
    maps = extractor(keras.Input((*size, 3), batch_size=1))
    expected = [tuple(each.shape[1:3]) for each in maps]
    assert feature_map_shapes(message, size) == expected


def test_by_hand():
    # 100 x 60 is padded to 128 x 64, then halved from stride 8 on.
    message = message_of("ssd_mobilenet_v2_fpn_keras", "pad_to_multiple: 64")
    assert feature_map_shapes(message, (100, 60)) == [(16, 8), (8, 4), (4, 2), (2, 1), (1, 1)]
