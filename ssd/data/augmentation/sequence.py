"""Several ops, one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from ssd.data.augmentation import aspect_ratios, boxes, concat, crops, flips, labels
from ssd.data.augmentation.draws import Augmentation, Example, fold_in
from ssd.standard_fields import InputFields

# These move pixels and compute none: in uint8 they do the same with a quarter of the memory.
_MOVES_PIXELS = frozenset(
    {
        flips.random_horizontal_flip,
        flips.random_vertical_flip,
        flips.random_rotation90,
        crops.random_crop_image,
        crops.ssd_random_crop,
        aspect_ratios.random_crop_to_aspect_ratio,
        aspect_ratios.ssd_random_crop_fixed_aspect_ratio,
        concat.random_self_concat_image,
        boxes.random_jitter_boxes,
        boxes.scale_boxes_to_pixel_coordinates,
        labels.drop_label_probabilistically,
        labels.remap_labels,
    }
)


def apply(example: Example, augmentations: Sequence[Augmentation], seed: tf.Tensor) -> Example:
    """Returns the example after one op after the other, each with a seed of its own.

    Args:
      example: one decoded record; image uint8 or float32 [h, w, 3], 0..255.
      augmentations: the ops, in order. None leaves the example as it is.
      seed: int32 or int64 [2].

    Returns:
      The example. The image is float32 from the first op on that computes pixels, so that nothing
      is rounded between two ops; until then it keeps its dtype.
    """
    for number, augmentation in enumerate(augmentations):
        # The op itself where `functools.partial` holds its arguments.
        if getattr(augmentation, "func", augmentation) not in _MOVES_PIXELS:
            image = tf.cast(example[InputFields.image], tf.float32)
            example = {**example, InputFields.image: image}
        example = augmentation(example, fold_in(seed, number))
    return example
