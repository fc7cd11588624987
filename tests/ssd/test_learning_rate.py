from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from ssd import learning_rate
from ssd.config.messages import TrainEvalPipelineConfig
from ssd.optimizer import rate_function


def rates(function, steps) -> list[float]:
    schedule = learning_rate.Schedule(function)
    return [float(schedule(tf.constant(step, tf.int64))) for step in steps]


@pytest.mark.parametrize("case", range(8))
def test_schedules_are_those_of_the_original(golden_data, case):
    golden = np.load(golden_data / "learning_rates.npz")
    config = TrainEvalPipelineConfig()
    message = config.train_config.optimizer.momentum_optimizer.learning_rate
    text_format.Parse(str(golden[f"case{case}_config"]), message)
    ours = rates(rate_function(message, "learning_rate"), golden["steps"])
    # float32 steps of a cosine near its end: 1 + cos loses digits, 1e-8 of a rate of 0.08.
    np.testing.assert_allclose(ours, golden[f"case{case}_lr"], rtol=1e-6, atol=1e-8)


def test_eager_and_traced_agree():
    """Inside of tf.function is where the training step asks."""
    function = learning_rate.cosine_decay(0.08, 2000, 0.026666, 100, 400)
    traced = tf.function(learning_rate.Schedule(function))
    for step in (0, 50, 100, 499, 500, 1000, 2000, 2001):
        assert float(traced(tf.constant(step, tf.int64))) == pytest.approx(
            rates(function, [step])[0], rel=1e-6, abs=1e-8
        )


def test_cosine_by_hand():
    function = learning_rate.cosine_decay(0.8, 120, 0.2, 20, 40)
    # Warm-up: 0.2 + (0.8 - 0.2) * 5 / 20 = 0.35. Held from 20 to 60. Half way between 60 and 120
    # the cosine is 0: 0.4; a third of the way it is 0.5: 0.6.
    assert rates(function, [0, 5, 20, 59, 60, 80, 90, 120, 121]) == pytest.approx(
        [0.2, 0.35, 0.8, 0.8, 0.8, 0.6, 0.4, 0.0, 0.0], abs=1e-7
    )


def test_a_cosine_without_room_for_it():
    """Warm-up and hold fill the run: no decay, and no division by 0 at its end."""
    function = learning_rate.cosine_decay(0.8, 50, 0.2, 20, 30)
    assert rates(function, [20, 49, 50, 51]) == pytest.approx([0.8, 0.8, 0.8, 0.0])


def test_slowed_down_by_hand():
    function = learning_rate.slowed_down(learning_rate.manual_step(0.6, [(4, 0.3)]), 0.25)
    # 0.6 / 1, 0.6 / 1.5, 0.3 / 2
    assert rates(function, [0, 2, 4]) == pytest.approx([0.6, 0.4, 0.15])
    same = learning_rate.constant(0.7)
    assert learning_rate.slowed_down(same, 0.0) is same


def test_exponential_decay_by_hand():
    staircase = learning_rate.exponential_decay(0.8, 10, 0.5, True, 0.1, 5)
    # Counted from the end of the burn-in: step 14 is 0.9 periods, step 15 one.
    assert rates(staircase, [0, 4, 5, 14, 15, 25]) == pytest.approx([0.1, 0.1, 0.8, 0.8, 0.4, 0.2])
    smooth = learning_rate.exponential_decay(0.8, 10, 0.25, False, min_learning_rate=0.3)
    # 0.25 ^ 0.5 = 0.5.
    assert rates(smooth, [0, 5, 10]) == pytest.approx([0.8, 0.4, 0.3])


def test_burnin_without_a_rate_holds_the_initial_one():
    function = learning_rate.exponential_decay(0.8, 10, 0.5, True, 0.0, 5)
    assert rates(function, [0, 4, 5, 15]) == pytest.approx([0.8, 0.8, 0.8, 0.4])


def test_manual_steps_by_hand():
    schedule = [(4, 0.5), (10, 0.05)]
    assert rates(learning_rate.manual_step(0.1, schedule), [0, 3, 4, 9, 10, 99]) == pytest.approx(
        [0.1, 0.1, 0.5, 0.5, 0.05, 0.05]
    )
    # With warm-up: 0.1 + 0.4 * 3 / 4 = 0.4 at step 3.
    assert rates(learning_rate.manual_step(0.1, schedule, warmup=True), [0, 3, 4]) == pytest.approx(
        [0.1, 0.4, 0.5]
    )
    assert rates(learning_rate.manual_step(0.1, []), [0, 50]) == pytest.approx([0.1, 0.1])


def test_rates_are_float32():
    for function in (
        learning_rate.constant(0.1),
        learning_rate.cosine_decay(0.1, 10, 0.0, 0),
        learning_rate.manual_step(0.1, [(3, 0.2)]),
        learning_rate.exponential_decay(0.1, 3, 0.5, False),
    ):
        assert learning_rate.Schedule(function)(tf.constant(2, tf.int64)).dtype == tf.float32
