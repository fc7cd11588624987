"""Losses and their gradients by hand and against the recording."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ssd.core import losses

DATA = Path(__file__).parents[2] / "data"
CLASSIFICATION = np.load(DATA / "core_classification_losses.npz")
LOCALIZATION = np.load(DATA / "core_localization_losses.npz")


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
    # Logits of +-40, 88 and -100 and soft targets are among them.
    weights, ones = CLASSIFICATION["weights"], tf.ones(CLASSIFICATION["logits"].shape[:2])

    def loss(logits: tf.Tensor) -> tf.Tensor:
        targets = CLASSIFICATION["targets"]
        return losses.sigmoid_focal(logits, targets, ones, gamma=gamma, alpha=alpha) * weights

    value, gradient = value_and_gradient(loss, CLASSIFICATION["logits"])
    np.testing.assert_allclose(value, CLASSIFICATION[f"focal_{name}"], rtol=1e-5, atol=1e-7)
    # The recorded gradients reach 30: 1e-6 is a last digit of the larger ones.
    np.testing.assert_allclose(gradient, CLASSIFICATION[f"focal_{name}_grad"], rtol=3e-6, atol=1e-6)


def test_focal_weights_are_per_anchor() -> None:
    logits, targets = CLASSIFICATION["logits"], CLASSIFICATION["targets"]
    weights = CLASSIFICATION["weights_anchor"]
    weighted = losses.sigmoid_focal(logits, targets, weights)
    plain = losses.sigmoid_focal(logits, targets, tf.ones_like(weights))
    np.testing.assert_allclose(weighted, plain * weights[..., np.newaxis], rtol=1e-6)


def focal_in_float64(
    x: np.ndarray, target: float, gamma: float, alpha: float
) -> tuple[np.ndarray, np.ndarray]:
    """The focal loss and its derivative, with 1 - p from its own exponential."""
    p, rest = 1 / (1 + np.exp(-x)), 1 / (1 + np.exp(x))
    entropy = target * np.logaddexp(0, -x) + (1 - target) * np.logaddexp(0, x)
    entropy_slope = (1 - target) * p - target * rest
    miss = target * rest + (1 - target) * p
    alpha_t = target * alpha + (1 - target) * (1 - alpha)
    bend = gamma * miss ** (gamma - 1) * (1 - 2 * target) * p * rest if gamma else 0.0
    slope = bend * entropy + miss**gamma * entropy_slope
    return alpha_t * miss**gamma * entropy, alpha_t * slope


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("target", [0.0, 1.0, 0.3])
def test_focal_is_exact_far_from_zero(target: float, gamma: float) -> None:
    # From -25 to 25 without 0 in the middle, where the written-out gradient has its seam.
    logits = np.concatenate([np.linspace(-25, -0.01, 99), [0.0], np.linspace(0.02, 25, 99)])
    logits = logits.astype(np.float32)

    def loss(x: tf.Tensor) -> tf.Tensor:
        targets, weights = tf.fill([1, 199, 1], target), tf.ones([1, 199])
        return losses.sigmoid_focal(x, targets, weights, gamma=gamma, alpha=0.25)

    value, gradient = value_and_gradient(loss, logits[np.newaxis, :, np.newaxis])
    # 0.3 as float32 is what the function sees.
    expected = focal_in_float64(logits.astype(np.float64), float(np.float32(target)), gamma, 0.25)
    # Ten operations, each off by 1e-7 or so.
    np.testing.assert_allclose(value[0, :, 0], expected[0], rtol=2e-6)
    # Where the gradient of a soft target changes its sign it is a difference of nearly equals.
    atol = 0.0 if target in (0.0, 1.0) else 2e-7
    np.testing.assert_allclose(gradient[0, :, 0], expected[1], rtol=2e-6, atol=atol)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_stays_finite(gamma: float) -> None:
    logits = np.array([[[-1e4, -200.0, 0.0, 200.0, 1e4]]], np.float32)
    for target in (0.0, 1.0):

        def loss(x: tf.Tensor, target: float = target) -> tf.Tensor:
            targets = tf.fill([1, 1, 5], target)
            return losses.sigmoid_focal(x, targets, tf.ones([1, 1]), gamma=gamma)

        value, gradient = value_and_gradient(loss, logits)
        assert np.all(np.isfinite(value))
        assert np.all(np.isfinite(gradient))


def test_focal_in_a_function_has_the_same_gradient() -> None:
    targets, weights = CLASSIFICATION["targets"], CLASSIFICATION["weights_anchor"]

    def loss(logits: tf.Tensor) -> tf.Tensor:
        return losses.sigmoid_focal(logits, targets, weights)

    eager = value_and_gradient(loss, CLASSIFICATION["logits"])
    traced = value_and_gradient(tf.function(loss), CLASSIFICATION["logits"])
    for ours, theirs in zip(traced, eager, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


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


def test_the_normalizer_is_at_least_one() -> None:
    assert float(losses.num_matches_normalizer(tf.zeros([2, 3]))) == 1.0
    assert float(losses.num_matches_normalizer(tf.constant([[0.5, 2.0], [1.0, 0.0]]))) == 3.5
