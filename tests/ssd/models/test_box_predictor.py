from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from ssd.models.box_predictor import dropped_out

SEED = tf.constant([5, 9], tf.int64)
ONES = tf.ones([4, 9, 11, 7])
RECORDED = [0, 0, 0, 0, 0, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 1]


def test_a_share_is_dropped_and_the_mean_stays():
    found = dropped_out(tf.ones([40, 9, 11, 7]), 0.25, SEED, 1).numpy()
    assert set(np.unique(found)) == {np.float32(0), np.float32(1 / 0.75)}
    # Four standard deviations of 27,720 draws: 4 sqrt(0.25 * 0.75 / 27720) = 0.0104.
    assert np.mean(found == 0) == pytest.approx(0.25, abs=0.0104)


def test_what_is_dropped_follows_from_seed_and_level():
    found = dropped_out(ONES, 0.5, SEED, 2).numpy()
    again = tf.function(lambda x: dropped_out(x, 0.5, SEED, 2))(ONES)
    np.testing.assert_array_equal(again, found)
    # Recorded: another process, another day and another device have to draw the same.
    assert (found.ravel()[:16] != 0).astype(int).tolist() == RECORDED
    for seed, level in ((SEED, 3), (SEED + 1, 2)):
        assert np.mean(dropped_out(ONES, 0.5, seed, level).numpy() != found) > 0.3


@pytest.mark.parametrize("rate", [0.0, None])
def test_nothing_is_drawn_without_a_rate(rate):
    assert dropped_out(ONES, rate, None, 0) is ONES


def test_without_a_seed():
    with pytest.raises(ValueError, match="dropout needs a seed"):
        dropped_out(ONES, 0.5, None, 0)
