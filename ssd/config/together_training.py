"""Settings of training and reading that are fine one by one but not together."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from ssd.config import together_augmentation
from ssd.config.rules import Problem, show


def problems(config: Any) -> Iterator[Problem]:
    """Yields what does not fit together in training, reading and evaluation."""
    train = config.train_config
    version = train.DESCRIPTOR.fields_by_name["fine_tune_checkpoint_version"].enum_type
    if train.fine_tune_checkpoint and train.fine_tune_checkpoint_version != 2:
        name = version.values_by_number[train.fine_tune_checkpoint_version].name
        given = train.HasField("fine_tune_checkpoint_version")
        yield (
            "train_config.fine_tune_checkpoint_version",
            f"{name if given else f'not set, and the default is {name}'}; only V2 checkpoints "
            "can be restored. Set fine_tune_checkpoint_version: V2.",
        )
    padded = config.train_input_reader.max_number_of_boxes
    if train.HasField("max_number_of_boxes") and train.max_number_of_boxes > padded:
        yield (
            "train_config.max_number_of_boxes",
            f"{train.max_number_of_boxes} has no effect: train_input_reader.max_number_of_boxes "
            f"({padded}) limits the boxes of an image. Set that one.",
        )
    momentum = train.optimizer.momentum_optimizer
    yield from _learning_rate(momentum.learning_rate)
    for index, option in enumerate(train.data_augmentation_options):
        place = f"train_config.data_augmentation_options[{index}]"
        yield from together_augmentation.problems(option, place)
    for index in range(1, len(config.eval_input_reader)):
        yield f"eval_input_reader[{index}]", "only one eval_input_reader is supported; remove it."


def _learning_rate(learning_rate: Any) -> Iterator[Problem]:
    path = "train_config.optimizer.momentum_optimizer.learning_rate"
    cosine = learning_rate.cosine_decay_learning_rate
    if learning_rate.HasField("cosine_decay_learning_rate"):
        path = f"{path}.cosine_decay_learning_rate"
        if cosine.warmup_steps > cosine.total_steps:
            yield (
                f"{path}.warmup_steps",
                f"{cosine.warmup_steps} is above total_steps {cosine.total_steps}.",
            )
        if cosine.warmup_steps and cosine.warmup_learning_rate > cosine.learning_rate_base:
            yield (
                f"{path}.warmup_learning_rate",
                f"{show(cosine.warmup_learning_rate)} is above learning_rate_base "
                f"{show(cosine.learning_rate_base)}.",
            )
    manual = learning_rate.manual_step_learning_rate
    if manual.warmup and manual.schedule and manual.schedule[0].step == 0:
        yield (
            f"{path}.manual_step_learning_rate.schedule[0].step",
            "0 leaves no steps for the warm-up; give 1 or more, or set warmup: false.",
        )
    schedule = manual.schedule
    for index, (before, after) in enumerate(itertools.pairwise(schedule), 1):
        if after.step <= before.step:
            yield (
                f"{path}.manual_step_learning_rate.schedule[{index}].step",
                f"{after.step} does not come after step {before.step}.",
            )
