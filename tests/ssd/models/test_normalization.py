from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from ssd.errors import InputError
from ssd.models.normalization import FusedBatchNormalization, group_normalization

# Two channels of different mean and spread, 2 * 1 * 3 = 6 values each.
IMAGES = np.array(
    [[[[1, 10], [2, 10], [3, 40]]], [[[4, 10], [5, 20], [9, 30]]]], np.float32
)  # [2, 1, 3, 2]


def built(**arguments) -> FusedBatchNormalization:
    layer = FusedBatchNormalization(**arguments)
    layer.build((None, None, None, 2))
    return layer


def test_moving_statistics_follow_the_unbiased_variance():
    layer = built(momentum=0.75)
    layer(IMAGES, training=True)
    # Channel 0: mean 24 / 6 = 4, squares (9+4+1+0+1+25) = 40, unbiased 40 / 5 = 8.
    # Channel 1: mean 120 / 6 = 20, squares (100+100+400+100+0+100) = 800, unbiased 160.
    # Old values are 0 and 1: mean 0.25 * batch, variance 0.75 + 0.25 * batch.
    np.testing.assert_allclose(layer.moving_mean.numpy(), [1.0, 5.0], rtol=1e-6)
    np.testing.assert_allclose(layer.moving_variance.numpy(), [2.75, 40.75], rtol=1e-6)


def test_training_normalizes_with_the_biased_variance():
    layer = built(epsilon=0.5)
    layer.gamma.assign([2.0, 3.0])
    layer.beta.assign([0.5, -1.0])
    outputs = layer(IMAGES, training=True).numpy()
    # Biased variances: 40 / 6 and 800 / 6.
    spread = np.sqrt(np.array([40 / 6, 800 / 6]) + 0.5)
    expected = (IMAGES - [4.0, 20.0]) / spread * [2.0, 3.0] + [0.5, -1.0]
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("training", [False, None])
def test_inference_uses_and_keeps_the_moving_statistics(training):
    layer = built(epsilon=0.25)
    layer.moving_mean.assign([1.0, -2.0])
    layer.moving_variance.assign([0.75, 3.75])
    outputs = layer(IMAGES, training=training).numpy()
    # sqrt(0.75 + 0.25) = 1, sqrt(3.75 + 0.25) = 2.
    np.testing.assert_allclose(outputs, (IMAGES - [1.0, -2.0]) / [1.0, 2.0], rtol=1e-5)
    np.testing.assert_array_equal(layer.moving_mean.numpy(), [1.0, -2.0])
    np.testing.assert_array_equal(layer.moving_variance.numpy(), [0.75, 3.75])


def test_frozen_uses_the_moving_statistics_in_training_too():
    layer = built(frozen=True, epsilon=0.25)
    layer.moving_mean.assign([1.0, -2.0])
    layer.moving_variance.assign([0.75, 3.75])
    outputs = layer(IMAGES, training=True).numpy()
    np.testing.assert_allclose(outputs, (IMAGES - [1.0, -2.0]) / [1.0, 2.0], rtol=1e-5)
    np.testing.assert_array_equal(layer.moving_mean.numpy(), [1.0, -2.0])
    np.testing.assert_array_equal(layer.moving_variance.numpy(), [0.75, 3.75])


@pytest.mark.parametrize("frozen", [False, True])
def test_gamma_and_beta_are_trained_frozen_or_not(frozen):
    layer = built(frozen=frozen)
    assert [v.name for v in layer.trainable_variables] == ["gamma", "beta"]
    with tf.GradientTape() as tape:
        # Weighted, because the plain sum of a normalized batch has no gradient to gamma.
        total = tf.reduce_sum(layer(IMAGES, training=True) * IMAGES)
    gradients = tape.gradient(total, [layer.gamma.value, layer.beta.value])
    assert all(np.all(np.abs(gradient.numpy()) > 1.0) for gradient in gradients)


