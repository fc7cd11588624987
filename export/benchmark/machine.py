"""What else kept this machine's CPUs busy during a measurement."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_STAT = Path("/proc/stat")
# user, nice, system, irq, softirq, steal among the figures of its first line; the rest is idle
# time, or in these already.
_BUSY = (0, 1, 2, 5, 6, 7)


@dataclass
class Others:
    """CPUs that other processes had on average; None until known, or where the system is silent."""

    cpus: float | None = None


@contextmanager
def watched() -> Iterator[Others]:
    """Yields what is filled in at the end: the work of others meanwhile.

    This process and the children it has waited for are not others.
    """
    others = Others()
    begin, busy, own = time.monotonic(), _busy_seconds(), _own_seconds()
    yield others
    now = _busy_seconds()
    seconds = time.monotonic() - begin
    if busy is not None and now is not None and seconds > 0:
        others.cpus = max(now - busy - (_own_seconds() - own), 0.0) / seconds


def busy_ticks(stat: str) -> int:
    """Returns the ticks in which a CPU worked, from the text of /proc/stat.

    Example: 10 + 1 + 5 + 3 + 2 + 4; 700 idle, 60 waiting, guests counted in the first two.
      >>> busy_ticks("cpu  10 1 5 700 60 3 2 4 8 1\\ncpu0 10 1 5 700 60 3 2 4 8 1")
      25
    """
    figures = [int(n) for n in stat.split("\n", 1)[0].split()[1:]]
    return sum(figures[n] for n in _BUSY)


def _busy_seconds() -> float | None:
    try:
        return busy_ticks(_STAT.read_text()) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
