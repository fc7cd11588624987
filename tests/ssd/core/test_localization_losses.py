"""Localization losses and their gradients by hand and against the recordings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ssd.core import localization_losses as losses

DATA = Path(__file__).parents[2] / "data"
LOCALIZATION = np.load(DATA / "core_localization_losses.npz")
BOXES = np.load(DATA / "core_box_losses.npz")


def value_and_gradient(
    function: Callable[[tf.Tensor], tf.Tensor], at: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The function, and the gradient of its sum."""
    point = tf.constant(at)
    with tf.GradientTape() as tape:
        tape.watch(point)
        value = function(point)
        total = tf.reduce_sum(value)
    return value.numpy(), tape.gradient(total, point).numpy()


def test_smooth_l1_by_hand() -> None:
    # Differences 0.5, -2, 0, 1 with delta 1: 0.125 + 1.5 + 0 + 0.5; times weight 0.5.
    predictions = tf.constant([[[0.5, -2.0, 3.0, 1.0]]])
    targets = tf.constant([[[0.0, 0.0, 3.0, 0.0]]])
    loss = losses.smooth_l1(predictions, targets, tf.constant([[0.5]]))
    np.testing.assert_allclose(loss, [[0.5 * 2.125]], rtol=1e-6)


def test_l1_by_hand() -> None:
    # |0.5| + |-2| + 0 + |1| = 3.5, times 0.5.
    loss = losses.l1(
        tf.constant([[[0.5, -2.0, 3.0, 1.0]]]),
        tf.constant([[[0.0, 0.0, 3.0, 0.0]]]),
        tf.constant([[0.5]]),
    )
    np.testing.assert_allclose(loss, [[1.75]], rtol=1e-6)


def test_l2_by_hand() -> None:
    # Weighted differences 0.25, -1, 0, 0.5: half of 0.0625 + 1 + 0.25.
    loss = losses.l2(
        tf.constant([[[0.5, -2.0, 3.0, 1.0]]]),
        tf.constant([[[0.0, 0.0, 3.0, 0.0]]]),
        tf.constant([[0.5]]),
    )
    np.testing.assert_allclose(loss, [[0.65625]], rtol=1e-6)


def test_iou_and_giou_by_hand() -> None:
    # Areas 0.5 and 0.25 share 0.125: union 0.625, IoU 0.2; the hull is [0, 0, 1, 0.75]:
    # GIoU 0.2 - 0.125 / 0.75. Then boxes apart: areas 0.02 and 0.06, hull 0.4 * 0.6 = 0.24.
    boxes = tf.constant([[[0.0, 0.0, 1.0, 0.5], [0.1, 0.2, 0.2, 0.4]]])
    targets = tf.constant([[[0.5, 0.25, 1.0, 0.75], [0.3, 0.5, 0.5, 0.8]]])
    weights = tf.constant([[2.0, 0.5]])
    np.testing.assert_allclose(losses.iou(boxes, targets, weights), [[2 * 0.8, 0.5]], rtol=1e-6)
    np.testing.assert_allclose(
        losses.giou(boxes, targets, weights),
        [[2 * (0.8 + 0.125 / 0.75), 0.5 * (1 + 0.16 / 0.24)]],
        rtol=1e-6,
    )


