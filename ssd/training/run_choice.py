"""Which run folder `train` writes to: a new one, or that of an unfinished run that goes on."""

from __future__ import annotations

import datetime
import difflib
from pathlib import Path
from typing import Any

from ssd.config import pipeline
from ssd.errors import InputError
from ssd.run_folder import RUNS, RunFolder
from ssd.training.options import TrainOptions


def choose_run(config: Any, config_path: Path, options: TrainOptions) -> tuple[RunFolder, bool]:
    """Returns the folder to write to, and whether a run in it goes on.

    Args:
      config: as resolved.
      config_path: its file, which names the default folder.
      options: output and fresh decide; the flags of an earlier run must be the same to go on.

    Raises:
      InputError: the folder that was asked for holds another run.
    """
    text = pipeline.to_text(config)
    today = datetime.date.today().isoformat()
    base = Path(options.output) if options.output else RUNS / f"{config_path.stem}-{today}"
    if not options.output and not options.fresh:
        # Unfinished since yesterday or earlier: the same command goes on all the same.
        for folder in sorted(RUNS.glob(f"{config_path.stem}-*"), reverse=True):
            earlier = RunFolder(folder)
            if _goes_on(earlier, text, options):
                return earlier, True
    run, number = RunFolder(base), 1
    while run.config.is_file():
        if not options.fresh and _goes_on(run, text, options):
            return run, True
        if options.output and not options.fresh:
            raise _not_resumable(run, text, options)
        number += 1
        run = RunFolder(base.with_name(f"{base.name}-{number}"))
    return run, False


def _goes_on(run: RunFolder, text: str, options: TrainOptions) -> bool:
    """Whether this run is unfinished and was started with this config and these flags."""
    return (
        run.config.is_file()
        and not run.finished.is_file()
        and run.config.read_text() == text
        and run.read_flags() == options.identity()
    )


def _not_resumable(run: RunFolder, text: str, options: TrainOptions) -> InputError:
    advice = "give another --output, or --fresh for a new folder beside"
    stored, flags = run.config.read_text(), run.read_flags()
    if stored != text:
        changed = [
            line
            for line in difflib.ndiff(stored.splitlines(), text.splitlines())
            if line[:2] in ("- ", "+ ")
        ]
        return InputError(
            f"{run.path}: holds a run with another config ({len(changed)} lines differ, "
            f"first: {' '.join(changed[0].split())}); {advice}"
        )
    for name, value in options.identity().items():
        if flags.get(name) != value:
            flag = "--" + name.replace("_", "-")
            return InputError(
                f"{run.path}: holds a run with {flag} {flags.get(name)}, not {value}; {advice}"
            )
    return InputError(
        f"{run.path}: this run is finished; give more --steps with another --output, or --fresh "
        "to train again into a new folder"
    )
