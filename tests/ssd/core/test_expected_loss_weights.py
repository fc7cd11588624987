"""Expected loss weights by hand, and their combination against the recording."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ssd.core import classification_losses, localization_losses
from ssd.core.expected_loss_weights import (
    expected_sampling,
    reweighted,
    reweighting_unmatched_anchors,
)

RECORDED = np.load(Path(__file__).parents[2] / "data/core_expected_loss_weights.npz")
# Of three images of four anchors: none, one and three are foreground.
TARGETS = tf.one_hot([[0, 0, 0, 0], [0, 2, 0, 0], [1, 2, 0, 1]], 3)


def recorded_weights(cls_targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """What stood in for the weights when the original's combination was recorded."""
    foreground = 1.0 - cls_targets[:, :, 0]
    count = tf.cast(tf.shape(cls_targets)[1], tf.float32)
    ramp = tf.range(1, count + 1) / count
    return foreground * (0.5 + ramp), (1.0 - foreground) * ramp


def recorded_losses(name: str) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    targets, weights, logits = (RECORDED[k] for k in ("cls_targets", "cls_weights", "logits"))
    function = getattr(classification_losses, name)
    unmatched = np.broadcast_to(np.float32([1, 0, 0, 0]), targets.shape)
    location = localization_losses.smooth_l1(
        RECORDED["box_encodings"], RECORDED["reg_targets"], RECORDED["reg_weights"]
    )
    return location, function(logits, targets, weights), function(logits, unmatched, weights)


def test_reweighting_by_hand() -> None:
    # K = 2: no foreground: 0.5 / 4 each. One: 2 * 1 / 3 each. Three: 2 * 3 / 1.
    foreground, background = reweighting_unmatched_anchors(
        TARGETS, min_num_negative_samples=0.5, desired_negative_sampling_ratio=2.0
    )
    np.testing.assert_array_equal(foreground, [[0, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 1]])
    np.testing.assert_allclose(
        background,
        [[0.125] * 4, [2 / 3, 0, 2 / 3, 2 / 3], [0, 0, 6, 0]],
        rtol=1e-6,
    )


def test_expected_sampling_by_hand() -> None:
    # As above, but no anchor is sampled with a probability over 1.
    foreground, background = expected_sampling(
        TARGETS, min_num_negative_samples=0.5, desired_negative_sampling_ratio=2.0
    )
    np.testing.assert_array_equal(foreground, [[0, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 1]])
    np.testing.assert_allclose(
        background,
        [[0.125] * 4, [2 / 3, 0, 2 / 3, 2 / 3], [0, 0, 1, 0]],
        rtol=1e-6,
    )


def test_soft_targets_by_hand() -> None:
    # p = 0.5, 0.2, 0.1: M = 0.8 of N = 3, K = 3.
    targets = tf.constant([[[0.5, 0.5], [0.8, 0.2], [0.9, 0.1]]])
    settings = {"min_num_negative_samples": 1.0, "desired_negative_sampling_ratio": 3.0}
    # beta = 3 * 0.8 / 2.2.
    foreground, background = reweighting_unmatched_anchors(targets, **settings)
    np.testing.assert_allclose(foreground, [[0.5, 0.2, 0.1]], rtol=1e-6)
    np.testing.assert_allclose(background, np.float32([[0.5, 0.8, 0.9]]) * 2.4 / 2.2, rtol=1e-5)
    # Others: 0.3, 0.6, 0.7: 0.9 / 2.7, 1.8 / 2.4, 2.1 / 2.3.
    background = expected_sampling(targets, **settings)[1]
    np.testing.assert_allclose(
        background, [[0.5 * 0.9 / 2.7, 0.8 * 1.8 / 2.4, 0.9 * 2.1 / 2.3]], rtol=1e-5
    )


@pytest.mark.parametrize("function", [expected_sampling, reweighting_unmatched_anchors])
def test_with_nothing_but_foreground_background_weighs_nothing(function: object) -> None:
    targets = tf.one_hot([[1, 2]], 3)
    foreground, background = function(  # type: ignore[operator]
        targets, min_num_negative_samples=2.0, desired_negative_sampling_ratio=3.0
    )
    assert foreground.numpy().tolist() == [[1.0, 1.0]]
    assert background.numpy().tolist() == [[0.0, 0.0]]


def test_combination_per_anchor_equals_the_recording() -> None:
    location, cls, unmatched = recorded_losses("softmax")
    localization, classification = reweighted(
        location, cls, unmatched, RECORDED["cls_targets"], recorded_weights
    )
    np.testing.assert_allclose(localization, RECORDED["softmax_localization_loss"], rtol=1e-5)
    np.testing.assert_allclose(classification, RECORDED["softmax_classification_loss"], rtol=1e-5)


def test_combination_per_column_equals_the_recording_and_locates() -> None:
    location, cls, unmatched = recorded_losses("sigmoid")
    localization, classification = reweighted(
        location, cls, unmatched, RECORDED["cls_targets"], recorded_weights
    )
    np.testing.assert_allclose(classification, RECORDED["sigmoid_classification_loss"], rtol=1e-5)
    # The original lines the location losses up with the columns of other anchors: nothing is left
    # of them. Here each anchor has its own: (anchor, column) j of 48 weighs 0.5 + (j + 1) / 48.
    assert float(RECORDED["sigmoid_localization_loss"]) == 0.0
    ramp = 0.5 + (np.arange(48) + 1) / 48
    per_anchor = (RECORDED["cls_targets"] * ramp.reshape(12, 4)).sum(axis=-1)
    np.testing.assert_allclose(localization, (location.numpy() * per_anchor).sum(), rtol=1e-5)


@pytest.mark.parametrize("name", ["softmax", "sigmoid"])
@pytest.mark.parametrize("function", [expected_sampling, reweighting_unmatched_anchors])
def test_in_a_function_with_a_gradient(name: str, function: object) -> None:
    weights = partial(
        function,  # type: ignore[arg-type]
        min_num_negative_samples=1.0,
        desired_negative_sampling_ratio=3.0,
    )

    @tf.function(input_signature=[tf.TensorSpec([None, 12, 4], tf.float32)])
    def total(logits: tf.Tensor) -> tf.Tensor:
        loss = getattr(classification_losses, name)
        targets = tf.constant(RECORDED["cls_targets"])
        ones, unmatched = tf.ones([2, 12]), tf.one_hot(tf.zeros([2, 12], tf.int32), 4)
        both = loss(logits, targets, ones), loss(logits, unmatched, ones)
        return tf.add_n(reweighted(tf.ones([2, 12]), *both, targets, weights))

    logits = tf.constant(RECORDED["logits"])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = total(logits)
    gradient = tape.gradient(value, logits)
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))
    assert np.any(gradient != 0)
