"""Images made worse as files make them worse: JPEG artefacts, fewer pixels. Boxes stay."""

from __future__ import annotations

import tensorflow as tf

from ssd.data.augmentation.draws import Example, chance, fold_in, uniform
from ssd.data.augmentation.resizing import resize
from ssd.standard_fields import InputFields

_IMAGE = InputFields.image


def random_jpeg_quality(
    example: Example,
    seed: tf.Tensor,
    *,
    random_coef: float = 0.0,
    min_jpeg_quality: int = 0,
    max_jpeg_quality: int = 100,
) -> Example:
    """Returns the example as it looks after having been a JPEG file.

    Args:
      example: image float32 [h, w, 3], 0..255; fractions are cut off before encoding.
      seed: int32 or int64 [2].
      random_coef: share of the images that are left alone.
      min_jpeg_quality, max_jpeg_quality: 0 to 100; the larger one is drawn only where both are
        the same.
    """
    image = example[_IMAGE]

    def through_jpeg() -> tf.Tensor:
        quality = _whole_number(fold_in(seed, 1), min_jpeg_quality, max_jpeg_quality)
        pixels = tf.saturate_cast(image, tf.uint8)
        return tf.cast(tf.image.adjust_jpeg_quality(pixels, quality), tf.float32)

    is_changed = chance(fold_in(seed, 0), 1.0 - random_coef)
    return {**example, _IMAGE: tf.cond(is_changed, through_jpeg, lambda: image)}


def random_downscale_to_target_pixels(
    example: Example,
    seed: tf.Tensor,
    *,
    random_coef: float = 0.0,
    min_target_pixels: int = 300_000,
    max_target_pixels: int = 800_000,
) -> Example:
    """Returns the example shrunk to about a drawn number of pixels; never enlarged.

    Args:
      example: image float32 [h, w, 3].
      seed: int32 or int64 [2].
      random_coef: share of the images that are left alone.
      min_target_pixels, max_target_pixels: range of height * width, 1 or more; the larger one is
        drawn only where both are the same. Both sides are cut to whole pixels; resized with
        `resize_image`'s BILINEAR.
    """
    image = example[_IMAGE]
    target = _whole_number(fold_in(seed, 1), min_target_pixels, max_target_pixels)
    size = tf.shape(image)[:2]
    pixels = tf.reduce_prod(size)

    def downscaled() -> tf.Tensor:
        scale = tf.sqrt(tf.cast(target, tf.float32) / tf.cast(pixels, tf.float32))
        # The original stops at a side of 0 pixels.
        new_size = tf.maximum(tf.cast(scale * tf.cast(size, tf.float32), tf.int32), 1)
        return resize(image, new_size, "BILINEAR")

    is_changed = chance(fold_in(seed, 0), 1.0 - random_coef) & (pixels > target)
    return {**example, _IMAGE: tf.cond(is_changed, downscaled, lambda: image)}


def _whole_number(seed: tf.Tensor, low: int, high: int) -> tf.Tensor:
    # The original stops where both are the same.
    return uniform(seed, low, max(high, low + 1), dtype=tf.int32)
