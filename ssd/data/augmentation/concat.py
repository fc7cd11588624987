"""An image beside itself."""

from __future__ import annotations

import tensorflow as tf

from ssd.data.augmentation.draws import Example, chance, fold_in
from ssd.data.decoder import PER_BOX_FIELDS
from ssd.standard_fields import InputFields

_ROWS, _COLUMNS = 0, 1


def random_self_concat_image(
    example: Example,
    seed: tf.Tensor,
    *,
    concat_vertical_probability: float = 0.1,
    concat_horizontal_probability: float = 0.1,
) -> Example:
    """Returns the image twice, one above the other or side by side; with luck four times.

    Args:
      example: image [h, w, 3], groundtruth_boxes float32 [N, 4] and the other per-box fields.
      seed: int32 or int64 [2].
      concat_vertical_probability, concat_horizontal_probability: of an image of 2h rows, and then
        of one of 2w columns.

    Returns:
      The example; each doubling repeats all boxes: first those of the upper or left image.
    """
    is_vertical = chance(fold_in(seed, 0), concat_vertical_probability)
    is_horizontal = chance(fold_in(seed, 1), concat_horizontal_probability)
    example = tf.cond(is_vertical, lambda: doubled(example, _ROWS), lambda: dict(example))
    return tf.cond(is_horizontal, lambda: doubled(example, _COLUMNS), lambda: dict(example))


def doubled(example: Example, axis: int) -> Example:
    """Returns the example with the image twice along its axis 0 (rows) or 1 (columns)."""
    halved = tf.tensor_scatter_nd_update(tf.ones([4]), [[axis], [axis + 2]], [0.5, 0.5])
    first = example[InputFields.groundtruth_boxes] * halved
    repeated = {
        key: tf.concat([value, value], axis=0) if key in PER_BOX_FIELDS else value
        for key, value in example.items()
    }
    image = example[InputFields.image]
    return {
        **repeated,
        InputFields.image: tf.concat([image, image], axis=axis),
        InputFields.groundtruth_boxes: tf.concat([first, first + (1.0 - halved)], axis=0),
    }
