"""Batches that do not come: said in words instead of waited for in silence.

A read from a disk or a network share that is gone may block for ever, deep inside of TensorFlow,
where neither Python nor a signal reaches it. So what may block runs in a thread of its own, and the
thread of the loop stays awake.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from ssd.data import record_index
from ssd.errors import InputError

_T = TypeVar("_T")
_AWAKE_SECONDS = 0.2  # between two looks at the clock and at signals


@dataclass(frozen=True)
class Patience:
    """How long to wait for the input.

    Attributes:
      first_line, next_lines: seconds until a line is said, and from each line to the next one.
      limit: seconds until the input is refused; None: never.
    """

    first_line: float
    next_lines: float
    limit: float | None = None


BEFORE_TRAINING = Patience(first_line=30.0, next_lines=10.0, limit=300.0)
# A share that comes back must not cost the run.
WHILE_TRAINING = Patience(first_line=60.0, next_lines=60.0)


def patiently(
    work: Callable[[], _T],
    what: str,
    *,
    patience: Patience = BEFORE_TRAINING,
    say: Callable[[str], object] = print,
) -> _T:
    """Returns `work()`, done by another thread.

    Args:
      work: reads records.
      what: it waits for, for messages: "the first batch".
      patience: how long.
      say: shows a line.

    Raises:
      InputError: the limit is over; the thread is left behind. Else what `work` raises.
    """
    worker = _Worker(work)
    worker.ask()
    try:
        return worker.answer(lambda: what, patience, say, lambda: None)
    finally:
        worker.stop()


def watched(
    batches: Iterator[_T],
    due: Callable[[], str],
    *,
    patience: Patience = WHILE_TRAINING,
    say: Callable[[str], object] = print,
    check: Callable[[], None] = lambda: None,
) -> Iterator[_T]:
    """Yields the batches; they are fetched one by one, when asked for, by a thread of its own.

    Args:
      batches: None is not among them.
      due: () -> what is waited for, for messages: "examples 48 to 63".
      patience: how long.
      say: shows a line.
      check: called again and again while waiting; what it raises ends the wait.

    Raises:
      InputError: the limit is over. Else what `batches` or `check` raises.
    """
    worker = _Worker(lambda: next(batches, None))
    try:
        while True:
            worker.ask()
            batch = worker.answer(due, patience, say, check)
            if batch is None:
                return
            yield batch
    finally:
        worker.stop()


class _Worker:
    """A thread that does one thing as often as it is asked; it does not keep a process alive."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._asked: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="input", daemon=True).start()

    def ask(self) -> None:
        """Has the work done once more."""
        self._asked.put(True)

    def stop(self) -> None:
        """Ends the thread."""
        self._asked.put(False)

    def answer(
        self,
        due: Callable[[], str],
        patience: Patience,
        say: Callable[[str], object],
        check: Callable[[], None],
    ) -> Any:
        """Returns what came of it, or raises what it raised."""
        begun = time.monotonic()
        next_line = patience.first_line
        while True:
            try:
                result, error = self._done.get(timeout=_AWAKE_SECONDS)
            except queue.Empty:
                check()
                waited = time.monotonic() - begun
                if patience.limit is not None and waited >= patience.limit:
                    raise InputError(_refusal(due(), waited)) from None
                if waited >= next_line:
                    say(f"INPUT: waiting for {due()} for {waited:.0f} s{_reading()}")
                    next_line += patience.next_lines
                continue
            if error is not None:
                raise error
            return result

    def _run(self) -> None:
        while self._asked.get():
            try:
                self._done.put((self._work(), None))
            except BaseException as error:  # handed on to the thread that waits
                self._done.put((None, error))


def _reading() -> str:
    """What the loader has been reading for longest; "" where it reads nothing."""
    reads = record_index.being_read()
    if not reads:
        return "; no record is being read: decoding or augmenting takes the time"
    seconds, file, offset = max(reads)
    return f"; reading {file} at byte {offset} for {seconds:.0f} s"


def _refusal(due: str, waited: float) -> str:
    return (
        f"{due} did not come within {waited:.0f} s{_reading()}. Is the disk or the network share "
        "there? Copy the records to a local disk, or make the batch smaller"
    )
