from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from ssd.core import classification_losses
from ssd.standard_fields import InputFields, PredictionFields

A, C = 774, 3
BOXES, CLASSES = PredictionFields.box_encodings, PredictionFields.class_predictions_with_background


def groundtruth(boxes, classes, weights, rows: int = 4) -> dict[str, tf.Tensor]:
    """One image; padded to `rows`."""
    n = len(boxes)
    padded = np.zeros((1, rows, 4), np.float32)
    padded[0, :n] = np.array(boxes, np.float32).reshape(-1, 4)
    one_hot = np.zeros((1, rows, C), np.float32)
    one_hot[0, np.arange(n), classes] = 1.0
    padded_weights = np.zeros((1, rows), np.float32)
    padded_weights[0, :n] = weights
    return {
        InputFields.groundtruth_boxes: tf.constant(padded),
        InputFields.groundtruth_classes_one_hot: tf.constant(one_hot),
        InputFields.groundtruth_weights: tf.constant(padded_weights),
    }


def predictions(
    encodings: float = 0.0, logits: float = 0.0, batch: int = 1
) -> dict[str, tf.Tensor]:
    return {BOXES: tf.fill([batch, A, 4], encodings), CLASSES: tf.fill([batch, A, C + 1], logits)}


@pytest.fixture
def settings(tiny_detector):
    """Sets loss settings for one test: settings(alpha=None)."""
    before = tiny_detector.losses

    def change(**changes):
        tiny_detector.losses = replace(before, **changes)

    yield change
    tiny_detector.losses = before


def test_preprocess_scales_to_minus_one_and_one(tiny_detector):
    images = np.zeros((1, 64, 96, 3), np.uint8)
    images[0, 3, 5] = (255, 51, 102)
    scaled = tiny_detector.preprocess(tf.constant(images)).numpy()
    assert scaled.dtype == np.float32
    # 2 / 255 * 51 - 1 = -0.6; 2 / 255 * 102 - 1 = -0.2.
    np.testing.assert_allclose(scaled[0, 3, 5], [1.0, -0.6, -0.2], atol=1e-6)
    assert scaled[0, 0, 0].tolist() == [-1.0, -1.0, -1.0]


def test_preprocess_resizes_other_sizes_the_legacy_way(tiny_detector):
    rows, columns = np.mgrid[0:128, 0:48]
    images = np.stack([rows, columns, rows + columns], -1)[np.newaxis].astype(np.uint8)
    scaled = tiny_detector.preprocess(tf.constant(images)).numpy()[0]
    assert scaled.shape == (64, 96, 3)
    # Row 10 takes source row 10 * 128 / 64 = 20; column 9 takes 9 * 48 / 96 = 4.5.
    np.testing.assert_allclose((scaled[10, 9] + 1) * 127.5, [20, 4.5, 24.5], atol=1e-4)


def test_predictions_have_one_row_per_anchor(tiny_detector):
    found = tiny_detector.predict(tf.zeros([2, 64, 96, 3]))
    assert found[BOXES].shape == (2, A, 4)
    assert found[CLASSES].shape == (2, A, C + 1)
    assert [tuple(m.shape[1:3]) for m in found[PredictionFields.feature_maps]] == [
        (8, 12),
        (4, 6),
        (2, 3),
        (1, 2),
        (1, 1),
    ]


def test_anchors_are_in_the_order_of_the_predictions(tiny_detector):
    # First anchor of cell (row 5, column 7) on level 3: 8 px stride, 64x96, side 4 * 8 = 32.
    row = (5 * 12 + 7) * 6
    centre = np.array([5 * 8 + 4, 7 * 8 + 4])
    expected = np.concatenate([centre - 16, centre + 16]) / [64, 96, 64, 96]
    np.testing.assert_allclose(tiny_detector.anchors[row], expected, atol=1e-6)
    # Level 4 begins after 96 cells; cell (row 1, column 2), stride 16, side 64.
    row = (96 + 1 * 6 + 2) * 6
    centre = np.array([1 * 16 + 8, 2 * 16 + 8])
    expected = np.concatenate([centre - 32, centre + 32]) / [64, 96, 64, 96]
    np.testing.assert_allclose(tiny_detector.anchors[row], expected, atol=1e-6)
    assert tiny_detector.anchors.shape == (A, 4)


