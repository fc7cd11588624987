"""Squares of an image blackened or covered with noise. Boxes stay, whatever is hidden of them."""

from __future__ import annotations

import tensorflow as tf

from ssd.data.augmentation.color import clip_to_bytes
from ssd.data.augmentation.draws import Example, chance, fold_in, uniform
from ssd.standard_fields import InputFields

_IMAGE = InputFields.image


def random_black_patches(
    example: Example,
    seed: tf.Tensor,
    *,
    max_black_patches: int = 10,
    probability: float = 0.5,
    size_to_image_ratio: float = 0.1,
) -> Example:
    """Returns the example with black squares on its image.

    Args:
      example: image float32 [h, w, 3].
      seed: int32 or int64 [2].
      max_black_patches: how many times a square may be added; they may overlap.
      probability: of adding one, each time.
      size_to_image_ratio: side of a square as a share of the image's shorter side, at most 1; cut
        to whole pixels.
    """
    if max_black_patches < 1:
        return dict(example)
    count = [max_black_patches]
    is_added = uniform(fold_in(seed, 0), shape=count) < probability
    # [K, 2], share of the height and of the width; a square ends inside the image.
    top_left = uniform(fold_in(seed, 1), 0.0, 1.0 - size_to_image_ratio, shape=[*count, 2])
    image = example[_IMAGE]
    return {**example, _IMAGE: blacken(image, top_left, is_added, size_to_image_ratio)}


def blacken(
    image: tf.Tensor, top_left: tf.Tensor, is_added: tf.Tensor, size_to_image_ratio: float
) -> tf.Tensor:
    """Returns float32 [h, w, 3] with 0 in every square that is added.

    Args:
      image: float32 [h, w, 3].
      top_left: float32 [K, 2], (y, x) as shares of the image's height and width.
      is_added: bool [K].
      size_to_image_ratio: as for `random_black_patches`.
    """
    height_width = tf.cast(tf.shape(image)[:2], tf.float32)
    side = tf.cast(tf.reduce_min(height_width) * size_to_image_ratio, tf.int32)
    first = tf.cast(top_left * height_width, tf.int32)

    def is_within(axis: int) -> tf.Tensor:
        positions, begin = tf.range(tf.shape(image)[axis]), first[:, axis, tf.newaxis]
        return tf.cast((positions >= begin) & (positions < begin + side), tf.float32)

    rows = is_within(0) * tf.cast(is_added, tf.float32)[:, tf.newaxis]
    columns = tf.repeat(is_within(1), 3, axis=1)  # [K, w] -> [K, w * 3]
    # How many squares lie on each value; a matrix product is one pass for all of them.
    covered = tf.linalg.matmul(rows, columns, transpose_a=True)  # [h, w * 3]
    kept = tf.reshape(tf.nn.relu(1.0 - covered), tf.shape(image))
    return image * kept


def random_patch_gaussian(
    example: Example,
    seed: tf.Tensor,
    *,
    random_coef: float = 0.0,
    min_patch_size: int = 1,
    max_patch_size: int = 250,
    min_gaussian_stddev: float = 0.0,
    max_gaussian_stddev: float = 1.0,
) -> Example:
    """Returns the example with Gaussian noise on one square of its image (arXiv:1906.02611).

    The centre of the square is any pixel; what reaches beyond the image is cut off. Values in the
    square are clipped to 0..255.

    Args:
      example: image float32 [h, w, 3], 0..255.
      seed: int32 or int64 [2].
      random_coef: share of the images that are left alone.
      min_patch_size, max_patch_size: side of the square in pixels, 1 or more; the larger one is
        drawn only where both are the same.
      min_gaussian_stddev, max_gaussian_stddev: of the noise, in units of the full range (255).
    """
    image = example[_IMAGE]

    def noisy() -> tf.Tensor:
        # The original stops where both are the same.
        above = max(max_patch_size, min_patch_size + 1)
        patch_size = uniform(fold_in(seed, 1), min_patch_size, above, dtype=tf.int32)
        stddev = uniform(fold_in(seed, 2), min_gaussian_stddev, max_gaussian_stddev)
        height, width = tf.unstack(tf.shape(image)[:2])
        y = uniform(fold_in(seed, 3), 0, height, dtype=tf.int32)
        x = uniform(fold_in(seed, 4), 0, width, dtype=tf.int32)
        window = patch_window(y, x, patch_size, height, width)
        return add_noise(image, window, fold_in(seed, 5), stddev)

    is_changed = chance(fold_in(seed, 0), 1.0 - random_coef)
    return {**example, _IMAGE: tf.cond(is_changed, noisy, lambda: image)}


def patch_window(
    y: tf.Tensor, x: tf.Tensor, patch_size: tf.Tensor, height: tf.Tensor, width: tf.Tensor
) -> tf.Tensor:
    """Returns int32 [4], (top, left, bottom, right) of the square around pixel (y, x).

    An even square reaches one pixel further up and left than down and right. It is cut to the
    image; bottom and right are not part of it.
    """
    before, after = patch_size // 2, (patch_size + 1) // 2
    top, left = tf.maximum(y - before, 0), tf.maximum(x - before, 0)
    return tf.stack([top, left, tf.minimum(y + after, height), tf.minimum(x + after, width)])


def add_noise(
    image: tf.Tensor, window: tf.Tensor, seed: tf.Tensor, stddev: float | tf.Tensor
) -> tf.Tensor:
    """Returns float32 [h, w, 3] with noise in the window, which is clipped to 0..255.

    Args:
      image: float32 [h, w, 3].
      window: int32 [4], (top, left, bottom, right) in pixels.
      seed: int32 or int64 [2].
      stddev: of the noise, in units of 255.
    """
    top, left, bottom, right = tf.unstack(window)
    patch = image[top:bottom, left:right]
    noise = tf.random.stateless_normal(tf.shape(patch), seed, stddev=255.0 * stddev)
    return paste(image, window, clip_to_bytes(patch + noise))


def paste(image: tf.Tensor, window: tf.Tensor, content: tf.Tensor) -> tf.Tensor:
    """Returns the image [h, w, 3] with `content` in the window.

    Args:
      image: any dtype, [h, w, 3].
      window: int32 [4], (top, left, bottom, right) in pixels.
      content: same dtype, [bottom - top, right - left, 3].
    """
    top, left, bottom, right = tf.unstack(window)
    middle = tf.concat([image[top:bottom, :left], content, image[top:bottom, right:]], axis=1)
    whole = tf.concat([image[:top], middle, image[bottom:]], axis=0)
    return tf.ensure_shape(whole, image.shape)
