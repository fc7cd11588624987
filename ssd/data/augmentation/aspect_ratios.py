"""Images cut or padded to one aspect ratio."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from ssd.data.augmentation.crops import SSD_CROPS, Crop, ssd_random_crop
from ssd.data.augmentation.draws import Example, fold_in, uniform
from ssd.data.augmentation.pads import pad_to
from ssd.data.augmentation.windows import crop_to_window
from ssd.standard_fields import InputFields


def random_crop_to_aspect_ratio(
    example: Example,
    seed: tf.Tensor,
    *,
    aspect_ratio: float = 1.0,
    overlap_thresh: float = 0.3,
    clip_boxes: bool = True,
) -> Example:
    """Returns the example cut to the largest window of an aspect ratio, at a random place.

    Args:
      example: image [h, w, 3], groundtruth_boxes float32 [N, 4] and the other per-box fields.
      seed: int32 or int64 [2].
      aspect_ratio: width / height of the window in pixels.
      overlap_thresh: a box stays when at least this share of its own area lies in the window.
      clip_boxes: whether the boxes that stay are clipped to the window. Without, and with
        overlap_thresh 0, boxes stay that do not touch the window.
    """
    size = tf.shape(example[InputFields.image])[:2]
    height, width = tf.unstack(tf.cast(size, tf.float32))
    target_height = tf.where(width / height >= aspect_ratio, height, width / aspect_ratio)
    target_width = tf.where(width / height <= aspect_ratio, width, height * aspect_ratio)
    target = tf.cast(tf.round(tf.stack([target_height, target_width])), tf.int32)
    target = tf.maximum(target, 1)
    room = size - target + 1
    offset = [uniform(fold_in(seed, axis), 0, room[axis], dtype=tf.int32) for axis in (0, 1)]
    return crop_to_window(
        example,
        tf.concat([offset, target], axis=0),
        overlap_thresh=overlap_thresh,
        clip_boxes=clip_boxes,
        drops_untouched=clip_boxes,
    )


def ssd_random_crop_fixed_aspect_ratio(
    example: Example,
    seed: tf.Tensor,
    *,
    operations: Sequence[Crop] = (),
    aspect_ratio: float = 1.0,
) -> Example:
    """Returns the example after `ssd_random_crop`, its result cut to an aspect ratio.

    An image that random_coef leaves alone is cut to the aspect ratio all the same, with
    overlap_thresh 0.3 and boxes clipped, whatever the operation says.

    Args:
      example, seed: as for `random_crop_to_aspect_ratio`.
      operations: as for `ssd_random_crop`, without min_aspect_ratio and max_aspect_ratio.
      aspect_ratio: width / height in pixels of every window.
    """
    fixed = {"min_aspect_ratio": aspect_ratio, "max_aspect_ratio": aspect_ratio}
    crops = [{**crop, **fixed} for crop in operations or SSD_CROPS]
    cropped = ssd_random_crop(example, fold_in(seed, 0), operations=crops)
    return random_crop_to_aspect_ratio(cropped, fold_in(seed, 1), aspect_ratio=aspect_ratio)


def ssd_random_crop_pad_fixed_aspect_ratio(
    example: Example,
    seed: tf.Tensor,
    *,
    operations: Sequence[Crop] = (),
    aspect_ratio: float = 1.0,
    min_padded_size_ratio: Sequence[float] = (),
    max_padded_size_ratio: Sequence[float] = (),
) -> Example:
    """Returns the example after `ssd_random_crop`, its result padded to an aspect ratio.

    Args:
      example, seed, operations: as for `ssd_random_crop`.
      aspect_ratio: width / height of the padded image in pixels.
      min_padded_size_ratio, max_padded_size_ratio: (height, width) of the padded image as shares
        of the cropped one's; empty: (1, 1) and (2, 2). The aspect ratio goes before them.

    Returns:
      The example in the upper left corner of a black image.
    """
    cropped = ssd_random_crop(example, fold_in(seed, 0), operations=operations)
    min_ratio, max_ratio = min_padded_size_ratio or (1.0, 1.0), max_padded_size_ratio or (2.0, 2.0)
    size = tf.cast(tf.shape(cropped[InputFields.image])[:2], tf.float32)
    height, width = tf.unstack(size)
    target_height = tf.where(width / height <= aspect_ratio, height, width / aspect_ratio)
    target_width = tf.where(width / height >= aspect_ratio, width, height * aspect_ratio)
    target = tf.stack([target_height, target_width])
    # How many times as large as the smallest image that has the aspect ratio and holds this one.
    max_scale = tf.reduce_min(tf.maximum(size * max_ratio, target) / target)
    wanted_min_scale = tf.reduce_max(tf.maximum(size * min_ratio, target) / target)
    min_scale = tf.minimum(max_scale, wanted_min_scale)
    scale = uniform(fold_in(seed, 1), min_scale, max_scale)
    target_size = tf.cast(tf.round(scale * target), tf.int32)
    return pad_to(cropped, tf.zeros([2], tf.int32), target_size, tf.zeros([3]))
