"""Convolutions that pad by a rule of their own (`use_explicit_padding`, `pad_to_multiple`)."""

from __future__ import annotations

import keras
import tensorflow as tf


def pad_for_kernel(images: tf.Tensor, kernel_size: int) -> tf.Tensor:
    """Returns [B, H, W, C] with kernel_size - 1 rows and columns of zeros around it.

    Alike on both sides (one more at the end for an even kernel) whatever the stride, where SAME
    puts more at the end for stride 2 on even sides.
    """
    before = (kernel_size - 1) // 2
    after = kernel_size - 1 - before
    return tf.pad(images, [[0, 0], [before, after], [before, after], [0, 0]])


def pad_to_multiple(images: tf.Tensor, multiple: int) -> tf.Tensor:
    """Returns [B, H', W', C]: zeros at the bottom and right make both sides multiples."""
    if multiple == 1:
        return images
    height, width = spatial_size(images)
    return tf.pad(images, [[0, 0], [0, -height % multiple], [0, -width % multiple], [0, 0]])


def spatial_size(images: tf.Tensor) -> tuple[int | tf.Tensor, int | tf.Tensor]:
    """Returns (height, width) of [B, H, W, C]: ints where they are known, else int32 scalars."""
    static, dynamic = images.shape, tf.shape(images)
    return tuple(dynamic[axis] if static[axis] is None else static[axis] for axis in (1, 2))


class PaddedConv2D(keras.layers.Conv2D):
    """A convolution with padding "valid" of images padded by `pad_for_kernel`."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return super().call(pad_for_kernel(inputs, self.kernel_size[0]))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return super().compute_output_shape(_padded(input_shape, self.kernel_size[0]))


class PaddedDepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """As PaddedConv2D, depthwise."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return super().call(pad_for_kernel(inputs, self.kernel_size[0]))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return super().compute_output_shape(_padded(input_shape, self.kernel_size[0]))


class PaddedSeparableConv2D(keras.layers.SeparableConv2D):
    """As PaddedConv2D, separable."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return super().call(pad_for_kernel(inputs, self.kernel_size[0]))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return super().compute_output_shape(_padded(input_shape, self.kernel_size[0]))


def _padded(shape: tuple[int | None, ...], kernel_size: int) -> tuple[int | None, ...]:
    batch, height, width, channels = shape
    more = kernel_size - 1
    return (batch, height and height + more, width and width + more, channels)
