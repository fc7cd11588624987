"""The combined op's detections: cut last, with the anchors found again."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from ssd.core.combined_nms import detect_batch
from ssd.core.detections import Detections, NmsLimits

BOXES = [[0.1, 0.1, 0.5, 0.7], [0.1, 0.2, 0.5, 0.7], [1.1, 0.0, 1.4, 0.3], [0.6, 0.0, 0.9, 0.3]]
SCORES = [[0.9, 0.0], [0.8, 0.6], [0.7, 0.1], [0.3, 0.65]]


def detect(*, pad_per_class: bool = False, per_class: int = 2, total: int = 5) -> Detections:
    return detect_batch(
        tf.constant([BOXES]),
        tf.constant([SCORES]),
        tf.constant([[0.0, 0.0, 1.0, 1.0]]),
        NmsLimits(0.2, 0.5, per_class, total),
        pad_per_class=pad_per_class,
    )


def test_by_hand() -> None:
    # Class 0: the first suppresses the second (IoU 0.83), the last is one too many; class 1: both.
    found = detect()
    assert found.num_detections.numpy().tolist() == [4]
    np.testing.assert_allclose(found.detection_scores, [[0.9, 0.7, 0.65, 0.6, 0.0]])
    assert found.detection_classes.numpy().tolist() == [[0, 0, 1, 1, 0]]
    assert found.anchor_indices.numpy().tolist() == [[0, 2, 3, 1, 0]]


def test_a_box_outside_keeps_its_row_and_comes_out_inverted() -> None:
    np.testing.assert_allclose(detect().detection_boxes[0, 1], [1.1, 0.0, 1.0, 0.3])


def test_padding_per_class_bounds_the_rows() -> None:
    assert detect(pad_per_class=True).detection_boxes.shape == (1, 4, 4)
    assert detect(pad_per_class=True, total=3).detection_boxes.shape == (1, 3, 4)
    assert detect(total=9).detection_boxes.shape == (1, 9, 4)
    assert detect(total=9).anchor_indices.shape == (1, 9)


def test_of_equal_scores_the_box_tells_the_anchor() -> None:
    boxes, scores = tf.constant([BOXES[::-1]]), tf.fill([1, 4, 1], 0.5)
    windows, limits = tf.constant([[0.0, 0.0, 2.0, 2.0]]), NmsLimits(0.2, 1.0, 4, 4)
    found = detect_batch(boxes, scores, windows, limits, pad_per_class=False)
    assert sorted(found.anchor_indices.numpy()[0].tolist()) == [0, 1, 2, 3]
    picked = tf.gather(boxes[0], found.anchor_indices[0])
    np.testing.assert_array_equal(found.detection_boxes[0], picked)


def test_every_anchor_has_the_box_and_the_score() -> None:
    rng = np.random.default_rng(3)
    low = rng.uniform(0, 0.7, (2, 50, 2))
    boxes = np.concatenate([low, low + rng.uniform(0.05, 0.3, (2, 50, 2))], -1).astype(np.float32)
    scores = rng.uniform(0, 1, (2, 50, 3)).astype(np.float32)
    windows = tf.constant([[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 2.0, 2.0]])
    found = detect_batch(
        tf.constant(boxes),
        tf.constant(scores),
        windows,
        NmsLimits(0.1, 0.5, 20, 40),
        pad_per_class=False,
    )
    assert found.num_detections.numpy().tolist() == [40, 40]
    for n in range(2):
        anchors, classes = found.anchor_indices[n].numpy(), found.detection_classes[n].numpy()
        np.testing.assert_array_equal(scores[n, anchors, classes], found.detection_scores[n])
        limit = windows[n].numpy()[2:]
        cut = np.concatenate([boxes[n, anchors, :2], np.minimum(boxes[n, anchors, 2:], limit)], -1)
        np.testing.assert_array_equal(found.detection_boxes[n], cut)
