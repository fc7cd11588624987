"""Detections by hand, against the recording, and pre-selection against no pre-selection."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ssd.core import post_processing
from ssd.core.post_processing import Detections, multiclass_nms

RECORDING = np.load(Path(__file__).parents[2] / "data" / "core_multiclass_nms.npz")
# Plain greedy suppression with the whole image as window: the first image of these cases.
PLAIN_CASES = (0, 2, 5, 6, 10)


def detect(boxes: object, scores: object, **settings: float) -> Detections:
    defaults = {
        "score_threshold": 0.1,
        "iou_threshold": 0.5,
        "max_detections_per_class": 3,
        "max_total_detections": 4,
    }
    return multiclass_nms(
        tf.constant(boxes, tf.float32), tf.constant(scores, tf.float32), **{**defaults, **settings}
    )


def test_by_hand() -> None:
    # Class 0: the second box overlaps the first (IoU 0.4 * 0.5 / 0.24 = 0.83) and scores less;
    # class 1: it is the only one over the threshold.
    boxes = [[[0.1, 0.1, 0.5, 0.7], [0.1, 0.2, 0.5, 0.7], [0.6, 0.0, 0.9, 0.3]]]
    scores = [[[0.9, 0.0], [0.8, 0.6], [0.3, 0.1]]]
    found = detect(boxes, scores)
    assert found.num_detections.numpy().tolist() == [3]
    np.testing.assert_allclose(found.detection_scores, [[0.9, 0.6, 0.3, 0.0]])
    assert found.detection_classes.numpy().tolist() == [[0, 1, 0, 0]]
    assert found.anchor_indices.numpy().tolist() == [[0, 1, 2, 0]]
    assert not np.any(found.detection_boxes[0, 3])


def test_boxes_are_clipped_after_suppression_and_empty_ones_go() -> None:
    boxes = [[[-0.5, 0.2, 0.4, 0.6], [1.1, 0.0, 1.5, 0.5]]]
    found = detect(boxes, [[[0.5], [0.9]]])
    assert found.num_detections.numpy().tolist() == [1]
    np.testing.assert_allclose(found.detection_boxes[0, 0], [0.0, 0.2, 0.4, 0.6])


@pytest.mark.parametrize("case", PLAIN_CASES)
def test_equals_the_recording(case: int) -> None:
    config = ast.literal_eval(str(RECORDING[f"case{case}_config"]))
    found = detect(
        RECORDING[f"case{case}_boxes"][:1, :, 0],
        RECORDING[f"case{case}_scores"][:1],
        score_threshold=config["score_thresh"],
        iou_threshold=config["iou_thresh"],
        max_detections_per_class=config["max_size_per_class"],
        max_total_detections=config["max_total_size"],
    )
    assert int(found.num_detections[0]) == RECORDING[f"case{case}_out_num"][0]
    np.testing.assert_allclose(found.detection_scores[0], RECORDING[f"case{case}_out_scores"][0])
    np.testing.assert_allclose(
        found.detection_boxes[0], RECORDING[f"case{case}_out_boxes"][0], atol=1e-7
    )
    np.testing.assert_array_equal(
        found.detection_classes[0], RECORDING[f"case{case}_out_classes"][0]
    )


@pytest.mark.parametrize(
    ("crowding", "threshold"), [(0.05, 1e-8), (0.9, 1e-8), (0.9, 0.5), (0.999, 1e-8)]
)
def test_preselection_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, crowding: float, threshold: float
) -> None:
    # The more the boxes crowd, the deeper suppression must look.
    rng = np.random.default_rng(7)
    anchors = 900
    size = rng.uniform(0.05, 0.3, (1, anchors, 2))
    corner = rng.uniform(0, 1 - crowding, (1, anchors, 2)) * (1 - size)
    boxes = np.concatenate([corner, corner + size], axis=-1)
    scores = rng.uniform(0, 1, (1, anchors, 3)) ** 2
    settings = {
        "score_threshold": threshold,
        "max_detections_per_class": 40,
        "max_total_detections": 100,
    }
    with_preselection = detect(boxes, scores, **settings)
    monkeypatch.setattr(post_processing, "_PRESELECTED", 10**6)
    without = detect(boxes, scores, **settings)
    for name, value in with_preselection._asdict().items():
        np.testing.assert_array_equal(value, getattr(without, name), err_msg=name)


def test_fewer_candidates_than_detections() -> None:
    found = detect([[[0.0, 0.0, 0.5, 0.4]]], [[[0.7]]], max_total_detections=5)
    assert found.detection_scores.shape == (1, 5)
    assert found.num_detections.numpy().tolist() == [1]


def test_a_batch_in_a_function_is_its_images_one_by_one() -> None:
    boxes = RECORDING["case0_boxes"][:, :, 0]
    scores = RECORDING["case0_scores"]
    together = tf.function(lambda b, s: tuple(detect_tensors(b, s)))(boxes, scores)
    for n in range(2):
        alone = detect(boxes[n : n + 1], scores[n : n + 1])
        for value, single in zip(together, alone, strict=True):
            np.testing.assert_array_equal(value[n], single[0])


def detect_tensors(boxes: tf.Tensor, scores: tf.Tensor) -> Detections:
    return multiclass_nms(
        boxes,
        scores,
        score_threshold=0.1,
        iou_threshold=0.5,
        max_detections_per_class=3,
        max_total_detections=4,
    )


def test_scores_are_the_sigmoid_of_scaled_logits() -> None:
    scores = post_processing.sigmoid_scores(tf.constant([2.0]), logit_scale=2.0)
    np.testing.assert_allclose(scores, [1 / (1 + np.exp(-1))], rtol=1e-6)
