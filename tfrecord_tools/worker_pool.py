"""Runs a function over many items in processes, in order, a few items at a time in memory."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import chain, islice
from multiprocessing import connection
from typing import TypeVar

from ssd.errors import InputError

MAX_DEFAULT_WORKERS = 8
# Sent and fetched together: one item alone costs more to pass on than to work on.
_CHUNK = 16
# What every worker imports anyway; the server that forks them does it once.
_PRELOADED = ["tfrecord_tools.image_record"]

Item = TypeVar("Item")
Result = TypeVar("Result")


class WorkerPool:
    """Processes that are started at the first use; with one worker, this process does the work.

    Args:
      workers: processes; None for one per processor, at most MAX_DEFAULT_WORKERS.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or min(available_processors(), MAX_DEFAULT_WORKERS)
        self._executor: ProcessPoolExecutor | None = None

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yields `function(item)` in the order of `items`.

        `function`, items and results must be picklable: a module's function, or a partial of one.

        Raises:
          InputError: a worker died, as the system kills a process when memory is short.
          Whatever `function` raises.
        """
        source = iter(items)
        # Fewer than that are done before a process has started.
        head = list(islice(source, 2 * _CHUNK))
        if self.workers == 1 or len(head) < 2 * _CHUNK:
            yield from map(function, head)
            yield from map(function, source)
            return
        pending: deque[Future[list[Result]]] = deque()
        try:
            for chunk in _chunks(chain(head, source)):
                pending.append(self._started().submit(_run, function, chunk))
                if len(pending) >= 4 * self.workers:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        except BrokenProcessPool:
            raise InputError(
                "a worker process died, as the system does it when memory is short; give a "
                "smaller --workers"
            ) from None
        finally:
            for future in pending:
                future.cancel()

    def _started(self) -> ProcessPoolExecutor:
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                self.workers, mp_context=_context(), initializer=_begin_worker
            )
        return self._executor

    def close(self) -> None:
        """Ends the processes; what they have not begun is dropped."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None


@contextmanager
def worker_pool(workers: int | None = None) -> Iterator[WorkerPool]:
    """Yields a WorkerPool that is closed when the block ends, however it ends."""
    pool = WorkerPool(workers)
    try:
        yield pool
    finally:
        pool.close()


def available_processors() -> int:
    """Returns how many processors this process may use; a container's limit counts."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _context() -> multiprocessing.context.BaseContext:
    # Not fork: a caller may hold threads and TensorFlow, which a copied process cannot use.
    if "forkserver" in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_PRELOADED)
        return context
    return multiprocessing.get_context("spawn")


def _begin_worker() -> None:
    """Leaves Ctrl-C to the parent, and ends with it however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def end_with_parent() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


def _run(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    return [function(item) for item in items]


def _chunks(items: Iterator[Item]) -> Iterator[list[Item]]:
    while chunk := list(islice(items, _CHUNK)):
        yield chunk
