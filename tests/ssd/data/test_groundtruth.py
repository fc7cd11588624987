"""Groundtruth in the form of batches."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from ssd.data.groundtruth import merge_equal_boxes

BOXES = np.array(
    [
        [0.1, 0.2, 0.4, 0.7],
        [0.3, 0.3, 0.9, 0.8],
        [0.1, 0.2, 0.4, 0.7],
        [0.10001, 0.2, 0.4, 0.7],
        [0.3, 0.3, 0.9, 0.80011],
        [0.1, 0.2, 0.4, 0.7],
    ],
    np.float32,
)
CLASS_INDICES = np.array([0, 1, 2, 1, 1, 2])
WEIGHTS = np.array([0.5, 0.6, 0.7, 0.8, 0.9, 1.0], np.float32)


def test_equal_boxes_become_one_as_in_the_original() -> None:
    merged = tf.function(merge_equal_boxes)
    boxes, targets, weights = merged(BOXES, tf.one_hot(CLASS_INDICES, 3), WEIGHTS)
    # Rows 0, 2 and 5 are one box. The ymin of row 3 times 9999 is 1000.0, that of row 0 is 999.9;
    # the xmax of row 4 is 8000.3, that of row 1 is 7999.2: other cells, so other boxes.
    np.testing.assert_array_equal(boxes, BOXES[[0, 1, 3, 4]])
    assert targets.numpy().tolist() == [[1, 0, 1], [0, 1, 0], [0, 1, 0], [0, 1, 0]]
    np.testing.assert_array_equal(weights, WEIGHTS[[0, 1, 3, 4]])


@pytest.mark.parametrize("rows", [0, 1])
def test_nothing_to_merge(rows: int) -> None:
    targets = tf.one_hot(CLASS_INDICES[:rows], 3)
    merged = merge_equal_boxes(BOXES[:rows], targets, WEIGHTS[:rows])
    for ours, given in zip(merged, (BOXES[:rows], targets, WEIGHTS[:rows]), strict=True):
        np.testing.assert_array_equal(ours, given)


def test_boxes_in_the_same_cell_are_equal_and_keep_the_first() -> None:
    near = np.array([[0.1, 0.2, 0.4, 0.7], [0.10000001, 0.2, 0.40002, 0.7]], np.float32)
    boxes, targets, weights = merge_equal_boxes(near, tf.one_hot([1, 1], 3), WEIGHTS[:2])
    np.testing.assert_array_equal(boxes, near[:1])
    # A class that is there twice counts once.
    assert targets.numpy().tolist() == [[0, 1, 0]]
    assert weights.numpy().tolist() == [0.5]
