"""Where a run begins: at its newest checkpoint, or in a new folder with what it starts from."""

from __future__ import annotations

import json

from ssd import checkpoint_folder, label_map
from ssd.config import pipeline
from ssd.config.text_source import write_text
from ssd.fine_tune import restore_fine_tune
from ssd.training.learner import Learner
from ssd.training.options import TrainOptions
from ssd.training.plan import Plan


def expected_step(plan: Plan) -> int:
    """Returns the step that the run will go on from, if its newest checkpoint can be read."""
    return max(checkpoint_folder.numbers(plan.run.checkpoints), default=0) if plan.resumes else 0


def start(
    plan: Plan, options: TrainOptions, learner: Learner, *, num_steps: int, writes: bool = True
) -> int:
    """Restores or begins the run, and says which; returns the step it stands at.

    `writes` is whether a run that begins gets its folder; one of several workers makes it.

    Raises:
      InputError: none of the run's checkpoints can be read, the one to fine-tune from does not fit,
        or the folder cannot be written to.
    """
    run = plan.run
    if plan.resumes and checkpoint_folder.numbers(run.checkpoints):
        step, _, damaged = checkpoint_folder.restore_newest(run.checkpoints, learner.restore)
        for line in (*damaged, f"resuming at step {step} of {num_steps}"):
            print(line, flush=True)
        return step
    report = None
    if plan.checkpoint:
        kind = pipeline.fine_tune_checkpoint_type(plan.config.train_config)
        report = restore_fine_tune(learner.detector, plan.checkpoint, kind)
        for line in filter(None, (report.note, report.summary())):
            print(line, flush=True)
    if not writes:
        return 0
    run.path.mkdir(parents=True, exist_ok=True)
    if report:
        report.save(run.restore_report)
    write_text(json.dumps(options.stored()) + "\n", run.flags)
    write_text(json.dumps(plan.data) + "\n", run.data)
    label_map.save(plan.label_map, run.label_map)
    # Last: a folder is a run once it has its config.
    pipeline.save(plan.config, run.config)
    return 0
