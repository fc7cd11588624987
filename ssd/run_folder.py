"""Where a run keeps its files, which run is the newest, and what a `--model PATH` is."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssd.errors import InputError

RUNS = Path("runs")


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run."""

    path: Path

    @property
    def config(self) -> Path:
        """pipeline.config as resolved for this run."""
        return self.path / "pipeline.config"

    @property
    def label_map(self) -> Path:
        return self.path / "label_map.pbtxt"

    @property
    def checkpoints(self) -> Path:
        """Training checkpoints: moving batch-norm statistics, optimizer state."""
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """The checkpoint with the highest AP so far, ready to be exported."""
        return self.path / "best"

    @property
    def flags(self) -> Path:
        """The flags outside of the config that the run was started with."""
        return self.path / "flags.json"

    def read_flags(self) -> dict[str, Any]:
        """Returns what `flags` holds; {} where it is missing.

        Raises:
          InputError: it is damaged.
        """
        return _read_object(self.flags)

    @property
    def data(self) -> Path:
        """The records that the run was started on."""
        return self.path / "data.json"

    def read_data(self) -> dict[str, Any]:
        """Returns what `data` holds; {} where it is missing, as in runs of an older kit.

        Raises:
          InputError: it is damaged.
        """
        return _read_object(self.data)

    def read_config(self) -> str:
        """Returns the text of `config`."""
        return self.config.read_text(encoding="utf-8", errors="replace")

    @property
    def restore_report(self) -> Path:
        return self.path / "restore_report.json"

    @property
    def metrics(self) -> Path:
        """One JSON line per evaluation."""
        return self.path / "metrics.jsonl"

    @property
    def finished(self) -> Path:
        """Exists once the run has reached its last step and its last evaluation."""
        return self.path / "finished"


def _read_object(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_bytes())
    except ValueError:  # no JSON, or no text at all
        value = None
    if not isinstance(value, dict):
        raise InputError(
            f"{path}: damaged: a JSON object was expected; put back a copy, or give --fresh to "
            "start over in a new folder"
        )
    return value


def newest_run(runs: Path = RUNS) -> RunFolder:
    """Returns the run below `runs` that was written to last.

    Raises:
      InputError: there is none with a checkpoint.
    """
    candidates = [
        path
        for path in runs.glob("*")
        if (path / "pipeline.config").is_file() and any(path.glob("*/ckpt-*.index"))
    ]
    if not candidates:
        raise InputError(
            f"{runs}/: no run with a checkpoint yet; `./run.sh train` makes one, or give --run DIR"
        )
    newest = max(
        candidates,
        key=lambda path: max(index.stat().st_mtime for index in path.glob("*/ckpt-*.index")),
    )
    return RunFolder(newest)


def config_beside(path: str | os.PathLike[str]) -> Path:
    """Returns the pipeline.config that belongs to a run, model folder or checkpoint prefix.

    Raises:
      InputError: there is none in the folder, nor in the two above it.
    """
    start = Path(path)
    folders = [start, start.parent, start.parent.parent]
    for folder in folders:
        if (folder / "pipeline.config").is_file():
            return folder / "pipeline.config"
    raise InputError(
        f"{path}: no pipeline.config in this folder or above it; a run, a zoo folder "
        "or a checkpoint inside one was expected"
    )


def label_map_beside(config_path: Path) -> Path | None:
    """Returns the label_map.pbtxt next to a pipeline.config, or None."""
    path = config_path.parent / "label_map.pbtxt"
    return path if path.is_file() else None
