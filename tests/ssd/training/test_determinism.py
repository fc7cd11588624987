from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from ssd.errors import InputError
from ssd.training.determinism import added_in_order, make_deterministic

# One kernel on five maps, as a weight-shared head has it; prints the additions of its gradient.
SHARED_KERNEL = """
import tensorflow as tf
from ssd.training.determinism import make_deterministic
make_deterministic()
kernel = tf.Variable(tf.ones([3, 3, 4, 1]))

@tf.function
def gradient(image):
    with tf.GradientTape() as tape:
        maps = [image[:, : 16 - 2 * n] for n in range(5)]
        outputs = [tf.nn.depthwise_conv2d(m, kernel, [1] * 4, "SAME") for m in maps]
        total = sum(tf.reduce_sum(output**2) for output in outputs)
    return tape.gradient(total, kernel)

graph = gradient.get_concrete_function(tf.TensorSpec([2, 16, 16, 4])).graph
kinds = [op.type for op in graph.get_operations()]
print(kinds.count("AddN"), kinds.count("AddV2") >= 4)
print(tf.config.optimizer.get_experimental_options()["arithmetic_optimization"])
print(tf.config.threading.get_intra_op_parallelism_threads())
"""


def test_gradients_are_added_one_after_the_other():
    # 1 + 2^-24 stays 1 in float32; the other way round 2^-24 + 2^-24 = 2^-23 is added to 1.
    tiny = tf.constant(2.0**-24)
    assert added_in_order([tf.constant(1.0), tiny, tiny]).numpy() == 1.0
    assert added_in_order([tiny, tiny, tf.constant(1.0)]).numpy() == np.float32(1 + 2.0**-23)
    assert added_in_order([tiny]).numpy() == tiny.numpy()


def test_sparse_gradients_are_added_too():
    rows = [
        tf.IndexedSlices(tf.constant([[2.0]]), tf.constant([n]), tf.constant([3, 1]))
        for n in (0, 2)
    ]
    total = tf.convert_to_tensor(added_in_order(rows))
    assert total.numpy().tolist() == [[2.0], [0.0], [2.0]]


def test_a_process_that_has_used_tensorflow_is_refused():
    tf.constant(1.0)
    with pytest.raises(InputError, match=r"^--deterministic: TensorFlow has been used"):
        make_deterministic()


@pytest.mark.slow
def test_no_operation_adds_more_than_two(project):
    finished = subprocess.run(
        [sys.executable, "-c", SHARED_KERNEL],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert finished.stdout.split() == ["0", "True", "False", "1"]
