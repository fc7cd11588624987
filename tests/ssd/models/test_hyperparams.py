from __future__ import annotations

import keras
import numpy as np
import pytest

from ssd.models.hyperparams import BatchNorm, ConvHyperparams, GroupNorm

NORMAL = {"class_name": "RandomNormal", "config": {"mean": 0.0, "stddev": 0.01}}
TRUNCATED = {"class_name": "TruncatedNormal", "config": {"mean": 0.0, "stddev": 0.03}}
# Draws are seeded; 100,000 of them estimate a deviation to 0.3 per cent.
CHANNELS = 320


@pytest.fixture(autouse=True)
def _seed() -> None:
    keras.utils.set_random_seed(11)


def hyperparams(**changes) -> ConvHyperparams:
    fields = {
        "initializer": NORMAL,
        "regularizer": {"class_name": "L2", "config": {"l2": 2e-5}},
        "normalizer": BatchNorm(decay=0.97, epsilon=0.002),
    }
    return ConvHyperparams(**(fields | changes))


def values(layer: keras.layers.Layer, channels: int = CHANNELS) -> dict[str, np.ndarray]:
    layer.build((None, 5, 7, channels))
    return {v.name: v.numpy() for v in layer.variables}


@pytest.mark.parametrize(
    ("initializer", "deviation", "limit"),
    [
        pytest.param(NORMAL, 0.01, 0.08, id="normal"),
        # Cut at two deviations the normal keeps 0.8796 of its deviation.
        pytest.param(TRUNCATED, 0.03 * 0.8796, 0.06, id="truncated"),
        # 3 / fan_in, fan_in 320 * 1 * 1: the deviation of both forms is sqrt(3 / 320).
        pytest.param(
            {
                "class_name": "VarianceScaling",
                "config": {"scale": 3.0, "mode": "fan_in", "distribution": "uniform"},
            },
            np.sqrt(3 / 320),
            3.001 * np.sqrt(1 / 320),
            id="variance scaling",
        ),
    ],
)
def test_kernels_are_drawn_as_the_initializer_says(initializer, deviation, limit):
    kernel = values(hyperparams(initializer=initializer).conv(CHANNELS, 1))["kernel"]
    assert kernel.shape == (1, 1, 320, 320)
    assert abs(kernel.mean()) < 0.02 * deviation
    assert kernel.std() == pytest.approx(deviation, rel=0.02)
    assert np.abs(kernel).max() <= limit


def test_two_layers_draw_different_values():
    settings = hyperparams()
    first, second = settings.conv(8, 3), settings.conv(8, 3)
    assert np.abs(values(first, 4)["kernel"] - values(second, 4)["kernel"]).max() > 1e-3


def test_conv_has_a_bias_only_when_asked():
    assert list(values(hyperparams().conv(6, 3), 4)) == ["kernel"]
    weights = values(hyperparams().conv(6, 3, use_bias=True, bias_init=-4.6), 4)
    np.testing.assert_allclose(weights["bias"], np.full(6, -4.6), rtol=1e-6)


def test_depthwise_kernel_follows_initializer_and_regularizer():
    layer = hyperparams().depthwise(3, stride=2)
    kernel = values(layer, 4000)["kernel"]
    assert kernel.shape == (3, 3, 4000, 1)
    assert kernel.std() == pytest.approx(0.01, rel=0.02)
    # Half the weight: 4e-5 / 2 * sum(w^2).
    expected = 2e-5 * np.sum(kernel.astype(np.float64) ** 2)
    assert float(layer.losses[0]) == pytest.approx(expected, rel=1e-5)


def test_only_the_depthwise_half_of_a_separable_follows_them():
    layer = hyperparams().separable(200, 3)
    weights = values(layer)
    assert list(weights) == ["depthwise_kernel", "pointwise_kernel"]
    assert weights["depthwise_kernel"].std() == pytest.approx(0.01, rel=0.05)
    # Glorot uniform: limit sqrt(6 / (320 + 200)), deviation limit / sqrt(3).
    limit = np.sqrt(6 / 520)
    assert np.abs(weights["pointwise_kernel"]).max() <= limit
    assert weights["pointwise_kernel"].std() == pytest.approx(limit / np.sqrt(3), rel=0.02)
    expected = 2e-5 * np.sum(weights["depthwise_kernel"].astype(np.float64) ** 2)
    assert [float(loss) for loss in layer.losses] == [pytest.approx(expected, rel=1e-5)]


def test_without_regularizer_nothing_is_regularized():
    settings = hyperparams(regularizer=None)
    for layer in (settings.conv(6, 3), settings.depthwise(3), settings.separable(6, 3)):
        values(layer, 4)
        assert layer.losses == []