@pytest.mark.parametrize("delta", [1.0, 0.5, 1 / 9])
def test_smooth_l1_equals_the_recording(delta: float) -> None:
    def loss(predictions: tf.Tensor) -> tf.Tensor:
        return losses.smooth_l1(
            predictions, LOCALIZATION["target"], LOCALIZATION["weights"], delta=delta
        )

    value, gradient = value_and_gradient(loss, LOCALIZATION["pred"])
    name = f"smooth_l1_delta{delta:.4f}"
    np.testing.assert_allclose(value, LOCALIZATION[name], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(gradient, LOCALIZATION[f"{name}_grad"], rtol=1e-5, atol=1e-7)


def test_a_target_that_is_nan_adds_nothing() -> None:
    def loss(predictions: tf.Tensor) -> tf.Tensor:
        targets = LOCALIZATION["target_with_nan"]
        return losses.smooth_l1(predictions, targets, LOCALIZATION["weights"])

    assert np.any(np.isnan(LOCALIZATION["target_with_nan"]))
    value, gradient = value_and_gradient(loss, LOCALIZATION["pred"])
    np.testing.assert_allclose(value, LOCALIZATION["smooth_l1_nan_ignored"], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(
        gradient, LOCALIZATION["smooth_l1_nan_ignored_grad"], rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize(("targets", "suffix"), [("target", ""), ("target_with_nan", "_nan")])
def test_l1_and_l2_equal_the_recording(targets: str, suffix: str) -> None:
    target, weights = LOCALIZATION[targets], LOCALIZATION["weights"]
    value, gradient = value_and_gradient(
        lambda x: losses.l2(x, target, weights), LOCALIZATION["pred"]
    )
    np.testing.assert_allclose(value, BOXES[f"l2{suffix}"], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(gradient, BOXES[f"l2{suffix}_grad"], rtol=1e-5, atol=1e-7)
    # The original gives no sum per anchor but takes weights per code: added up here.
    value, gradient = value_and_gradient(
        lambda x: losses.l1(x, target, weights), LOCALIZATION["pred"]
    )
    per_anchor = BOXES[f"l1_per_code{suffix}"].sum(axis=-1)
    np.testing.assert_allclose(value, per_anchor, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(gradient, BOXES[f"l1_per_code{suffix}_grad"], rtol=1e-5, atol=1e-7)


def test_l2_iou_and_giou_equal_the_first_recording() -> None:
    weights = LOCALIZATION["weights"]
    l2 = losses.l2(LOCALIZATION["pred"], LOCALIZATION["target"], weights)
    np.testing.assert_allclose(l2, LOCALIZATION["l2"], rtol=1e-5, atol=1e-7)
    boxes, targets = LOCALIZATION["iou_pred"], LOCALIZATION["iou_target"]
    iou = losses.iou(boxes, targets, weights)
    # 1 - IoU of boxes that are nearly the same keeps few digits; the original's is flat.
    np.testing.assert_allclose(
        iou, LOCALIZATION["weighted_iou"].reshape(weights.shape), rtol=1e-5, atol=2e-7
    )
    giou = losses.giou(boxes, targets, weights)
    np.testing.assert_allclose(giou, LOCALIZATION["weighted_giou"], rtol=1e-5, atol=2e-7)


@pytest.mark.parametrize(
    ("targets", "suffix"), [("target_boxes", ""), ("target_boxes_nan", "_nan")]
)
@pytest.mark.parametrize("name", ["iou", "giou"])
def test_box_losses_and_gradients_equal_the_recording(name: str, targets: str, suffix: str) -> None:
    # Identical, nested, separate, inverted and empty boxes are among them.
    function, weights = getattr(losses, name), LOCALIZATION["weights"]
    value, gradient = value_and_gradient(
        lambda x: function(x, BOXES[targets], weights), BOXES["boxes"]
    )
    expected = BOXES[f"{name}{suffix}"].reshape(weights.shape)
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=2e-7)
    np.testing.assert_allclose(gradient, BOXES[f"{name}{suffix}_grad"], rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("name", ["iou", "giou"])
def test_boxes_without_area_equal_the_recording_and_have_a_gradient(name: str) -> None:
    function = getattr(losses, name)
    value, gradient = value_and_gradient(
        lambda x: function(x, BOXES["degenerate_targets"], tf.ones([1, 5])),
        BOXES["degenerate_boxes"],
    )
    expected = BOXES[f"degenerate_{name}"].reshape(1, 5)
    np.testing.assert_allclose(value, expected, rtol=1e-6, atol=2e-7)
    assert np.all(np.isfinite(gradient))
