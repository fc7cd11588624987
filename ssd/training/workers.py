"""Several workers that train one run: the chief is a session, the others follow its steps.

The chief evaluates, writes and prints. The others compute their part of every step, and wait in the
next one while the chief does the rest. Whether to go on is agreed after each step.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from ssd import checkpoint_folder
from ssd.data import input_pipeline
from ssd.errors import InputError
from ssd.run_folder import RunFolder
from ssd.training import before_training, run_start, session
from ssd.training.agreement import require_same_start, same_run
from ssd.training.devices import Devices, choose_devices
from ssd.training.interrupts import Interrupts, Stopped
from ssd.training.learner import Learner
from ssd.training.options import AUTO, TrainOptions
from ssd.training.plan import Plan, resolve
from ssd.training.worker_exchange import lost_worker


def train(options: TrainOptions) -> None:
    """Trains as one of the workers of TF_CONFIG.

    Raises:
      InputError: this worker cannot train, or another one is gone.
    """
    if options.batch_size == AUTO:
        raise InputError(
            "--batch-size auto: workers may have different memory; give the number of images of "
            "all workers together"
        )
    devices = choose_devices(say=lambda line: print(line, flush=True))
    with devices.quiet():
        with lost_workers_said(devices):
            plan = same_run(resolve(options), options, devices)
        with lost_workers_said(devices, plan.run):
            if devices.is_chief:
                session.run(plan, options, devices)
            else:
                follow(plan, options, devices)


def follow(plan: Plan, options: TrainOptions, devices: Devices) -> None:
    """Takes part in every step of the chief's session, until all agree to end.

    Raises:
      InputError: a record is unusable, or the loss is not finite.
      Stopped: a signal came, here or at another worker.
    """
    num_steps = before_training.num_steps(plan, devices)
    learner = Learner(plan.config, seed=options.seed, precision=options.precision, devices=devices)
    step = run_start.start(plan, options, learner, num_steps=num_steps, writes=False)
    require_same_start(learner, step, plan.run, devices)
    batch_size = plan.config.train_config.batch_size
    dataset = input_pipeline.train_dataset_from_config(
        plan.config,
        record_index=plan.train_records,
        label_map=plan.label_map,
        seed=options.seed,
        start_example=step * batch_size,
        part=devices.part(batch_size),
    )
    batches = itertools.islice(input_pipeline.explained(dataset), num_steps - step)
    try:
        with Interrupts() as interrupts:
            while not devices.agree_to_end(False, interrupts):
                if (batch := next(batches, None)) is None:
                    return
                losses = {name: float(value) for name, value in learner.train_step(batch).items()}
                session.require_finite(losses, learner.step, batch)
    except Stopped as stopped:
        text = f"stopped at step {learner.step}, where the chief saves"
        raise Stopped(f"{stopped}: {text}; the same command goes on") from None


@contextmanager
def lost_workers_said(devices: Devices, run: RunFolder | None = None) -> Iterator[None]:
    """What TensorFlow raises inside the block when another worker is gone becomes an InputError."""
    try:
        yield
    except tf.errors.OpError as error:
        lost = lost_worker(devices.cluster, error) if devices.cluster else None
        if lost is None:
            raise
        steps = checkpoint_folder.numbers(run.checkpoints) if run else []
        last = f"last checkpoint {run.checkpoints}/ckpt-{max(steps)}" if run and steps else ""
        raise InputError(
            f"{lost} is gone, its own screen may say why; {last or 'no checkpoint yet'}; start "
            "all workers again with the same command"
        ) from error