def test_one_value_per_channel_has_no_variance_to_divide_by():
    layer = built(momentum=0.5)
    outputs = layer(np.full((1, 1, 1, 2), 6.0, np.float32), training=True).numpy()
    np.testing.assert_array_equal(outputs, np.zeros((1, 1, 1, 2)))
    # Batch variance 0: 0.5 * 1 + 0.5 * 0.
    np.testing.assert_allclose(layer.moving_variance.numpy(), [0.5, 0.5])


def test_statistics_stay_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layer = built(momentum=0.75)
        outputs = layer(tf.cast(IMAGES, tf.bfloat16), training=True)
    finally:
        keras.config.set_dtype_policy("float32")
    assert outputs.dtype == tf.bfloat16
    assert {v.dtype for v in layer.variables} == {"float32"}
    np.testing.assert_allclose(layer.moving_variance.numpy(), [2.75, 40.75], rtol=1e-6)


def test_synchronized_moving_variance_follows_the_biased_variance():
    layer = built(momentum=0.75, is_synchronized=True)
    layer(IMAGES, training=True)
    # As above, but divided by 6: 40 / 6 and 800 / 6.
    np.testing.assert_allclose(layer.moving_mean.numpy(), [1.0, 5.0], rtol=1e-6)
    expected = [0.75 + 0.25 * 40 / 6, 0.75 + 0.25 * 800 / 6]
    np.testing.assert_allclose(layer.moving_variance.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("center", "scale", "names"),
    [
        (True, False, ["beta", "moving_mean", "moving_variance"]),
        (False, True, ["gamma", "moving_mean", "moving_variance"]),
        (False, False, ["moving_mean", "moving_variance"]),
    ],
)
def test_without_center_or_scale_there_is_no_such_variable(center, scale, names):
    layer = built(center=center, scale=scale, epsilon=0.5)
    assert [v.name for v in layer.variables] == names
    outputs = layer(IMAGES, training=True).numpy()
    spread = np.sqrt(np.array([40 / 6, 800 / 6]) + 0.5)
    np.testing.assert_allclose(outputs, (IMAGES - [4.0, 20.0]) / spread, rtol=1e-5, atol=1e-6)


def test_group_normalization_is_over_pixels_and_two_channels_of_one_image():
    layer = group_normalization(64)
    # 1x2 pixels of 64 channels: group g is channels 2g and 2g + 1. In image 0 its four values are
    # g + (0, 1, 4, 5): mean g + 2.5, squares (6.25 + 2.25) * 2 = 17, variance 17 / 4.
    steps = np.array([[0, 1], [4, 5]])[:, np.newaxis]
    pixels = (np.arange(32)[:, np.newaxis] + steps).reshape(2, 64)
    images = np.stack([pixels, 10.0 * pixels])[:, np.newaxis].astype(np.float32)
    outputs = layer(images, training=True).numpy()
    expected = np.array([-2.5, -1.5, 1.5, 2.5]) / np.sqrt(17 / 4 + 1e-6)
    for image in outputs:
        np.testing.assert_allclose(image[0, 0].reshape(32, 2), [expected[:2]] * 32, atol=1e-4)
        np.testing.assert_allclose(image[0, 1].reshape(32, 2), [expected[2:]] * 32, atol=1e-4)
    assert [(v.name, v.shape) for v in layer.variables] == [("gamma", (64,)), ("beta", (64,))]
    np.testing.assert_array_equal(layer(images, training=False), outputs)


@pytest.mark.parametrize("channels", [1, 24, 48, 100])
def test_channels_that_do_not_divide_into_groups_are_refused(channels):
    with pytest.raises(
        InputError,
        match=rf"^conv_hyperparams.group_norm: block_1_project_BN has {channels} channels, which "
        r"do not divide into 32 groups; give batch_norm, or .* multiples of 32$",
    ):
        group_normalization(channels, "block_1_project_BN")
