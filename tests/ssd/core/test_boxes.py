"""Geometry against hand numbers and the recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ssd.core import boxes

RECORDING = np.load(Path(__file__).parents[2] / "data" / "core_box_similarity.npz")


def test_overlaps_by_hand() -> None:
    # Heights 0.4 and 0.3 share 0.2 (0.3..0.5), widths 0.5 and 0.2 share 0.1 (0.5..0.6); the second
    # only touches.
    one = tf.constant([[0.1, 0.1, 0.5, 0.6]])
    other = tf.constant([[0.3, 0.5, 0.6, 0.7], [0.5, 0.1, 0.9, 0.6]])
    np.testing.assert_allclose(boxes.intersection(one, other), [[0.02, 0.0]], rtol=1e-6)
    # 0.02 / (0.2 + 0.06 - 0.02)
    np.testing.assert_allclose(boxes.iou(one, other), [[0.02 / 0.24, 0.0]], rtol=1e-6)
    # Of the others' areas: 0.02 / 0.06.
    np.testing.assert_allclose(boxes.ioa(one, other), [[0.02 / 0.06, 0.0]], rtol=1e-6)


@pytest.mark.parametrize("name", ["iou", "ioa"])
def test_overlaps_equal_the_recording(name: str) -> None:
    # Among the boxes: identical, without area, inverted and null ones (NaN in the IoA).
    ours = getattr(boxes, name)(RECORDING["boxes1"], RECORDING["boxes2"])
    np.testing.assert_allclose(ours, RECORDING[name], atol=1e-7)


@pytest.mark.parametrize("number", ["1", "2"])
def test_area_equals_the_recording(number: str) -> None:
    ours = boxes.area(RECORDING[f"boxes{number}"])
    np.testing.assert_array_equal(ours, RECORDING[f"area{number}"])


def test_boxes_without_area_overlap_nothing_not_even_themselves() -> None:
    empty = tf.constant([[0.3, 0.3, 0.3, 0.6], [0.0, 0.0, 0.0, 0.0]])
    np.testing.assert_array_equal(boxes.iou(empty, empty), np.zeros((2, 2)))


def test_iou_of_a_batch_is_that_of_its_images() -> None:
    batch = np.stack([RECORDING["boxes2"][:5], RECORDING["boxes2"][5:10]])
    ours = boxes.iou(batch, RECORDING["boxes1"])
    for n in range(2):
        np.testing.assert_array_equal(ours[n], boxes.iou(batch[n], RECORDING["boxes1"]))


def test_no_boxes_give_an_empty_matrix() -> None:
    assert boxes.iou(tf.zeros([0, 4]), tf.zeros([7, 4])).shape == (0, 7)


def test_center_size_by_hand() -> None:
    values = boxes.to_center_size(tf.constant([0.1, 0.2, 0.5, 0.9]))
    np.testing.assert_allclose(values, [0.3, 0.55, 0.4, 0.7], rtol=1e-6)


def test_from_center_size_undoes_to_center_size() -> None:
    corners = RECORDING["boxes2"]
    back = boxes.from_center_size(*boxes.to_center_size(corners))
    np.testing.assert_allclose(back, corners, atol=1e-7)


def test_clip_to_window_by_hand() -> None:
    # In a window 0.2..0.8 high and 0.1..0.5 wide: sticking out on two sides, inside, and beyond
    # the right border, where nothing is left of its width.
    given = tf.constant([[0.0, 0.2, 0.7, 0.9], [0.3, 0.2, 0.4, 0.3], [0.3, 0.6, 0.4, 0.9]])
    expected = [[0.2, 0.2, 0.7, 0.5], [0.3, 0.2, 0.4, 0.3], [0.3, 0.5, 0.4, 0.5]]
    clipped = boxes.clip_to_window(given, tf.constant([0.2, 0.1, 0.8, 0.5]))
    np.testing.assert_allclose(clipped, expected)
    np.testing.assert_array_equal(boxes.area(clipped)[2:], [0.0])


def test_change_coordinate_frame_by_hand() -> None:
    # The window is 0.5 high from 0.2, 0.8 wide from 0.1: (0.45 - 0.2) / 0.5, (0.5 - 0.1) / 0.8.
    window = tf.constant([0.2, 0.1, 0.7, 0.9])
    moved = boxes.change_coordinate_frame(tf.constant([[0.2, 0.5, 0.45, 0.9]]), window)
    np.testing.assert_allclose(moved, [[0.0, 0.5, 0.5, 1.0]], atol=1e-7)


def test_windows_may_differ_per_box() -> None:
    given = tf.constant([[0.1, 0.2, 0.9, 0.6], [0.1, 0.2, 0.9, 0.6]])
    windows = tf.constant([[0.0, 0.3, 0.5, 1.0], [0.2, 0.0, 1.0, 0.5]])
    for function in (boxes.clip_to_window, boxes.change_coordinate_frame):
        together = function(given, windows)
        for n in range(2):
            np.testing.assert_array_equal(together[n], function(given[n], windows[n]))
