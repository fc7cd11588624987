"""report.html of a run: gathered on the way, written at the end, also of a run that was stopped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ssd.data.record_index import RecordIndex
from ssd.errors import InputError
from ssd.evaluated_image import EvaluatedImage
from ssd.metric_names import class_names
from ssd.run_report import detection_store, report
from ssd.run_report.analysis import Analysis
from ssd.run_report.page import Column
from ssd.training.options import TrainOptions
from ssd.training.plan import Plan

_MAX_NAMES = 12


class RunPage:
    """What the page of a run needs beside its files.

    Args:
      plan, options: of the run.
    """

    def __init__(self, plan: Plan, options: TrainOptions) -> None:
        self._plan, self._options = plan, options
        self._store = plan.run.best / "detections.npz"
        self._newest: Sequence[EvaluatedImage] = ()

    def add_evaluation(self, step: int, images: Sequence[EvaluatedImage]) -> None:
        """Takes the images of an evaluation, after `best/` has its weights if they are the best.

        Those of the best weights are kept on disk as well, for a run that is resumed after them.
        """
        self._newest = images
        if not images or step not in self._kept_steps():
            return
        try:
            detection_store.save(self._store, images, step)
        except OSError as error:
            tqdm.write(f"{self._store}: not written ({error.strerror or error}); training goes on")

    def write(
        self,
        status: str,
        *,
        losses: Sequence[dict[str, Any]],
        evaluations: Sequence[dict[str, Any]],
        records: RecordIndex | None,
        seconds: float,
    ) -> Path | None:
        """Writes the page; where that is impossible, says so in one line and returns None.

        Args:
          status: how the run ended.
          losses: lines of losses.jsonl.
          evaluations: lines of metrics.jsonl.
          records: that were evaluated; None for none.
          seconds: that the run has taken.
        """
        if not losses and not evaluations:
            return None
        # Weights of steps that are done again may be there, too, until their step has come.
        steps = self._kept_steps() & {line["step"] for line in evaluations}
        best_step = max(steps, default=None)
        columns, images = self._evaluations(evaluations, best_step)
        contents = report.Contents(
            title=f"Training run {self._plan.run.path.name}",
            status=status,
            facts=self._facts(losses, images, seconds),
            columns=columns,
            training=report.Training(losses, evaluations, best_step, self._options.best_metric),
            analysis=Analysis.of(images, self._plan.label_map) if images else None,
            records=records,
        )
        try:
            return report.write(self._plan.run.path, contents)
        except InputError as error:
            tqdm.write(f"no report: {error}; the weights are not concerned")
            return None

    def _evaluations(
        self, lines: Sequence[dict[str, Any]], best_step: int | None
    ) -> tuple[list[Column], Sequence[EvaluatedImage]]:
        """The columns, first that of the images; the best weights if their images are at hand."""
        measured = [line for line in lines if line.get("AP") is not None]
        if not measured:
            return [], ()
        newest = Column(f"last, step {measured[-1]['step']:,}", measured[-1])
        best = next((line for line in measured if line["step"] == best_step), None)
        if best is None:
            return [newest], self._newest
        best_column = Column(f"best, step {best_step:,}", best)
        if best is measured[-1] and self._newest:
            return [best_column], self._newest
        stored = detection_store.load(self._store, best["step"])
        columns = [best_column] if best is measured[-1] else [best_column, newest]
        if stored is None and self._newest:
            return columns[::-1], self._newest
        return columns, stored or ()

    def _kept_steps(self) -> set[int]:
        """The steps of the weights in `best/`."""
        return {
            int(index.stem.removeprefix("ckpt-")) for index in self._plan.run.best.glob("*.index")
        }

    def _facts(
        self,
        losses: Sequence[dict[str, Any]],
        images: Sequence[EvaluatedImage],
        seconds: float,
    ) -> list[tuple[str, str]]:
        plan, options = self._plan, self._options
        names = list(class_names(plan.label_map).values())
        shown = ", ".join(names[:_MAX_NAMES]) + (", …" if len(names) > _MAX_NAMES else "")
        train_config = plan.config.train_config
        boxes = sum(int((~image.groundtruth_is_crowd).sum()) for image in images)
        rows = [
            ("config", f"{plan.config_name} ({plan.config.model.ssd.feature_extractor.type})"),
            ("begun from", _start(plan.run.restore_report)),
            ("training images", f"{len(plan.train_records):,}"),
            (
                "validation images",
                f"{len(images):,} with {boxes:,} boxes" if images else "none evaluated",
            ),
            ("classes", f"{len(names):,}: {shown}"),
            ("length", _length(train_config, len(plan.train_records), losses)),
            ("time", duration(seconds)),
            ("seed", f"{options.seed}"),
            ("batch-norm statistics", options.batch_norm_statistics),
        ]
        if train_config.optimizer.use_moving_average:
            decay = train_config.optimizer.moving_average_decay
            rows.append(("moving averages of weights", f"decay {decay:.7g}"))
        if train_config.freeze_variables:
            rows.append(("frozen", ", ".join(train_config.freeze_variables)))
        return rows


def duration(seconds: float) -> str:
    """Returns "1 h 02 min", "3 min 05 s" or "12 s"."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _length(train_config: Any, num_images: int, losses: Sequence[dict[str, Any]]) -> str:
    batch = train_config.batch_size
    steps = losses[-1]["step"] if losses else 0
    epochs = steps * batch / max(num_images, 1)
    return f"{steps:,} of {train_config.num_steps:,} steps of {batch} images ({epochs:.1f} epochs)"


def _start(restore_report: Path) -> str:
    """The checkpoint that the run began from, in words."""
    try:
        restored = json.loads(restore_report.read_text())
    except (OSError, json.JSONDecodeError):
        return "random weights"
    return f"{restored['checkpoint']} (type {restored['checkpoint_type']})"
