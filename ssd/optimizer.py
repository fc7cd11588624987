"""`train_config.optimizer` -> Keras optimizer, and its schedule fitted to another length of run."""

from __future__ import annotations

from typing import Any

import keras

from ssd import learning_rate
from ssd.errors import InputError

# Parts of a schedule that a total contains; rounded down, so that they fit into it.
_PHASES = ("warmup_steps", "hold_base_rate_steps", "burnin_steps")
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


def fit_schedule(train_config: Any, *, num_steps: int | None, batch_size: int | None) -> str:
    """Fits the schedule to another number of steps and batch size; returns what changed, or "".

    Step counts of the schedule scale with num_steps, rates with batch_size (the linear rule of
    Goyal et al. 2017, https://arxiv.org/abs/1706.02677). The message is changed in place.

    Args:
      train_config: TrainConfig message; its own num_steps and batch_size are the reference.
      num_steps, batch_size: the new ones; None keeps what the config says.
    """
    step_factor = (num_steps or train_config.num_steps) / max(train_config.num_steps, 1)
    rate_factor = (batch_size or train_config.batch_size) / max(train_config.batch_size, 1)
    train_config.num_steps = num_steps or train_config.num_steps
    train_config.batch_size = batch_size or train_config.batch_size
    if step_factor == rate_factor == 1.0:
        return ""
    changes = _scale_fields(
        train_config.optimizer.momentum_optimizer.learning_rate, step_factor, rate_factor
    )
    previous = 0  # a short run can bring two steps of a manual schedule together
    schedule = train_config.optimizer.momentum_optimizer.learning_rate
    for point in schedule.manual_step_learning_rate.schedule:
        point.step = previous = max(point.step, previous + 1)
    return "learning rate fitted to this run: " + ", ".join(changes)


def _scale_fields(message: Any, step_factor: float, rate_factor: float) -> list[str]:
    """Multiplies every `*steps`/`step` and `*learning_rate*` number below `message`.

    Numbers that the file leaves to their defaults too: those of the chosen schedule.
    """
    changes = []
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.message_type is not None:
            is_list = not hasattr(value, "ListFields")
            if is_list or message.HasField(field.name):
                for child in value if is_list else [value]:
                    changes += _scale_fields(child, step_factor, rate_factor)
            continue
        is_steps = field.name == "step" or field.name.endswith("steps")
        factor = step_factor if is_steps else rate_factor if "learning_rate" in field.name else 1.0
        if factor == 1.0 or not value:
            continue
        scaled = value * factor
        if is_steps:
            # Warm-up, hold and burn-in may vanish in a run of a few steps, the others may not.
            scaled = int(scaled) if field.name in _PHASES else max(1, round(scaled))
        setattr(message, field.name, scaled)
        changes.append(f"{field.name} {value:g} -> {scaled:g}")
    return changes


def _increasing(schedule: Any) -> list[tuple[int, float]]:
    points = [(int(entry.step), float(entry.learning_rate)) for entry in schedule]
    steps = [step for step, _ in points]
    if steps != sorted(set(steps)) or (steps and steps[0] < 1):
        raise InputError(
            f"{_SECTION}.manual_step_learning_rate: schedule steps {steps}; they "
            "must be positive and increasing"
        )
    return points
