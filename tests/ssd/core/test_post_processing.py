"""Detections by hand, against the recording, and against suppression written out."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ssd.core import post_processing
from ssd.core.post_processing import Detections, multiclass_nms

RECORDING = np.load(Path(__file__).parents[2] / "data" / "core_multiclass_nms.npz")
# Greedy suppression; the others are soft or another operation.
GREEDY_CASES = (0, 1, 2, 5, 6, 7, 9, 10)
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


@pytest.mark.parametrize("case", GREEDY_CASES)
def test_equals_the_recording(case: int) -> None:
    config = ast.literal_eval(str(RECORDING[f"case{case}_config"]))
    found = detect(
        RECORDING[f"case{case}_boxes"][:, :, 0],
        RECORDING[f"case{case}_scores"],
        score_threshold=config["score_thresh"],
        iou_threshold=config["iou_thresh"],
        max_detections_per_class=config["max_size_per_class"],
        max_total_detections=config["max_total_size"],
        clip_window=config["clip_window"],
        change_coordinate_frame=config.get("change_coordinate_frame", False),
        use_class_agnostic_nms=config.get("use_class_agnostic_nms", False),
    )
    prefix = f"case{case}_out"
    np.testing.assert_array_equal(found.num_detections, RECORDING[f"{prefix}_num"])
    np.testing.assert_allclose(found.detection_scores, RECORDING[f"{prefix}_scores"])
    np.testing.assert_allclose(found.detection_boxes, RECORDING[f"{prefix}_boxes"], atol=1e-7)
    np.testing.assert_array_equal(found.detection_classes, RECORDING[f"{prefix}_classes"])
    anchor_indices = RECORDING[f"{prefix}_extra_anchor_indices"]
    np.testing.assert_array_equal(found.anchor_indices, anchor_indices)


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


def suppressed_by_hand(
    boxes: np.ndarray, scores: np.ndarray, score_threshold: float, per_class: int, total: int
) -> list[tuple[int, int]]:
    """(class, anchor) of the detections of one image, by the definition; IoU threshold 0.5."""
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    found: list[tuple[float, int, int]] = []
    for index in range(scores.shape[1]):
        kept: list[int] = []
        for anchor in np.argsort(-scores[:, index], kind="stable"):
            if scores[anchor, index] <= score_threshold or len(kept) == per_class:
                break
            low = np.maximum(boxes[kept, :2], boxes[anchor, :2])
            high = np.minimum(boxes[kept, 2:], boxes[anchor, 2:])
            shared = np.prod(np.maximum(high - low, 0), axis=1)
            if np.all(shared / (area[kept] + area[anchor] - shared) <= 0.5):
                kept.append(int(anchor))
        found += [(-float(scores[anchor, index]), index, anchor) for anchor in kept]
    return [(index, anchor) for _, index, anchor in sorted(found, key=lambda f: f[0])[:total]]


@pytest.mark.parametrize("levels", [5, 10**6])
@pytest.mark.parametrize(
    ("crowding", "threshold"), [(0.05, 1e-8), (0.9, 1e-8), (0.9, 0.5), (0.999, 1e-8)]
)
def test_equals_suppression_of_every_candidate(
    monkeypatch: pytest.MonkeyPatch, crowding: float, threshold: float, levels: int
) -> None:
    # The more the boxes crowd, the deeper suppression must look; few score levels make ties.
    monkeypatch.setattr(post_processing, "_FIRST_LOOK", 1)
    monkeypatch.setattr(post_processing, "_NEXT_LOOK", 2)
    rng = np.random.default_rng(7)
    size = rng.uniform(0.05, 0.3, (900, 2))
    corner = rng.uniform(0, 1 - crowding, (900, 2)) * (1 - size)
    boxes = np.concatenate([corner, corner + size], axis=-1).astype(np.float32)
    scores = (np.round(rng.uniform(0, 1, (900, 3)) * levels) / levels).astype(np.float32)
    settings = {
        "score_threshold": threshold,
        "max_detections_per_class": 40,
        "max_total_detections": 100,
    }
    found = detect(boxes[np.newaxis], scores[np.newaxis], **settings)
    expected = suppressed_by_hand(boxes, scores, threshold, 40, 100)
    count = int(found.num_detections[0])
    ours = zip(found.detection_classes[0], found.anchor_indices[0], strict=True)
    assert [(int(c), int(a)) for c, a in ours][:count] == expected


def test_fewer_candidates_than_detections() -> None:
    found = detect([[[0.0, 0.0, 0.5, 0.4]]], [[[0.7]]], max_total_detections=5)
    assert found.detection_scores.shape == (1, 5)
    assert found.num_detections.numpy().tolist() == [1]


def test_scores_that_are_not_numbers_are_no_detections() -> None:
    boxes = [[[0.0, 0.0, 0.5, 0.4], [0.5, 0.5, 0.9, 0.8]]]
    found = detect(boxes, [[[float("nan")], [0.7]]])
    assert found.num_detections.numpy().tolist() == [1]
    assert found.anchor_indices.numpy().tolist() == [[1, 0, 0, 0]]


class Exported(tf.Module):
    """Post-processing as an exporter sees it: one image, any number of anchors."""

    @tf.function(input_signature=[tf.TensorSpec([1, None, 4]), tf.TensorSpec([1, None, 3])])
    def detect(self, boxes: tf.Tensor, scores: tf.Tensor) -> dict[str, tf.Tensor]:
        return multiclass_nms(boxes, scores, **SETTINGS)._asdict()


def test_a_saved_model_detects_the_same(tmp_path: Path) -> None:
    tf.saved_model.save(Exported(), str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    for n in range(2):
        boxes = RECORDING["case0_boxes"][n : n + 1, :, 0]
        scores = RECORDING["case0_scores"][n : n + 1]
        found = Detections(**loaded.detect(tf.constant(boxes), tf.constant(scores)))
        assert_equal(found, detect(boxes, scores))


def test_a_batch_in_a_function_is_its_images_one_by_one() -> None:
    boxes = RECORDING["case0_boxes"][:, :, 0]
    scores = RECORDING["case0_scores"]
    together = tf.function(lambda b, s: tuple(detect_tensors(b, s)))(boxes, scores)
    assert together[0].shape == (2, 4, 4)
    for n in range(2):
        alone = detect(boxes[n : n + 1], scores[n : n + 1])
        assert_equal(Detections(*(value[n : n + 1] for value in together)), alone)


def detect_tensors(boxes: tf.Tensor, scores: tf.Tensor) -> Detections:
    return multiclass_nms(boxes, scores, **SETTINGS)


def test_scores_are_the_sigmoid_of_scaled_logits() -> None:
    scores = post_processing.sigmoid_scores(tf.constant([2.0]), logit_scale=2.0)
    np.testing.assert_allclose(scores, [1 / (1 + np.exp(-1))], rtol=1e-6)
