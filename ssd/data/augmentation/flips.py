"""Mirrored and turned images."""

from __future__ import annotations

import tensorflow as tf

from ssd.data.augmentation.draws import Example, chance
from ssd.standard_fields import InputFields


def random_horizontal_flip(
    example: Example, seed: tf.Tensor, *, probability: float = 0.5
) -> Example:
    """Returns the example mirrored left to right in `probability` of the cases."""
    is_flipped = chance(seed, probability)
    return tf.cond(is_flipped, lambda: flip_left_right(example), lambda: dict(example))


def random_vertical_flip(example: Example, seed: tf.Tensor, *, probability: float = 0.5) -> Example:
    """Returns the example upside down, mirrored, in `probability` of the cases."""
    is_flipped = chance(seed, probability)
    return tf.cond(is_flipped, lambda: flip_up_down(example), lambda: dict(example))


def random_rotation90(example: Example, seed: tf.Tensor, *, probability: float = 0.5) -> Example:
    """Returns the example turned left by 90 degrees in `probability` of the cases."""
    is_turned = chance(seed, probability)
    return tf.cond(is_turned, lambda: rotate_left(example), lambda: dict(example))


def flip_left_right(example: Example) -> Example:
    """Returns the mirrored example: columns reversed, (xmin, xmax) -> (1 - xmax, 1 - xmin)."""
    ymin, xmin, ymax, xmax = tf.unstack(example[InputFields.groundtruth_boxes], axis=-1)
    return {
        **example,
        InputFields.image: tf.reverse(example[InputFields.image], axis=[1]),
        InputFields.groundtruth_boxes: tf.stack([ymin, 1.0 - xmax, ymax, 1.0 - xmin], axis=-1),
    }


def flip_up_down(example: Example) -> Example:
    """Returns the mirrored example: rows reversed, (ymin, ymax) -> (1 - ymax, 1 - ymin)."""
    ymin, xmin, ymax, xmax = tf.unstack(example[InputFields.groundtruth_boxes], axis=-1)
    return {
        **example,
        InputFields.image: tf.reverse(example[InputFields.image], axis=[0]),
        InputFields.groundtruth_boxes: tf.stack([1.0 - ymax, xmin, 1.0 - ymin, xmax], axis=-1),
    }


def rotate_left(example: Example) -> Example:
    """Returns the example turned counter-clockwise: image [h, w, 3] -> [w, h, 3].

    The right border becomes the upper one: (y, x) -> (1 - x, y).
    """
    ymin, xmin, ymax, xmax = tf.unstack(example[InputFields.groundtruth_boxes], axis=-1)
    transposed = tf.transpose(example[InputFields.image], [1, 0, 2])
    return {
        **example,
        InputFields.image: tf.reverse(transposed, axis=[0]),
        InputFields.groundtruth_boxes: tf.stack([1.0 - xmax, ymin, 1.0 - xmin, ymax], axis=-1),
    }
