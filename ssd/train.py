"""The training loop: steps, checkpoints, evaluation in the same process, resume."""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from ssd import checkpoint, label_map
from ssd.batch_norm_statistics import StatisticsEstimator
from ssd.config import pipeline
from ssd.data import input_pipeline, input_reader
from ssd.errors import InputError
from ssd.evaluate import evaluate
from ssd.fine_tune import restore_fine_tune
from ssd.models.builder import build_detector
from ssd.optimizer import build_optimizer
from ssd.predictor import CheckpointPredictor
from ssd.standard_fields import InputFields
from ssd.train_setup import Plan, TrainOptions, resolve
from ssd.train_step import make_train_step

_LOG_EVERY = 100  # steps per line of losses
_STATISTICS_IMAGES = 1024  # training images that re-estimate batch-norm statistics
_SUMMARY_EVERY = 20  # steps per TensorBoard point
_LOSSES = ("localization_loss", "classification_loss", "regularization_loss")


def run(options: TrainOptions) -> None:
    """The `train` verb: prints what it does; all results are in the run's folder."""
    print(_device_line(), flush=True)
    plan = resolve(options)
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
        train_config = plan.config.train_config
        self.num_steps: int = train_config.num_steps
        self.batch_size: int = train_config.batch_size
        self.index = input_reader.open_records(plan.config.train_input_reader, "train_input_reader")
        for line in (
            *plan.notes,
            f"run: {self.run.path}",
            f"data: {len(self.index)} training images, {plan.label_map.num_classes} classes",
        ):
            print(line, flush=True)
        self.detector = build_detector(plan.config.model, seed=options.seed)
        self.optimizer = build_optimizer(train_config.optimizer)
        self.optimizer.build(self.detector.network.trainable_variables)
        self.train_step = make_train_step(
            self.detector,
            self.optimizer,
            gradient_clipping_by_norm=train_config.gradient_clipping_by_norm,
            add_regularization_loss=train_config.add_regularization_loss,
        )
        self.statistics = StatisticsEstimator(self.detector)
        self.predictor = CheckpointPredictor(self.detector, plan.label_map)
        self.step = self._start()
        self.writer = tf.summary.create_file_writer(str(self.run.path))

    def train(self) -> None:
        """Goes from the restored step to the last one; evaluates on the way and at the end."""
        eval_every = self.options.eval_every or max(self.num_steps // 5, 1)
        save_every = self.options.checkpoint_every or eval_every
        best, since_best = self._best_ap(), 0
        if self.step == self.num_steps:  # stopped between the last step and its evaluation
            best = max(
                (ap for ap in (best, self.evaluate_now(best)) if ap is not None), default=None
            )
        progress = _Progress(self.step, self.num_steps, self.batch_size)
        for batch in itertools.islice(self._batches(), self.num_steps - self.step):
            losses = {name: float(value) for name, value in self.train_step(batch).items()}
            self.step = self._counted_steps()
            _require_finite(losses, self.step, batch)
            progress.update(self.step, losses)
            if self.step % _SUMMARY_EVERY == 0:
                self._write_scalars(losses)
            is_last = self.step == self.num_steps
            if self.step % save_every == 0 or is_last:
                self.save_checkpoint()
            if self.step % eval_every == 0 or is_last:
                with progress.paused():
                    ap = self.evaluate_now(best)
                since_best = 0 if ap is not None and (best is None or ap > best) else since_best + 1
                best = max((value for value in (best, ap) if value is not None), default=None)
                if self.options.patience and since_best >= self.options.patience and not is_last:
                    print(f"stopping early: no better AP in {since_best} evaluations")
                    break
        progress.close()
        self.run.finished.touch()
        self._say_the_end(best)

    def save_interrupted(self) -> str:
        """Saves wherever the interrupt fell, be it between an update and the loop's own count."""
        self.step = self._counted_steps()
        return self.save_checkpoint()

    def _counted_steps(self) -> int:
        return int(self.optimizer.iterations)

    def save_checkpoint(self) -> str:
        """Writes checkpoints/ckpt-STEP with optimizer state; returns its prefix."""
        return checkpoint.save(self.run.checkpoints, self.detector, self.step, self.optimizer)

    def evaluate_now(self, best: float | None) -> float | None:
        """Scores the current weights, appends to metrics.jsonl, keeps `best/`; returns AP."""
        statistics = self._statistics()
        with self.statistics.swapped_in(statistics):
            readers = self.plan.config.eval_input_reader
            records = [p for reader in readers for p in reader.tf_record_input_reader.input_path]
            summary: dict[str, Any] = {"AP": None}
            if records:
                summary = evaluate(self.predictor, records, self.plan.label_map)
                self._write_metrics(summary)
            # Without validation records the newest weights are the ones to export.
            if not records or best is None or (summary["AP"] or 0.0) > best:
                checkpoint.save(self.run.best, self.detector, self.step, keep=1)
        return summary["AP"]

    def _start(self) -> int:
        """Restores or begins the run; returns the step it stands at."""
        if self.plan.resumes and any(self.run.checkpoints.glob("ckpt-*.index")):
            step = checkpoint.restore_training(self.detector, self.optimizer, self.run.checkpoints)
            print(f"resuming at step {step} of {self.num_steps}", flush=True)
            return step
        report = None
        if self.plan.checkpoint:
            kind = pipeline.fine_tune_checkpoint_type(self.plan.config.train_config)
            report = restore_fine_tune(self.detector, self.plan.checkpoint, kind)
            for line in filter(None, (report.note, report.summary())):
                print(line, flush=True)
        self.run.path.mkdir(parents=True, exist_ok=True)
        if report:
            report.save(self.run.restore_report)
        label_map.save(self.plan.label_map, self.run.label_map)
        pipeline.save(self.plan.config, self.run.config)
        return 0

    def _batches(self) -> Iterator[dict[str, tf.Tensor]]:
        dataset = input_pipeline.train_dataset_from_config(
            self.plan.config,
            record_index=self.index,
            label_map=self.plan.label_map,
            seed=self.options.seed,
            start_example=self.step * self.batch_size,
        )
        return iter(input_pipeline.explained(dataset))

    def _statistics(self) -> list[np.ndarray] | None:
        """Re-estimated batch-norm statistics, or None where the moving ones are to be used."""
        if self.options.batch_norm_statistics == "moving" or not self.statistics.is_needed:
            return None
        # The same images at every evaluation, so that evaluations compare weights only.
        dataset = input_pipeline.train_dataset_from_config(
            self.plan.config,
            record_index=self.index,
            label_map=self.plan.label_map,
            seed=self.options.seed + 1,
            start_example=0,
        )
        count = max(1, _STATISTICS_IMAGES // self.batch_size)
        batches = itertools.islice(input_pipeline.explained(dataset), count)
        return self.statistics.estimate(batch[InputFields.image] for batch in batches)

    def _write_metrics(self, summary: dict[str, Any]) -> None:
        line = {
            "step": self.step,
            **summary,
            "batch_norm_statistics": self.options.batch_norm_statistics,
        }
        with self.run.metrics.open("a") as file:
            file.write(json.dumps(line) + "\n")
        with self.writer.as_default(step=self.step):
            for name, value in summary.items():
                if isinstance(value, float):
                    tf.summary.scalar(f"coco/{name}", value)
        tqdm.write(
            f"step {self.step}: AP {_percent(summary['AP'])}  AP50 "
            f"{_percent(summary['AP50'])}  AP75 {_percent(summary['AP75'])}"
        )

    def _write_scalars(self, losses: dict[str, float]) -> None:
        with self.writer.as_default(step=self.step):
            for name, value in losses.items():
                tf.summary.scalar(f"Loss/{name}" if name.endswith("loss") else name, value)

    def _best_ap(self) -> float | None:
        """The highest AP of this run so far, from metrics.jsonl."""
        if not self.run.metrics.is_file():
            return None
        lines = [json.loads(line) for line in self.run.metrics.read_text().splitlines()]
        # Evaluations past the restored step belong to steps that are done again.
        kept = [line for line in lines if line["step"] <= self.step]
        if len(kept) < len(lines):
            self.run.metrics.write_text("".join(json.dumps(line) + "\n" for line in kept))
        return max((line["AP"] for line in kept if line["AP"] is not None), default=None)

    def _say_the_end(self, best: float | None) -> None:
        score = f"best AP {_percent(best)}; " if best is not None else ""
        print(
            f"{score}run in {self.run.path}/ (best weights: {self.run.best}/). "
            "Next: ./run.sh export-tflite",
            flush=True,
        )


class _Progress:
    """A bar on a terminal; everywhere a line of mean losses per 100 steps."""

    def __init__(self, step: int, num_steps: int, batch_size: int) -> None:
        self.num_steps, self.batch_size = num_steps, batch_size
        self.bar = tqdm(
            total=num_steps, initial=step, unit="step", disable=None, dynamic_ncols=True
        )
        self.window: list[dict[str, float]] = []
        self.seconds, self.since = 0.0, time.perf_counter()

    def update(self, step: int, losses: dict[str, float]) -> None:
        self.window.append(losses)
        self.bar.set_postfix_str(_losses_text(losses), refresh=False)
        self.bar.update(1)
        if step % _LOG_EVERY == 0 or step == self.num_steps:
            self._write_line(step)

    def paused(self) -> Any:
        """The block inside does not count as training time."""
        return _Paused(self)

    def close(self) -> None:
        self.bar.close()

    def _write_line(self, step: int) -> None:
        seconds = self.seconds + time.perf_counter() - self.since
        per_step = seconds / len(self.window)
        mean = {
            name: float(np.mean([losses[name] for losses in self.window]))
            for name in self.window[0]
        }
        left = int(per_step * (self.num_steps - step))
        tqdm.write(
            f"step {step}/{self.num_steps}: {_losses_text(mean)}  "
            f"lr {self.window[-1]['learning_rate']:.4g}  {self.batch_size / per_step:.1f} "
            f"images/s  {left // 60}m{left % 60:02d}s to go",
            file=sys.stdout,
        )
        sys.stdout.flush()
        self.window, self.seconds, self.since = [], 0.0, time.perf_counter()


class _Paused:
    def __init__(self, progress: _Progress) -> None:
        self.progress = progress

    def __enter__(self) -> None:
        self.progress.seconds += time.perf_counter() - self.progress.since

    def __exit__(self, *unused: object) -> None:
        self.progress.since = time.perf_counter()


def _losses_text(losses: dict[str, float]) -> str:
    parts = " + ".join(f"{name.split('_')[0]} {losses[name]:.3f}" for name in _LOSSES)
    return f"loss {losses['total_loss']:.3f} = {parts}"


def _require_finite(losses: dict[str, float], step: int, batch: dict[str, tf.Tensor]) -> None:
    if all(np.isfinite(value) for value in losses.values()):
        return
    images = ", ".join(s.decode() for s in batch[InputFields.source_id].numpy())
    raise InputError(
        f"step {step}: {_losses_text(losses)} is not finite; images of this batch: "
        f"{images}. Lower the learning rate (--set train_config.optimizer...); the "
        "last checkpoint is from before"
    )


def _device_line() -> str:
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "GPU: NO, training on CPU"
    details = tf.config.experimental.get_device_details(gpus[0])
    return f"GPU: yes, {details.get('device_name', gpus[0].name)}"


def _percent(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"
