"""Pixel values moved to another range, or each one scaled; boxes stay as they are.

The detector scales 0..255 to its own range after all ops, so an op that leaves that range changes
what the detector sees in training, but not in evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from ssd.data.augmentation.color import clip_to_bytes
from ssd.data.augmentation.draws import Example, uniform
from ssd.errors import InputError
from ssd.standard_fields import InputFields

_IMAGE = InputFields.image


def normalize_image(
    example: Example,
    seed: tf.Tensor,
    *,
    original_minval: float = 0.0,
    original_maxval: float = 0.0,
    target_minval: float = 0.0,
    target_maxval: float = 1.0,
) -> Example:
    """Returns the example, its values moved linearly from one range to another; not clipped.

    Args:
      example: image float32 [h, w, 3].
      seed: unused; nothing is random.
      original_minval, original_maxval: the range that the values have, 0 and 255 as a rule.
      target_minval, target_maxval: where those two values go.

    Raises:
      InputError: the original range is empty.
    """
    if original_minval == original_maxval:
        raise InputError(
            f"normalize_image: original_minval and original_maxval are both {original_minval:g}; "
            "expected the range of the values, such as 0 and 255"
        )
    scale = (target_maxval - target_minval) / (original_maxval - original_minval)
    return {**example, _IMAGE: (example[_IMAGE] - original_minval) * scale + target_minval}


def subtract_channel_mean(
    example: Example, seed: tf.Tensor, *, means: Sequence[float] = ()
) -> Example:
    """Returns the example, one number per channel (red, green, blue) subtracted; not clipped.

    Raises:
      InputError: `means` are not three.
    """
    if len(means) != 3:
        raise InputError(
            f"subtract_channel_mean: {len(means)} means; expected 3 (red, green, blue)"
        )
    return {**example, _IMAGE: example[_IMAGE] - tf.constant(list(means), tf.float32)}


def random_pixel_value_scale(
    example: Example, seed: tf.Tensor, *, minval: float = 0.9, maxval: float = 1.1
) -> Example:
    """Returns the example, every single value times a factor of its own, clipped to 0..255."""
    image = example[_IMAGE]
    factors = uniform(seed, minval, maxval, shape=tf.shape(image))
    return {**example, _IMAGE: clip_to_bytes(image * factors)}
