"""Changes of the boxes alone."""

from __future__ import annotations

import tensorflow as tf

from ssd.data.augmentation.draws import Example, uniform
from ssd.data.augmentation.windows import clip
from ssd.standard_fields import InputFields

_SMALLEST_SIDE = 1e-6


def random_jitter_boxes(
    example: Example, seed: tf.Tensor, *, ratio: float = 0.05, jitter_mode: str = "DEFAULT"
) -> Example:
    """Returns the example with every box a little off, clipped to the image.

    Args:
      example: groundtruth_boxes float32 [N, 4].
      seed: int32 or int64 [2].
      ratio: how far; a side is at most ratio / 2 of the box's height or width from where it was.
      jitter_mode: DEFAULT moves each of the four sides by itself, in or out; EXPAND only out,
        SHRINK only in. EXPAND_SYMMETRIC and SHRINK_SYMMETRIC keep the centre and draw one number
        for the height and one for the width; EXPAND_SYMMETRIC_XY and SHRINK_SYMMETRIC_XY draw one
        for both. With these four, a box is not made larger than fits around its centre.
    """
    boxes = example[InputFields.groundtruth_boxes]
    low = 0.0 if jitter_mode.startswith("EXPAND") else -ratio
    high = 0.0 if jitter_mode.startswith("SHRINK") else ratio
    top_left, bottom_right = boxes[:, :2], boxes[:, 2:]
    centre = top_left + (bottom_right - top_left) / 2.0
    sides = tf.maximum(tf.abs(bottom_right - top_left), _SMALLEST_SIDE)  # [N, (y, x)]
    count = tf.shape(boxes)[0]
    if "SYMMETRIC" in jitter_mode:
        factors = 1.0 + uniform(seed, low, high, shape=[count, 2])
        largest = tf.abs(tf.minimum(2.0 * centre / sides, 2.0 * (1.0 - centre) / sides))
        if jitter_mode.endswith("_XY"):
            factors = tf.repeat(factors[:, :1], 2, axis=-1)
            largest = tf.repeat(tf.reduce_min(largest, axis=-1, keepdims=True), 2, axis=-1)
        factors = tf.tile(tf.clip_by_value(factors, -largest, largest), [1, 2])
    else:
        factors = 1.0 + uniform(seed, low, high, shape=[count, 4])
    top_left = centre - sides * factors[:, :2] / 2.0
    bottom_right = centre + sides * factors[:, 2:] / 2.0
    jittered = clip(tf.concat([top_left, bottom_right], axis=-1))
    return {**example, InputFields.groundtruth_boxes: jittered}


def scale_boxes_to_pixel_coordinates(example: Example, seed: tf.Tensor) -> Example:
    """Returns the example with boxes in pixels of the image instead of shares of its sides.

    Nothing after it expects that, the anchors of the SSD family least of all; it is here because
    pipeline.config can ask for it.

    Args:
      example: image [h, w, 3] and groundtruth_boxes float32 [N, 4].
      seed: not used; nothing is left to chance.
    """
    height, width = tf.unstack(tf.cast(tf.shape(example[InputFields.image])[:2], tf.float32))
    boxes = example[InputFields.groundtruth_boxes] * tf.stack([height, width, height, width])
    return {**example, InputFields.groundtruth_boxes: boxes}
