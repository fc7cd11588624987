from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from ssd.optimizer import build_optimizer
from ssd.optimizers.moving_average import MovingAverages
from ssd.standard_fields import InputFields
from ssd.training.train_step import compute_losses, make_train_step
from ssd.training.trainable import choose_trained

# Of a float32 near 1, such as gamma, over the elements of a variable.
ROUNDING = 1e-6


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
        "boxes",
        "matched_anchors",
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


def moved_by(detector, optimizer, batch, **settings) -> dict[str, np.ndarray]:
    """{key: change} of every variable in one step from the initial values."""
    before = values(detector)
    make_train_step(detector, optimizer, **settings)(batch)
    after = values(detector)
    return {key: after[key] - before[key] for key in before}


def test_biases_alone_are_multiplied(tiny_detector, optimizer, batch):
    gradients = gradients_by_hand(tiny_detector, batch)
    biases = [key for key in gradients if key.endswith("/bias")]
    assert len(biases) == 5  # 3 projections and 2 heads; no beta counts
    # Those in front of a batch norm have hardly any gradient, those of the heads have.
    assert sum(np.linalg.norm(gradients[key]) > 1e3 * ROUNDING for key in biases) >= 2
    moved = moved_by(tiny_detector, optimizer, batch, bias_grad_multiplier=3.0)
    for key, gradient in gradients.items():
        factor = 3.0 if key in biases else 1.0
        size = np.linalg.norm(gradient) * 0.026666 * factor
        difference = np.linalg.norm(moved[key] + 0.026666 * factor * gradient)
        assert difference <= 1e-2 * size + ROUNDING, key


def test_frozen_variables_stay_and_are_not_in_the_norm(tiny_detector, optimizer, batch):
    gradients = gradients_by_hand(tiny_detector, batch)
    trained = choose_trained(tiny_detector, freeze_variables=["classification_backbone"])
    keys = {key for key in gradients if "classification_backbone" not in key}
    assert len(trained) == len(keys) < len(gradients)
    norm = np.sqrt(sum(np.sum(gradients[key].astype(np.float64) ** 2) for key in keys))
    moved = moved_by(
        tiny_detector, optimizer, batch, trained=trained, gradient_clipping_by_norm=0.5
    )
    for key in gradients:
        if key in keys:
            expected = -0.026666 * min(1.0, 0.5 / norm) * gradients[key]
            difference = np.linalg.norm(moved[key] - expected)
            assert difference <= 1e-2 * np.linalg.norm(expected) + ROUNDING, key
        else:
            assert not np.any(moved[key]), key
    assert any(np.any(moved[k]) for k in moved if "backbone" in k and k.endswith("/moving_mean"))
    for slot, variable in zip(
        optimizer.momentums, tiny_detector.network.trainable_variables, strict=True
    ):
        is_trained = any(variable is other for other in trained)
        assert is_trained or not np.any(slot.numpy())


def test_averages_follow_the_weights(tiny_detector, optimizer, batch):
    weights = [v.value for v in tiny_detector.network.trainable_variables]
    averages = MovingAverages(weights, 0.9999)
    step = make_train_step(tiny_detector, optimizer, averages=averages)
    step(batch)
    first = [weight.numpy() for weight in weights]
    step(batch)
    for average, before, after in zip(averages.averages, first, weights, strict=True):
        # 2 / 11 and 3 / 12 of the old are kept, of nothing at first.
        expected = 0.25 * (9 / 11 * before) + 0.75 * after.numpy()
        np.testing.assert_allclose(average.numpy(), expected, rtol=1e-4, atol=1e-7)


def test_losses_without_training_touch_nothing(tiny_detector, batch):
    before = values(tiny_detector)
    losses = compute_losses(tiny_detector, batch, training=False)
    assert set(losses) == {"localization_loss", "classification_loss", "regularization_loss"}
    assert all(np.isfinite(float(value)) for value in losses.values())
    for key, value in values(tiny_detector).items():
        np.testing.assert_array_equal(value, before[key], err_msg=key)
