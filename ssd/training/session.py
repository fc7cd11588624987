"""The training loop: steps, checkpoints, evaluation in the same process, resume."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from ssd import label_map
from ssd.config import pipeline
from ssd.data import input_pipeline
from ssd.data.example_source import check_sample
from ssd.errors import InputError
from ssd.fine_tune import restore_fine_tune
from ssd.standard_fields import InputFields
from ssd.training.learner import Learner
from ssd.training.options import TrainOptions
from ssd.training.plan import Plan
from ssd.training.progress import Progress, losses_text
from ssd.training.run_evaluation import RunEvaluation, fraction
from ssd.training.train_step import Batch

_SUMMARY_EVERY = 20  # steps per TensorBoard point


def run(plan: Plan, options: TrainOptions) -> None:
    """Trains as planned and prints what it does; all results are in the run's folder."""
    for line in (_device_line(), *plan.notes, f"run: {plan.run.path}"):
        print(line, flush=True)
    session = TrainingSession(plan, options)
    try:
        session.train()
    except KeyboardInterrupt:
        prefix = session.save_interrupted()
        raise KeyboardInterrupt(
            f"stopped at step {session.step}, saved {prefix}; the same command goes on"
        ) from None


class TrainingSession:
    """One process' work on a run: restore, step, save, evaluate.

    Args:
      plan: what to train, resolved.
      options: the flags; only those of the loop are read here.
    """

    def __init__(self, plan: Plan, options: TrainOptions) -> None:
        self.plan, self.options, self.run = plan, options, plan.run
        self.num_steps: int = plan.config.train_config.num_steps
        self.batch_size: int = plan.config.train_config.batch_size
        self._say_the_data()
        self._end_with_the_data()
        self.learner = Learner(plan.config, seed=options.seed)
        for line in self.learner.notes:
            print(line, flush=True)
        self.step = self._start()
        self._statistics_data: tf.data.Dataset | None = None
        self.evaluation = RunEvaluation(
            plan,
            options,
            self.learner,
            statistics_batches=self._statistics_batches,
            step=self.step,
        )
        self.writer = tf.summary.create_file_writer(str(self.run.path))

    def train(self) -> None:
        """Goes from the restored step to the last one; evaluates on the way and at the end."""
        if self._is_evaluation_due():  # stopped between a step and its evaluation
            self.evaluate_now()
        progress = Progress(self.step, self.num_steps, self.batch_size)
        for batch in progress.timed(self._batches(self.num_steps - self.step)):
            losses = {name: float(value) for name, value in self.learner.train_step(batch).items()}
            self.step = self.learner.step
            _require_finite(losses, self.step, batch)
            progress.update(self.step, losses)
            if self.step % _SUMMARY_EVERY == 0:
                self._write_scalars(losses)
            if self.step % self._save_every == 0 or self.step == self.num_steps:
                self.save_checkpoint()
            if self._is_evaluation_due():
                with progress.paused():
                    self.evaluate_now()
                if self.step < self.num_steps and self.evaluation.is_patience_over():
                    break
        progress.close()
        self.run.finished.touch()
        self._say_the_end()

    def evaluate_now(self) -> None:
        """Scores the current weights; see `RunEvaluation.evaluate`."""
        self._write_metrics(self.evaluation.evaluate(self.step))

    def save_checkpoint(self) -> str:
        """Writes checkpoints/ckpt-STEP with optimizer state; returns its prefix."""
        return self.learner.save(self.run.checkpoints, self.step)

    def save_interrupted(self) -> str:
        """Saves wherever the interrupt fell, be it between an update and the loop's own count."""
        self.step = self.learner.step
        return self.save_checkpoint()

    def _say_the_data(self) -> None:
        """Counts images and classes, and looks at a few records, before a model is built."""
        plan, classes = self.plan, self.plan.label_map.num_classes
        print(f"data: {len(plan.train_records)} training images, {classes} classes", flush=True)
        for records in filter(None, (plan.train_records, plan.val_records)):
            for line in check_sample(records, plan.label_map, classes):
                print(line, flush=True)

    def _end_with_the_data(self) -> None:
        """Brings num_steps down to the batches of `train_input_reader.num_epochs`."""
        reader, records = self.plan.config.train_input_reader, self.plan.train_records
        batches = input_pipeline.num_train_batches(self.plan.config, records)
        if batches == 0:
            raise InputError(
                f"train_input_reader.num_epochs: {reader.num_epochs} x {len(records)} images "
                f"are no batch of {self.batch_size}; give more epochs, or 0 for no end"
            )
        if batches is not None and batches < self.num_steps:
            print(
                f"num_epochs {reader.num_epochs} ends training at step {batches} of "
                f"{self.num_steps}",
                flush=True,
            )
            self.num_steps = batches

    def _start(self) -> int:
        """Restores or begins the run; returns the step it stands at."""
        if self.plan.resumes and any(self.run.checkpoints.glob("ckpt-*.index")):
            step = self.learner.restore(self.run.checkpoints)
            print(f"resuming at step {step} of {self.num_steps}", flush=True)
            return step
        report = None
        if self.plan.checkpoint:
            kind = pipeline.fine_tune_checkpoint_type(self.plan.config.train_config)
            report = restore_fine_tune(self.learner.detector, self.plan.checkpoint, kind)
            for line in filter(None, (report.note, report.summary())):
                print(line, flush=True)
        self.run.path.mkdir(parents=True, exist_ok=True)
        if report:
            report.save(self.run.restore_report)
        self.run.flags.write_text(json.dumps(self.options.identity()) + "\n")
        label_map.save(self.plan.label_map, self.run.label_map)
        # Last: a folder is a run once it has its config.
        pipeline.save(self.plan.config, self.run.config)
        return 0

    def _batches(self, count: int) -> Iterator[Batch]:
        """The next `count` training batches."""
        dataset = self._dataset(start_example=self.step * self.batch_size)
        return itertools.islice(input_pipeline.explained(dataset), count)

    def _statistics_batches(self) -> Iterator[Batch]:
        """Training batches in another order; always from the first one on."""
        if self._statistics_data is None:
            self._statistics_data = self._dataset(seed_offset=1)
        return input_pipeline.explained(self._statistics_data)

    def _dataset(self, *, start_example: int = 0, seed_offset: int = 0) -> tf.data.Dataset:
        return input_pipeline.train_dataset_from_config(
            self.plan.config,
            record_index=self.plan.train_records,
            label_map=self.plan.label_map,
            seed=self.options.seed + seed_offset,
            start_example=start_example,
        )

    @property
    def _eval_every(self) -> int:
        return self.options.eval_every or max(self.num_steps // 5, 1)

    @property
    def _save_every(self) -> int:
        return self.options.checkpoint_every or self._eval_every

    def _is_evaluation_due(self) -> bool:
        is_due = self.step % self._eval_every == 0 or self.step == self.num_steps
        return self.step > 0 and is_due and not self.evaluation.metrics.has(self.step)

    def _write_metrics(self, summary: dict[str, Any]) -> None:
        with self.writer.as_default(step=self.step):
            for name, value in summary.items():
                if isinstance(value, float):
                    tf.summary.scalar(name if "/" in name else f"coco/{name}", value)

    def _write_scalars(self, losses: dict[str, float]) -> None:
        with self.writer.as_default(step=self.step):
            for name, value in losses.items():
                tf.summary.scalar(f"Loss/{name}" if name.endswith("loss") else name, value)

    def _say_the_end(self) -> None:
        best, metric = self.evaluation.metrics.best, self.options.best_metric
        score = f"best {metric} {fraction(best)}; " if best is not None else ""
        print(
            f"{score}run in {self.run.path}/ (best weights: {self.run.best}/). "
            "Next: ./run.sh export-tflite",
            flush=True,
        )


def _require_finite(losses: dict[str, float], step: int, batch: Batch) -> None:
    if all(np.isfinite(value) for value in losses.values()):
        return
    images = ", ".join(s.decode() for s in batch[InputFields.source_id].numpy())
    raise InputError(
        f"step {step}: {losses_text(losses)} is not finite; images of this batch: {images}. "
        "Lower the learning rate (--set train_config.optimizer...); the last checkpoint is from "
        "before"
    )


def _device_line() -> str:
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "GPU: NO, training on CPU"
    details = tf.config.experimental.get_device_details(gpus[0])
    return f"GPU: yes, {details.get('device_name', gpus[0].name)}"
