"""Which run folder `train` writes to: a new one, or that of an unfinished run that goes on."""

from __future__ import annotations

import datetime
import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssd import label_map as label_maps
from ssd.config import pipeline
from ssd.errors import InputError
from ssd.label_map import LabelMap
from ssd.run_folder import RUNS, RunFolder
from ssd.training.data_identity import changed_data
from ssd.training.options import TrainOptions

_ADVICE = "give another --output, or --fresh for a new folder beside"


@dataclass(frozen=True)
class Wanted:
    """What decides a run's weights; a run goes on only if it was started with all the same.

    Attributes:
      config: as resolved.
      flags: those outside of the config, `TrainOptions.identity`.
      label_map: of the training records.
      data: see `data_identity`.
    """

    config: Any
    flags: dict[str, Any]
    label_map: LabelMap
    data: dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """A folder, whether an unfinished run in it goes on, and lines for the screen."""

    run: RunFolder
    resumes: bool
    notes: tuple[str, ...] = ()


def choose_run(wanted: Wanted, config_path: Path, options: TrainOptions) -> Choice:
    """Returns the folder to write to.

    Args:
      wanted: the run.
      config_path: the file of its config, which names the default folder.
      options: output and fresh decide.

    Raises:
      InputError: the folder that was asked for holds another run, or what is left of one.
    """
    today = datetime.date.today().isoformat()
    base = Path(options.output) if options.output else RUNS / f"{config_path.stem}-{today}"
    notes: list[str] = []
    if not options.output and not options.fresh:
        # Unfinished since yesterday or earlier: the same command goes on all the same.
        for folder in sorted(RUNS.glob(f"{config_path.stem}-*"), reverse=True):
            earlier = RunFolder(folder)
            if not _is_unfinished(earlier):
                continue
            try:
                difference = _difference(earlier, wanted)
            except InputError as error:  # nobody asked for this folder
                difference = f"damaged ({error})"
            if not difference:
                return Choice(earlier, True)
            notes.append(f"{folder}/ is not finished, but it is another run: {difference}")
    run, number = RunFolder(base), 1
    while run.config.is_file() or any(run.checkpoints.glob("ckpt-*.index")):
        if options.output and not options.fresh:
            if reason := _not_resumable(run, wanted):
                raise InputError(f"{run.path}: {reason}")
            return Choice(run, True)
        number += 1
        run = RunFolder(base.with_name(f"{base.name}-{number}"))
    return Choice(run, False, tuple(notes[:1]))


def _is_unfinished(run: RunFolder) -> bool:
    return run.config.is_file() and not run.finished.is_file()


def _not_resumable(run: RunFolder, wanted: Wanted) -> str:
    """Why this command cannot go on with the run; "" where it can."""
    if not run.config.is_file():
        return (
            f"holds checkpoints, but no {run.config.name} that says of what; put it back, or "
            f"{_ADVICE}"
        )
    if run.finished.is_file():
        return (
            "this run is finished, nothing was done. To train on from its weights: --checkpoint "
            f"{run.path} --steps N with another --output; to train again: --fresh"
        )
    difference = _difference(run, wanted)
    return f"holds a run {difference}; {_ADVICE}" if difference else ""


def _difference(run: RunFolder, wanted: Wanted) -> str:
    """What the run was started with that this command has not; "" where all is the same."""
    if changed := changed_data(run.read_data(), wanted.data):
        # First: steps and anchors of a config may follow from the data.
        return f"started on {changed}"
    return (
        _changed_label_map(run, wanted.label_map)
        or _changed_config(run, wanted.config)
        or _changed_flags(run, wanted.flags)
    )


def _changed_label_map(run: RunFolder, label_map: LabelMap) -> str:
    if not run.label_map.is_file():
        return f"whose {run.label_map.name} is gone"
    stored = {item.id: item.name for item in label_maps.load(run.label_map).items}
    found = {item.id: item.name for item in label_map.items}
    changed = [i for i in sorted(stored | found) if stored.get(i) != found.get(i)]
    if not changed:
        return ""
    before, now = (
        repr(names[changed[0]]) if changed[0] in names else "absent" for names in (stored, found)
    )
    more = f" (and {len(changed) - 1} more ids)" if changed[1:] else ""
    return f"with another label map: class id {changed[0]} was {before}, now it is {now}{more}"


def _changed_config(run: RunFolder, config: Any) -> str:
    stored, text = run.read_config(), pipeline.to_text(config)
    if stored == text:
        return ""
    if not stored.strip():
        return f"whose {run.config.name} is empty: a copy or a disk failed; put it back"
    before, now = (re.search(r"^  num_steps: (\d+)$", t, re.MULTILINE) for t in (stored, text))
    if before and now and before[1] != now[1]:
        return (
            f"of {before[1]} steps, not {now[1]}: its learning rates follow from its length; give "
            f"--steps {before[1]} to go on with it"
        )
    changed = [
        line
        for line in difflib.ndiff(stored.splitlines(), text.splitlines())
        if line[:2] in ("- ", "+ ")
    ]
    shown = " ".join((changed or ["white space"])[0].split())
    return f"with another config ({len(changed)} lines differ, first: {shown})"


def _changed_flags(run: RunFolder, flags: dict[str, Any]) -> str:
    # What a run of an older kit does not mention had its default.
    stored = TrainOptions().identity() | run.read_flags() if run.flags.is_file() else {}
    for name, value in flags.items():
        if stored.get(name) != value:
            flag = "--" + name.replace("_", "-")
            was = stored.get(name, f"unknown ({run.flags.name} is gone)")
            return f"with {flag} {was}, not {value}"
    return ""
