"""What is looked at before a model is built: a few records, the length of the data, one batch."""

from __future__ import annotations

import functools

import tensorflow as tf

from ssd.data import input_pipeline
from ssd.data.example_source import check_sample
from ssd.errors import InputError
from ssd.training.devices import ONE_DEVICE, Devices
from ssd.training.input_watch import patiently
from ssd.training.plan import Plan


def look_at_the_data(plan: Plan) -> None:
    """Prints what there is to train on.

    Raises:
      InputError: one of a few records is unusable, or nothing can be read.
    """
    classes = plan.label_map.num_classes
    print(f"data: {len(plan.train_records)} training images, {classes} classes", flush=True)
    for records, what in ((plan.train_records, "training"), (plan.val_records, "validation")):
        if records is not None:
            look = functools.partial(check_sample, records, plan.label_map, classes)
            for line in patiently(look, f"a sample of the {what} records"):
                print(line, flush=True)


def num_steps(plan: Plan, devices: Devices = ONE_DEVICE) -> int:
    """Returns train_config.num_steps, or fewer where `train_input_reader.num_epochs` ends before.

    A last, smaller batch has no equal parts for several replicas; it is left out then.

    Raises:
      InputError: the epochs are no whole batch.
    """
    reader, train_config = plan.config.train_input_reader, plan.config.train_config
    batches = input_pipeline.num_train_batches(plan.config, plan.train_records)
    rest = len(plan.train_records) * reader.num_epochs % train_config.batch_size
    if batches is not None and rest and not reader.drop_remainder and devices.num_replicas > 1:
        batches -= 1
        print(
            f"the last batch would have {rest} images of {train_config.batch_size}, no equal parts "
            f"for {devices.num_replicas} replicas; it is left out",
            flush=True,
        )
    if batches == 0:
        raise InputError(
            f"train_input_reader.num_epochs: {reader.num_epochs} x {len(plan.train_records)} "
            f"images are no batch of {train_config.batch_size}; give more epochs, or 0 for no end"
        )
    if batches is None or batches >= train_config.num_steps:
        return int(train_config.num_steps)
    print(
        f"num_epochs {reader.num_epochs} ends training at step {batches} of "
        f"{train_config.num_steps}",
        flush=True,
    )
    return batches


def require_a_batch(dataset: tf.data.Dataset, batch_size: int) -> None:
    """Reads the first batch, as training will.

    Raises:
      InputError: a record in it is unusable, or it does not come: see `input_watch`.
    """
    patiently(
        lambda: next(input_pipeline.explained(dataset), None), f"the first batch of {batch_size}"
    )
