"""A crop and then a pad, the size of both relative to the image before the crop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from ssd.data.augmentation.crops import Crop, crop_with_one_of, random_crop_image, ssd_crop
from ssd.data.augmentation.draws import Example, fold_in
from ssd.data.augmentation.pads import pad_randomly
from ssd.standard_fields import InputFields

_MIN_PADDED_SIZE_RATIO = (1.0, 1.0)
_MAX_PADDED_SIZE_RATIO = (2.0, 2.0)

_SSD_CROPS = tuple(ssd_crop(coverage) for coverage in (0.1, 0.3, 0.5, 0.7, 0.9, 1.0))


def random_crop_pad_image(
    example: Example,
    seed: tf.Tensor,
    *,
    min_padded_size_ratio: Sequence[float] = (),
    max_padded_size_ratio: Sequence[float] = (),
    pad_color: Sequence[float] = (),
    **crop: Any,
) -> Example:
    """Returns the example after `random_crop_image`, at a random place in a larger image.

    Args:
      example, seed: as for `random_crop_image`.
      min_padded_size_ratio, max_padded_size_ratio: (height, width) of the padded image as shares
        of the size before the crop; empty: (1, 1) and (2, 2). The size is drawn as by
        `random_pad_image`.
      pad_color: as for `random_pad_image`; empty: the mean of the cropped image.
      crop: the keyword arguments of `random_crop_image`. An image that random_coef leaves alone
        is padded all the same.
    """
    return _padded(
        random_crop_image(example, fold_in(seed, 0), **crop),
        fold_in(seed, 1),
        tf.shape(example[InputFields.image])[:2],
        min_padded_size_ratio or _MIN_PADDED_SIZE_RATIO,
        max_padded_size_ratio or _MAX_PADDED_SIZE_RATIO,
        pad_color,
    )


def ssd_random_crop_pad(
    example: Example, seed: tf.Tensor, *, operations: Sequence[Crop] = ()
) -> Example:
    """Returns the example after one of several `random_crop_pad_image`, of equal chance.

    Args:
      example, seed: as for `random_crop_image`.
      operations: the choices, each with the keyword arguments of `random_crop_pad_image`, but
        with pad_color_r, pad_color_g and pad_color_b for its pad_color. None given: six with
        min_object_covered = overlap_thresh = 0.1, 0.3, 0.5, 0.7, 0.9, 1 and otherwise the crops of
        `ssd_random_crop`; padded with the mean of the cropped image to at most twice the size.
    """
    cropped, chosen = crop_with_one_of(example, fold_in(seed, 0), operations or _SSD_CROPS)
    min_ratio: Any = _MIN_PADDED_SIZE_RATIO
    max_ratio: Any = _MAX_PADDED_SIZE_RATIO
    color: Any = ()
    if operations:
        channels = ("pad_color_r", "pad_color_g", "pad_color_b")
        low = [each["min_padded_size_ratio"] or min_ratio for each in operations]
        high = [each["max_padded_size_ratio"] or max_ratio for each in operations]
        min_ratio, max_ratio = tf.gather(low, chosen), tf.gather(high, chosen)
        color = tf.gather([[each[channel] for channel in channels] for each in operations], chosen)
    original_size = tf.shape(example[InputFields.image])[:2]
    return _padded(cropped, fold_in(seed, 1), original_size, min_ratio, max_ratio, color)


def _padded(
    cropped: Example,
    seed: tf.Tensor,
    original_size: tf.Tensor,
    min_ratio: Sequence[float] | tf.Tensor,
    max_ratio: Sequence[float] | tf.Tensor,
    color: Sequence[float] | tf.Tensor,
) -> Example:
    sides = tf.cast(original_size, tf.float32)
    min_size = tf.cast(sides * min_ratio, tf.int32)
    max_size = tf.cast(sides * max_ratio, tf.int32)
    return pad_randomly(cropped, seed, min_size, max_size, color)
