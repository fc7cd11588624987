from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from ssd.core.image_resizer import FixedShapeResizer
from ssd.models.normalization import FusedBatchNormalization
from ssd.standard_fields import InputFields
from ssd.training.batch_norm_statistics import StatisticsEstimator


class TwoNorms(keras.Model):
    """Batch norm of the image, then of its square."""

    def __init__(self, frozen: bool) -> None:
        super().__init__()
        self.first = FusedBatchNormalization(momentum=0.9, frozen=frozen)
        self.second = FusedBatchNormalization(momentum=0.8, frozen=frozen)

    def call(self, inputs, training=None):
        return self.second(self.first(inputs, training=training) ** 2, training=training)


def detector_of(network) -> SimpleNamespace:
    return SimpleNamespace(
        network=network,
        checkpoint_layers=lambda: {"first": network.first, "second": network.second},
        image_size=(2, 5),
        image_resizer=FixedShapeResizer(2, 5),
        preprocess=lambda images: images / 10.0,
        predict=lambda images, training, seed: network(images, training=training),
        loss=lambda predictions, batch, seed: {
            "localization_loss": tf.reduce_mean(predictions),
            "classification_loss": 100.0,
        },
        regularization_loss=lambda: 1e6,
    )


def as_batch(images: np.ndarray) -> dict[str, tf.Tensor]:
    return {InputFields.image: tf.constant(images)}


def estimator(frozen: bool = False) -> tuple[TwoNorms, StatisticsEstimator]:
    network = TwoNorms(frozen)
    network(np.zeros((1, 2, 5, 3), np.float32))
    network.first.moving_mean.assign([7.0, 8.0, 9.0])
    network.second.moving_variance.assign([4.0, 5.0, 6.0])
    return network, StatisticsEstimator(detector_of(network))


@pytest.fixture(scope="module")
def batches() -> list[np.ndarray]:
    """Three batches of different mean and spread."""
    draw = np.random.default_rng(9)
    return [
        (n + draw.normal(size=(4, 2, 5, 3)) * [10, 30, 5 * n]).astype(np.float32)
        for n in (1, 40, 90)
    ]


def plain_statistics(batches: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    means = np.array([b.mean((0, 1, 2)) for b in batches])
    variances = np.array([b.reshape(-1, 3).var(0, ddof=1) for b in batches])
    return means.mean(0), variances.mean(0) + means.var(0)


def test_estimates_are_those_of_numpy(batches):
    _, statistics = estimator()
    found = statistics.estimate(map(as_batch, batches)).statistics
    first = [b.astype(np.float64) / 10 for b in batches]
    mean, variance = plain_statistics(first)
    np.testing.assert_allclose(found[0], mean, rtol=1e-5)
    np.testing.assert_allclose(found[1], variance, rtol=1e-5)
    # The second layer sees what the first makes of each batch with the batch's own statistics.
    second = [((b - b.mean((0, 1, 2))) / np.sqrt(b.var((0, 1, 2)) + 1e-3)) ** 2 for b in first]
    mean, variance = plain_statistics(second)
    np.testing.assert_allclose(found[2], mean, rtol=1e-4)
    np.testing.assert_allclose(found[3], variance, rtol=1e-3)
    assert [value.dtype for value in found] == [np.float32] * 4


def test_one_batch_by_hand():
    _, statistics = estimator()
    images = np.zeros((1, 2, 5, 3), np.float32)
    images[0, 0, :, 0] = 100.0
    found = statistics.estimate([as_batch(images)]).statistics
    # Preprocessed: five values of 10, five of 0: mean 5, squares 10 * 25 = 250, 250 / 9 unbiased.
    np.testing.assert_allclose(found[0], [5, 0, 0], atol=1e-6)
    np.testing.assert_allclose(found[1], [250 / 9, 0, 0], rtol=1e-5)


def test_the_network_stays_as_it_was(batches):
    network, statistics = estimator()
    before = [v.numpy() for v in network.variables]
    statistics.estimate(map(as_batch, batches))
    for variable, value in zip(network.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    assert (network.first.momentum, network.second.momentum) == (0.9, 0.8)
    # And trains as before: 0.9 of the old mean.
    network(np.full((1, 2, 5, 3), 3.0, np.float32), training=True)
    np.testing.assert_allclose(network.first.moving_mean.numpy(), [6.6, 7.5, 8.4], rtol=1e-5)


def test_the_network_stays_as_it_was_when_reading_fails(batches):
    """A checkpoint written on the way out must not hold the statistics of one batch."""
    network, statistics = estimator()
    before = [v.numpy() for v in network.variables]

    def broken():
        yield as_batch(batches[0])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        statistics.estimate(broken())
    for variable, value in zip(network.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_swapped_in_and_out(batches):
    network, statistics = estimator()
    own = statistics.read()
    found = statistics.estimate(map(as_batch, batches)).statistics

    def fail_inside() -> None:
        with statistics.swapped_in(found):
            np.testing.assert_array_equal(network.first.moving_mean.numpy(), found[0])
            np.testing.assert_array_equal(network.second.moving_variance.numpy(), found[3])
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail_inside()
    for now, before in zip(statistics.read(), own, strict=True):
        np.testing.assert_array_equal(now, before)
    with statistics.swapped_in(None):
        np.testing.assert_array_equal(network.first.moving_mean.numpy(), [7.0, 8.0, 9.0])


def test_no_batches():
    _, statistics = estimator()
    with pytest.raises(ValueError, match="no batches"):
        statistics.estimate([])


def test_frozen_networks_need_no_estimate():
    assert estimator()[1].is_needed
    assert not estimator(frozen=True)[1].is_needed


def test_every_batch_norm_of_the_detector_is_found(tiny_detector):
    statistics = StatisticsEstimator(tiny_detector)
    # 52 in the backbone, 2 + 2 in the pyramid, 4 on each of 5 levels: 76, mean and variance each.
    assert len(statistics.read()) == 2 * 76
    images = tf.random.stateless_uniform([2, 64, 96, 3], [1, 2]) * 255
    batch = {
        InputFields.image: images,
        InputFields.groundtruth_boxes: tf.constant([[[0.1, 0.2, 0.5, 0.4]]] * 2),
        InputFields.groundtruth_classes_one_hot: tf.constant([[[0.0, 1.0, 0.0]]] * 2),
        InputFields.groundtruth_weights: tf.ones([2, 1]),
    }
    before = statistics.read()
    found = statistics.estimate([batch, batch])
    assert all(np.all(np.isfinite(value)) for value in found.statistics)
    assert all(np.any(a != b) for a, b in zip(found.statistics[0::2], before[0::2], strict=True))
    # Normalized by other statistics than its own, the same batch has another loss.
    assert found.losses[0] == found.losses[1] != statistics.loss([batch])


def test_losses_by_hand():
    """Own statistics normalize to mean 0; stored ones to (3 - mean) / sqrt(variance + epsilon)."""
    network, statistics = estimator()
    batch = as_batch(np.full((1, 2, 5, 3), 30.0, np.float32))
    assert statistics.estimate([batch]).losses == pytest.approx([100.0], abs=1e-5)
    first = (3.0 - np.array([7.0, 8.0, 9.0])) / np.sqrt(1.001)
    second = first**2 / np.sqrt(np.array([4.0, 5.0, 6.0]) + 1e-3)
    assert statistics.loss([batch, batch]) == pytest.approx(100.0 + second.mean(), rel=1e-5)
    np.testing.assert_array_equal(network.first.moving_mean.numpy(), [7.0, 8.0, 9.0])
