from __future__ import annotations

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from export import flatbuffer
from export.converter import convert_graph
from export.flatbuffer import Constants, operators_of
from export.quantization.biases import own_bias, own_biases


class ThreeConvolutions(tf.Module):
    """Two without a bias, for which the file has zeros once; one with 1, 2, 3."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        first, second, third = (
            tf.constant(rng.normal(size=(2, 1, 3, 3)).astype(np.float32)) for _ in range(3)
        )

        @tf.function(input_signature=[tf.TensorSpec([1, 6, 4, 3], tf.float32, name="image")])
        def run(image: tf.Tensor) -> dict[str, tf.Tensor]:
            made = tf.nn.conv2d(tf.nn.conv2d(image, first, 1, "SAME"), second, 1, "SAME")
            return {"made": tf.nn.conv2d(made, third, 1, "SAME") + tf.constant([1.0, 2.0, 3.0])}

        self.run = run


def biases_of(model) -> list[np.ndarray]:
    constants = Constants(model)
    return [constants[int(o.inputs[2])] for o in operators_of(model, "CONV_2D")]


def test_a_shared_bias_is_changed_for_one_layer_only():
    data = convert_graph(ThreeConvolutions())
    model = flatbuffer.unpack(data)
    first, second, third = operators_of(model, "CONV_2D")
    assert first.inputs[2] == second.inputs[2]
    Constants(model)[own_bias(model, first)] = np.array([4.0, 5.0, 6.0], np.float32)
    np.testing.assert_array_equal(biases_of(model), [[4, 5, 6], [0, 0, 0], [1, 2, 3]])
    number = int(third.inputs[2])
    assert own_bias(model, third) == number  # nobody else reads it


def test_all_are_apart_and_the_file_gives_the_same():
    data = convert_graph(ThreeConvolutions())
    model = flatbuffer.unpack(data)
    own_biases(model)
    buffers = [
        model.subgraphs[0].tensors[int(o.inputs[2])].buffer for o in operators_of(model, "CONV_2D")
    ]
    assert len(set(buffers)) == 3
    num_tensors = len(model.subgraphs[0].tensors)
    own_biases(model)
    assert len(model.subgraphs[0].tensors) == num_tensors
    image = np.random.default_rng(1).normal(size=(1, 6, 4, 3)).astype(np.float32)
    made = []
    for one in (data, flatbuffer.pack(model)):
        interpreter = Interpreter(model_content=one)
        interpreter.allocate_tensors()
        made.append(interpreter.get_signature_runner()(image=image)["made"])
    np.testing.assert_array_equal(*made)


def test_without_a_bias():
    model = flatbuffer.unpack(convert_graph(ThreeConvolutions()))
    operator = operators_of(model, "CONV_2D")[0]
    operator.inputs = operator.inputs[:2]
    assert own_bias(model, operator) is None
