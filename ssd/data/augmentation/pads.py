"""Images put somewhere into a larger one of a single colour."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from ssd.data.augmentation.draws import Example, fold_in, uniform
from ssd.data.augmentation.windows import relative_to
from ssd.standard_fields import InputFields


def random_pad_image(
    example: Example,
    seed: tf.Tensor,
    *,
    min_image_height: int = 0,
    min_image_width: int = 0,
    max_image_height: int = 0,
    max_image_width: int = 0,
    pad_color: Sequence[float] = (),
) -> Example:
    """Returns the example at a random place in an image of a random size.

    Args:
      example: image [h, w, 3] and groundtruth_boxes float32 [N, 4].
      seed: int32 or int64 [2].
      min_image_height, min_image_width: pixels; the image's own size where that is more.
      max_image_height, max_image_width: pixels, not drawn themselves unless they are the minimum
        too; 0 stands for twice the image's size, and less than the image's size for that size.
      pad_color: RGB, or one value for all three, in the image's range; empty: the image's mean.
    """
    size = tf.shape(example[InputFields.image])[:2]
    largest = [
        given or 2 * size[axis] for axis, given in enumerate((max_image_height, max_image_width))
    ]
    smallest = [min_image_height, min_image_width]
    return pad_randomly(example, seed, tf.stack(smallest), tf.stack(largest), pad_color)


def random_absolute_pad_image(
    example: Example,
    seed: tf.Tensor,
    *,
    max_height_padding: int = 0,
    max_width_padding: int = 0,
    pad_color: Sequence[float] = (),
) -> Example:
    """Returns the example with some rows and columns more, each side by chance.

    Args:
      example, seed, pad_color: as for `random_pad_image`.
      max_height_padding, max_width_padding: pixels in all, above and below, left and right; one
        less is the most that is drawn, and 0 pads as little as 1: nothing.
    """
    size = tf.shape(example[InputFields.image])[:2]
    padding = tf.stack([max_height_padding, max_width_padding])
    return pad_randomly(example, seed, size, size + padding, pad_color)


def pad_randomly(
    example: Example,
    seed: tf.Tensor,
    min_size: tf.Tensor,
    max_size: tf.Tensor,
    pad_color: Sequence[float] | tf.Tensor,
) -> Example:
    """Returns the example at a random place in an image of a random size.

    Args:
      example, seed: as for `random_pad_image`.
      min_size, max_size: int32 [2], (height, width); neither is less than the image's own size
        here. The size is drawn from min_size to max_size - 1, or is max_size where that leaves
        none; the place, from the upper left corner to one pixel short of the lower right one.
      pad_color: as for `random_pad_image`, or float32 [3].
    """
    size = tf.shape(example[InputFields.image])[:2]
    low, high = tf.maximum(min_size, size), tf.maximum(max_size, size)
    target_size = tf.stack(
        [_integer(fold_in(seed, axis), low[axis], high[axis]) for axis in (0, 1)]
    )
    room = target_size - size
    offset = tf.stack([_integer(fold_in(seed, 2 + axis), 0, room[axis]) for axis in (0, 1)])
    if isinstance(pad_color, tf.Tensor) or pad_color:
        color = tf.convert_to_tensor(pad_color, tf.float32)
    else:
        color = tf.reduce_mean(tf.cast(example[InputFields.image], tf.float32), axis=[0, 1])
    return pad_to(example, offset, target_size, color)


def pad_to(
    example: Example, offset: tf.Tensor, target_size: tf.Tensor, color: tf.Tensor
) -> Example:
    """Returns the example as a part of a larger image of one colour.

    Args:
      example: image [h, w, 3] and groundtruth_boxes float32 [N, 4].
      offset: int32 [2], (y, x) of the image's upper left corner in the larger one.
      target_size: int32 [2], (height, width) of the larger one; it holds the image.
      color: float32 [3] or [1].
    """
    image = example[InputFields.image]
    size = tf.shape(image)[:2]
    around = tf.stack([offset, target_size - size - offset], axis=1)  # [(y, x), (before, after)]
    paddings = tf.concat([around, [[0, 0]]], axis=0)
    is_image = tf.pad(tf.ones_like(image, tf.bool), paddings)
    padded = tf.where(is_image, tf.pad(image, paddings), tf.cast(color, image.dtype))
    sides = tf.cast(size, tf.float32)
    top_left = tf.cast(-offset, tf.float32) / sides
    bottom_right = tf.cast(target_size - offset, tf.float32) / sides
    boxes = example[InputFields.groundtruth_boxes]
    return {
        **example,
        InputFields.image: padded,
        InputFields.groundtruth_boxes: relative_to(boxes, top_left, bottom_right),
    }


def _integer(seed: tf.Tensor, low: int | tf.Tensor, high: tf.Tensor) -> tf.Tensor:
    """Returns int32 [] from `low` to `high` - 1, or `high` where there is none."""
    low = tf.convert_to_tensor(low, tf.int32)
    return tf.where(high > low, uniform(seed, low, tf.maximum(high, low + 1), dtype=tf.int32), high)
