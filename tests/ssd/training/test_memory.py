from __future__ import annotations

import pytest
import tensorflow as tf

from ssd.standard_fields import InputFields
from ssd.training.learner import Learner
from ssd.training.memory import StepMemory, peak_bytes, step_memory


def graph_of(function, *shapes: tuple[int, ...]) -> list[tf.Operation]:
    specs = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
    traced = tf.function(function, autograph=False).get_concrete_function(*specs)
    return traced.graph.get_operations()


def test_a_chain_holds_two_neighbours():
    """[10, 4] x [4, 6] is 240 bytes, then 120, then 200: the last two are alive together."""

    def chain(x, first, second, third):
        return tf.matmul(tf.matmul(tf.matmul(x, first), second), third)

    assert peak_bytes(graph_of(chain, (10, 4), (4, 6), (6, 3), (3, 5))) == 240 + 120
    assert peak_bytes(graph_of(chain, (10, 4), (4, 3), (3, 5), (5, 20))) == 200 + 800


def test_what_is_needed_later_stays():
    def skipped(x, first, second):
        y = tf.matmul(x, first)  # 240
        z = tf.matmul(y, second)  # 200
        return tf.matmul(y, z, transpose_a=True)  # [6, 5]: 120

    assert peak_bytes(graph_of(skipped, (10, 4), (4, 6), (6, 5))) == 240 + 200 + 120


def test_an_activation_is_written_over_its_input_unless_that_is_needed():
    def once(x, weights):
        return tf.nn.relu(tf.matmul(x, weights))

    def twice(x, weights):
        y = tf.matmul(x, weights)
        return tf.matmul(tf.nn.relu(y), y, transpose_b=True)  # [10, 10]: 400

    assert peak_bytes(graph_of(once, (10, 4), (4, 6))) == 240
    assert peak_bytes(graph_of(twice, (10, 4), (4, 6))) == 240 + 240 + 400


def test_views_constants_and_variables_take_nothing():
    variable = tf.Variable(tf.ones([100, 100]))

    def views(x):
        shaped = tf.reshape(tf.identity(tf.matmul(x, x)), [4, 9])  # 144
        return tf.expand_dims(shaped, 0), variable + 0.0  # 40000

    assert peak_bytes(graph_of(views, (6, 6))) == 144 + 40000
    assert peak_bytes([]) == 0


def test_a_gradient_keeps_the_activations():
    """Three of [10, 6] going forward; sigmoid's gradient needs each."""

    def loss_gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.sigmoid(tf.sigmoid(tf.sigmoid(x)))
        return tape.gradient(y, x)

    # Each gradient then is written over the activation that it was the last to need.
    assert peak_bytes(graph_of(loss_gradient, (10, 6))) == 3 * 240


def test_bytes_of_a_batch():
    memory = StepMemory(fixed=100.0, per_image=7.0)
    assert [memory.of(n) for n in (1, 8)] == [107.0, 156.0]


def batch_spec(rows: int, height: int | None = 64) -> dict[str, tf.TensorSpec]:
    return {
        InputFields.image: tf.TensorSpec([rows, height, 96, 3], tf.float32),
        InputFields.groundtruth_boxes: tf.TensorSpec([rows, 3, 4], tf.float32),
        InputFields.groundtruth_classes_one_hot: tf.TensorSpec([rows, 3, 3], tf.float32),
        InputFields.groundtruth_weights: tf.TensorSpec([rows, 3], tf.float32),
        InputFields.source_id: tf.TensorSpec([rows], tf.string),
    }


@pytest.mark.slow
def test_a_step_grows_with_the_images(tiny_config):
    small = step_memory(Learner(tiny_config, seed=3), batch_spec(2))
    learner = Learner(tiny_config, seed=3)  # a second trace would have batches of any size
    large = step_memory(learner, batch_spec(8))
    weights = sum(v.numpy().nbytes for v in learner.detector.network.trainable_variables)
    assert small.fixed == large.fixed == 150e6 + weights
    # Constants and casts that do not grow count in the smaller batch's images.
    assert 0.5 * small.per_image < large.per_image < small.per_image
    # Images and the backbone's first maps at half their size, 16 channels, alone are more:
    assert large.per_image > 4 * (64 * 96 * 3 + 3 * 32 * 48 * 16)
    halves = step_memory(learner, batch_spec(8), num_replicas=2)  # traced already
    assert (halves.fixed, halves.per_image) == (large.fixed, large.per_image / 2)
    assert step_memory(learner, batch_spec(1, height=None)) is None


@pytest.mark.slow
def test_half_precision_takes_less(tiny_config):
    full, half = (
        step_memory(Learner(tiny_config, seed=3, precision=precision), batch_spec(8))
        for precision in ("float32", "mixed_bfloat16")
    )
    assert 0.5 * full.per_image < half.per_image < 0.8 * full.per_image


@pytest.mark.slow
def test_tracing_for_the_estimate_is_tracing_for_the_step(tiny_config):
    learner = Learner(tiny_config, seed=3)
    spec = batch_spec(2)
    step_memory(learner, spec)
    count = learner.train_step.experimental_get_tracing_count()
    batch = {key: tf.zeros(s.shape, s.dtype) for key, s in spec.items() if s.dtype != tf.string}
    learner.train_step({**batch, InputFields.source_id: tf.constant(["a", "b"])})
    assert (count, learner.train_step.experimental_get_tracing_count()) == (1, 1)
