"""metrics.jsonl of a run: one line per evaluation, and what follows from all of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ssd.training import step_lines


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
        self._lines = step_lines.read_up_to(path, step)

    def append(self, evaluation: dict[str, Any]) -> None:
        """Adds a line; `evaluation` holds `step` and the metrics."""
        step_lines.append(self._path, evaluation)
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

    def is_best_lost(self, kept: Sequence[int], step: int) -> bool:
        """Whether the best weights so far are gone, so that those of `step` should be kept.

        Args:
          kept: the steps of the weights in `best/`. Later ones than `step` are there after a
            damaged checkpoint, when steps are done again: they stay until their step has come.
          step: being evaluated.
        """
        best = self.best_step
        return best is not None and best not in kept and all(number <= step for number in kept)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """All evaluations, by rising step."""
        return list(self._lines)

    @property
    def best(self) -> float | None:
        """The highest value of the metric so far; None where nothing could be measured."""
        return max((v for v in self._values() if v is not None), default=None)

    @property
    def best_step(self) -> int | None:
        """Of the evaluation whose weights are the best so far, see `is_best`; None without any."""
        best = self.best
        if not best:
            return self._lines[-1]["step"] if self._lines else None
        return next(line["step"] for line in self._lines if line.get(self._metric) == best)

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
