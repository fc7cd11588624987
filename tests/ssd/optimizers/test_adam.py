from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from ssd import learning_rate
from ssd.optimizers.adam import Adam


def test_by_hand():
    optimizer = Adam(learning_rate.Schedule(learning_rate.constant(0.1)), epsilon=0.5)
    variable = keras.Variable([1.0, 2.0])
    optimizer.build([variable])
    optimizer.apply([tf.constant([4.0, 0.0])], [variable])
    # m = 0.4, v = 0.016 (but for 1 - 0.999 in float32), sqrt(1 - 0.999) / (1 - 0.9) = 0.316228:
    # 0.1 * 0.316228 * 0.4 / (0.126491 + 0.5) = 0.020190.
    np.testing.assert_allclose(variable.numpy(), [0.979810, 2.0], atol=1e-6)
    np.testing.assert_allclose(optimizer.slots["m"][0].numpy(), [0.4, 0.0], rtol=1e-5)
    np.testing.assert_allclose(optimizer.slots["v"][0].numpy(), [0.016, 0.0], rtol=2e-5)
    optimizer.apply([tf.constant([0.0, -2.0])], [variable])
    # First: m = 0.36, v = 0.015984; second: m = -0.2, v = 0.004.
    # sqrt(1 - 0.998001) / (1 - 0.81) = 0.235317.
    # 0.1 * 0.235317 * 0.36 / (0.126428 + 0.5) = 0.013523; 0.0235317 * 0.2 / 0.563246 = 0.008356.
    np.testing.assert_allclose(variable.numpy(), [0.966287, 2.008356], atol=1e-6)
