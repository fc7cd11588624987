"""Which devices train: one, several GPUs of this machine, or several workers (TF_CONFIG).

Replicas train in step. Each has its rows of the global batch, `train_config.batch_size`, and its
own copy of every variable; gradients are summed over all of them (`core.replicas`), and so every
copy makes the same update. A variable read outside of a step is this process' first copy: nothing
but a step and `Devices.exchange` waits for another worker. So one worker alone, the chief, can
evaluate and save while the others wait for it in their next step.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from ssd.core import replicas
from ssd.data.batch_slice import BatchSlice
from ssd.errors import InputError
from ssd.training import cluster as clusters
from ssd.training.cluster import Cluster
from ssd.training.interrupts import Interrupts, Stopped
from ssd.training.worker_exchange import WorkerExchange

_OVER, _STOPPED = 1, 2  # what workers say at the end of a step

Tensors = dict[str, tf.Tensor]


@dataclass(frozen=True)
class Devices:
    """What trains together, and this process' part in it.

    Attributes:
      strategy: None where there is one replica: nothing of tf.distribute is in the way then.
      cluster: the workers; None for a single process.
    """

    strategy: tf.distribute.Strategy | None = None
    cluster: Cluster | None = None

    @property
    def num_replicas(self) -> int:
        """Of all workers together."""
        return self.strategy.num_replicas_in_sync if self.strategy else 1

    @property
    def num_workers(self) -> int:
        return len(self.cluster.addresses) if self.cluster else 1

    @property
    def worker_index(self) -> int:
        return self.cluster.index if self.cluster else 0

    @property
    def is_chief(self) -> bool:
        """Whether this process evaluates, writes and prints."""
        return self.worker_index == 0

    def scope(self) -> AbstractContextManager[Any]:
        """Variables that are made inside have a copy on every replica."""
        return self.strategy.scope() if self.strategy else contextlib.nullcontext()

    def check_batch_size(self, batch_size: int) -> None:
        """Refuses a global batch of which replicas cannot have equal parts.

        Raises:
          InputError: with sizes that do.
        """
        count = self.num_replicas
        if batch_size % count == 0:
            return
        lower = batch_size // count * count
        sizes = f"{lower} or {lower + count}" if lower else f"{count}"
        raise InputError(
            f"train_config.batch_size: {batch_size} images are not {count} equal parts for "
            f"{count} replicas; give --batch-size {sizes}"
        )

    def part(self, batch_size: int) -> BatchSlice | None:
        """Returns which rows of every global batch this worker reads; None: all of them."""
        if self.num_workers == 1:
            return None
        return BatchSlice.of_worker(batch_size, self.worker_index, self.num_workers)

    def name(self, worker: int) -> str:
        """Returns "worker 1 (HOST:PORT)"."""
        return self.cluster.name(worker) if self.cluster else "this process"

    def batch_line(self, batch_size: int) -> str:
        """Returns "batch 64 = 4 x 16 ..." for the screen; "" for one replica."""
        count = self.num_replicas
        if count == 1:
            return ""
        places = f"{self.num_workers} workers" if self.cluster else "this machine"
        return f"batch {batch_size} = {count} x {batch_size // count}: {count} replicas on {places}"

    def run(self, step: Callable[[Tensors], Tensors], batch: Tensors) -> Tensors:
        """Returns what the first replica's `step` returns; inside of a tf.function.

        Args:
          step: the work of one replica; every replica should return the same.
          batch: the rows of this worker; its replicas get equal parts, in order.
        """
        if self.strategy is None:
            return step(batch)
        count = self.num_replicas // self.num_workers

        def of_replica(rows: Tensors) -> Tensors:
            part = replicas.index() % count
            with tf.device("CPU:0"):  # so that a GPU gets its own rows only
                own = {key: tf.split(value, count)[part] for key, value in rows.items()}
            return step(own)

        results = self.strategy.run(of_replica, args=(batch,))
        return {k: self.strategy.experimental_local_results(v)[0] for k, v in results.items()}

    def exchange(self, message: Any) -> list[Any]:
        """Returns the messages of all workers; see `WorkerExchange.messages`."""
        return self._workers.messages(message) if self._workers else [message]

    def agree_to_end(self, is_over: bool, interrupts: Interrupts) -> bool:
        """Returns whether any worker finds that the run is over; waits for all of them.

        Raises:
          Stopped: a signal came to one of them.
        """
        said = _OVER if is_over else _STOPPED if interrupts.asked else 0
        highest = self._workers.highest(said) if self._workers else said
        if highest == _STOPPED:
            raise Stopped(interrupts.asked or "a signal to another worker")
        return highest == _OVER

    def barrier(self) -> None:
        """Waits until all workers are here."""
        self.exchange(None)

    def quiet(self) -> AbstractContextManager[Any]:
        """Inside of the block only the chief prints."""
        return contextlib.nullcontext() if self.is_chief else _silence()

    @property
    def _workers(self) -> WorkerExchange | None:
        if self.strategy is None or self.cluster is None:
            return None
        return WorkerExchange(self.strategy, self.cluster)


ONE_DEVICE = Devices()


def choose_devices(
    names: Sequence[str] | None = None, *, say: Callable[[str], object] = print
) -> Devices:
    """Returns the devices to train on; to be called before anything else touches TensorFlow.

    All workers of TF_CONFIG, each with its GPUs; else all GPUs of this machine; else what
    TensorFlow takes by itself.

    Args:
      names: devices of this machine to take instead, such as ("CPU:0", "CPU:1").
      say: shows the first line: "GPU: yes, NAME" or "GPU: NO, training on CPU".

    Raises:
      InputError: TF_CONFIG is wrong, or its address here cannot be used.
    """
    cluster = clusters.from_environment()
    if cluster:
        say(f"{gpu_line()}; {_place(cluster)}")
        return Devices(_connected(cluster), cluster)
    say(gpu_line())
    if names is None and len(tf.config.list_physical_devices("GPU")) > 1:
        return Devices(tf.distribute.MirroredStrategy())
    if names is not None and len(names) > 1:
        return Devices(tf.distribute.MirroredStrategy(list(names)))
    return ONE_DEVICE


def gpu_line() -> str:
    """Returns "GPU: yes, NAME", with "2 x" before the name of several, or that there is none."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "GPU: NO, training on CPU"
    details = tf.config.experimental.get_device_details(gpus[0])
    count = f"{len(gpus)} x " if len(gpus) > 1 else ""
    return f"GPU: yes, {count}{details.get('device_name', gpus[0].name)}"


def _place(cluster: Cluster) -> str:
    here = f"worker {cluster.index} of {len(cluster.addresses)}"
    others = [a for n, a in enumerate(cluster.addresses) if n != cluster.index]
    if cluster.index == 0:
        return f"{here}, the chief; waiting for {', '.join(others)}"
    return f"{here}; the chief is {cluster.addresses[0]}"


def _connected(cluster: Cluster) -> tf.distribute.Strategy:
    """The strategy of the workers, once all of them are there."""
    try:
        with _default_signals():
            strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except (tf.errors.OpError, RuntimeError) as error:
        raise InputError(
            f"TF_CONFIG: {cluster.name(cluster.index)} could not join the others "
            f"({str(error).splitlines()[0]}); is the address free, and are all workers started?"
        ) from error
    if strategy.num_replicas_in_sync % len(cluster.addresses):
        raise InputError("TF_CONFIG: the workers have different numbers of GPUs")
    return strategy


@contextlib.contextmanager
def _default_signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the process at once: TensorFlow waits where no handler is reached."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        for number in numbers:
            if before[number] is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with (
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield
