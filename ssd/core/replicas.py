"""Sums over the replicas that compute one training step together.

Each replica has its rows of the global batch and its own copy of the variables. Outside of a
distributed step there is one replica, and nothing here adds an operation.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from ssd.core.types import TensorLike


def count() -> int:
    """Returns how many replicas compute this step together."""
    context = tf.distribute.get_replica_context()
    # None: variables are being made, or a graph is being traced for all of them at once.
    return 1 if context is None else context.num_replicas_in_sync


def index() -> int:
    """Returns the number of this replica among all, of all workers; 0 where there is one."""
    if count() == 1:
        return 0
    number = tf.distribute.get_replica_context().replica_id_in_sync_group
    return int(tf.get_static_value(tf.convert_to_tensor(number)))


def summed(value: TensorLike) -> tf.Tensor:
    """Returns the sum of `value` over the replicas, equal on all of them; same shape and dtype.

    Gradients pass: that of a replica's value is the sum of what all replicas make of the result.
    """
    if count() == 1:
        return tf.convert_to_tensor(value)
    context = tf.distribute.get_replica_context()
    # Identity: a tensor that lies on no device of the strategy cannot be summed.
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(value))


def all_summed(values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Returns the sums of float32 tensors over the replicas, in one exchange."""
    if count() == 1:
        return list(values)
    flat = tf.concat([tf.reshape(value, [-1]) for value in values], axis=0)
    parts = tf.split(summed(flat), [tf.size(value) for value in values])
    return [tf.reshape(part, tf.shape(v)) for part, v in zip(parts, values, strict=True)]


def own(variable: tf.Variable) -> tf.Variable:
    """Returns this replica's copy of a variable; the variable itself where there is one replica."""
    if count() == 1:
        return variable
    copies = tf.distribute.get_strategy().experimental_local_results(variable)
    return copies[index() % len(copies)]
