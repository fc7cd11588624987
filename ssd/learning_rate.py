"""Learning rates of pipeline.config as functions of the step, in float32 as the original's."""

from __future__ import annotations

import math
from collections.abc import Callable

import keras
import tensorflow as tf

# float32 scalar step -> float32 scalar learning rate
RateFunction = Callable[[tf.Tensor], tf.Tensor]


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A rate function in the form that Keras optimizers take."""

    def __init__(self, function: RateFunction) -> None:
        self.function = function

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the float32 rate of the update that turns `step` into `step` + 1."""
        return self.function(tf.cast(tf.convert_to_tensor(step), tf.float32))


def constant(learning_rate: float) -> RateFunction:
    """Returns a rate that never changes."""
    return lambda step: tf.constant(learning_rate, tf.float32)


def exponential_decay(
    initial_learning_rate: float,
    decay_steps: int,
    decay_factor: float,
    staircase: bool,
    burnin_learning_rate: float = 0.0,
    burnin_steps: int = 0,
    min_learning_rate: float = 0.0,
) -> RateFunction:
    """Returns initial * factor^((step - burnin_steps) / decay_steps), never under the minimum.

    Before burnin_steps the rate is burnin_learning_rate (0 stands for the initial rate); with
    `staircase` the exponent is rounded down.
    """
    burnin_rate = burnin_learning_rate or initial_learning_rate

    def rate(step: tf.Tensor) -> tf.Tensor:
        periods = (step - burnin_steps) / decay_steps
        periods = tf.floor(periods) if staircase else periods
        decayed = initial_learning_rate * tf.pow(decay_factor, periods)
        return tf.maximum(tf.where(step < burnin_steps, burnin_rate, decayed), min_learning_rate)

    return rate


def manual_step(
    initial_learning_rate: float, schedule: list[tuple[int, float]], warmup: bool = False
) -> RateFunction:
    """Returns the initial rate, replaced at each (step, learning_rate) of `schedule`.

    With `warmup` the rate goes linearly from the initial one to the first of the schedule.
    """

    def rate(step: tf.Tensor) -> tf.Tensor:
        value = tf.constant(initial_learning_rate, tf.float32)
        if warmup and schedule:
            first_step, first_rate = schedule[0]
            value += (first_rate - initial_learning_rate) / first_step * step
        for boundary, learning_rate in schedule:
            value = tf.where(step >= boundary, tf.constant(learning_rate, tf.float32), value)
        return value

    return rate


def cosine_decay(
    learning_rate_base: float,
    total_steps: int,
    warmup_learning_rate: float,
    warmup_steps: int,
    hold_base_rate_steps: int = 0,
) -> RateFunction:
    """Returns linear warm-up, the base rate for a while, then half a cosine down to 0.

    0.5 * base * (1 + cos(pi * (step - warmup - hold) / (total - warmup - hold))); 0 after
    total_steps.
    """
    decay_start = warmup_steps + hold_base_rate_steps
    decay_steps = float(max(total_steps - decay_start, 1))  # none: the base rate to the end

    def rate(step: tf.Tensor) -> tf.Tensor:
        phase = math.pi * (step - decay_start) / decay_steps
        value = 0.5 * learning_rate_base * (1.0 + tf.cos(phase))
        value = tf.where(step < decay_start, learning_rate_base, value)
        if warmup_steps > 0:
            slope = (learning_rate_base - warmup_learning_rate) / warmup_steps
            value = tf.where(step < warmup_steps, slope * step + warmup_learning_rate, value)
        return tf.where(step > total_steps, 0.0, value)

    return rate


def slowed_down(function: RateFunction, decay: float) -> RateFunction:
    """Returns `function` divided by 1 + decay * step: Keras' own `decay` of an optimizer."""
    if not decay:
        return function
    return lambda step: function(step) / (1.0 + decay * step)
