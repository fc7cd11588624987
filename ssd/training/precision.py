"""Which numbers the network computes with in training (`--precision`).

A detector is always built in float32, and so are its variables. Half precision is a property of one
piece of work, the training step: inside `computing_in` the layers cast inputs and kernels on the
way. Everything else that the same layers do (evaluation, batch-norm statistics, export) stays what
it is without the flag.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import tensorflow as tf

FLOAT32, MIXED_FLOAT16, MIXED_BFLOAT16 = "float32", "mixed_float16", "mixed_bfloat16"

# Measured, see docs/results.md: no kernel for float16 there, and bfloat16 where the CPU has none.
_ON_CPU = {MIXED_FLOAT16: "some 30 times", MIXED_BFLOAT16: "1.1 to 2 times"}


@contextmanager
def computing_in(precision: str, network: keras.Model) -> Iterator[None]:
    """Inside the block calls of the network compute as `precision` says.

    A function that is traced inside keeps computing so afterwards. Batch-norm statistics, sums of
    group normalization and what leaves the network are float32 all the same.

    Args:
      precision: a Keras dtype policy whose variables are float32.
      network: built.
    """
    # Containers, too: a block in float32 would cast its inputs back.
    layers = network._flatten_layers() if precision != FLOAT32 else []
    policies = [layer.dtype_policy for layer in layers]
    try:
        for layer in layers:
            layer.dtype_policy = precision
        yield
    finally:
        for layer, policy in zip(layers, policies, strict=True):
            layer.dtype_policy = policy


def precision_line(precision: str) -> str:
    """Returns what a person should know about `precision` on this machine; "" for float32."""
    if precision == FLOAT32:
        return ""
    line = f"precision {precision}: evaluation, best/ and exports stay float32"
    if not tf.config.list_physical_devices("GPU"):
        line += f"; on a CPU a step takes {_ON_CPU[precision]} as long as in float32"
    return line
