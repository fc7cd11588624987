"""Colours of an image changed: brightness, contrast, hue, saturation, gamma, gray.

The boxes and every other field stay as they are. The ops that the TF Object Detection API runs on
image / 255 run on 0..255 here, which is the same: hue, saturation and contrast do not change with
the unit. Each result is clipped to 0..255; gray cannot leave that range and is not.
"""

from __future__ import annotations

import tensorflow as tf

from ssd.data.augmentation.draws import Example, chance, fold_in, uniform
from ssd.errors import InputError
from ssd.standard_fields import InputFields

# Luma of ITU-R BT.601 (red, green, blue), with the digits of the original.
_LUMA = (0.2989, 0.5870, 0.1140)

_IMAGE = InputFields.image


def random_rgb_to_gray(example: Example, seed: tf.Tensor, *, probability: float = 0.1) -> Example:
    """Returns the example, its image gray in `probability` of the cases; still three channels."""
    image = example[_IMAGE]
    is_gray = chance(seed, probability)
    return {**example, _IMAGE: tf.cond(is_gray, lambda: to_gray(image), lambda: image)}


def rgb_to_gray(example: Example, seed: tf.Tensor) -> Example:
    """Returns the example with a gray image of three equal channels; nothing is random.

    The TF Object Detection API leaves one channel, which no detector with an RGB input takes.
    """
    return {**example, _IMAGE: to_gray(example[_IMAGE])}


def random_adjust_brightness(
    example: Example, seed: tf.Tensor, *, max_delta: float = 0.2
) -> Example:
    """Returns the example brighter or darker by up to `max_delta` of the full range (255)."""
    delta = uniform(seed, -max_delta, max_delta)
    return {**example, _IMAGE: adjust_brightness(example[_IMAGE], delta)}


def random_adjust_contrast(
    example: Example, seed: tf.Tensor, *, min_delta: float = 0.8, max_delta: float = 1.25
) -> Example:
    """Returns the example with its contrast times a factor between min_delta and max_delta."""
    factor = uniform(seed, min_delta, max_delta)
    return {**example, _IMAGE: adjust_contrast(example[_IMAGE], factor)}


def random_adjust_hue(example: Example, seed: tf.Tensor, *, max_delta: float = 0.02) -> Example:
    """Returns the example, every hue turned by up to `max_delta` of the colour circle."""
    delta = uniform(seed, -max_delta, max_delta)
    return {**example, _IMAGE: adjust_hue(example[_IMAGE], delta)}


def random_adjust_saturation(
    example: Example, seed: tf.Tensor, *, min_delta: float = 0.8, max_delta: float = 1.25
) -> Example:
    """Returns the example with its saturation times a factor between min_delta and max_delta."""
    factor = uniform(seed, min_delta, max_delta)
    return {**example, _IMAGE: adjust_saturation(example[_IMAGE], factor)}


def random_distort_color(example: Example, seed: tf.Tensor, *, color_ordering: int = 0) -> Example:
    """Returns the example after four random changes of colour.

    Brightness by up to 32 of 255, saturation and contrast times 0.5 to 1.5, hue by up to 0.2.

    Args:
      example: image float32 [h, w, 3], 0..255.
      seed: int32 or int64 [2].
      color_ordering: 0 for brightness, saturation, hue, contrast; 1 for brightness, contrast,
        saturation, hue.

    Raises:
      InputError: another color_ordering.
    """
    if color_ordering not in (0, 1):
        raise InputError(f"random_distort_color: color_ordering is {color_ordering}; expected 0, 1")
    brightness, saturation, hue, contrast = (fold_in(seed, n) for n in range(4))
    example = random_adjust_brightness(example, brightness, max_delta=32.0 / 255.0)
    if color_ordering == 1:
        example = random_adjust_contrast(example, contrast, min_delta=0.5, max_delta=1.5)
    example = random_adjust_saturation(example, saturation, min_delta=0.5, max_delta=1.5)
    example = random_adjust_hue(example, hue, max_delta=0.2)
    if color_ordering == 0:
        example = random_adjust_contrast(example, contrast, min_delta=0.5, max_delta=1.5)
    return example


def adjust_gamma(
    example: Example, seed: tf.Tensor, *, gamma: float = 1.0, gain: float = 1.0
) -> Example:
    """Returns the example with x = image / 255 replaced by gain * x ** gamma; nothing is random."""
    powered = (example[_IMAGE] * (1.0 / 255.0)) ** gamma
    return {**example, _IMAGE: clip_to_bytes(powered * (gain * 255.0))}


def to_gray(image: tf.Tensor) -> tf.Tensor:
    """Returns float32 [h, w, 3], the luma of each pixel in all three channels."""
    # [h * w, 3] x [3, 3]: one pass for the sum and the three copies.
    mixed = tf.linalg.matmul(tf.reshape(image, [-1, 3]), [[weight] * 3 for weight in _LUMA])
    return tf.reshape(mixed, tf.shape(image))


def adjust_brightness(image: tf.Tensor, delta: float | tf.Tensor) -> tf.Tensor:
    """Returns float32 [h, w, 3]: image + 255 * delta, clipped to 0..255."""
    return clip_to_bytes(image + 255.0 * delta)


def adjust_contrast(image: tf.Tensor, factor: float | tf.Tensor) -> tf.Tensor:
    """Returns float32 [h, w, 3]: each channel's distance to its mean times `factor`, clipped."""
    return clip_to_bytes(tf.raw_ops.AdjustContrastv2(images=image, contrast_factor=factor))


def adjust_hue(image: tf.Tensor, delta: float | tf.Tensor) -> tf.Tensor:
    """Returns float32 [h, w, 3] with HSV hues turned by `delta` turns, clipped to 0..255."""
    return clip_to_bytes(tf.raw_ops.AdjustHue(images=image, delta=delta))


def adjust_saturation(image: tf.Tensor, factor: float | tf.Tensor) -> tf.Tensor:
    """Returns float32 [h, w, 3] with HSV saturations times `factor`, at most 1, clipped."""
    return clip_to_bytes(tf.raw_ops.AdjustSaturation(images=image, scale=factor))


def clip_to_bytes(image: tf.Tensor) -> tf.Tensor:
    """Returns the values clipped to 0..255, in one pass."""
    return tf.raw_ops.ClipByValue(t=image, clip_value_min=0.0, clip_value_max=255.0)
