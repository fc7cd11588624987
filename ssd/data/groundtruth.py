"""The groundtruth of an example -> the tensors of fixed shape that batches are made of."""

from __future__ import annotations

import tensorflow as tf

from ssd.data.decoder import NUM_DROPPED_BOXES, PER_BOX_FIELDS, Example
from ssd.standard_fields import LABEL_ID_OFFSET, InputFields

# int32 []: boxes left over because an image has more than max_number_of_boxes.
NUM_TRUNCATED_BOXES = "num_truncated_boxes"

# Corners are compared in steps of 1 / 9999, as in the original.
_STEPS = 10_000

_F = InputFields


def truncated(example: Example, max_number_of_boxes: int | None) -> Example:
    """Returns the example with its first boxes, their count and how many were left over."""
    count = tf.shape(example[_F.groundtruth_boxes])[0]
    kept = count if max_number_of_boxes is None else tf.minimum(count, max_number_of_boxes)
    return {
        **{k: value[:kept] if k in PER_BOX_FIELDS else value for k, value in example.items()},
        _F.num_groundtruth_boxes: kept,
        NUM_TRUNCATED_BOXES: count - kept,
    }


def with_class_targets(example: Example, num_classes: int, merges: bool) -> Example:
    """Returns the example with groundtruth_classes_one_hot [N, C], equal boxes merged if asked."""
    boxes, weights = example[_F.groundtruth_boxes], example[_F.groundtruth_weights]
    targets = tf.one_hot(example[_F.groundtruth_classes] - LABEL_ID_OFFSET, num_classes)
    if merges:
        boxes, targets, weights = merge_equal_boxes(boxes, targets, weights)
    return {
        **example,
        _F.groundtruth_boxes: boxes,
        _F.groundtruth_classes_one_hot: targets,
        _F.groundtruth_weights: weights,
    }


def of_fixed_shape(example: Example, num_classes: int, max_number_of_boxes: int) -> Example:
    """Returns what `train_dataset` gives of an example, with zeros behind its boxes."""
    count = tf.shape(example[_F.groundtruth_boxes])[0]
    kept = tf.minimum(count, max_number_of_boxes)

    def padded(key: str, *row_shape: int) -> tf.Tensor:
        missing = [[0, max_number_of_boxes - kept], *([[0, 0]] * len(row_shape))]
        rows = tf.pad(example[key][:kept], missing)
        return tf.ensure_shape(rows, [max_number_of_boxes, *row_shape])

    return {
        _F.groundtruth_boxes: padded(_F.groundtruth_boxes, 4),
        _F.groundtruth_classes_one_hot: padded(_F.groundtruth_classes_one_hot, num_classes),
        _F.groundtruth_weights: padded(_F.groundtruth_weights),
        _F.num_groundtruth_boxes: kept,
        NUM_TRUNCATED_BOXES: count - kept,
        **{
            key: example[key]
            for key in (
                _F.image,
                _F.source_id,
                _F.original_image_size,
                _F.true_image_shape,
                NUM_DROPPED_BOXES,
            )
        },
    }


def merge_equal_boxes(
    boxes: tf.Tensor, classes_one_hot: tf.Tensor, weights: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns boxes, class targets and weights with one row per different box.

    This is `merge_multiple_label_boxes`, for records that repeat a box with each of its labels.
    Boxes count as equal when their corners fall into the same cells of a grid of 9999 x 9999. The
    first of them stays, in its place and with its weight; its target has the classes of all.

    Args:
      boxes: float32 [N, 4], yxyx normalized.
      classes_one_hot: float32 [N, C].
      weights: float32 [N].

    Returns:
      float32 [M, 4], [M, C] and [M], M <= N.
    """
    cells = tf.cast(boxes * (_STEPS - 1), tf.int64)
    places = tf.constant([1, _STEPS, _STEPS**2, _STEPS**3], tf.int64)
    different, group = tf.unique(tf.reduce_sum(cells * places, axis=1))
    count = tf.shape(different)[0]
    first = tf.math.unsorted_segment_min(tf.range(tf.shape(boxes)[0]), group, count)
    targets = tf.math.unsorted_segment_max(classes_one_hot, group, count)
    return tf.gather(boxes, first), targets, tf.gather(weights, first)
