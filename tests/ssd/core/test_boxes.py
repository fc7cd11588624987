"""Geometry against hand numbers and the recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from ssd.core import boxes

RECORDING = np.load(Path(__file__).parents[2] / "data" / "core_box_similarity.npz")


def test_iou_by_hand() -> None:
    # Heights 0.4 and 0.3 share 0.2 (0.3..0.5), widths 0.5 and 0.2 share 0.1 (0.5..0.6):
    # 0.02 / (0.2 + 0.06 - 0.02).
    one = tf.constant([[0.1, 0.1, 0.5, 0.6]])
    other = tf.constant([[0.3, 0.5, 0.6, 0.7], [0.5, 0.1, 0.9, 0.6]])
    np.testing.assert_allclose(boxes.iou(one, other), [[0.02 / 0.24, 0.0]], rtol=1e-6)


def test_iou_equals_the_recording() -> None:
    ours = boxes.iou(RECORDING["boxes1"], RECORDING["boxes2"])
    np.testing.assert_allclose(ours, RECORDING["iou"], atol=1e-7)


def test_area_equals_the_recording() -> None:
    np.testing.assert_array_equal(boxes.area(RECORDING["boxes1"]), RECORDING["area1"])


def test_iou_of_a_batch_is_that_of_its_images() -> None:
    batch = np.stack([RECORDING["boxes2"][:5], RECORDING["boxes2"][5:10]])
    ours = boxes.iou(batch, RECORDING["boxes1"])
    for n in range(2):
        np.testing.assert_array_equal(ours[n], boxes.iou(batch[n], RECORDING["boxes1"]))


def test_center_size_by_hand() -> None:
    values = boxes.to_center_size(tf.constant([0.1, 0.2, 0.5, 0.9]))
    np.testing.assert_allclose(values, [0.3, 0.55, 0.4, 0.7], rtol=1e-6)


def test_clip_keeps_what_is_inside() -> None:
    clipped = boxes.clip(tf.constant([[-0.5, 0.2, 0.7, 1.25]]))
    np.testing.assert_allclose(clipped, [[0.0, 0.2, 0.7, 1.0]])
