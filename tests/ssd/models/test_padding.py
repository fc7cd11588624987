from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from ssd.models.padding import (
    PaddedConv2D,
    PaddedDepthwiseConv2D,
    PaddedSeparableConv2D,
    pad_for_kernel,
    pad_to_multiple,
    spatial_size,
)


@pytest.mark.parametrize(
    ("kernel_size", "before", "after"),
    [(1, 0, 0), (2, 0, 1), (3, 1, 1), (4, 1, 2), (5, 2, 2)],
)
def test_pad_for_kernel_is_alike_on_both_sides(kernel_size, before, after):
    images = np.ones((2, 3, 5, 1), np.float32)
    padded = pad_for_kernel(images, kernel_size).numpy()
    assert padded.shape == (2, 3 + before + after, 5 + before + after, 1)
    expected = np.zeros_like(padded)
    expected[:, before : before + 3, before : before + 5] = 1.0
    np.testing.assert_array_equal(padded, expected)


@pytest.mark.parametrize(
    ("multiple", "height", "width"),
    [(1, 7, 13), (4, 8, 16), (7, 7, 14), (13, 13, 13), (32, 32, 32)],
)
def test_pad_to_multiple_adds_zeros_at_the_bottom_and_right(multiple, height, width):
    images = np.ones((2, 7, 13, 3), np.float32)
    padded = pad_to_multiple(tf.constant(images), multiple).numpy()
    assert padded.shape == (2, height, width, 3)
    np.testing.assert_array_equal(padded[:, :7, :13], images)
    assert padded.sum() == images.sum()


def test_pad_to_multiple_of_sizes_that_are_not_known_before_the_call():
    @tf.function(input_signature=[tf.TensorSpec([None, None, 13, 3])])
    def pad(images):
        return pad_to_multiple(images, 4)

    for height, padded in ((7, 8), (8, 8), (1, 4)):
        assert pad(np.ones((2, height, 13, 3), np.float32)).shape == (2, padded, 16, 3)


def test_spatial_size_is_of_ints_where_they_are_known():
    assert spatial_size(tf.zeros([2, 5, 7, 3])) == (5, 7)

    @tf.function(input_signature=[tf.TensorSpec([None, None, 7, 3])])
    def sizes(images):
        height, width = spatial_size(images)
        assert isinstance(height, tf.Tensor)
        assert width == 7
        return height

    assert sizes(np.zeros((2, 5, 7, 3), np.float32)).numpy() == 5


# Two channels of a 4x7 image of ones under kernels of ones: each output counts its pixels.
# Padded to 6x9, windows of stride 2 begin at 0, 2 and 0, 2, 4, 6: rows 0 (one padded) and 1..3;
# columns 0 (one padded), 1..3, 3..5, 5..7 (one padded). SAME would begin at row 0 of the image.
COUNTS = np.outer([2, 3], [2, 3, 3, 2])


@pytest.mark.parametrize(
    ("layer", "factor"),
    [
        # The convolution adds two channels; the separable one again adds the two sums, twice 2.
        (PaddedConv2D(3, 3, strides=2, kernel_initializer="ones"), 2),
        (PaddedDepthwiseConv2D(3, strides=2, depthwise_initializer="ones"), 1),
        (
            PaddedSeparableConv2D(
                3, 3, strides=2, depthwise_initializer="ones", pointwise_initializer="ones"
            ),
            2,
        ),
    ],
    ids=["conv", "depthwise", "separable"],
)
def test_convolutions_pad_alike_whatever_the_stride(layer, factor):
    images = np.ones((2, 4, 7, 2), np.float32)
    outputs = layer(images).numpy()
    channels = outputs.shape[-1]
    expected = np.broadcast_to(factor * COUNTS[None, ..., None], (2, 2, 4, channels))
    np.testing.assert_allclose(outputs, expected)
    assert layer.compute_output_shape((None, 4, 7, 2)) == (None, 2, 4, channels)
    assert layer.compute_output_shape((2, None, None, 2)) == (2, None, None, channels)
    assert tuple(layer(keras.Input((4, 7, 2))).shape) == (None, 2, 4, channels)
