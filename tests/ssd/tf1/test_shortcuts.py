from __future__ import annotations

from types import SimpleNamespace

import pytest

from ssd.errors import InputError
from ssd.models.hyperparams import BACKBONE_DEFAULTS
from ssd.models.mobilenet_v1 import MobileNetV1
from ssd.models.mobilenet_v2 import MobileNetV2
from ssd.tf1.shortcuts import require_same_shortcuts


def detector_on(backbone):
    return SimpleNamespace(
        network=SimpleNamespace(feature_extractor=SimpleNamespace(backbone=backbone))
    )


def v2(depth_multiplier: float, min_depth: int, **kwargs) -> MobileNetV2:
    return MobileNetV2(BACKBONE_DEFAULTS, depth_multiplier, min_depth, **kwargs)


@pytest.mark.parametrize(
    ("depth_multiplier", "block"),
    [
        # Stem max(16, 16), block 0 max(8, 16): 16 and 16, of stride 1.
        (0.5, "expanded_conv"),
        (0.35, "expanded_conv"),
    ],
)
def test_a_missing_shortcut_is_refused(depth_multiplier, block):
    backbone = v2(depth_multiplier, 16)
    with pytest.raises(
        InputError,
        match=rf"m\.ckpt: a TF1 checkpoint; its graph has a shortcut around {block} .*: "
        "set feature_extractor.type to the one without _keras",
    ):
        require_same_shortcuts("m.ckpt", detector_on(backbone))


@pytest.mark.parametrize(
    "backbone",
    [
        pytest.param(v2(0.35, 16, compares_actual_widths=True), id="the TF1 model"),
        pytest.param(v2(1.0, 16), id="depth 1"),
        pytest.param(v2(0.75, 16), id="depth 0.75"),
        pytest.param(v2(0.5, 8), id="min_depth that does not apply"),
        pytest.param(MobileNetV1(BACKBONE_DEFAULTS, 0.5), id="no shortcuts at all"),
    ],
)
def test_equal_graphs(backbone):
    require_same_shortcuts("m.ckpt", detector_on(backbone))