@pytest.mark.parametrize("stride", [1, 2])
def test_padding_is_same_with_the_odd_pixel_at_the_end(stride):
    # A 4x6 image of ones under a 3x3 kernel of ones: each output counts its pixels.
    settings = hyperparams(initializer={"class_name": "Ones", "config": {}})
    outputs = settings.conv(1, 3, stride=stride)(np.ones((1, 4, 6, 1), np.float32)).numpy()[
        0, ..., 0
    ]
    if stride == 1:
        expected = np.outer([2, 3, 3, 2], [2, 3, 3, 3, 3, 2])
    else:
        # Nothing is padded at the top and left: windows 0..2 and 2..4 of 0..3.
        expected = np.outer([3, 2], [3, 3, 2])
    np.testing.assert_array_equal(outputs, expected)


@pytest.mark.parametrize(
    ("use_depthwise", "kind"),
    [(True, keras.layers.SeparableConv2D), (False, keras.layers.Conv2D)],
)
def test_conv_or_separable(use_depthwise, kind):
    layer = hyperparams().conv_or_separable(use_depthwise, 6, 3, stride=2)
    assert type(layer) is kind
    assert layer(np.zeros((2, 5, 9, 4), np.float32)).shape == (2, 3, 5, 6)
    assert not layer.use_bias


def test_batch_norm_takes_decay_epsilon_and_freezing():
    layer = hyperparams(freeze_batchnorm=True).normalization(6, "bn")
    assert (layer.momentum, layer.epsilon, layer.frozen, layer.name) == (0.97, 0.002, True, "bn")
    assert not hyperparams().normalization(6).frozen


def test_normalizers_are_layers_of_their_kind():
    synchronized = BatchNorm(center=False, scale=False, is_synchronized=True)
    layer = hyperparams(normalizer=synchronized).normalization(6)
    assert (layer.center, layer.scale, layer.is_synchronized) == (False, False, True)
    layer = hyperparams(normalizer=GroupNorm()).normalization(64, "gn")
    assert (type(layer), layer.name) == (keras.layers.GroupNormalization, "gn")
    layer = hyperparams(normalizer=None).normalization(6)
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 6)).astype(np.float32)
    np.testing.assert_array_equal(layer(x, training=True), x)


@pytest.mark.parametrize(
    ("activation", "expected"),
    # swish is x / (1 + exp(-x)): -2 / (1 + e^2), 8 / (1 + e^-8).
    [
        ("NONE", [-2.0, 0.0, 8.0]),
        ("RELU", [0.0, 0.0, 8.0]),
        ("RELU_6", [0.0, 0.0, 6.0]),
        ("SWISH", [-0.238406, 0.0, 7.997317]),
    ],
)
def test_activations(activation, expected):
    outputs = hyperparams(activation=activation).activate(np.array([-2.0, 0.0, 8.0], np.float32))
    np.testing.assert_allclose(outputs, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "make", "follow"),
    [
        # What is regularized (r) is also what the initializer reaches; g is left to glorot.
        ({}, lambda h: h.depthwise_before_1x1(3), "g"),
        ({"regularize_depthwise": True}, lambda h: h.depthwise_before_1x1(3), "gr"),
        ({"reaches_every_kernel": True}, lambda h: h.depthwise_before_1x1(3), "r"),
        ({}, lambda h: h.separable(6, 3, pointwise_follows=True), "r r"),
        ({}, lambda h: h.separable(6, 3, depthwise_follows=False), "g g"),
        (
            {"regularize_depthwise": True},
            lambda h: h.separable(6, 3, depthwise_follows=False),
            "gr g",
        ),
        (
            {"reaches_every_kernel": True},
            lambda h: h.separable(6, 3, depthwise_follows=False),
            "r r",
        ),
        ({"regularizes_backbone_depthwise": False}, lambda h: h.depthwise(3), "-"),
    ],
)
def test_which_kernels_follow(changes, make, follow):
    layer = make(hyperparams(initializer="zeros", normalizer=None, **changes))
    kernels = [value for name, value in values(layer, 4).items() if name.endswith("kernel")]
    assert ["g" in letters for letters in follow.split()] == [np.any(k != 0) for k in kernels]
    assert len(layer.losses) == sum("r" in letters for letters in follow.split())


def test_l1_of_a_layer_that_is_made_while_tracing_serves_afterwards():
    class Late(keras.layers.Layer):
        def build(self, input_shape):
            l1 = {"class_name": "L1", "config": {"l1": 0.5}}
            self.conv = hyperparams(initializer="ones", regularizer=l1).conv(3, 1)

        def call(self, inputs):
            return self.conv(inputs)

    class Network(keras.Model):
        """Without a `build`, so that Keras traces `call` in a graph that it throws away."""

        def __init__(self) -> None:
            super().__init__()
            self.late = Late()

        def call(self, inputs):
            return self.late(inputs)

    network = Network()
    network(keras.Input((5, 7, 4)))
    # Twelve ones, halved.
    assert [float(loss) for loss in network.losses] == [6.0]
