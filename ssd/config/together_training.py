"""Settings of training and reading that are fine one by one but not together."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

from ssd.config import together_augmentation
from ssd.config.rules import Problem, show


def problems(config: Any) -> Iterator[Problem]:
    """Yields what does not fit together in training, reading and evaluation."""
    train = config.train_config
    padded = config.train_input_reader.max_number_of_boxes
    if train.HasField("max_number_of_boxes") and train.max_number_of_boxes > padded:
        yield (
            "train_config.max_number_of_boxes",
            f"{train.max_number_of_boxes} has no effect: train_input_reader.max_number_of_boxes "
            f"({padded}) limits the boxes of an image. Set that one.",
        )
    kind = train.optimizer.WhichOneof("optimizer")
    if kind is not None:
        path = f"train_config.optimizer.{kind}.learning_rate"
        yield from _learning_rate(getattr(train.optimizer, kind).learning_rate, path)
    yield from _patterns(train)
    if config.eval_config.use_moving_averages and not train.optimizer.use_moving_average:
        yield (
            "eval_config.use_moving_averages",
            "true, but train_config.optimizer.use_moving_average is false, so none are kept; make "
            "them equal.",
        )
    for index, option in enumerate(train.data_augmentation_options):
        place = f"train_config.data_augmentation_options[{index}]"
        yield from together_augmentation.problems(option, place)
    weights = config.train_input_reader.sample_from_datasets_weights
    paths = config.train_input_reader.tf_record_input_reader.input_path
    if weights and (len(weights) != len(paths) or not any(weights)):
        yield (
            "train_input_reader.sample_from_datasets_weights",
            f"{len(weights)} weights for {len(paths)} input_path; give one above 0 for each.",
        )
    if weights and config.train_input_reader.num_epochs:
        yield (
            "train_input_reader.num_epochs",
            f"{config.train_input_reader.num_epochs} does not go with sample_from_datasets_weights:"
            " data sets drawn by weight end at different times. Set it to 0.",
        )
    for index in range(1, len(config.eval_input_reader)):
        yield f"eval_input_reader[{index}]", "only one eval_input_reader is supported; remove it."


def _patterns(train: Any) -> Iterator[Problem]:
    """What they find is known once there is a model; see `ssd.trainable`."""
    for setting in ("update_trainable_variables", "freeze_variables"):
        for index, pattern in enumerate(getattr(train, setting)):
            try:
                re.compile(pattern)
            except re.error as error:
                yield (
                    f"train_config.{setting}[{index}]",
                    f"{pattern} is no regular expression ({error}).",
                )


def _learning_rate(learning_rate: Any, path: str) -> Iterator[Problem]:
    cosine = learning_rate.cosine_decay_learning_rate
    if learning_rate.HasField("cosine_decay_learning_rate"):
        cosine_path = f"{path}.cosine_decay_learning_rate"
        if cosine.warmup_steps > cosine.total_steps:
            yield (
                f"{cosine_path}.warmup_steps",
                f"{cosine.warmup_steps} is above total_steps {cosine.total_steps}.",
            )
        elif cosine.warmup_steps + cosine.hold_base_rate_steps > cosine.total_steps:
            yield (
                f"{cosine_path}.hold_base_rate_steps",
                f"{cosine.hold_base_rate_steps} after warmup_steps {cosine.warmup_steps} is above "
                f"total_steps {cosine.total_steps}.",
            )
        if cosine.warmup_steps and cosine.warmup_learning_rate > cosine.learning_rate_base:
            yield (
                f"{cosine_path}.warmup_learning_rate",
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
