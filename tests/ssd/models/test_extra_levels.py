from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from ssd.models.backbone import BackboneFeatures
from ssd.models.extra_levels import SsdFeatureExtractor
from ssd.models.hyperparams import BatchNorm, ConvHyperparams

HYPERPARAMS = ConvHyperparams(
    initializer={"class_name": "RandomNormal", "config": {"stddev": 0.2}},
    regularizer={"class_name": "L2", "config": {"l2": 2e-5}},
    normalizer=BatchNorm(decay=0.9),
)
IMAGES = np.random.default_rng(5).uniform(-1, 1, (2, 96, 160, 3)).astype(np.float32)
FOLDER = "feature_map_generator/convolutions"


class TwoMaps(keras.layers.Layer):
    """A backbone in one convolution per map: cheap, and nothing in it is learnt."""

    ssd_channels = (5, 7)

    def __init__(self) -> None:
        super().__init__(name="classification_backbone")
        self.convs = [keras.layers.Conv2D(5, 1, strides=16), keras.layers.Conv2D(7, 1, strides=32)]

    def call(self, inputs, training=None):
        first, second = (conv(inputs) for conv in self.convs)
        return BackboneFeatures({}, ssd_maps=(first, second))

    def layers_in_order(self):
        return self.convs


def extractor(hyperparams: ConvHyperparams = HYPERPARAMS, **changes) -> SsdFeatureExtractor:
    keras.utils.set_random_seed(2)
    arguments = {
        "depth_multiplier": 0.1,
        "min_depth": 16,
        "num_layers": 6,
        "base_name": "layer_19",
        "checkpoint_name": "feature_map_generator",
        "use_depthwise": False,
    }
    return SsdFeatureExtractor(TwoMaps(), hyperparams, **(arguments | changes))


@pytest.mark.parametrize("num_layers", [1, 2, 3, 6])
@pytest.mark.parametrize("use_depthwise", [False, True])
def test_maps_come_finest_first(num_layers, use_depthwise):
    model = extractor(num_layers=num_layers, use_depthwise=use_depthwise)
    maps = model(IMAGES)
    # 512 * 0.1 = 51.2, 25.6 twice, 12.8: cut, and at least 16. Sizes halve, rounded up.
    shapes = [(6, 10, 5), (3, 5, 7), (2, 3, 51), (1, 2, 25), (1, 1, 25), (1, 1, 16)]
    assert [tuple(m.shape) for m in maps] == [(2, *shape) for shape in shapes[:num_layers]]
    assert model.feature_map_channels == tuple(shape[-1] for shape in shapes[:num_layers])


def test_a_level_is_a_1x1_convolution_and_a_3x3_one_of_stride_2():
    model = extractor(num_layers=3)
    (conv, norm), (strided, strided_norm) = model.extra_levels[0]
    assert (conv.kernel_size, conv.strides, conv.filters) == ((1, 1), (1, 1), 25)  # 256 * 0.1
    assert (strided.kernel_size, strided.strides, strided.filters) == ((3, 3), (2, 2), 51)
    maps = model(IMAGES)
    norm.beta.assign(np.full(25, 0.5))
    strided_norm.beta.assign(np.full(51, 0.25))
    inner = tf.nn.relu6(norm(conv(maps[1])))
    np.testing.assert_allclose(
        model(IMAGES)[2], tf.nn.relu6(strided_norm(strided(inner))), atol=1e-6
    )


def test_a_depthwise_level_is_normalized_and_activated_twice():
    model = extractor(num_layers=3, use_depthwise=True)
    kinds = [type(conv) for conv, _ in model.extra_levels[0]]
    assert kinds == [keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Conv2D]
    maps = model(IMAGES)
    x = maps[1]
    for n, (conv, norm) in enumerate(model.extra_levels[0]):
        norm.beta.assign(np.full(norm.beta.shape, 0.25 * (n + 1)))
        x = tf.nn.relu6(norm(conv(x)))
    np.testing.assert_allclose(model(IMAGES)[2], x, atol=1e-6)


def test_names_hold_number_and_widths():
    model = extractor(num_layers=4, use_depthwise=True)
    assert [layer.name for pair in model.extra_levels[1] for layer in pair] == [
        "layer_19_1_Conv2d_3_1x1_16_conv",  # 128 * 0.1 = 12.8, at least 16
        "layer_19_1_Conv2d_3_1x1_16_batchnorm",
        "layer_19_2_Conv2d_3_3x3_s2_25_depthwise_conv",
        "layer_19_2_Conv2d_3_3x3_s2_25_depthwise_batchnorm",
        "layer_19_2_Conv2d_3_3x3_s2_25_conv",
        "layer_19_2_Conv2d_3_3x3_s2_25_batchnorm",
    ]


@pytest.mark.parametrize(
    ("use_depthwise", "use_explicit_padding", "places"),
    [
        # Convolution, normalization, activation; each has a number.
        (False, False, [0, 1, 3, 4]),
        (False, True, [0, 1, 4, 5]),
        (True, False, [0, 1, 3, 4, 6, 7]),
        (True, True, [0, 1, 4, 5, 7, 8]),
    ],
)
def test_checkpoint_layers_count_layers_without_variables(
    use_depthwise, use_explicit_padding, places
):
    model = extractor(
        num_layers=3, use_depthwise=use_depthwise, use_explicit_padding=use_explicit_padding
    )
    paths = model.checkpoint_layers()
    assert list(paths) == [
        "classification_backbone/layer_with_weights-0",
        "classification_backbone/layer_with_weights-1",
        *(f"{FOLDER}/2/{place}" for place in places),
    ]
    pairs = [layer for pair in model.extra_levels[0] for layer in pair]
    assert [paths[f"{FOLDER}/2/{place}"] for place in places] == pairs


def test_images_are_padded_to_a_multiple():
    # 70x100 becomes 96x128: 6x8 and 3x4 at strides 16 and 32.
    maps = extractor(num_layers=3, pad_to_multiple=32)(IMAGES[:, :70, :100])
    assert [tuple(m.shape[1:3]) for m in maps] == [(6, 8), (3, 4), (2, 2)]


@pytest.mark.parametrize(
    ("is_tf1", "num_terms"),
    # 1x1, depthwise, 1x1 of one level; the depthwise kernel only follows under TF1.
    [(False, 2), (True, 3)],
)
def test_depthwise_kernels_follow_the_hyperparameters_under_tf1(is_tf1, num_terms):
    settings = ConvHyperparams(
        HYPERPARAMS.initializer, HYPERPARAMS.regularizer, reaches_every_kernel=is_tf1
    )
    model = extractor(settings, num_layers=3, use_depthwise=True)
    model(IMAGES)
    assert len(model.losses) == num_terms


def test_training_reaches_every_batch_norm():
    model = extractor(use_depthwise=True, num_layers=4)
    model(IMAGES, training=True)
    for pairs in model.extra_levels:
        for _, norm in pairs:
            assert np.abs(norm.moving_variance.numpy() - 1.0).max() > 1e-3
