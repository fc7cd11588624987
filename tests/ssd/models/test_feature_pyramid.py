from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from ssd.models.backbone import BackboneFeatures
from ssd.models.feature_pyramid import FpnFeatureExtractor, upsample_nearest_2x
from ssd.models.hyperparams import BatchNorm, ConvHyperparams

HYPERPARAMS = ConvHyperparams(
    initializer={"class_name": "RandomNormal", "config": {"stddev": 0.2}},
    normalizer=BatchNorm(decay=0.9),
)
IMAGES = np.random.default_rng(5).uniform(-1, 1, (2, 96, 160, 3)).astype(np.float32)


class FourLevels(keras.layers.Layer):
    """A backbone in one convolution per level: cheap, and nothing in it is learnt."""

    def __init__(self) -> None:
        super().__init__(name="classification_backbone")
        self.convs = [keras.layers.Conv2D(3 + n, 1, strides=2**n) for n in (2, 3, 4, 5)]

    def call(self, inputs, training=None):
        levels = {n: conv(inputs) for n, conv in zip((2, 3, 4, 5), self.convs, strict=True)}
        return BackboneFeatures(levels, ssd_maps=(levels[4], levels[5]))

    def layers_in_order(self):
        return self.convs


def extractor(**changes) -> FpnFeatureExtractor:
    keras.utils.set_random_seed(2)
    arguments = {"min_level": 3, "max_level": 7, "depth": 9, "use_depthwise": True}
    arguments["first_coarse_number"] = 20
    return FpnFeatureExtractor(FourLevels(), HYPERPARAMS, **(arguments | changes))


def test_upsampling_repeats_pixels_both_ways():
    images = tf.constant([[[[1.0], [2.0], [3.0]], [[4.0], [5.0], [6.0]]]])
    np.testing.assert_array_equal(
        upsample_nearest_2x(images)[0, ..., 0],
        [[1, 1, 2, 2, 3, 3], [1, 1, 2, 2, 3, 3], [4, 4, 5, 5, 6, 6], [4, 4, 5, 5, 6, 6]],
    )


@pytest.mark.parametrize(
    ("min_level", "max_level", "sizes"),
    [
        # 96x160; levels beyond 5 round up: 3x5 -> 2x3 -> 1x2.
        (3, 7, [(12, 20), (6, 10), (3, 5), (2, 3), (1, 2)]),
        (2, 5, [(24, 40), (12, 20), (6, 10), (3, 5)]),
        (3, 4, [(12, 20), (6, 10)]),
        (5, 6, [(3, 5), (2, 3)]),
    ],
)
def test_maps_come_finest_first(min_level, max_level, sizes):
    maps = extractor(min_level=min_level, max_level=max_level)(IMAGES)
    assert [tuple(m.shape) for m in maps] == [(2, *size, 9) for size in sizes]


def test_the_merge_is_that_of_the_original():
    model = extractor()
    maps = [m.numpy() for m in model(IMAGES)]
    levels = model.backbone(IMAGES).levels
    # Level 5: its projection alone, so that negative values remain.
    np.testing.assert_allclose(maps[2], model.top_projection(levels[5]), atol=1e-6)
    assert maps[2].min() < 0
    # Levels 4 and 3: the smoothed coarser map is what comes down.
    for position, level in ((1, 4), (0, 3)):
        conv, batch_norm = model.smoothings[1 - position]
        merged = np.repeat(np.repeat(maps[position + 1], 2, 1), 2, 2) + model.residual_projections[
            1 - position
        ](levels[level])
        np.testing.assert_allclose(maps[position], tf.nn.relu6(batch_norm(conv(merged))), atol=1e-5)
    # Level 6 continues from the merged level 5, level 7 from level 6.
    for position in (3, 4):
        conv, batch_norm = model.coarse_layers[position - 3]
        np.testing.assert_allclose(
            maps[position], tf.nn.relu6(batch_norm(conv(maps[position - 1]))), atol=1e-5
        )


@pytest.mark.parametrize("use_depthwise", [True, False])
def test_checkpoint_layers_start_at_the_coarsest_level(use_depthwise):
    model = extractor(use_depthwise=use_depthwise)
    paths = model.checkpoint_layers()
    fpn = "_fpn_features_generator"
    assert paths[f"{fpn}/top_layers/0"].name == "projection_3"
    assert [paths[f"{fpn}/residual_blocks/{n}/0"].name for n in (0, 1)] == [
        "projection_2",
        "projection_1",
    ]
    suffix = "_depthwise_conv" if use_depthwise else "_conv"
    assert [paths[f"{fpn}/conv_layers/{n}/0"].name for n in (0, 1)] == [
        f"smoothing_2{suffix}",
        f"smoothing_1{suffix}",
    ]
    assert [paths[f"_coarse_feature_layers/{n}/{m}"].name for n in (0, 1) for m in (0, 1)] == [
        f"bottom_up_Conv2d_20{suffix}",
        "bottom_up_Conv2d_20_batchnorm",
        f"bottom_up_Conv2d_21{suffix}",
        "bottom_up_Conv2d_21_batchnorm",
    ]
    kind = keras.layers.SeparableConv2D if use_depthwise else keras.layers.Conv2D
    assert type(paths[f"{fpn}/conv_layers/0/0"]) is kind
    # 4 of the backbone, 3 projections, 2 smoothed and 2 coarse levels with batch norm.
    assert len(paths) == 4 + 3 + 4 + 4


def test_projections_have_a_bias_and_no_batch_norm():
    model = extractor()
    model(IMAGES)
    for layer in (model.top_projection, *model.residual_projections):
        assert [v.name for v in layer.variables] == ["kernel", "bias"]
    assert all(not conv.use_bias for conv, _ in (*model.smoothings, *model.coarse_layers))


def test_training_reaches_every_batch_norm():
    model = extractor()
    model(IMAGES, training=True)
    for _, batch_norm in (*model.smoothings, *model.coarse_layers):
        assert np.abs(batch_norm.moving_variance.numpy() - 1.0).max() > 1e-3
