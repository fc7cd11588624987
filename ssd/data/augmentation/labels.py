"""Classes of boxes: some boxes dropped, some renamed."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from ssd.data.augmentation.draws import Example, uniform
from ssd.data.decoder import keep_boxes
from ssd.standard_fields import InputFields


def drop_label_probabilistically(
    example: Example, seed: tf.Tensor, *, label: int = 0, drop_probability: float = 1.0
) -> Example:
    """Returns the example without some of the boxes of one class, each decided by itself.

    Args:
      example: groundtruth_classes int64 [N] and the other per-box fields; image as it is.
      seed: int32 or int64 [2].
      label: the class id.
      drop_probability: share of the boxes of this class that are dropped.
    """
    classes = example[InputFields.groundtruth_classes]
    is_lucky = uniform(seed, shape=tf.shape(classes)) > drop_probability
    return keep_boxes(example, is_lucky | (classes != tf.cast(label, classes.dtype)))


def remap_labels(
    example: Example,
    seed: tf.Tensor,
    *,
    original_labels: Sequence[int] = (),
    new_label: int = 0,
) -> Example:
    """Returns the example with one class in the place of several.

    Args:
      example: groundtruth_classes int64 [N].
      seed: not used; nothing is left to chance.
      original_labels: class ids.
      new_label: the class id that boxes of these get.
    """
    classes = example[InputFields.groundtruth_classes]
    originals = tf.constant(list(original_labels), classes.dtype)
    is_original = tf.reduce_any(classes[:, tf.newaxis] == originals, axis=-1)
    renamed = tf.where(is_original, tf.cast(new_label, classes.dtype), classes)
    return {**example, InputFields.groundtruth_classes: renamed}
