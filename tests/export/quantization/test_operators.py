from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from export import flatbuffer
from export.converter import convert_graph
from export.flatbuffer import code_of, schema
from export.quantization.operators import OPERATIONS, constant_of, operation_of
from ssd.errors import InputError

RNG = np.random.default_rng(5)


def constant(*shape: int) -> tf.Tensor:
    return tf.constant(RNG.normal(size=shape).astype(np.float32))


KERNEL, DEPTHWISE, DOUBLE = constant(3, 2, 5, 4), constant(3, 3, 5, 1), constant(2, 3, 5, 2)
BIAS = constant(4)

# What is computed of x [1, 8, 12, 5] -> the operators it becomes.
CASES = {
    "conv, same": (lambda x: tf.nn.relu6(tf.nn.conv2d(x, KERNEL, 2, "SAME") + BIAS), "CONV_2D"),
    "conv, valid": (lambda x: tf.nn.conv2d(x, KERNEL, [2, 1], "VALID"), "CONV_2D"),
    "conv, dilated": (lambda x: tf.nn.conv2d(x, KERNEL, 1, "SAME", dilations=[1, 2]), "CONV_2D"),
    "depthwise": (
        lambda x: tf.nn.relu(tf.nn.depthwise_conv2d(x, DEPTHWISE, [1, 2, 2, 1], "SAME")),
        "DEPTHWISE_CONV_2D",
    ),
    "depthwise, two of each": (
        lambda x: tf.nn.depthwise_conv2d(x, DOUBLE, [1, 1, 1, 1], "VALID"),
        "DEPTHWISE_CONV_2D",
    ),
    "add": (lambda x: x + x[:, ::-1, :, :], "ADD"),
    "sub": (lambda x: x - tf.constant([1.0, 2, 3, 4, 5]), "SUB"),
    "mul": (lambda x: x * tf.constant([1.0, 2, 3, 4, 5]), "MUL"),
    "reshape": (lambda x: tf.reshape(x, [1, -1, 4]), "RESHAPE"),
    "concat": (lambda x: tf.concat([x, 2.0 * x], axis=2), "CONCATENATION"),
    "slice": (lambda x: x[:, 1:7:2, :, 2:], "STRIDED_SLICE"),
    "slice of the one image": (lambda x: x[0:1, 1:7:2, :, 2:], "STRIDED_SLICE"),
    "nearest": (
        lambda x: tf.image.resize(x, [16, 24], method="nearest"),
        "RESIZE_NEAREST_NEIGHBOR",
    ),
    "bilinear": (lambda x: tf.image.resize(x, [12, 30]), "RESIZE_BILINEAR"),
    "pad": (lambda x: tf.pad(x, [[0, 0], [1, 2], [3, 0], [0, 0]]), "PAD"),
    "max pool": (lambda x: tf.nn.max_pool2d(x, [3, 2], [2, 1], "SAME"), "MAX_POOL_2D"),
    "average pool": (lambda x: tf.nn.avg_pool2d(x, [3, 2], 2, "SAME"), "AVERAGE_POOL_2D"),
    "relu": (tf.nn.relu, "RELU"),
    "relu6": (tf.nn.relu6, "RELU6"),
    "sigmoid": (tf.sigmoid, "LOGISTIC"),
    "softmax": (tf.nn.softmax, "SOFTMAX"),
}


class OneOutput(tf.Module):
    def __init__(self, compute) -> None:
        super().__init__()
        spec = tf.TensorSpec([1, 8, 12, 5], tf.float32, name="image")
        self.run = tf.function(lambda image: {"made": compute(image)}, input_signature=[spec])


def run_all(model, images: np.ndarray) -> np.ndarray:
    """Computes all operators of a file in TensorFlow, for a batch of any size."""
    values = {int(model.subgraphs[0].inputs[0]): tf.constant(images)}
    for operator in model.subgraphs[0].operators:
        inputs = [
            values[int(n)] if int(n) in values else constant_of(model, int(n))
            for n in operator.inputs
        ]
        operation = operation_of(model, operator)
        values[int(operator.outputs[0])] = operation(inputs, operator.builtinOptions)
    return values[int(model.subgraphs[0].outputs[0])].numpy()


@pytest.mark.parametrize(("compute", "kind"), CASES.values(), ids=CASES.keys())
def test_a_batch_of_two_is_what_the_file_gives_twice(compute, kind):
    data = convert_graph(OneOutput(compute))
    model = flatbuffer.unpack(data)
    kinds = [code_of(model, operator) for operator in model.subgraphs[0].operators]
    assert getattr(schema.BuiltinOperator, kind) in kinds
    images = np.random.default_rng(1).normal(size=(2, 8, 12, 5)).astype(np.float32)
    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner()
    expected = [runner(image=image[np.newaxis])["made"].copy() for image in images]
    np.testing.assert_allclose(run_all(model, images), np.concatenate(expected), atol=2e-5)


def test_every_operator_is_tried():
    codes = {getattr(schema.BuiltinOperator, kind) for _, kind in CASES.values()}
    assert codes == set(OPERATIONS)


def operator_of(code: int, function: int = 0):
    model = SimpleNamespace(
        operatorCodes=[SimpleNamespace(builtinCode=code, deprecatedBuiltinCode=0)]
    )
    options = SimpleNamespace(fusedActivationFunction=function)
    return model, SimpleNamespace(opcodeIndex=0, builtinOptions=options, outputs=[1])


@pytest.mark.parametrize(
    ("code", "function", "message"),
    [
        pytest.param("TANH", "NONE", "the network has a TANH, .* only ADD, .*, SUB; give", id="op"),
        pytest.param("ADD", "RELU_N1_TO_1", "has a ADD with RELU_N1_TO_1, which", id="function"),
    ],
)
def test_what_is_not_known_is_named(code, function, message):
    kinds, functions = schema.BuiltinOperator, schema.ActivationFunctionType
    with pytest.raises(InputError, match=message):
        operation_of(*operator_of(getattr(kinds, code), getattr(functions, function)))
