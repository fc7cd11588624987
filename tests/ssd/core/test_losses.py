"""What losses are divided by."""

from __future__ import annotations

import tensorflow as tf

from ssd.core import losses


def test_the_normalizer_is_at_least_one() -> None:
    assert float(losses.num_matches_normalizer(tf.zeros([2, 3]))) == 1.0
    assert float(losses.num_matches_normalizer(tf.constant([[0.5, 2.0], [1.0, 0.0]]))) == 3.5
