"""Losses and their gradients by hand and against the recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ssd.core import losses

DATA = Path(__file__).parents[2] / "data"
CLASSIFICATION = np.load(DATA / "core_classification_losses.npz")
LOCALIZATION = np.load(DATA / "core_localization_losses.npz")


def test_smooth_l1_by_hand() -> None:
    # Differences 0.5, -2, 0, 1 with delta 1: 0.125 + 1.5 + 0 + 0.5; times weight 0.5.
    predictions = tf.constant([[[0.5, -2.0, 3.0, 1.0]]])
    targets = tf.constant([[[0.0, 0.0, 3.0, 0.0]]])
    loss = losses.smooth_l1(predictions, targets, tf.constant([[0.5]]))
    np.testing.assert_allclose(loss, [[0.5 * 2.125]], rtol=1e-6)


def test_focal_by_hand() -> None:
    # Logit 0: p = 0.5, cross entropy log 2; target 1: 0.25 * 0.25 * log 2; target 0: 0.75.
    loss = losses.sigmoid_focal(
        tf.zeros([1, 1, 2]), tf.constant([[[1.0, 0.0]]]), tf.constant([[2.0]])
    )
    np.testing.assert_allclose(
        loss, [[[2 * 0.0625 * np.log(2), 2 * 0.1875 * np.log(2)]]], rtol=1e-6
    )


@pytest.mark.parametrize(
    ("name", "gamma", "alpha"),
    [
        ("g2_a25", 2.0, 0.25),
        ("g2_a75", 2.0, 0.75),
        ("g0_anone", 0.0, None),
        ("g1.5_anone", 1.5, None),
    ],
)
def test_focal_equals_the_recording(name: str, gamma: float, alpha: float | None) -> None:
    logits = tf.constant(CLASSIFICATION["logits"])
    weights = tf.constant(CLASSIFICATION["weights"])
    ones = tf.ones(logits.shape[:2])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = (
            losses.sigmoid_focal(logits, CLASSIFICATION["targets"], ones, gamma=gamma, alpha=alpha)
            * weights
        )
        total = tf.reduce_sum(loss)
    np.testing.assert_allclose(loss, CLASSIFICATION[f"focal_{name}"], rtol=1e-5, atol=1e-7)
    gradient = tape.gradient(total, logits)
    np.testing.assert_allclose(gradient, CLASSIFICATION[f"focal_{name}_grad"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("delta", [1.0, 0.5, 1 / 9])
def test_smooth_l1_equals_the_recording(delta: float) -> None:
    predictions = tf.constant(LOCALIZATION["pred"])
    with tf.GradientTape() as tape:
        tape.watch(predictions)
        loss = losses.smooth_l1(
            predictions, LOCALIZATION["target"], LOCALIZATION["weights"], delta=delta
        )
        total = tf.reduce_sum(loss)
    np.testing.assert_allclose(
        loss, LOCALIZATION[f"smooth_l1_delta{delta:.4f}"], rtol=1e-5, atol=1e-7
    )
    np.testing.assert_allclose(
        tape.gradient(total, predictions),
        LOCALIZATION[f"smooth_l1_delta{delta:.4f}_grad"],
        rtol=1e-5,
        atol=1e-7,
    )


def test_a_target_that_is_nan_adds_nothing() -> None:
    predictions = tf.constant(LOCALIZATION["pred"])
    with tf.GradientTape() as tape:
        tape.watch(predictions)
        loss = losses.smooth_l1(
            predictions, LOCALIZATION["target_with_nan"], LOCALIZATION["weights"]
        )
        total = tf.reduce_sum(loss)
    np.testing.assert_allclose(loss, LOCALIZATION["smooth_l1_nan_ignored"], rtol=1e-5, atol=1e-7)
    gradient = tape.gradient(total, predictions)
    np.testing.assert_allclose(
        gradient, LOCALIZATION["smooth_l1_nan_ignored_grad"], rtol=1e-5, atol=1e-7
    )


def test_the_normalizer_is_at_least_one() -> None:
    assert float(losses.num_matches_normalizer(tf.zeros([2, 3]))) == 1.0
    assert float(losses.num_matches_normalizer(tf.constant([[0.5, 2.0], [1.0, 0.0]]))) == 3.5
