"""Sampling of examples: counts of the original, and that draws are even."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ssd.core.example_sampling import sample_balanced

RECORDED = np.load(Path(__file__).parents[2] / "data/core_example_sampling.npz")


@pytest.mark.parametrize("fraction", [0.01, 0.25, 0.3, 0.5, 0.9, 1.0])
def test_counts_equal_the_recording(fraction: float) -> None:
    # 0.3 as the float32 of a config is a little more: 3 positives get 6 negatives, not 7.
    targets, weights = RECORDED["cls_targets"], RECORDED["cls_weights"]
    is_positive = targets[..., 1:].sum(axis=-1) > 0
    for seed in ([1, 2], [3, 4]):
        sampled = sample_balanced(
            targets, weights, positive_sample_fraction=float(np.float32(fraction)), seed=seed
        ).numpy()
        counts = np.stack([(sampled & is_positive).sum(1), (sampled & ~is_positive).sum(1)], 1)
        np.testing.assert_array_equal(counts, RECORDED[f"fraction_{fraction}"])
        assert not np.any(sampled & (weights == 0))
        assert np.all(sampled[is_positive & (weights > 0)])


def test_every_negative_is_equally_likely() -> None:
    # 4 positives, a quarter: 12 of 36 usable negatives. 600 draws of probability 1/3: a standard
    # deviation of 11.5 around 200; 5 of them is further than any of 36 should ever come.
    targets = np.zeros((2, 50, 3), np.float32)
    targets[..., 0] = 1
    targets[:, :40:10] = [0, 1, 0]
    weights = np.ones((2, 50), np.float32)
    weights[:, 40:] = 0
    sample = tf.function(
        lambda seed: sample_balanced(targets, weights, positive_sample_fraction=0.25, seed=seed)
    )
    draws = np.stack([sample(tf.constant([5, i])) for i in range(600)])
    assert np.all(draws.sum(axis=2) == 16)
    is_negative = (targets[..., 0] == 1) & (weights > 0)
    times = draws.sum(axis=0)[is_negative]
    assert times.min() > 200 - 58
    assert times.max() < 200 + 58
    # Two images of a batch and two seeds are drawn independently.
    assert np.any(draws[0, 0] != draws[0, 1])
    assert np.any(draws[0] != draws[1])
    np.testing.assert_array_equal(sample(tf.constant([5, 0])), draws[0])


def test_weights_per_column_count_by_their_mean() -> None:
    targets = tf.one_hot([[1, 0, 0]], 3)
    weights = tf.constant([[[0.5, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    sampled = sample_balanced(targets, weights, positive_sample_fraction=0.5, seed=[1, 1])
    assert sampled.numpy().tolist() == [[True, False, True]]


@pytest.mark.parametrize("encode_background_as_zeros", [False, True])
def test_without_positives_nothing_is_drawn(encode_background_as_zeros: bool) -> None:
    targets = np.zeros((1, 5, 3), np.float32)
    targets[..., 0] = not encode_background_as_zeros
    sampled = sample_balanced(targets, tf.ones([1, 5]), positive_sample_fraction=0.1, seed=[0, 0])
    assert not np.any(sampled)