def test_no_boxes_leave_background_loss_undivided(tiny_detector):
    losses = tiny_detector.loss(predictions(), groundtruth([], [], []))
    assert float(losses["localization_loss"]) == 0.0
    # Logit 0: p = 0.5, cross entropy ln 2, modulation 0.5^2, alpha 1 - 0.25; normalizer max(0, 1).
    per_column = np.log(2) * 0.25 * 0.75
    assert float(losses["classification_loss"]) == pytest.approx(A * 4 * per_column, rel=1e-5)


def test_losses_are_divided_by_the_matched_weight_of_the_whole_batch(tiny_detector):
    # The box of anchor 402 itself matches it; how many others it matches, the targets say.
    anchor = (5 * 12 + 7) * 6
    truth = groundtruth([tiny_detector.anchors[anchor]], [1], [0.5])
    empty = groundtruth([], [], [])
    batch = {key: tf.concat([truth[key], empty[key]], 0) for key in truth}
    matches = int(np.sum(tiny_detector.assign_targets(truth).match.numpy() >= 0))
    assert matches >= 1
    targets = tiny_detector.assign_targets(batch)
    encodings = targets.reg_targets + tf.constant([3.0, 0.0, 0.5, 0.0])
    found = {BOXES: encodings, CLASSES: tf.zeros([2, A, C + 1])}
    losses = tiny_detector.loss(found, batch)
    # Per matched anchor: smooth L1 of 3 is 3 - 0.5 = 2.5, of 0.5 is 0.125; weight 0.5; code size 4.
    normalizer = max(0.5 * matches, 1.0)
    expected = 0.5 * matches * 2.625 / 4 / normalizer
    assert float(losses["localization_loss"]) == pytest.approx(expected, rel=1e-5)
    # Matched anchors: one column of target 1 (alpha 0.25), three of target 0 (0.75), all times 0.5.
    column = np.log(2) * 0.25
    matched = 0.5 * matches * column * (0.25 + 3 * 0.75)
    unmatched = (2 * A - matches) * 4 * column * 0.75
    assert float(losses["classification_loss"]) == pytest.approx(
        (matched + unmatched) / normalizer, rel=1e-5
    )


@pytest.mark.parametrize(
    ("changes", "localization", "classification"),
    [
        pytest.param({"normalize_loc_loss_by_codesize": False}, 4.0, 1.0, id="code size"),
        pytest.param({"localization_weight": 2.5}, 2.5, 1.0, id="localization_weight"),
        pytest.param({"classification_weight": 0.2}, 1.0, 0.2, id="classification_weight"),
        # Nothing matched counts as 1; here 3 anchors or more are.
        pytest.param(
            {"normalize_loss_by_num_matches": False},
            "normalizer",
            "normalizer",
            id="number of matches",
        ),
    ],
)
def test_loss_settings(tiny_detector, settings, changes, localization, classification):
    truth = groundtruth([[0.1, 0.15, 0.8, 0.7], [0.2, 0.5, 0.9, 0.95]], [0, 2], [1, 1])
    normalizer = float(tf.reduce_sum(tiny_detector.assign_targets(truth).reg_weights))
    assert normalizer >= 2
    before = tiny_detector.loss(predictions(0.3, -1.0), truth)
    settings(**changes)
    after = tiny_detector.loss(predictions(0.3, -1.0), truth)
    for name, factor in (
        ("localization_loss", localization),
        ("classification_loss", classification),
    ):
        factor = normalizer if factor == "normalizer" else factor
        assert float(after[name]) == pytest.approx(float(before[name]) * factor, rel=1e-5)


