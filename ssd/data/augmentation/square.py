"""Random scale and place in a square, the rest black, as CenterNet and EfficientDet train."""

from __future__ import annotations

import tensorflow as tf

from ssd.data.augmentation.draws import Example, fold_in, uniform
from ssd.data.augmentation.resizing import resize
from ssd.data.augmentation.windows import keep_touching, relative_to
from ssd.standard_fields import InputFields


def random_square_crop_by_scale(
    example: Example,
    seed: tf.Tensor,
    *,
    max_border: int = 128,
    scale_min: float = 0.6,
    scale_max: float = 1.3,
    num_scales: int = 8,
) -> Example:
    """Returns a square around a random point of the image, black where it reaches outside.

    Boxes that do not touch the square are dropped, the others clipped to it. The image keeps its
    scale. As in the TF Object Detection API, the last row and the last column of the image never
    come into the square, and those of a square of odd side stay black.

    Args:
      example: image [h, w, 3], groundtruth_boxes float32 [N, 4] and the other per-box fields.
      seed: int32 or int64 [2].
      max_border: the centre is at least so many pixels from the border of the image; halved until
        it is no more than half of the side.
      scale_min, scale_max: side of the square as a share of the image's longer side.
      num_scales: so many shares, evenly spaced, are drawn from.
    """
    image = example[InputFields.image]
    size = tf.shape(image)[:2]
    scales = tf.linspace(tf.constant(scale_min, tf.float32), scale_max, num_scales)
    scale = scales[uniform(fold_in(seed, 0), 0, num_scales, dtype=tf.int32)]
    side = tf.cast(scale * tf.cast(tf.reduce_max(size), tf.float32), tf.int32)
    side = tf.maximum(side, 1)
    begin = _draw_centre(seed, size, max_border) - side // 2
    end = tf.minimum(begin + side // 2 * 2, size - 1)
    inner = tf.maximum(begin, 0)
    cut = image[inner[0] : end[0], inner[1] : end[1]]
    square = _black_around(cut, inner - begin, side)
    # In float64, as whole numbers are divided in the TF Object Detection API.
    sides = tf.cast(size, tf.float64)
    top_left = tf.cast(begin, tf.float64) / sides
    bottom_right = tf.cast(begin + side, tf.float64) / sides
    boxes = relative_to(example[InputFields.groundtruth_boxes], top_left, bottom_right)
    return keep_touching(
        {**example, InputFields.image: square, InputFields.groundtruth_boxes: boxes}
    )


def random_scale_crop_and_pad_to_square(
    example: Example,
    seed: tf.Tensor,
    *,
    output_size: int = 512,
    scale_min: float = 0.1,
    scale_max: float = 2.0,
) -> Example:
    """Returns the image resized by chance, cut or padded with black to a square.

    Boxes that do not touch what is left of the image are dropped, the others clipped to it.

    Args:
      example: image [h, w, 3], groundtruth_boxes float32 [N, 4] and the other per-box fields.
      seed: int32 or int64 [2].
      output_size: side of the square in pixels.
      scale_min, scale_max: longer side of the resized image as a share of output_size. The aspect
        ratio is kept. What is too long is cut at a random place; what is missing is added below
        and on the right.
    """
    image = example[InputFields.image]
    sides = tf.cast(tf.shape(image)[:2], tf.float32)
    scale = uniform(fold_in(seed, 0), scale_min, scale_max)
    scaled_sides = scale * output_size * (sides / tf.reduce_max(sides))
    scaled_size = tf.maximum(tf.cast(scaled_sides, tf.int32), 1)
    excess = tf.cast(tf.maximum(scaled_size - output_size, 0), tf.float32)
    offset = tf.cast(excess * uniform(fold_in(seed, 1), shape=[2]), tf.int32)
    end = tf.minimum(offset + output_size, scaled_size)
    scaled = resize(image, scaled_size, "BILINEAR")
    cut = scaled[offset[0] : end[0], offset[1] : end[1]]
    square = _black_around(cut, tf.zeros([2], tf.int32), output_size)
    top_left = tf.cast(offset, tf.float32) / tf.cast(scaled_size, tf.float32)
    bottom_right = tf.cast(offset + output_size, tf.float32) / tf.cast(scaled_size, tf.float32)
    boxes = relative_to(example[InputFields.groundtruth_boxes], top_left, bottom_right)
    return keep_touching(
        {**example, InputFields.image: square, InputFields.groundtruth_boxes: boxes}
    )


def _draw_centre(seed: tf.Tensor, size: tf.Tensor, max_border: int) -> tf.Tensor:
    """Returns int32 [2], (y, x), at least a border's width inside the image."""
    most = tf.constant(max_border, tf.float32)
    halvings = tf.math.log(2.0 * most / tf.cast(size, tf.float32)) / tf.math.log(2.0)
    divisor = tf.clip_by_value(tf.pow(2.0, tf.math.ceil(halvings)), 1.0, most)
    # An image of one pixel has no border at all.
    border = tf.minimum(max_border // tf.cast(divisor, tf.int32), size // 2)
    ends = size - border + 1
    return tf.stack(
        [
            uniform(fold_in(seed, 1 + axis), border[axis], ends[axis], dtype=tf.int32)
            for axis in (0, 1)
        ]
    )


def _black_around(image: tf.Tensor, offset: tf.Tensor, side: int | tf.Tensor) -> tf.Tensor:
    """Returns the image at `offset` int32 [2] in a black square."""
    after = side - offset - tf.shape(image)[:2]
    paddings = tf.concat([tf.stack([offset, after], axis=1), [[0, 0]]], axis=0)
    return tf.pad(image, paddings)
