"""Targets against the recording; padding and batching change nothing."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ssd.core import matcher, target_assigner
from ssd.core.target_assigner import Targets

RECORDING = np.load(Path(__file__).parents[2] / "data" / "core_target_assigner.npz")
ZOO = {"matched_threshold": 0.5, "unmatched_threshold": 0.5, "force_match_for_each_row": True}
SETTINGS = {"zoo": ZOO, "band": {**ZOO, "unmatched_threshold": 0.3}}


def assign(anchors, boxes, classes, weights, **switches) -> Targets:
    """With the argmax matcher and its switches."""
    match = functools.partial(matcher.match, **switches)
    return target_assigner.assign(anchors, boxes, classes, weights, match=match)


def case_batch(case: int, rows: int) -> list[tf.Tensor]:
    """boxes, one-hot classes and weights of a recorded image, padded to `rows`."""
    parts = []
    for name in ("boxes", "labels", "weights"):
        value = RECORDING[f"case{case}_{name}"]
        # The recorded labels have a background column, which is never a box's class.
        value = value[:, 1:] if name == "labels" else value
        padding = [(0, rows - value.shape[0]), *[(0, 0)] * (value.ndim - 1)]
        parts.append(tf.constant(np.pad(value, padding)[np.newaxis]))
    return parts


def assert_equal(ours: Targets, theirs: Targets) -> None:
    for name, value in ours._asdict().items():
        np.testing.assert_array_equal(value, getattr(theirs, name), err_msg=name)


def test_by_hand() -> None:
    # Anchor 0 is the box moved down by a quarter of its height: IoU 0.3 / 0.5 = 0.6; anchor 1 is
    # elsewhere. ty = -0.1 / 0.4 * 10, th = 0.
    anchors = np.array([[0.2, 0.1, 0.6, 0.7], [0.7, 0.0, 0.9, 0.3]], np.float32)
    boxes, classes = tf.constant([[[0.1, 0.1, 0.5, 0.7]]]), tf.constant([[[0.0, 1.0, 0.0]]])
    targets = assign(anchors, boxes, classes, tf.constant([[0.75]]), **ZOO)
    assert targets.match.numpy().tolist() == [[0, -1]]
    assert targets.cls_targets.numpy().tolist() == [[[0, 0, 1, 0], [0, 0, 0, 0]]]
    assert targets.cls_weights.numpy().tolist() == [[0.75, 1.0]]
    assert targets.reg_weights.numpy().tolist() == [[0.75, 0.0]]
    expected = [[[-2.5, 0, 0, 0], [0, 0, 0, 0]]]
    np.testing.assert_allclose(targets.reg_targets, expected, atol=1e-5)


@pytest.mark.parametrize("rows", [6, 100])
@pytest.mark.parametrize("case", range(3))
@pytest.mark.parametrize("name", SETTINGS)
def test_equals_the_recording(name: str, case: int, rows: int) -> None:
    targets = assign(RECORDING["anchors"], *case_batch(case, rows), **SETTINGS[name])
    prefix = f"case{case}_{name}"
    np.testing.assert_array_equal(targets.match[0], RECORDING[f"{prefix}_match"])
    np.testing.assert_array_equal(targets.cls_targets[0], RECORDING[f"{prefix}_cls_targets"])
    cls_weights = RECORDING[f"{prefix}_cls_weights"]
    # Equal over classes, which is why there is one number per anchor.
    np.testing.assert_array_equal(cls_weights, cls_weights[:, :1].repeat(4, axis=1))
    np.testing.assert_array_equal(targets.cls_weights[0], cls_weights[:, 0])
    np.testing.assert_array_equal(targets.reg_weights[0], RECORDING[f"{prefix}_reg_weights"])
    # 1e-6 of codes up to 80 (a box without area).
    np.testing.assert_allclose(
        targets.reg_targets[0], RECORDING[f"{prefix}_reg_targets"], rtol=2e-6, atol=2e-6
    )


# Each of these settings treats "overlaps nothing" differently.
PADDING_SETTINGS = {
    **SETTINGS,
    "swapped": {
        "matched_threshold": 0.6,
        "unmatched_threshold": 0.3,
        "negatives_lower_than_unmatched": False,
    },
    "no thresholds": {"matched_threshold": None, "unmatched_threshold": None},
}


@pytest.mark.parametrize("name", PADDING_SETTINGS)
def test_a_batch_is_its_images_one_by_one_without_padding(name: str) -> None:
    settings = PADDING_SETTINGS[name]
    batches = [case_batch(case, 9) for case in range(3)]
    both = [tf.concat(parts, axis=0) for parts in zip(*batches, strict=True)]
    together = assign(RECORDING["anchors"], *both, **settings)
    for case in range(3):
        rows = RECORDING[f"case{case}_boxes"].shape[0]
        alone = assign(RECORDING["anchors"], *case_batch(case, rows), **settings)
        assert_equal(Targets(*(value[case : case + 1] for value in together)), alone)


@pytest.mark.parametrize("rows", [0, 20])
def test_in_a_function_it_is_the_same(rows: int) -> None:
    batch = case_batch(2, rows) if rows else case_batch(1, 0)
    eager = assign(RECORDING["anchors"], *batch, **ZOO)

    # Neither the batch size nor the number of rows is known while tracing.
    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, 4]),
            tf.TensorSpec([None, None, 3]),
            tf.TensorSpec([None, None]),
        ]
    )
    def traced(boxes: tf.Tensor, classes: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return tuple(assign(RECORDING["anchors"], boxes, classes, weights, **ZOO))

    for ours, theirs in zip(traced(*batch), eager, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("rows", [0, 5])
def test_no_boxes_anywhere_is_all_background(rows: int) -> None:
    empty = (tf.zeros([2, rows, 4]), tf.zeros([2, rows, 3]), tf.zeros([2, rows]))
    targets = assign(RECORDING["anchors"], *empty, **ZOO)
    assert np.all(targets.match == -1)
    assert np.all(targets.cls_weights == 1.0)
    assert targets.cls_targets.shape == (2, 72, 4)
    assert not np.any(targets.cls_targets)
    assert not np.any(targets.reg_targets)
    assert not np.any(targets.reg_weights)


def test_a_row_of_weight_zero_silences_the_anchors_it_covers() -> None:
    # Anchor 0 is the box: matched, weight 0 in both losses; without force anchor 1 is background.
    anchors = np.array([[0.1, 0.2, 0.5, 0.9], [0.6, 0.1, 0.8, 0.4]], np.float32)
    boxes = tf.constant(anchors[np.newaxis, :1])
    targets = assign(anchors, boxes, tf.constant([[[1.0, 0.0]]]), tf.zeros([1, 1]), **ZOO)
    assert targets.match.numpy().tolist() == [[0, -1]]
    assert targets.cls_weights.numpy().tolist() == [[0.0, 1.0]]
    assert targets.reg_weights.numpy().tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("model", ["ssd_mobilenet_v2_fpnlite_320x320", "ssd_mobilenet_v2_320x320"])
def test_equals_the_targets_of_the_recorded_models(oracle: Path, model: str) -> None:
    golden = np.load(oracle / model / "golden.npz")
    boxes, weights = golden["gt/boxes"], golden["gt/weights"]
    num_classes = int(golden["targets/cls_targets_shape"][-1]) - 1
    is_row = np.arange(boxes.shape[1]) < golden["gt/num"][:, np.newaxis]
    classes = np.eye(num_classes, dtype=np.float32)[golden["gt/class_index"]]
    classes *= is_row[..., np.newaxis]
    targets = assign(
        golden["infer/anchors"],
        tf.constant(boxes),
        tf.constant(classes),
        tf.constant(weights),
        **ZOO,
    )
    np.testing.assert_array_equal(targets.match, golden["targets/match"])
    np.testing.assert_array_equal(targets.cls_weights, golden["targets/cls_weights"])
    np.testing.assert_array_equal(targets.reg_weights, golden["targets/reg_weights"])
    np.testing.assert_allclose(
        targets.reg_targets, golden["targets/reg_targets"], rtol=2e-6, atol=2e-6
    )
    nonzero = np.argwhere(targets.cls_targets.numpy())
    np.testing.assert_array_equal(nonzero, golden["targets/cls_targets_nonzero_index"])
