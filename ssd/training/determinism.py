"""`--deterministic`: the same command gives the same weights, to the bit."""

from __future__ import annotations

import tensorflow as tf

from ssd.errors import InputError

NOTE = "deterministic: one thread per operation, so that weights are equal to the bit; slower"


def make_deterministic() -> None:
    """Has TensorFlow add up in one order only, from now on; before anything else uses it.

    Threads that share a sum add their parts as they finish, and float32 sums depend on the order:
    so every operation gets one thread. Kernels of GPUs are chosen among the deterministic ones.

    Raises:
      InputError: TensorFlow has been used in this process, and keeps its threads.
    """
    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
    except RuntimeError:
        raise InputError(
            "--deterministic: TensorFlow has been used in this process already; start a new one "
            "(a notebook: restart its kernel)"
        ) from None
    tf.config.experimental.enable_op_determinism()
