"""`train_config.optimizer` -> Keras optimizer."""

from __future__ import annotations

from typing import Any

import keras

from ssd import learning_rate
from ssd.errors import InputError

_SECTION = "train_config.optimizer.momentum_optimizer.learning_rate"


def build_optimizer(optimizer: Any) -> keras.optimizers.SGD:
    """Returns SGD with momentum: v = m v - lr g; w += v. Not Nesterov, no decay of its own.

    Args:
      optimizer: an Optimizer message with `momentum_optimizer`.
    """
    message = optimizer.momentum_optimizer
    return keras.optimizers.SGD(
        learning_rate=learning_rate.Schedule(rate_function(message.learning_rate)),
        momentum=float(message.momentum_optimizer_value),
    )


def rate_function(message: Any) -> learning_rate.RateFunction:
    """Returns the rate function of a LearningRate message.

    Raises:
      InputError: the steps of the schedule contradict each other.
    """
    kind = message.WhichOneof("learning_rate")
    if kind is None:
        raise InputError(
            f"{_SECTION}: no schedule given; expected constant_learning_rate, "
            "exponential_decay_learning_rate, manual_step_learning_rate or "
            "cosine_decay_learning_rate"
        )
    values = getattr(message, kind)
    if kind == "constant_learning_rate":
        return learning_rate.constant(values.learning_rate)
    if kind == "exponential_decay_learning_rate":
        return learning_rate.exponential_decay(
            values.initial_learning_rate,
            values.decay_steps,
            values.decay_factor,
            values.staircase,
            values.burnin_learning_rate,
            values.burnin_steps,
            values.min_learning_rate,
        )
    if kind == "manual_step_learning_rate":
        return learning_rate.manual_step(
            values.initial_learning_rate, _increasing(values.schedule), values.warmup
        )
    if values.warmup_steps + values.hold_base_rate_steps >= values.total_steps:
        raise InputError(
            f"{_SECTION}.{kind}: warmup_steps {values.warmup_steps} + hold_base_rate_steps "
            f"{values.hold_base_rate_steps} leave nothing of total_steps {values.total_steps}"
        )
    return learning_rate.cosine_decay(
        values.learning_rate_base,
        values.total_steps,
        values.warmup_learning_rate,
        values.warmup_steps,
        values.hold_base_rate_steps,
    )


def _increasing(schedule: Any) -> list[tuple[int, float]]:
    points = [(int(entry.step), float(entry.learning_rate)) for entry in schedule]
    steps = [step for step, _ in points]
    if steps != sorted(set(steps)) or (steps and steps[0] < 1):
        raise InputError(
            f"{_SECTION}.manual_step_learning_rate: schedule steps {steps}; they "
            "must be positive and increasing"
        )
    return points
