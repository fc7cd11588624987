"""What training shows while it goes: a bar on a terminal, and a line per hundred steps."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm

from ssd.training.batch_counts import has_no_match

_LOG_EVERY = 100
_Batch = TypeVar("_Batch")
_PARTS = ("localization_loss", "classification_loss", "regularization_loss")
_SHOWN = (*_PARTS, "total_loss")


class Progress:
    """Counts steps, averages losses, estimates the time to go.

    Args:
      step: where the run stands.
      num_steps: where it ends.
      batch_size: images per step.
    """

    def __init__(self, step: int, num_steps: int, batch_size: int) -> None:
        self._num_steps, self._batch_size = num_steps, batch_size
        self._bar = tqdm(
            total=num_steps, initial=step, unit="step", disable=None, dynamic_ncols=True
        )
        self._window: list[dict[str, float]] = []
        self._seconds, self._waited, self._since = 0.0, 0.0, time.perf_counter()

    def timed(self, batches: Iterable[_Batch]) -> Iterator[_Batch]:
        """Yields the batches; the time they let the loop wait is shown apart from the whole."""
        iterator = iter(batches)
        while True:
            begun = time.perf_counter()
            batch = next(iterator, None)
            self._waited += time.perf_counter() - begun
            if batch is None:
                return
            yield batch

    def update(self, step: int, losses: dict[str, float]) -> None:
        """Shows one more step; `losses` are those that the train step returns."""
        self._window.append(losses)
        self._bar.set_postfix_str(losses_text(losses), refresh=False)
        self._bar.update(1)
        if step % _LOG_EVERY == 0 or step == self._num_steps:
            self._write_line(step)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The block inside does not count as training time."""
        self._seconds += time.perf_counter() - self._since
        yield
        self._since = time.perf_counter()

    def close(self) -> None:
        """Ends the bar."""
        self._bar.close()

    def _write_line(self, step: int) -> None:
        """The mean losses since the last line, the speed, and the time to go."""
        seconds = self._seconds + time.perf_counter() - self._since
        per_step = seconds / len(self._window)
        mean = {name: _mean([losses[name] for losses in self._window]) for name in _SHOWN}
        unmatched = sum(has_no_match(losses) for losses in self._window)
        warning = f"  NO ANCHOR matched a box in {unmatched} batches" if unmatched else ""
        minutes, rest = divmod(int(per_step * (self._num_steps - step)), 60)
        tqdm.write(
            f"step {step}/{self._num_steps}: {losses_text(mean)}  "
            f"lr {self._window[-1]['learning_rate']:.4g}  "
            f"{self._batch_size / per_step:.1f} images/s, "
            f"{self._waited / seconds:.0%} input wait  "
            f"{minutes}m{rest:02d}s to go{warning}",
            file=sys.stdout,
        )
        sys.stdout.flush()
        self._window, self._seconds, self._waited = [], 0.0, 0.0
        self._since = time.perf_counter()


def _mean(values: list[float]) -> float:
    """Of the finite ones: a step that loss scaling skips may have a loss that is not."""
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan


def losses_text(losses: dict[str, float]) -> str:
    """Returns "loss TOTAL = localization X + classification Y + regularization Z"."""
    parts = " + ".join(f"{name.split('_')[0]} {losses[name]:.3f}" for name in _PARTS)
    return f"loss {losses['total_loss']:.3f} = {parts}"