def test_alpha_not_set_weighs_nothing(tiny_detector, settings):
    plain = functools.partial(classification_losses.sigmoid_focal, gamma=0.0, alpha=None)
    settings(classification_loss=plain)
    losses = tiny_detector.loss(predictions(), groundtruth([], [], []))
    # gamma 0 and no alpha: plain cross entropy.
    assert float(losses["classification_loss"]) == pytest.approx(A * 4 * np.log(2), rel=1e-5)


def test_regularization_by_hand(tiny_detector):
    # Backbone: 52 kernels (stem, block 0: 2, blocks 1..16: 3, Conv_1); pyramid: 3 projections, and
    # the depthwise half of 2 smoothings and 2 coarse layers; tower: 4 depthwise halves. 63 in all;
    # no pointwise half, no head, no bias, no batch norm.
    variables = tiny_detector.checkpoint_variables()
    regularized = [
        key
        for key in variables
        if key.endswith(("/kernel", "/depthwise_kernel"))
        and "/_prediction_head" not in key
        and "/_box_prediction_head/" not in key
    ]
    assert len(regularized) == 52 + 3 + 2 + 2 + 4 == len(tiny_detector.network.losses)
    squares = sum(np.sum(variables[key].numpy().astype(np.float64) ** 2) for key in regularized)
    # l2_regularizer.weight 4e-5 counts half.
    assert float(tiny_detector.regularization_loss()) == pytest.approx(2e-5 * squares, rel=1e-5)


def test_postprocess_of_one_sure_anchor(tiny_detector):
    row = (2 * 12 + 7) * 6  # inside the picture: centre (20, 60) px, half side 16 px
    logits = np.full((1, A, C + 1), -30.0, np.float32)
    logits[0, row] = (5.0, -30.0, 2.0, -30.0)  # background does not compete
    found = tiny_detector.postprocess({BOXES: tf.zeros([1, A, 4]), CLASSES: tf.constant(logits)})
    found = {name: value.numpy() for name, value in found.items()}
    assert found["num_detections"].tolist() == [1.0]
    assert found["detection_classes"][0, 0] == 1.0  # class index of id 2
    assert found["detection_anchor_indices"][0, 0] == row
    assert found["detection_scores"][0, 0] == pytest.approx(1 / (1 + np.exp(-2.0)), rel=1e-5)
    expected = np.array([4, 44, 36, 76]) / [64, 96, 64, 96]
    np.testing.assert_allclose(found["detection_boxes"][0, 0], expected, atol=1e-6)
    np.testing.assert_allclose(
        found["detection_multiclass_scores"][0, 0], 1 / (1 + np.exp(-logits[0, row])), atol=1e-6
    )
    assert not found["detection_multiclass_scores"][0, 1:].any()
    assert not found["detection_boxes"][0, 1:].any()
    assert found["raw_detection_boxes"].shape == (1, A, 4)
    assert found["raw_detection_scores"].shape == (1, A, C + 1)


def test_postprocess_of_nothing(tiny_detector):
    found = tiny_detector.postprocess(predictions(0.0, -40.0, batch=2))
    assert found["num_detections"].numpy().tolist() == [0.0, 0.0]
    for name in (
        "detection_boxes",
        "detection_scores",
        "detection_classes",
        "detection_multiclass_scores",
    ):
        assert not found[name].numpy().any(), name


def test_detections_are_clipped_to_the_image(tiny_detector):
    logits = np.full((1, A, C + 1), -30.0, np.float32)
    logits[0, 0, 1] = 3.0  # cell (0, 0): centre (4, 4) px, half side 16 px
    found = tiny_detector.postprocess({BOXES: tf.zeros([1, A, 4]), CLASSES: tf.constant(logits)})
    np.testing.assert_allclose(
        found["detection_boxes"].numpy()[0, 0], [0, 0, 20 / 64, 20 / 96], atol=1e-6
    )


def test_checkpoint_variables_are_all_variables_once(tiny_detector):
    variables = tiny_detector.checkpoint_variables()
    assert len({id(v) for v in variables.values()}) == len(variables) == 384
    assert {id(v) for v in variables.values()} == {
        id(v.value) for v in tiny_detector.network.variables
    }
    assert len(tiny_detector.network.trainable_variables) == 232
