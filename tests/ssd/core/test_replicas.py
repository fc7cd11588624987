"""One replica; several are tested in tests/ssd/training/test_devices.py."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from ssd.core import replicas


def test_one_replica_is_left_as_it_is():
    assert (replicas.count(), replicas.index()) == (1, 0)
    value = tf.constant([[1.0, 2.0, 4.0]])
    np.testing.assert_array_equal(replicas.summed(value), [[1.0, 2.0, 4.0]])
    assert replicas.all_summed([value])[0] is value
    variable = tf.Variable(3.0)
    assert replicas.own(variable) is variable


def test_nothing_is_added_to_a_graph():
    @tf.function(autograph=False)
    def summed(value: tf.Tensor) -> tf.Tensor:
        return replicas.all_summed([replicas.summed(value)])[0]

    graph = summed.get_concrete_function(tf.TensorSpec([2, 3])).graph
    assert [op.type for op in graph.get_operations()] == ["Placeholder", "Identity"]
