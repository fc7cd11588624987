"""What workers tell each other between steps, and how the end of one shows at the others."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from ssd.core import replicas
from ssd.training.cluster import Cluster

_MESSAGE_BYTES = 4096  # of one worker
_TASK = re.compile(r"/job:(chief|worker)/(?:replica:\d+/)?task:(\d+)")
# What a step ends with where another worker is gone, by how it went.
_LOST = (
    *(tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError),
    *(tf.errors.DeadlineExceededError, tf.errors.InternalError, tf.errors.UnknownError),
)


@dataclass(frozen=True)
class WorkerExchange:
    """Numbers and messages between all workers; every call waits until all of them have made it.

    Attributes:
      strategy: of the workers.
      cluster: who they are, and which one this process is.
    """

    strategy: tf.distribute.Strategy
    cluster: Cluster

    def messages(self, message: Any) -> list[Any]:
        """Returns the messages of all workers, in their order.

        Args:
          message: anything that JSON holds, in up to 4 KiB.
        """
        text = json.dumps(message).encode()
        if len(text) > _MESSAGE_BYTES:
            raise ValueError(f"{len(text)} bytes; a message has {_MESSAGE_BYTES}")
        rows = self._gathered(list(text.ljust(_MESSAGE_BYTES)))
        return [json.loads(bytes(row).decode()) for row in rows.astype(np.uint8)]

    def highest(self, number: int) -> int:
        """Returns the highest of the numbers (0 to 2^24) of all workers."""
        return int(self._gathered([number]).max())

    def _gathered(self, row: list[int]) -> np.ndarray:
        """float32 [workers, len(row)], the rows of all workers."""
        num_workers = len(self.cluster.addresses)
        rows = np.zeros([num_workers, len(row)], np.float32)
        rows[self.cluster.index] = row
        local = self.strategy.num_replicas_in_sync // num_workers
        return _sum_over_workers(self.strategy, local)(tf.constant(rows)).numpy()


def lost_worker(cluster: Cluster, error: Exception) -> str | None:
    """Returns "worker 1 (HOST:PORT)" that was lost where `error` says so, else None."""
    if not isinstance(error, _LOST):
        return None
    tasks = [cluster.worker_of_task(job, int(n)) for job, n in _TASK.findall(str(error))]
    others = [n for n in tasks if n is not None and n != cluster.index]
    if others:
        return cluster.name(others[0])
    return "another worker" if "ollective" in str(error) else None


@functools.cache
def _sum_over_workers(strategy: tf.distribute.Strategy, local: int) -> Callable[..., tf.Tensor]:
    """(value of this worker) -> the sum of those of all workers; `local` replicas on each."""

    @tf.function(autograph=False)
    def summed(value: tf.Tensor) -> tf.Tensor:
        def of_replica(value: tf.Tensor) -> tf.Tensor:
            is_first = replicas.index() % local == 0
            return replicas.summed(value if is_first else tf.zeros_like(value))

        return strategy.experimental_local_results(strategy.run(of_replica, args=(value,)))[0]

    return summed
