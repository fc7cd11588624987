from __future__ import annotations

import keras
import numpy as np
import pytest

from ssd.models.hyperparams import BatchNorm, ConvHyperparams
from ssd.models.mobilenet_v2 import MobileNetV2, make_divisible

HYPERPARAMS = ConvHyperparams(
    initializer={"class_name": "RandomNormal", "config": {"stddev": 0.1}},
    regularizer={"class_name": "L2", "config": {"l2": 2e-5}},
    normalizer=BatchNorm(decay=0.9),
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (32.0, 32),
        (24 * 0.5, 16),  # (12 + 4) // 8 * 8
        (3.0, 8),  # never under the divisor
        (11.2, 16),  # 15 // 8 * 8 = 8 is under 0.9 * 11.2 = 10.08
        (8.8, 8),  # 8 is over 0.9 * 8.8 = 7.92
        (33.0, 32),  # 37 // 8 * 8; 32 is over 29.7
        (44.0, 48),
    ],
)
def test_make_divisible(value, expected):
    assert make_divisible(value) == expected


# stem; then the blocks' outputs 0, 1-2, 3-5, 6-9, 10-12, 13-15, 16; then Conv_1.
CHANNELS = {
    (1.0, 16): (32, 16, 24, 32, 64, 96, 160, 320, 1280),
    (1.4, 16): (48, 24, 32, 48, 88, 136, 224, 448, 1280),
    (0.5, 16): (16, 16, 16, 16, 32, 48, 80, 160, 640),
    (0.5, 8): (16, 8, 16, 16, 32, 48, 80, 160, 640),
    (0.35, 16): (16, 16, 16, 16, 24, 32, 56, 112, 448),
    (0.35, 8): (16, 8, 8, 16, 24, 32, 56, 112, 448),
    (0.25, 16): (16, 16, 16, 16, 16, 24, 40, 80, 320),
    (0.25, 8): (8, 8, 8, 8, 16, 24, 40, 80, 320),
}
REPEATS = (1, 2, 3, 4, 3, 3, 1)


@pytest.mark.parametrize(("depth_multiplier", "min_depth"), CHANNELS)
def test_channels(depth_multiplier, min_depth):
    backbone = MobileNetV2(HYPERPARAMS, depth_multiplier, min_depth)
    stem, *outputs, last = CHANNELS[depth_multiplier, min_depth]
    per_block = [channels for channels, n in zip(outputs, REPEATS, strict=True) for _ in range(n)]
    assert backbone.stem.filters == stem
    assert [block.project.filters for block in backbone.blocks] == per_block
    assert backbone.last.filters == last
    # An expansion is six times what comes in, min_depth or not.
    incoming = [stem, *per_block[:-1]]
    assert backbone.blocks[0].expand is None
    assert [block.expand.filters for block in backbone.blocks[1:]] == [6 * c for c in incoming[1:]]


@pytest.mark.parametrize(
    ("depth_multiplier", "min_depth", "with_shortcut"),
    [
        (1.0, 16, {2, 4, 5, 7, 8, 9, 11, 12, 14, 15}),
        # Blocks 1 to 5 would have 8 channels and are widened to 16. The test for the shortcut
        # compares 16 with the 8 of the table: none in blocks 2, 4 and 5. Blocks 6 to 9 have 16
        # of their own, but block 6 has stride 2.
        (0.25, 16, {7, 8, 9, 11, 12, 14, 15}),
        # Nothing is widened: block 0 keeps 8 -> 8 at stride 1, and has a shortcut.
        (0.25, 8, {0, 2, 4, 5, 7, 8, 9, 11, 12, 14, 15}),
    ],
)
def test_shortcuts(depth_multiplier, min_depth, with_shortcut):
    backbone = MobileNetV2(HYPERPARAMS, depth_multiplier, min_depth)
    found = {n for n, block in enumerate(backbone.blocks) if block.has_shortcut}
    assert found == with_shortcut


@pytest.fixture(scope="module")
def narrow() -> MobileNetV2:
    keras.utils.set_random_seed(3)
    backbone = MobileNetV2(HYPERPARAMS, 0.25, 8)
    backbone(np.zeros((1, 96, 160, 3), np.float32))
    return backbone


def test_levels_have_their_strides_and_channels(narrow):
    levels = narrow(np.zeros((2, 96, 160, 3), np.float32)).levels
    assert {level: tuple(x.shape) for level, x in levels.items()} == {
        2: (2, 24, 40, 8),
        3: (2, 12, 20, 8),
        4: (2, 6, 10, 24),
        5: (2, 3, 5, 320),
    }


def test_sizes_round_up(narrow):
    levels = narrow(np.zeros((1, 97, 130, 3), np.float32)).levels
    # 97 -> 49 -> 25 -> 13 -> 7 -> 4; 130 -> 65 -> 33 -> 17 -> 9 -> 5.
    assert [tuple(levels[n].shape[1:3]) for n in (2, 3, 4, 5)] == [
        (25, 33),
        (13, 17),
        (7, 9),
        (4, 5),
    ]


def test_only_the_last_level_follows_an_activation(narrow):
    images = np.random.default_rng(0).uniform(-1, 1, (1, 96, 160, 3)).astype(np.float32)
    levels = {level: x.numpy() for level, x in narrow(images, training=True).levels.items()}
    assert all(levels[n].min() < 0 for n in (2, 3, 4))
    assert levels[5].min() == 0.0
    assert levels[5].max() <= 6.0


def test_layers_in_order_alternate_convolution_and_batch_norm(narrow):
    layers = narrow.layers_in_order()
    # Stem 2, block 0 has 4, blocks 1 to 16 have 6 each, Conv_1 2: 2 + 4 + 96 + 2.
    assert len(layers) == 104
    assert [layer.name for layer in layers[:8]] == [
        "Conv1",
        "bn_Conv1",
        "expanded_conv_depthwise",
        "expanded_conv_depthwise_BN",
        "expanded_conv_project",
        "expanded_conv_project_BN",
        "block_1_expand",
        "block_1_expand_BN",
    ]
    assert layers[78].name == "block_13_expand"
    assert layers[102].name == "Conv_1"
    assert all(layer.variables for layer in layers)
    strides = {
        n: layer.strides for n, layer in enumerate(layers) if getattr(layer, "strides", 0) == (2, 2)
    }
    # Stem and the depthwise convolutions of blocks 1, 3, 6, 13, at 6 b + 2.
    assert sorted(strides) == [0, 8, 20, 38, 80]


def test_a_batch_of_two_is_two_batches_of_one(narrow):
    images = np.random.default_rng(1).uniform(-1, 1, (2, 96, 160, 3)).astype(np.float32)
    both = narrow(images, training=False)
    for row in range(2):
        alone = narrow(images[row : row + 1], training=False)
        for level, x in alone.levels.items():
            np.testing.assert_allclose(both.levels[level][row], x[0], atol=1e-5)
