"""Classification losses and their gradients by hand and against the recordings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ssd.core import classification_losses as losses

DATA = Path(__file__).parents[2] / "data"
RECORDED = np.load(DATA / "core_classification_losses.npz")
OTHER = np.load(DATA / "core_other_classification_losses.npz")


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


def assert_equals_the_recording(
    recorded: np.lib.npyio.NpzFile,
    name: str,
    loss: Callable[[tf.Tensor], tf.Tensor],
    at: np.ndarray,
) -> None:
    value, gradient = value_and_gradient(loss, at)
    assert value.shape == recorded[name].shape
    np.testing.assert_allclose(value, recorded[name], rtol=1e-5, atol=1e-6)
    # The recorded gradients reach 30: 1e-6 is a last digit of the larger ones.
    np.testing.assert_allclose(gradient, recorded[f"{name}_grad"], rtol=1e-5, atol=2e-6)


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
    weights, ones = RECORDED["weights"], tf.ones(RECORDED["logits"].shape[:2])

    def loss(logits: tf.Tensor) -> tf.Tensor:
        targets = RECORDED["targets"]
        return losses.sigmoid_focal(logits, targets, ones, gamma=gamma, alpha=alpha) * weights

    value, gradient = value_and_gradient(loss, RECORDED["logits"])
    np.testing.assert_allclose(value, RECORDED[f"focal_{name}"], rtol=1e-5, atol=1e-7)
    # The recorded gradients reach 30: 1e-6 is a last digit of the larger ones.
    np.testing.assert_allclose(gradient, RECORDED[f"focal_{name}_grad"], rtol=3e-6, atol=1e-6)


def test_a_masked_image_has_no_loss() -> None:
    # `is_annotated` [True, False] of the original is a weight of 0 here.
    weights = RECORDED["weights"] * np.float32([[[1]], [[0]]])
    loss = losses.sigmoid_focal(RECORDED["logits"], RECORDED["targets"], weights)
    np.testing.assert_allclose(loss, RECORDED["focal_masked"], rtol=1e-5, atol=1e-7)


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
    targets, weights = RECORDED["targets"], RECORDED["weights_anchor"]

    def loss(logits: tf.Tensor) -> tf.Tensor:
        return losses.sigmoid_focal(logits, targets, weights)

    eager = value_and_gradient(loss, RECORDED["logits"])
    traced = value_and_gradient(tf.function(loss), RECORDED["logits"])
    for ours, theirs in zip(traced, eager, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


def test_sigmoid_equals_the_recording() -> None:
    def loss(logits: tf.Tensor) -> tf.Tensor:
        return losses.sigmoid(logits, RECORDED["targets"], RECORDED["weights"])

    assert_equals_the_recording(RECORDED, "sigmoid_ce", loss, RECORDED["logits"])


@pytest.mark.parametrize(("scale", "name"), [(1.0, "softmax_ce"), (2.5, "softmax_ce_scale2.5")])
def test_softmax_equals_the_recording(scale: float, name: str) -> None:
    def loss(logits: tf.Tensor) -> tf.Tensor:
        targets, weights = RECORDED["targets"], RECORDED["weights_anchor"]
        return losses.softmax(logits, targets, weights, logit_scale=scale)

    assert_equals_the_recording(RECORDED, name, loss, RECORDED["logits"])


@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_softmax_takes_the_mean_of_weights_per_column(scale: float) -> None:
    def loss(logits: tf.Tensor) -> tf.Tensor:
        targets, weights = RECORDED["targets"], OTHER["weights"]
        return losses.softmax(logits, targets, weights, logit_scale=scale)

    name = f"softmax_per_class_scale{scale}"
    assert_equals_the_recording(OTHER, name, loss, RECORDED["logits"])


@pytest.mark.parametrize(
    ("weights", "suffix"),
    [(OTHER["weights"], ""), (RECORDED["weights_anchor"], "_anchor")],
    ids=["per_column", "per_anchor"],
)
@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_softmax_against_logits_equals_the_recording(
    scale: float, weights: np.ndarray, suffix: str
) -> None:
    def loss(logits: tf.Tensor) -> tf.Tensor:
        return losses.softmax_against_logits(
            logits, OTHER["target_logits"], weights, logit_scale=scale
        )

    name = f"against_logits_scale{scale}"
    value, gradient = value_and_gradient(loss, RECORDED["logits"])
    np.testing.assert_allclose(value, OTHER[f"{name}{suffix}"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradient, OTHER[f"{name}{suffix}_grad"], rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("kind", "alpha"),
    [("soft", 0.95), ("soft", 0.5), ("hard", 0.8), ("soft", 0.0), ("hard", 0.0), ("soft", 1.0)],
)
def test_bootstrapped_sigmoid_equals_the_recording(kind: str, alpha: float) -> None:
    def loss(logits: tf.Tensor) -> tf.Tensor:
        return losses.bootstrapped_sigmoid(
            logits,
            RECORDED["targets"],
            OTHER["weights"],
            alpha=alpha,
            hard_bootstrap=kind == "hard",
        )

    assert_equals_the_recording(OTHER, f"bootstrapped_{kind}_{alpha}", loss, RECORDED["logits"])


@pytest.mark.parametrize(("alpha", "beta"), [(2.0, 4.0), (1.5, 0.5)])
def test_penalty_reduced_focal_equals_the_recording(alpha: float, beta: float) -> None:
    def loss(logits: tf.Tensor) -> tf.Tensor:
        targets, weights = RECORDED["targets"], OTHER["weights"]
        return losses.penalty_reduced_focal(logits, targets, weights, alpha=alpha, beta=beta)

    assert_equals_the_recording(OTHER, f"penalty_reduced_{alpha}_{beta}", loss, RECORDED["logits"])


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("is_probability", [False, True])
def test_dice_equals_the_recording(squared: bool, is_probability: bool) -> None:
    def loss(logits: tf.Tensor) -> tf.Tensor:
        return losses.dice(
            logits,
            RECORDED["targets"],
            OTHER["weights"],
            squared_normalization=squared,
            is_prediction_probability=is_probability,
        )

    name = f"dice{'_probability' * is_probability}_squared{int(squared)}"
    at = OTHER["probabilities"] if is_probability else RECORDED["logits"]
    assert_equals_the_recording(OTHER, name, loss, at)


def test_softmax_by_hand() -> None:
    # Logits 0, log 4 over scale 2 are 0, log 2: probabilities 1/3, 2/3. Weight 3: 3 log 3.
    loss = losses.softmax(
        tf.constant([[[0.0, np.log(4.0)]]]),
        tf.constant([[[1.0, 0.0]]]),
        tf.constant([[3.0]]),
        logit_scale=2.0,
    )
    np.testing.assert_allclose(loss, [[3 * np.log(3)]], rtol=1e-6)


def test_bootstrapped_sigmoid_by_hand() -> None:
    # Logit log 3: p = 3/4, rounded 1. Soft: 0.8 * 0 + 0.2 * 0.75 = 0.15; hard: 0.2.
    # Entropy against t: t log(4/3) + (1 - t) log 4.
    arguments = (tf.fill([1, 1, 1], np.float32(np.log(3.0))), tf.zeros([1, 1, 1]), tf.ones([1, 1]))
    for hard, target in ((False, 0.15), (True, 0.2)):
        loss = losses.bootstrapped_sigmoid(*arguments, alpha=0.8, hard_bootstrap=hard)
        expected = target * np.log(4 / 3) + (1 - target) * np.log(4)
        np.testing.assert_allclose(loss, [[[expected]]], rtol=1e-6)


def test_dice_by_hand() -> None:
    # Column 0: p 0.5, 0.25 and t 1, 0 with weights 2, 4: p 1, 1; t 2, 0; 1 - 2 * 2 / (2 + 2) = 0.
    # Column 1: p 0, 0.2 and t 0, 0: the area of 0.8 counts as 1, nothing is shared: 1.
    loss = losses.dice(
        tf.constant([[[0.5, 0.0], [0.25, 0.2]]]),
        tf.constant([[[1.0, 0.0], [0.0, 0.0]]]),
        tf.constant([[2.0, 4.0]]),
        squared_normalization=False,
        is_prediction_probability=True,
    )
    np.testing.assert_allclose(loss, [[0.0, 1.0]], atol=1e-6)


@pytest.mark.parametrize(
    "loss",
    [
        losses.sigmoid,
        losses.sigmoid_focal,
        losses.softmax,
        losses.softmax_against_logits,
        lambda x, t, w: losses.bootstrapped_sigmoid(x, t, w, alpha=0.9, hard_bootstrap=False),
        lambda x, t, w: losses.penalty_reduced_focal(x, t, w, alpha=2.0, beta=4.0),
        lambda x, t, w: losses.dice(
            x, t, w, squared_normalization=True, is_prediction_probability=False
        ),
    ],
    ids=["sigmoid", "focal", "softmax", "against_logits", "bootstrapped", "penalty", "dice"],
)
def test_weights_per_anchor_are_those_of_every_column(loss: Callable[..., tf.Tensor]) -> None:
    logits, targets = RECORDED["logits"], RECORDED["targets"]
    weights = RECORDED["weights_anchor"]
    per_column = np.repeat(weights[..., np.newaxis], logits.shape[2], axis=2)
    np.testing.assert_allclose(
        loss(logits, targets, weights), loss(logits, targets, per_column), rtol=1e-6
    )


def test_an_anchor_of_zeros_costs_softmax_nothing() -> None:
    logits = tf.constant([[[1.0, -2.0, 5.0]]])
    assert float(losses.softmax(logits, tf.zeros([1, 1, 3]), tf.ones([1, 1]))[0, 0]) == 0.0
