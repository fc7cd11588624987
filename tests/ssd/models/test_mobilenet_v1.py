from __future__ import annotations

import keras
import numpy as np
import pytest

from ssd.models.hyperparams import BatchNorm, ConvHyperparams
from ssd.models.mobilenet_v1 import MobileNetV1
from ssd.models.padding import PaddedConv2D, PaddedDepthwiseConv2D

HYPERPARAMS = ConvHyperparams(
    initializer={"class_name": "RandomNormal", "config": {"stddev": 0.1}},
    regularizer={"class_name": "L2", "config": {"l2": 2e-5}},
    normalizer=BatchNorm(decay=0.9),
)
# Stem; then the widths of blocks 1, 2-3, 4-5, 6-11, 12-13, which occur so often:
REPEATS = (1, 2, 2, 6, 2)


def widths(backbone: MobileNetV1) -> list[int]:
    return [backbone.stem.filters, *(block[2].filters for block in backbone.blocks)]


@pytest.mark.parametrize(
    ("depth_multiplier", "min_depth", "multiplies_once", "expected"),
    [
        (1.0, 16, False, (32, 64, 128, 256, 512, 1024)),
        (1.0, 16, True, (32, 64, 128, 256, 512, 1024)),
        # Scaled twice: 32 * 0.75 = 24, 24 * 0.75 = 18; 64 -> 48 -> 36; ... 1024 -> 768 -> 576.
        (0.75, 16, False, (18, 36, 72, 144, 288, 576)),
        (0.75, 16, True, (24, 48, 96, 192, 384, 768)),
        # Cut each time: 32 * 0.35 = 11.2, 11 * 0.35 = 3.85; 64 -> 22 -> 7; 128 -> 44 -> 15;
        # 256 -> 89 -> 31; 512 -> 179 -> 62; 1024 -> 358 -> 125.
        (0.35, 1, False, (3, 7, 15, 31, 62, 125)),
        (0.35, 20, False, (20, 20, 20, 31, 62, 125)),
        (0.35, 20, True, (20, 22, 44, 89, 179, 358)),
    ],
)
def test_channels(depth_multiplier, min_depth, multiplies_once, expected):
    backbone = MobileNetV1(
        HYPERPARAMS, depth_multiplier, min_depth, multiplies_once=multiplies_once
    )
    stem, *blocks = expected
    per_block = [channels for channels, n in zip(blocks, REPEATS, strict=True) for _ in range(n)]
    assert widths(backbone) == [stem, *per_block]
    assert backbone.ssd_channels == (blocks[3], blocks[4])


def test_the_last_two_blocks_may_have_other_widths_scaled_once():
    backbone = MobileNetV1(HYPERPARAMS, 0.5, 16, last_block_channels=(512, 256))
    # 512 -> 256 -> 128 in blocks 6 to 11; then 512 * 0.5 and 256 * 0.5.
    assert widths(backbone)[7:] == [128] * 5 + [256, 128]


@pytest.fixture(scope="module")
def narrow() -> MobileNetV1:
    keras.utils.set_random_seed(3)
    backbone = MobileNetV1(HYPERPARAMS, 0.5, 8)
    backbone(np.zeros((1, 96, 160, 3), np.float32))
    return backbone


def test_levels_have_their_strides_and_channels(narrow):
    features = narrow(np.zeros((2, 96, 160, 3), np.float32))
    # A quarter of 128, 256, 512 and 1024: the multiplier counts twice.
    assert {level: tuple(x.shape) for level, x in features.levels.items()} == {
        2: (2, 24, 40, 32),
        3: (2, 12, 20, 64),
        4: (2, 6, 10, 128),
        5: (2, 3, 5, 256),
    }
    for ssd_map, level in zip(features.ssd_maps, (4, 5), strict=True):
        np.testing.assert_array_equal(ssd_map, features.levels[level])
    assert [x.shape[-1] for x in features.ssd_maps] == list(narrow.ssd_channels)


def test_sizes_round_up(narrow):
    levels = narrow(np.zeros((1, 97, 130, 3), np.float32)).levels
    # 97 -> 49 -> 25 -> 13 -> 7 -> 4; 130 -> 65 -> 33 -> 17 -> 9 -> 5.
    assert [tuple(levels[n].shape[1:3]) for n in (2, 3, 4, 5)] == [
        (25, 33),
        (13, 17),
        (7, 9),
        (4, 5),
    ]


def test_every_level_follows_an_activation(narrow):
    images = np.random.default_rng(0).uniform(-1, 1, (1, 96, 160, 3)).astype(np.float32)
    for x in narrow(images, training=True).levels.values():
        assert x.numpy().min() == 0.0
        assert 0.0 < x.numpy().max() <= 6.0


def test_layers_in_order(narrow):
    layers = narrow.layers_in_order()
    # Stem 2, 13 blocks of 4.
    assert len(layers) == 54
    assert [layer.name for layer in layers[:6]] == [
        "conv1",
        "conv1_bn",
        "conv_dw_1",
        "conv_dw_1_bn",
        "conv_pw_1",
        "conv_pw_1_bn",
    ]
    assert all(layer.variables for layer in layers)
    strides = {
        n: layer.strides for n, layer in enumerate(layers) if getattr(layer, "strides", 0) == (2, 2)
    }
    # Stem and the depthwise convolutions of blocks 2, 4, 6, 12, at 4 i - 2.
    assert sorted(strides) == [0, 6, 14, 22, 46]


def test_explicit_padding_reaches_all_3x3_convolutions():
    backbone = MobileNetV1(HYPERPARAMS, 0.25, 8, use_explicit_padding=True)
    padded = [
        layer.name
        for layer in backbone.layers_in_order()
        if isinstance(layer, PaddedConv2D | PaddedDepthwiseConv2D)
    ]
    assert padded == ["conv1", *(f"conv_dw_{number}" for number in range(1, 14))]
    levels = backbone(np.zeros((1, 97, 130, 3), np.float32)).levels
    # floor((n + 2 - 3) / 2) + 1 rounds up, too.
    assert tuple(levels[5].shape[1:3]) == (4, 5)


def test_a_batch_of_two_is_two_batches_of_one(narrow):
    images = np.random.default_rng(1).uniform(-1, 1, (2, 96, 160, 3)).astype(np.float32)
    both = narrow(images, training=False)
    for row in range(2):
        alone = narrow(images[row : row + 1], training=False)
        for level, x in alone.levels.items():
            np.testing.assert_allclose(both.levels[level][row], x[0], atol=1e-5)
