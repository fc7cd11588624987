from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from ssd import learning_rate
from ssd.optimizers.rms_prop import RmsProp

RATE = learning_rate.Schedule(learning_rate.constant(0.6))


@pytest.mark.parametrize(
    ("settings", "first", "second"),
    [
        # r = 0.25 * 8^2 = 16, s = 0.6 * 8 / sqrt(16 + 9) = 0.96;
        # r = 0.75 * 16 + 0.25 * 4^2 = 16, s = 0.5 * 0.96 + 0.6 * 4 / 5 = 0.96.
        pytest.param({"momentum": 0.5}, 0.96, 0.96, id="momentum"),
        # r = 0.75 + 16 = 16.75, s = 4.8 / sqrt(25.75) = 0.945917;
        # r = 0.75 * 16.75 + 4 = 16.5625, s = 0.472959 + 2.4 / sqrt(25.5625) = 0.947644.
        pytest.param(
            {"momentum": 0.5, "initial_mean_square": 1.0}, 0.945917, 0.947644, id="as under TF1"
        ),
        # 4.8 / (4 + 9), then 2.4 / (4 + 9).
        pytest.param(
            {"momentum": 0.0, "adds_epsilon_to_root": True},
            0.369231,
            0.184615,
            id="without momentum, epsilon beside the root",
        ),
        # 4.8 / sqrt(25), then 2.4 / sqrt(25).
        pytest.param({"momentum": 0.0}, 0.96, 0.48, id="without momentum"),
    ],
)
def test_by_hand(settings, first, second):
    optimizer = RmsProp(RATE, rho=0.75, epsilon=9.0, **settings)
    variable = keras.Variable([10.0])
    optimizer.build([variable])
    optimizer.apply([tf.constant([8.0])], [variable])
    np.testing.assert_allclose(variable.numpy(), [10.0 - first], atol=1e-5)
    optimizer.apply([tf.constant([-4.0])], [variable])
    # The second gradient points the other way: s = m s - the step.
    kept = settings["momentum"] * first
    expected = 10.0 - first - kept + (second - kept)
    np.testing.assert_allclose(variable.numpy(), [expected], atol=1e-5)
    assert list(optimizer.slots) == ["rms"] + ["momentum"] * bool(settings["momentum"])
