"""The `train_config.optimizer` settings that are acted on; see `obeyed.py`."""

from __future__ import annotations

from ssd.config.rules import COUNT, FRACTION, POSITIVE, Table, at_least, under

_LEARNING_RATE: Table = {
    "": None,
    "constant_learning_rate": None,
    "constant_learning_rate.learning_rate": at_least(0),
    "exponential_decay_learning_rate": None,
    "exponential_decay_learning_rate.initial_learning_rate": at_least(0),
    "exponential_decay_learning_rate.decay_steps": COUNT,
    "exponential_decay_learning_rate.decay_factor": POSITIVE,
    "exponential_decay_learning_rate.staircase": None,
    "exponential_decay_learning_rate.burnin_learning_rate": at_least(0),
    "exponential_decay_learning_rate.burnin_steps": None,
    "exponential_decay_learning_rate.min_learning_rate": at_least(0),
    "manual_step_learning_rate": None,
    "manual_step_learning_rate.initial_learning_rate": at_least(0),
    "manual_step_learning_rate.schedule": None,
    "manual_step_learning_rate.schedule.step": None,
    "manual_step_learning_rate.schedule.learning_rate": at_least(0),
    "manual_step_learning_rate.warmup": None,
    "cosine_decay_learning_rate": None,
    "cosine_decay_learning_rate.learning_rate_base": at_least(0),
    "cosine_decay_learning_rate.total_steps": COUNT,
    "cosine_decay_learning_rate.warmup_learning_rate": at_least(0),
    "cosine_decay_learning_rate.warmup_steps": None,
    "cosine_decay_learning_rate.hold_base_rate_steps": None,
}

_OPTIMIZERS: Table = {
    "momentum_optimizer": None,
    "momentum_optimizer.momentum_optimizer_value": FRACTION,
    "rms_prop_optimizer": None,
    "rms_prop_optimizer.momentum_optimizer_value": FRACTION,
    "rms_prop_optimizer.decay": FRACTION,
    "rms_prop_optimizer.epsilon": at_least(0),
    "adam_optimizer": None,
    "adam_optimizer.epsilon": at_least(0),
}

OPTIMIZER: Table = {
    "": None,
    **_OPTIMIZERS,
    **under("momentum_optimizer.learning_rate", _LEARNING_RATE),
    **under("rms_prop_optimizer.learning_rate", _LEARNING_RATE),
    **under("adam_optimizer.learning_rate", _LEARNING_RATE),
    "use_moving_average": None,
    "moving_average_decay": FRACTION,
}
