"""metrics.jsonl of a run: one line per evaluation, and what follows from all of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class MetricsLog:
    """The evaluations of a run up to the step it stands at.

    Args:
      path: metrics.jsonl; may not exist yet.
      step: lines of later steps belong to steps that are done again; they are removed.
    """

    def __init__(self, path: Path, step: int) -> None:
        self._path = path
        text = path.read_text() if path.is_file() else ""
        self._lines: list[dict[str, Any]] = []
        for line in text.splitlines():
            try:
                evaluation = json.loads(line)
            except json.JSONDecodeError:  # cut off while it was written
                continue
            if evaluation["step"] <= step:
                self._lines.append(evaluation)
        kept = "".join(json.dumps(line) + "\n" for line in self._lines)
        if kept != text:
            aside = path.with_name(path.name + ".tmp")
            aside.write_text(kept)
            os.replace(aside, path)

    def append(self, evaluation: dict[str, Any]) -> None:
        """Adds a line; `evaluation` holds `step` and the metrics."""
        with self._path.open("a") as file:
            file.write(json.dumps(evaluation) + "\n")
        self._lines.append(evaluation)

    def has(self, step: int) -> bool:
        """Whether this step has been evaluated."""
        return any(line["step"] == step for line in self._lines)

    @property
    def best(self) -> float | None:
        """The highest AP so far; None where nothing could be measured."""
        return max((line["AP"] for line in self._lines if line["AP"] is not None), default=None)

    @property
    def since_best(self) -> int:
        """How many evaluations ago the highest AP was first reached."""
        values = [line["AP"] if line["AP"] is not None else -1.0 for line in self._lines]
        return len(values) - 1 - values.index(max(values)) if values else 0
