from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from ssd import learning_rate
from ssd.optimizers.momentum import Momentum


def updated(accumulates_gradients: bool) -> tuple[np.ndarray, np.ndarray]:
    """The variable after each of two updates, at rates 0.5 and 0.1."""
    rate = learning_rate.Schedule(learning_rate.manual_step(0.5, [(1, 0.1)]))
    optimizer = Momentum(rate, 0.9, accumulates_gradients=accumulates_gradients)
    variable = keras.Variable([1.0, -2.0])
    optimizer.build([variable])
    optimizer.apply([tf.constant([2.0, 4.0])], [variable])
    first = variable.numpy()
    optimizer.apply([tf.constant([1.0, 0.0])], [variable])
    assert int(optimizer.iterations) == 2
    return first, variable.numpy()


def test_by_hand():
    first, second = updated(accumulates_gradients=False)
    # v = -0.5 * (2, 4) = (-1, -2); the first update uses the rate of step 0.
    np.testing.assert_allclose(first, [0.0, -4.0], atol=1e-6)
    # v = 0.9 * (-1, -2) - 0.1 * (1, 0) = (-1, -1.8).
    np.testing.assert_allclose(second, [-1.0, -5.8], atol=1e-6)


def test_as_under_tf1_by_hand():
    first, second = updated(accumulates_gradients=True)
    # a = (2, 4), w = w - 0.5 a.
    np.testing.assert_allclose(first, [0.0, -4.0], atol=1e-6)
    # a = 0.9 * (2, 4) + (1, 0) = (2.8, 3.6), w = w - 0.1 a: the lower rate counts for all of it.
    np.testing.assert_allclose(second, [-0.28, -4.36], atol=1e-6)


@pytest.mark.parametrize(("momentum", "slots"), [(0.9, 1), (0.0, 0)])
def test_slots(momentum, slots):
    optimizer = Momentum(learning_rate.Schedule(learning_rate.constant(0.5)), momentum)
    variable = keras.Variable([1.0, -2.0])
    optimizer.build([variable])
    assert len(optimizer.momentums) == slots
    optimizer.apply([tf.constant([2.0, 4.0])], [variable])
    np.testing.assert_allclose(variable.numpy(), [0.0, -4.0], atol=1e-6)
