"""The training loop: steps, checkpoints, evaluation in the same process, resume."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import tensorflow as tf
from tqdm import tqdm

from ssd.data import input_pipeline
from ssd.errors import InputError
from ssd.standard_fields import InputFields
from ssd.training import before_training, determinism, run_start
from ssd.training.agreement import require_same_start
from ssd.training.batch_counts import BatchCounts, anchors_command
from ssd.training.devices import ONE_DEVICE, Devices, choose_devices
from ssd.training.input_watch import watched
from ssd.training.interrupts import Interrupts, Stopped
from ssd.training.learner import Learner
from ssd.training.loss_scale import finite_fault, skipped_lines
from ssd.training.options import TrainOptions
from ssd.training.out_of_memory import MemoryAdvice
from ssd.training.plan import Plan
from ssd.training.progress import Progress
from ssd.training.run_evaluation import RunEvaluation, fraction
from ssd.training.run_page import RunPage
from ssd.training.summaries import Summaries
from ssd.training.train_step import Batch
from ssd.training.write_faults import write_faults_said


def run(plan: Plan, options: TrainOptions, devices: Devices | None = None) -> None:
    """Trains as planned and prints what it does; all results are in the run's folder.

    `devices` are those that train; None: those that `choose_devices` finds.
    """
    if devices is None:
        devices = choose_devices(say=lambda line: print(line, flush=True))
    if options.deterministic:
        print(determinism.NOTE, flush=True)
    batch_size = plan.config.train_config.batch_size
    devices.check_batch_size(batch_size)
    for line in filter(None, (*plan.notes, devices.batch_line(batch_size))):
        print(line, flush=True)
    print(f"run: {plan.run.path}", flush=True)
    with write_faults_said(plan.run):
        try:
            session = TrainingSession(plan, options, devices)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("interrupted before the first step; start it again") from None
        session.train()


class TrainingSession:
    """One process' work on a run: restore, step, save, evaluate.

    Args:
      plan: what to train, resolved.
      options: the flags; only those of the loop are read here.
      devices: that steps run on. Of several workers this is the chief; see `workers`.
    """

    def __init__(self, plan: Plan, options: TrainOptions, devices: Devices = ONE_DEVICE) -> None:
        self.plan, self.options, self.run, self.devices = plan, options, plan.run, devices
        self.batch_size: int = plan.config.train_config.batch_size
        before_training.look_at_the_data(plan)
        self.num_steps = before_training.num_steps(plan, devices)
        self._first_step = run_start.expected_step(plan)
        self._train_data = self._dataset(start_example=self._first_step * self.batch_size)
        before_training.require_a_batch(self._train_data, self.batch_size)
        self.learner = Learner(
            plan.config, seed=options.seed, precision=options.precision, devices=devices
        )
        for line in self.learner.notes:
            print(line, flush=True)
        self.step = run_start.start(plan, options, self.learner, num_steps=self.num_steps)
        require_same_start(self.learner, self.step, plan.run, devices)
        self.memory = MemoryAdvice.of(plan, self.learner, self._train_data.element_spec, devices)
        self._saved_step = self.step if self.step else None
        self.interrupts = Interrupts()
        # Of several workers none ends on its own: they agree on it after each step.
        self._check = self.interrupts.check if devices.num_workers == 1 else (lambda: None)
        self._statistics_data: tf.data.Dataset | None = None
        self.evaluation = RunEvaluation(
            plan,
            options,
            self.learner,
            statistics_batches=self._statistics_batches,
            step=self.step,
            check=self._check,
        )
        self.summaries = Summaries(
            self.run.path, self.step, num_steps=self.num_steps, label_map=plan.label_map
        )
        self.page = RunPage(plan, options)
        self.counts = BatchCounts(anchors_command(plan.config_name, options.data))

    def train(self) -> None:
        """Goes from the restored step to the last one; evaluates on the way and at the end.

        Raises:
          Stopped: a signal came; what there was is saved.
        """
        with self.interrupts:
            try:
                self._train()
            except Stopped as stopped:
                saved = f"saved {self.save_checkpoint()}"
                print(saved, flush=True)  # the page takes a moment
                text = f"stopped at step {self.step}, {saved}; the same command goes on"
                self.write_page(text)
                raise Stopped(f"{stopped}: {text}") from None

    def _train(self) -> None:
        if self._is_evaluation_due():  # stopped between a step and its evaluation
            self.evaluate_now()
        progress = Progress(self.step, self.num_steps, self.batch_size)
        # Stopped between the evaluation that ends it and the end: no step more.
        is_over = self.devices.agree_to_end(self.evaluation.is_patience_over(), self.interrupts)
        for batch in progress.timed(self._batches(0 if is_over else self.num_steps - self.step)):
            with self.memory.given(self.step + 1):
                losses = {name: float(v) for name, v in self.learner.train_step(batch).items()}
            self.step = self.learner.step
            require_finite(losses, self.step, batch)
            for line in (*skipped_lines(self.step, losses), *self.counts.add(losses, batch)):
                tqdm.write(line)
            progress.update(self.step, losses)
            self.summaries.add_losses(self.step, losses)
            is_due = self._is_evaluation_due()
            if is_due or self.step % self._save_every == 0 or self.step == self.num_steps:
                self.save_checkpoint()  # before the evaluation: no resume goes back behind one
            if is_due:
                with progress.paused():
                    self.evaluate_now()
            is_over = is_due and self.step < self.num_steps and self.evaluation.is_patience_over()
            if self.devices.agree_to_end(is_over, self.interrupts):
                break
        progress.close()
        self.run.finished.touch()
        is_early = self.step < self.num_steps
        self.write_page(f"stopped early at step {self.step:,}" if is_early else "finished")
        self._say_the_end()

    def evaluate_now(self) -> None:
        """Scores the current weights; see `RunEvaluation.evaluate`."""
        summary, evaluation = self.evaluation.evaluate(self.step), self.evaluation
        self.page.add_evaluation(self.step, evaluation.images)
        self.summaries.add_evaluation(self.step, summary, evaluation.images, evaluation.records())

    def write_page(self, status: str) -> None:
        """Writes report.html with what there is; never the reason for a run to fail."""
        self.page.write(
            status,
            losses=self.summaries.losses,
            evaluations=self.evaluation.metrics.lines,
            records=self.evaluation.records(),
            seconds=self.summaries.seconds,
        )

    def save_checkpoint(self) -> str:
        """Writes checkpoints/ckpt-STEP with optimizer state unless it is there; its prefix."""
        if self._saved_step != self.step:
            self.learner.save(self.run.checkpoints, self.step)
            self._saved_step = self.step
        return f"{self.run.checkpoints}/ckpt-{self.step}"

    def _batches(self, count: int) -> Iterator[Batch]:
        """The next `count` training batches; saves what there is before it says one is unusable."""
        if self.step != self._first_step:  # the newest checkpoint could not be read
            self._train_data = self._dataset(start_example=self.step * self.batch_size)
        batches = itertools.islice(input_pipeline.explained(self._train_data), count)
        try:
            yield from self._watched(batches)
        except InputError as error:
            prefix = self.save_checkpoint()
            raise InputError(f"{error}. Saved {prefix}: the same command goes on") from error

    def _watched(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        def due() -> str:
            first = self.step * self.batch_size
            return f"the batch of step {self.step + 1} (examples {first} and on)"

        return watched(batches, due, say=tqdm.write, check=self._check)

    def _statistics_batches(self) -> Iterator[Batch]:
        """Training batches in another order; always from the first one on."""
        if self._statistics_data is None:
            self._statistics_data = self._dataset(seed_offset=1)
        return self._watched(input_pipeline.explained(self._statistics_data))

    def _dataset(self, *, start_example: int = 0, seed_offset: int = 0) -> tf.data.Dataset:
        return input_pipeline.train_dataset_from_config(
            self.plan.config,
            record_index=self.plan.train_records,
            label_map=self.plan.label_map,
            seed=self.options.seed + seed_offset,
            start_example=start_example,
            # Statistics are of whole batches: they are the chief's own affair.
            part=None if seed_offset else self.devices.part(self.batch_size),
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

    def _say_the_end(self) -> None:
        for line in self.counts.summary():
            print(line)
        best, metric = self.evaluation.metrics.best, self.options.best_metric
        score = f"best {metric} {fraction(best)}; " if best is not None else ""
        print(
            f"{score}run in {self.run.path}/ (best weights: {self.run.best}/). "
            "Next: ./run.sh export-tflite",
            flush=True,
        )


def require_finite(losses: dict[str, float], step: int, batch: Batch) -> None:
    """Refuses losses and gradients that are not finite, unless loss scaling skipped the step.

    Raises:
      InputError: with the parts of the loss, and the images of the batch that this worker read.
    """
    fault = finite_fault(losses)
    if not fault:
        return
    images = ", ".join(s.decode() for s in batch[InputFields.source_id].numpy())
    raise InputError(
        f"step {step}: {fault}; images of this batch: {images}. "
        "Lower the learning rate (--set train_config.optimizer...); the last checkpoint is from "
        "before"
    )
