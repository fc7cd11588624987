"""Detections by hand, on every way to them, and against the recorded model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ssd.core.post_processing import Detections, multiclass_nms
from ssd.errors import InputError

RECORDING = np.load(Path(__file__).parents[2] / "data" / "core_multiclass_nms.npz")
SETTINGS = {
    "score_threshold": 0.1,
    "iou_threshold": 0.5,
    "max_detections_per_class": 3,
    "max_total_detections": 4,
}


def detect(boxes: object, scores: object, **settings: object) -> Detections:
    return multiclass_nms(
        tf.constant(boxes, tf.float32), tf.constant(scores, tf.float32), **{**SETTINGS, **settings}
    )


def assert_equal(ours: Detections, theirs: Detections) -> None:
    for name, value in ours._asdict().items():
        np.testing.assert_array_equal(value, getattr(theirs, name), err_msg=name)


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
    np.testing.assert_allclose(found.detection_boxes[0, :3], [boxes[0][n] for n in (0, 1, 2)])
    assert not np.any(found.detection_boxes[0, 3])


def test_thresholds_are_exceeded_not_reached() -> None:
    # IoU 0.5 exactly: 0.25 * 0.5 of 0.5 * 0.5; a score of 0.125 exactly.
    boxes = [[[0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 0.25, 0.5], [0.5, 0.5, 0.75, 1.0]]]
    found = detect(boxes, [[[0.9], [0.8], [0.125]]], score_threshold=0.125)
    assert found.anchor_indices.numpy().tolist() == [[0, 1, 0, 0]]
    assert found.num_detections.numpy().tolist() == [2]


def test_ties_go_to_the_lower_class_then_the_lower_anchor() -> None:
    boxes = [[[0.0, 0.0, 0.2, 0.3], [0.3, 0.0, 0.5, 0.3], [0.6, 0.0, 0.8, 0.3]]]
    found = detect(boxes, np.full((1, 3, 2), 0.5))
    assert found.detection_classes.numpy().tolist() == [[0, 0, 0, 1]]
    assert found.anchor_indices.numpy().tolist() == [[0, 1, 2, 0]]


def test_boxes_are_clipped_after_suppression_and_empty_ones_go() -> None:
    boxes = [[[-0.5, 0.2, 0.4, 0.6], [1.1, 0.0, 1.5, 0.5]]]
    found = detect(boxes, [[[0.5], [0.9]]])
    assert found.num_detections.numpy().tolist() == [1]
    np.testing.assert_allclose(found.detection_boxes[0, 0], [0.0, 0.2, 0.4, 0.6])
    # Overlap is that of the boxes as they are: inside the image these two are the same.
    found = detect([[[-0.5, 0.2, 0.4, 0.6], [0.0, 0.2, 0.4, 0.6]]], [[[0.5], [0.9]]])
    assert found.num_detections.numpy().tolist() == [2]


def test_a_window_per_image_by_hand() -> None:
    boxes = np.tile([[[0.2, 0.1, 0.6, 0.5]]], (2, 1, 1))
    windows = tf.constant([[0.0, 0.0, 0.5, 1.0], [0.4, 0.0, 0.9, 0.8]])
    scores = np.full((2, 1, 1), 0.9)
    found = detect(boxes, scores, clip_window=windows)
    expected = [[0.2, 0.1, 0.5, 0.5], [0.4, 0.1, 0.6, 0.5]]
    np.testing.assert_allclose(found.detection_boxes[:, 0], expected, rtol=1e-6)
    # Seen from the windows: 0.5 high from 0 and 0.4, 1 and 0.8 wide.
    found = detect(boxes, scores, clip_window=windows, change_coordinate_frame=True)
    expected = [[0.4, 0.1, 1.0, 0.5], [0.0, 0.125, 0.4, 0.625]]
    np.testing.assert_allclose(found.detection_boxes[:, 0], expected, atol=1e-6)


def test_class_agnostic_by_hand() -> None:
    # The second box is best in class 1 and suppresses the first, whatever their classes.
    boxes = [[[0.1, 0.1, 0.5, 0.7], [0.1, 0.2, 0.5, 0.7], [0.6, 0.0, 0.9, 0.3]]]
    scores = [[[0.7, 0.0, 0.0], [0.0, 0.8, 0.2], [0.1, 0.2, 0.3]]]
    found = detect(boxes, scores, use_class_agnostic_nms=True)
    assert found.num_detections.numpy().tolist() == [2]
    assert found.detection_classes.numpy().tolist() == [[1, 2, 0, 0]]
    assert found.anchor_indices.numpy().tolist() == [[1, 2, 0, 0]]


def test_static_shapes_by_hand() -> None:
    # One class, at most 3 rows; the box outside the image scores best and does not count, nor does
    # the one under the threshold, for which the first anchor stands in.
    boxes = [[[0.1, 0.1, 0.5, 0.7], [1.1, 0.2, 1.5, 0.7], [0.6, 0.0, 0.9, 0.3]]]
    found = detect(boxes, [[[0.3], [0.9], [0.1]]], use_static_shapes=True)
    assert found.num_detections.numpy().tolist() == [1]
    np.testing.assert_allclose(found.detection_scores, [[0.3, -1.0, -1.0]])
    assert found.anchor_indices.numpy().tolist() == [[0, 1, 0]]
    np.testing.assert_allclose(found.detection_boxes[0, 1], [1.0, 0.2, 1.0, 0.7])
    np.testing.assert_allclose(found.detection_boxes[0, 2], boxes[0][0])


def test_equals_the_detections_of_the_recorded_model(oracle: Path) -> None:
    golden = np.load(oracle / "fpnlite_320_narrow" / "golden.npz")
    found = detect(
        golden["det/raw_detection_boxes"],
        golden["det/raw_detection_scores_sub"][..., 1:],
        score_threshold=1e-8,
        iou_threshold=0.6,
        max_detections_per_class=100,
        max_total_detections=100,
    )
    for name in ("detection_boxes", "detection_scores", "detection_classes", "num_detections"):
        np.testing.assert_array_equal(getattr(found, name), golden[f"det/{name}"], err_msg=name)
    np.testing.assert_array_equal(found.anchor_indices, golden["det/detection_anchor_indices"])


WAYS: dict[str, dict[str, object]] = {
    "greedy": {},
    "soft": {"soft_nms_sigma": 0.5},
    "class agnostic": {"use_class_agnostic_nms": True},
    "static": {"use_static_shapes": True},
    "static class agnostic": {"use_static_shapes": True, "use_class_agnostic_nms": True},
    "partitioned": {"use_static_shapes": True, "use_partitioned_nms": True},
    "combined": {"use_combined_nms": True},
    "combined static": {"use_combined_nms": True, "use_static_shapes": True},
}
every_way = pytest.mark.parametrize("way", list(WAYS.values()), ids=list(WAYS))


@every_way
def test_fewer_candidates_than_detections(way: dict[str, object]) -> None:
    limits = {"max_detections_per_class": 5, "max_total_detections": 5}
    found = detect([[[0.0, 0.0, 0.5, 0.4]]], [[[0.7]]], **limits, **way)
    assert found.detection_scores.shape == (1, 5)
    assert found.num_detections.numpy().tolist() == [1]
    assert found.anchor_indices.numpy().tolist() == [[0] * 5]


@every_way
@pytest.mark.parametrize("num_anchors", [0, 3])
def test_nothing_to_detect(way: dict[str, object], num_anchors: int) -> None:
    boxes = np.tile([[0.1, 0.2, 0.4, 0.7]], (2, num_anchors, 1))
    scores = np.full((2, num_anchors, 2), 0.05)
    found = detect(boxes, scores, **way)
    assert found.num_detections.numpy().tolist() == [0, 0]
    assert all(np.all(np.isfinite(value)) for value in found)
    assert not np.any(found.detection_scores.numpy() > 0.0)


@every_way
def test_boxes_without_area_break_nothing(way: dict[str, object]) -> None:
    found = detect([[[0.5, 0.5, 0.5, 0.5]] * 2 + [[0.1, 0.2, 0.4, 0.7]]], [[[0.9]] * 3], **way)
    assert all(np.all(np.isfinite(value)) for value in found)


@every_way
def test_scores_that_are_not_numbers_are_no_detections(way: dict[str, object]) -> None:
    boxes, scores = RECORDING["case0_boxes"][:, :, 0], RECORDING["case0_scores"].copy()
    scores[:, ::3] = 0.0
    expected = detect(boxes, scores, **way)
    scores[:, ::3] = float("nan")
    assert_equal(detect(boxes, scores, **way), expected)


class Exported(tf.Module):
    """Post-processing as an exporter sees it: any number of images."""

    def __init__(self, num_anchors: int, settings: dict[str, object]) -> None:
        super().__init__()
        boxes = tf.TensorSpec([None, num_anchors, 4])
        scores = tf.TensorSpec([None, num_anchors, 3])
        self.detect = tf.function(
            lambda boxes, scores: multiclass_nms(boxes, scores, **settings)._asdict(),
            input_signature=[boxes, scores],
        )


@every_way
def test_a_saved_model_detects_the_same(way: dict[str, object], tmp_path: Path) -> None:
    settings = {**SETTINGS, **way}
    boxes, scores = RECORDING["case0_boxes"][:, :, 0], RECORDING["case0_scores"]
    tf.saved_model.save(Exported(boxes.shape[1], settings), str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    found = Detections(**loaded.detect(tf.constant(boxes), tf.constant(scores)))
    assert_equal(found, detect(boxes, scores, **settings))


@every_way
def test_a_batch_is_its_images_one_by_one(way: dict[str, object]) -> None:
    boxes, scores = RECORDING["case0_boxes"][:, :, 0], RECORDING["case0_scores"]
    together = detect(boxes, scores, **way)
    assert together.detection_boxes.shape == (2, 4, 4)
    for n in range(2):
        alone = detect(boxes[n : n + 1], scores[n : n + 1], **way)
        assert_equal(Detections(*(value[n : n + 1] for value in together)), alone)


def test_the_number_of_anchors_may_be_unknown() -> None:
    spec = [tf.TensorSpec([1, None, 4]), tf.TensorSpec([1, None, 3])]
    function = tf.function(lambda b, s: tuple(multiclass_nms(b, s, **SETTINGS)), spec)
    boxes, scores = RECORDING["case0_boxes"][:1, :, 0], RECORDING["case0_scores"][:1]
    assert_equal(Detections(*function(boxes, scores)), detect(boxes, scores))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"use_static_shapes": True, "soft_nms_sigma": 0.5},
            r"soft_nms_sigma is 0\.5, .* use_static_shapes; remove one",
        ),
        (
            {"use_combined_nms": True, "soft_nms_sigma": 0.5},
            "soft_nms_sigma is set, .* use_combined_nms; remove one",
        ),
        (
            {"use_combined_nms": True, "use_class_agnostic_nms": True},
            "use_class_agnostic_nms is set, .* use_combined_nms; remove one",
        ),
        (
            {"use_combined_nms": True, "change_coordinate_frame": True},
            "change_coordinate_frame is set, .* use_combined_nms; remove one",
        ),
    ],
    ids=["soft static", "soft combined", "class agnostic combined", "frame combined"],
)
def test_settings_that_exclude_each_other(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        detect([[[0.1, 0.1, 0.5, 0.7]]], [[[0.9]]], **settings)
