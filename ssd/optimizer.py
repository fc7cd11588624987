"""`train_config.optimizer` -> the optimizer of the original."""

from __future__ import annotations

from typing import Any

import numpy as np

from ssd import learning_rate
from ssd.errors import InputError
from ssd.optimizers.adam import Adam
from ssd.optimizers.momentum import Momentum
from ssd.optimizers.rms_prop import RmsProp
from ssd.optimizers.slot_optimizer import SlotOptimizer

_PATH = "train_config.optimizer"
# Of the TF2 original's RMSProp; no field sets it there.
_TF2_RHO = float(np.float32(0.9))
# What stands in for 0 in the TF2 original.
_TF2_EPSILON = 1e-7


def build_optimizer(optimizer: Any, *, is_tf1: bool = False) -> SlotOptimizer:
    """Returns the optimizer that an Optimizer message describes; moving averages are not its part.

    Args:
      optimizer: an Optimizer message.
      is_tf1: updates as under TF1, where the feature extractor is of a TF1 type. The two differ in
        momentum under a changing rate, and in RMSProp: under TF2 `decay` is no part of the mean
        square but slows the learning rate down, see `rate_note`.

    Raises:
      InputError: no optimizer or no learning rate is given, or the schedule contradicts itself.
    """
    kind = optimizer.WhichOneof("optimizer")
    if kind is None:
        raise InputError(
            f"{_PATH}: none given; expected momentum_optimizer, rms_prop_optimizer or "
            "adam_optimizer"
        )
    message = getattr(optimizer, kind)
    rate = rate_function(message.learning_rate, f"{_PATH}.{kind}.learning_rate")
    if kind == "momentum_optimizer":
        return Momentum(
            learning_rate.Schedule(rate),
            message.momentum_optimizer_value,
            accumulates_gradients=is_tf1,
        )
    if kind == "rms_prop_optimizer":
        return _rms_prop(message, rate, is_tf1)
    epsilon = message.epsilon if is_tf1 else message.epsilon or _TF2_EPSILON
    return Adam(learning_rate.Schedule(rate), epsilon)


def _rms_prop(message: Any, rate: learning_rate.RateFunction, is_tf1: bool) -> RmsProp:
    momentum = message.momentum_optimizer_value
    if is_tf1:
        return RmsProp(
            learning_rate.Schedule(rate),
            rho=message.decay,
            momentum=momentum,
            epsilon=message.epsilon,
            initial_mean_square=1.0,
        )
    return RmsProp(
        learning_rate.Schedule(learning_rate.slowed_down(rate, message.decay)),
        rho=_TF2_RHO,
        momentum=momentum,
        epsilon=message.epsilon or _TF2_EPSILON,
        adds_epsilon_to_root=not momentum,
        stored_decay=message.decay,
    )


def rate_note(optimizer: Any, *, is_tf1: bool) -> str:
    """Returns what a person might not expect of the learning rate, in one line; "" if nothing."""
    decay = optimizer.rms_prop_optimizer.decay
    if is_tf1 or not optimizer.HasField("rms_prop_optimizer") or not decay:
        return ""
    return (
        f"rms_prop_optimizer.decay {decay:g}: divides the learning rate by 1 + {decay:g} * step, "
        "as the original does under TF2 (there the mean square always keeps 0.9); --set "
        f"{_PATH}.rms_prop_optimizer.decay=0 keeps the rate"
    )


def rate_function(message: Any, path: str) -> learning_rate.RateFunction:
    """Returns the rate function of a LearningRate message.

    Args:
      message: a LearningRate.
      path: of the message, for errors.

    Raises:
      InputError: the steps of the schedule contradict each other.
    """
    kind = message.WhichOneof("learning_rate")
    if kind is None:
        raise InputError(
            f"{path}: no schedule given; expected constant_learning_rate, "
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
            values.initial_learning_rate, _increasing(values.schedule, path), values.warmup
        )
    if values.warmup_steps + values.hold_base_rate_steps > values.total_steps:
        raise InputError(
            f"{path}.{kind}: warmup_steps {values.warmup_steps} + hold_base_rate_steps "
            f"{values.hold_base_rate_steps} are above total_steps {values.total_steps}"
        )
    return learning_rate.cosine_decay(
        values.learning_rate_base,
        values.total_steps,
        values.warmup_learning_rate,
        values.warmup_steps,
        values.hold_base_rate_steps,
    )


def _increasing(schedule: Any, path: str) -> list[tuple[int, float]]:
    points = [(int(entry.step), float(entry.learning_rate)) for entry in schedule]
    steps = [step for step, _ in points]
    if steps != sorted(set(steps)) or (steps and steps[0] < 1):
        raise InputError(
            f"{path}.manual_step_learning_rate: schedule steps {steps}; they "
            "must be positive and increasing"
        )
    return points
