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
      metric: which number says what is best.
      min_delta: a metric that is not higher by more than this is no progress.
    """

    def __init__(
        self, path: Path, step: int, *, metric: str = "AP", min_delta: float = 0.0
    ) -> None:
        self._path, self._metric, self._min_delta = path, metric, min_delta
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

    def is_best(self, summary: dict[str, Any]) -> bool:
        """Whether these metrics, not appended yet, are better than all before.

        Where nothing was found or could be measured so far, the newest weights are the best.
        """
        best, value = self.best, summary.get(self._metric)
        return not best or (value is not None and value > best)

    @property
    def best(self) -> float | None:
        """The highest value of the metric so far; None where nothing could be measured."""
        return max((v for v in self._values() if v is not None), default=None)

    @property
    def since_best(self) -> int:
        """How many evaluations ago the metric last rose by more than `min_delta`."""
        reference, last = None, 0
        for number, value in enumerate(self._values()):
            if value is not None and (reference is None or value > reference + self._min_delta):
                reference, last = value, number
        return len(self._lines) - 1 - last if self._lines else 0

    def _values(self) -> list[float | None]:
        return [line.get(self._metric) for line in self._lines]
