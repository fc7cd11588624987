"""The learning-rate schedule of a config, fitted to another length of run and batch size."""

from __future__ import annotations

from typing import Any

# Parts of a schedule that a total contains; rounded down, so that they fit into it.
_PHASES = ("warmup_steps", "hold_base_rate_steps", "burnin_steps")


def fit_schedule(train_config: Any, *, num_steps: int | None, batch_size: int | None) -> str:
    """Fits the schedule to another number of steps and batch size; returns what changed, or "".

    Step counts of the schedule scale with num_steps, rates with batch_size (the linear rule of
    Goyal et al. 2017, https://arxiv.org/abs/1706.02677). The message is changed in place.

    Args:
      train_config: TrainConfig message; its own num_steps and batch_size are the reference.
      num_steps, batch_size: the new ones; None keeps what the config says.
    """
    # Without num_steps of its own, the config has no length that its schedule would be for.
    own_steps = train_config.num_steps or num_steps or 1
    step_factor = (num_steps or own_steps) / own_steps
    rate_factor = (batch_size or train_config.batch_size) / max(train_config.batch_size, 1)
    train_config.num_steps = num_steps or train_config.num_steps
    train_config.batch_size = batch_size or train_config.batch_size
    if step_factor == rate_factor == 1.0:
        return ""
    kind = train_config.optimizer.WhichOneof("optimizer")
    schedule = getattr(train_config.optimizer, kind).learning_rate
    changes = _scale_fields(schedule, step_factor, rate_factor)
    previous = 0  # a short run can bring two steps of a manual schedule together
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
