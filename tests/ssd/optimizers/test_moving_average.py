from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from ssd.optimizers.moving_average import MovingAverages


def test_by_hand():
    variable = tf.Variable([11.0, -22.0])
    averages = MovingAverages([variable], 0.9999)
    averages.update(tf.constant(1, tf.int64))
    # The first update keeps 2 / 11 of the zeros.
    np.testing.assert_allclose(averages.averages[0].numpy(), [9.0, -18.0], rtol=1e-6)
    variable.assign([1.0, 6.0])
    averages.update(tf.constant(2, tf.int64))
    # 3 / 12 of the old: 2.25 + 0.75, -4.5 + 4.5.
    np.testing.assert_allclose(averages.averages[0].numpy(), [3.0, 0.0], atol=1e-6)


def test_decay_limits_what_is_kept():
    variable = tf.Variable([8.0])
    averages = MovingAverages([variable], 0.25)
    averages.update(tf.constant(1, tf.int64))  # 2 / 11 is below 0.25
    np.testing.assert_allclose(averages.averages[0].numpy(), [8.0 * 9 / 11], rtol=1e-6)
    averages.averages[0].assign([4.0])
    averages.update(tf.constant(1000, tf.int64))
    np.testing.assert_allclose(averages.averages[0].numpy(), [0.25 * 4.0 + 0.75 * 8.0], rtol=1e-6)


@pytest.mark.parametrize("case", ["momentum_averaged", "rms_prop_averaged", "adam_averaged"])
def test_averages_are_those_of_the_original(golden_data, case):
    golden = np.load(golden_data / "optimizers.npz")
    decay = {"momentum_averaged": 0.9999, "rms_prop_averaged": 0.25, "adam_averaged": 0.3}[case]
    kernel, bias = tf.Variable(golden["kernel"]), tf.Variable(golden["bias"])
    averages = MovingAverages([kernel, bias], decay)
    update = tf.function(averages.update)
    for n in range(6):
        kernel.assign(golden[f"{case}/kernel"][n])
        bias.assign(golden[f"{case}/bias"][n])
        update(tf.constant(n + 1, tf.int64))
        for average, name in zip(averages.averages, ("kernel", "bias"), strict=True):
            expected = golden[f"{case}/average_{name}"][n]
            np.testing.assert_allclose(average.numpy(), expected, atol=1e-6)


def test_swapped_in_and_out():
    values = np.array(
        [0.1, 1e-30, 3e30], np.float32
    )  # adding and subtracting would lose the second
    variable = tf.Variable(values)
    averages = MovingAverages([variable], 0.9)
    averages.averages[0].assign([5.0, 6.0, 7.0])

    def fail_inside() -> None:
        with averages.swapped_in():
            np.testing.assert_array_equal(variable.numpy(), [5.0, 6.0, 7.0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_inside()
    np.testing.assert_array_equal(variable.numpy(), values)
    np.testing.assert_array_equal(averages.averages[0].numpy(), [5.0, 6.0, 7.0])
