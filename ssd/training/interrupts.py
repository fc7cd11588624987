"""Signals that wait: SIGINT, SIGTERM and SIGHUP end a run between two steps, never inside one."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from types import TracebackType
from typing import Any

from ssd import errors

_STOPPING = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
_NOTE = ": stopping and saving; a second signal ends at once, without saving\n"


class Stopped(KeyboardInterrupt):
    """A signal asked for the end, at a place where nothing is half done."""


class Interrupts:
    """Inside the block the first signal is kept until `check`; the second one ends the process.

    A signal that is ignored (`nohup`, a job in the background) stays so. Outside of the main
    thread, where Python allows no handlers, signals do what they did before.

    Attributes:
      asked: the name of the signal that came; "" before one has.
    """

    def __init__(self) -> None:
        self.asked = ""
        self._before: dict[int, Any] = {}

    def check(self) -> None:
        """Raises `Stopped` once a signal has come."""
        if self.asked:
            raise Stopped(self.asked)

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for name in _STOPPING:
                number = getattr(signal, name, None)
                before = signal.getsignal(number) if number is not None else None
                if number is not None and before not in (signal.SIG_IGN, None):
                    self._before[number] = before
                    signal.signal(number, self._keep)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _keep(self, number: int, frame: object) -> None:
        self.asked = signal.Signals(number).name
        # A command's second signal does not wait for the end of a long operation. Where others
        # called us, a notebook for instance, the process is theirs.
        is_command = self._before.get(signal.SIGTERM) is errors.raise_interrupt
        for own, before in self._before.items():
            signal.signal(own, signal.SIG_DFL if is_command else before)
        with contextlib.suppress(OSError):  # the terminal may be gone
            # Not `print`: the signal may have come in the middle of one.
            os.write(2, f"\n{self.asked}{_NOTE}".encode())
