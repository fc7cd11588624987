from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from ssd.optimizer import build_optimizer
from ssd.standard_fields import InputFields
from ssd.train_step import compute_losses, make_train_step


@pytest.fixture(scope="module")
def batch() -> dict[str, tf.Tensor]:
    """Two pictures; two boxes and none."""
    images = np.random.default_rng(8).uniform(0, 255, (2, 64, 96, 3)).astype(np.float32)
    boxes = np.zeros((2, 3, 4), np.float32)
    boxes[0, :2] = [[0.1, 0.2, 0.6, 0.5], [0.3, 0.4, 0.95, 0.9]]
    one_hot = np.zeros((2, 3, 3), np.float32)
    one_hot[0, [0, 1], [2, 0]] = 1.0
    return {
        InputFields.image: tf.constant(images),
        InputFields.groundtruth_boxes: tf.constant(boxes),
        InputFields.groundtruth_classes_one_hot: tf.constant(one_hot),
        InputFields.groundtruth_weights: tf.reduce_sum(tf.constant(one_hot), -1),
    }


@pytest.fixture
def optimizer(tiny_config, tiny_detector):
    made = build_optimizer(tiny_config.train_config.optimizer)
    made.build(tiny_detector.network.trainable_variables)
    return made


def values(detector) -> dict[str, np.ndarray]:
    return {key: v.numpy() for key, v in detector.checkpoint_variables().items()}


def gradients_by_hand(detector, batch, regularized: bool = True) -> dict[str, np.ndarray]:
    paths = {id(v): key for key, v in detector.checkpoint_variables().items()}
    variables = [v.value for v in detector.network.trainable_variables]
    with tf.GradientTape() as tape:
        losses = compute_losses(detector, batch, training=True)
        total = tf.add_n([v for k, v in losses.items() if regularized or k[0] != "r"])
    found = tape.gradient(total, variables)
    return {paths[id(v)]: g.numpy() for v, g in zip(variables, found, strict=True)}


@pytest.mark.parametrize(
    ("regularized", "limit"), [(True, 0.0), (False, 0.5)], ids=["zoo", "clipped, no regularization"]
)
def test_one_step_is_rate_times_gradient(tiny_detector, optimizer, batch, regularized, limit):
    before = values(tiny_detector)
    gradients = gradients_by_hand(tiny_detector, batch, regularized)
    norm = np.sqrt(sum(np.sum(g.astype(np.float64) ** 2) for g in gradients.values()))
    for key, variable in tiny_detector.checkpoint_variables().items():
        variable.assign(before[key])  # the pass above moved the batch norms
    step = make_train_step(
        tiny_detector,
        optimizer,
        gradient_clipping_by_norm=limit,
        add_regularization_loss=regularized,
    )
    losses = {name: float(value) for name, value in step(batch).items()}
    assert set(losses) == {
        "localization_loss",
        "classification_loss",
        "regularization_loss",
        "total_loss",
        "learning_rate",
    }
    parts = losses["localization_loss"] + losses["classification_loss"]
    parts += losses["regularization_loss"] if regularized else 0.0
    assert losses["total_loss"] == pytest.approx(parts, rel=1e-6)
    assert losses["regularization_loss"] > 0
    # The first step uses the rate of step 0: warmup_learning_rate.
    assert losses["learning_rate"] == pytest.approx(0.026666, rel=1e-6)
    scale = limit / norm if limit else 1.0
    assert scale < 1.0 or not limit
    after = values(tiny_detector)
    moved = {key: after[key] - before[key] for key in gradients}
    expected = {key: -0.026666 * scale * g for key, g in gradients.items()}
    difference = np.sqrt(sum(np.sum((moved[k] - expected[k]) ** 2) for k in gradients))
    # Graph and eager kernels differ in the last digits of a gradient.
    assert difference <= 1e-3 * 0.026666 * scale * norm
    assert int(optimizer.iterations) == 1
    # One step keeps 0.997 of the 1 that a moving variance begins with.
    stem = "_feature_extractor/classification_backbone/layer_with_weights-1"
    assert np.all(after[f"{stem}/moving_variance"] > 0.997)
    assert np.all(after[f"{stem}/moving_variance"] < 1.0)
    assert np.any(after[f"{stem}/moving_mean"] != 0.0)


def test_losses_without_training_touch_nothing(tiny_detector, batch):
    before = values(tiny_detector)
    losses = compute_losses(tiny_detector, batch, training=False)
    assert set(losses) == {"localization_loss", "classification_loss", "regularization_loss"}
    assert all(np.isfinite(float(value)) for value in losses.values())
    for key, value in values(tiny_detector).items():
        np.testing.assert_array_equal(value, before[key], err_msg=key)
