"""`--deterministic`: the same command gives the same weights, to the bit."""

from __future__ import annotations

import functools
from typing import Any

import tensorflow as tf
from tensorflow.python import pywrap_tfe
from tensorflow.python.eager import backprop

from ssd.errors import InputError

NOTE = "deterministic: one thread per operation, so that weights are equal to the bit; slower"


def make_deterministic() -> None:
    """Has TensorFlow add up in one order only, from now on; before anything else uses it.

    Threads that share a sum add their parts as they finish, and float32 sums depend on the order:
    so every operation gets one thread. AddN begins with the first input whose memory is free by
    then, so more than two tensors are never added by one operation: neither where gradients of a
    shared kernel meet, nor by an optimizer of graphs that makes one AddN of a chain of sums.
    Kernels of GPUs are chosen among the deterministic ones.

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
    tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})
    pywrap_tfe.TFE_Py_RegisterVSpace(backprop._default_vspace._replace(aggregate_fn=added_in_order))


def added_in_order(gradients: list[Any]) -> Any:
    """Returns the sum of gradients of one tensor or variable, added one after the other.

    Args:
      gradients: tensors, or IndexedSlices, at least one.
    """
    if all(isinstance(gradient, tf.Tensor) for gradient in gradients):
        return functools.reduce(tf.add, gradients)
    return backprop._aggregate_grads(gradients)
