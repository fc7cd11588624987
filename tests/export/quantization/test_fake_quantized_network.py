from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from export import flatbuffer
from export.converter import convert_graph
from export.flatbuffer import Constants, operators_of
from export.network_graph import NetworkGraph
from export.quantization import int8
from export.quantization.activation_ranges import observe
from export.quantization.box_columns import scale_box_columns
from export.quantization.fake_quantized_network import (
    FakeQuantizedNetwork,
    as_pixels,
    on_channel_steps,
    on_grid,
)
from export.quantization.grids import Grid, dequantized, pair_operators
from export.quantization.int8 import Int8Network, Int8Settings
from export.quantization.pixel_shift import center_pixels
from export.quantization.weight_rounding import round_depthwise_kernels


@pytest.fixture
def network(small_detector) -> bytes:
    return convert_graph(NetworkGraph(small_detector, gives_logits=True))


@pytest.fixture
def images(photos) -> np.ndarray:
    return (np.rint(photos[:6]) / np.float32(127.5) - 1).astype(np.float32)


@pytest.fixture
def made(network, images) -> Int8Network:
    return int8.quantize(
        network, observe(network, lambda: (i[None] for i in images)), Int8Settings()
    )


def as_quantized(network: bytes, made: Int8Network, float_tensors: tuple[str, ...] = ()) -> bytes:
    """The float network as `int8.quantize` hands it to the quantizer."""
    model = flatbuffer.unpack(network)
    round_depthwise_kernels(model, float_tensors)
    center_pixels(model)
    scale_box_columns(model, np.array(made.box_factors))
    return flatbuffer.pack(model)


def outputs_of(data: bytes, images: np.ndarray) -> dict[str, np.ndarray]:
    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    if interpreter.get_input_details()[0]["dtype"] == np.uint8:
        images = np.rint((images + 1) * 127.5).astype(np.uint8)
    runner = interpreter.get_signature_runner()
    rows = [{k: v.copy() for k, v in runner(image=image[None]).items()} for image in images]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def test_without_rounding_it_is_the_float_file(network, made, images):
    found = FakeQuantizedNetwork(network, made.data)(tf.constant(images), quantized=False)
    expected = outputs_of(network, images)
    assert sorted(found) == sorted(expected) == ["box_encodings", "scores"]
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-4)


def test_with_rounding_it_is_the_int8_file(network, made, images):
    fake = FakeQuantizedNetwork(as_quantized(network, made), made.data)
    found = fake(tf.constant(images), quantized=True)
    given, floats = outputs_of(made.data, images), outputs_of(network, images)
    floats["box_encodings"] = np.clip(floats["box_encodings"] * made.box_factors, -1, 1)
    for name, values in given.items():
        distance = np.sqrt(np.mean((found[name] - values) ** 2))
        # The two round alike but for ties, and biases that int8 files round too.
        assert distance < 0.35 * np.sqrt(np.mean((floats[name] - values) ** 2))


def test_a_layer_left_in_float_is_not_rounded(network, images):
    names = [t.name.decode() for t in flatbuffer.unpack(network).subgraphs[0].tensors]
    operators = flatbuffer.unpack(network).subgraphs[0].operators
    tensors = tuple(names[int(operator.outputs[0])] for operator in operators)
    ranges = observe(network, lambda: (i[None] for i in images))
    made = int8.quantize(network, ranges, Int8Settings(float_tensors=tensors))
    fake = FakeQuantizedNetwork(as_quantized(network, made, tensors), made.data)
    found, expected = fake(tf.constant(images), quantized=True), outputs_of(made.data, images)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-4)
    assert all(weight.channel_axis is None for weight in fake.weights)


def test_written_kernels_are_those_of_the_next_int8_file(network, made, images):
    fake = FakeQuantizedNetwork(network, made.data)
    rng = np.random.default_rng(0)
    for weight in fake.weights:
        values = weight.variable.numpy()
        noise = rng.normal(0, 0.02, values.shape) * weight.unit
        weight.variable.assign((values + noise).astype(np.float32))
    written = fake.to_bytes()
    ranges = observe(written, lambda: (i[None] for i in images))
    again = int8.quantize(written, ranges, Int8Settings())
    model, int8_model = flatbuffer.unpack(written), flatbuffer.unpack(again.data)
    scale_box_columns(model, np.array(again.box_factors))
    constants = Constants(model)
    for pair in pair_operators(model, int8_model):
        if pair.has_int8_kernel:
            kernel = constants[int(pair.float_operator.inputs[1])]
            np.testing.assert_allclose(
                dequantized(int8_model, int(pair.int8_operator.inputs[1])),
                kernel,
                rtol=1e-4,
                atol=1e-6,
            )
    # What it gives in float is what was trained, but for the rounding of kernels.
    assert len(operators_of(model, "CONV_2D")) == 3


class SharedHead(tf.Module):
    """Two levels with one kernel and one bias."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        kernel, bias = rng.normal(size=(1, 1, 3, 8)), rng.normal(size=8)
        kernel, bias = (tf.constant(one.astype(np.float32)) for one in (kernel, bias))

        def rows(x: tf.Tensor) -> tf.Tensor:
            return tf.reshape(tf.nn.conv2d(x, kernel, 1, "SAME") + bias, [1, -1, 4])

        @tf.function(input_signature=[tf.TensorSpec([1, 4, 6, 3], tf.float32, name="image")])
        def run(image: tf.Tensor) -> dict[str, tf.Tensor]:
            boxes = tf.concat([rows(image), rows(image[:, ::2, ::2])], axis=1)
            scores = tf.reshape(tf.nn.relu(image), [1, 24, 3])
            return {"box_encodings": boxes, "scores": tf.concat([scores, scores[:, :36]], axis=1)}

        self.run = run


def test_a_shared_weight_is_one_variable():
    network = convert_graph(SharedHead())
    images = np.random.default_rng(1).uniform(-1, 1, (3, 4, 6, 3)).astype(np.float32)
    ranges = observe(network, lambda: (i[None] for i in images))
    fake = FakeQuantizedNetwork(network, int8.quantize(network, ranges, Int8Settings()).data)
    assert sorted(weight.variable.shape.as_list() for weight in fake.weights) == [[8], [8, 1, 1, 3]]
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(fake(tf.constant(images), quantized=True)["box_encodings"])
    gradients = tape.gradient(total, [weight.variable for weight in fake.weights])
    assert all(np.abs(gradient).max() > 0 for gradient in gradients)


def test_a_kernel_on_its_steps():
    # channel 0: step 1.27 / 127 = 0.01; channel 1: 254 / 127 = 2; channel 2: nothing to round
    kernel = np.array([[[1.27, 0.034, -0.126]], [[254.0, 3.2, -5.1]], [[0.0, 0.0, 0.0]]])
    variable = tf.Variable(kernel.astype(np.float32)[:, np.newaxis])  # [3, 1, 1, 3]
    with tf.GradientTape() as tape:
        rounded = on_channel_steps(variable, 0)
        total = tf.reduce_sum(rounded * 3.0)
    np.testing.assert_allclose(
        rounded[:, 0, 0], [[1.27, 0.03, -0.13], [254, 4, -6], [0, 0, 0]], rtol=1e-6
    )
    np.testing.assert_array_equal(tape.gradient(total, variable), np.full((3, 1, 1, 3), 3.0))


def test_a_depthwise_kernel_has_its_channels_last():
    kernel = np.array([[12.7, 254.0], [0.34, -3.2]], np.float32).reshape(1, 2, 1, 2)
    np.testing.assert_allclose(
        np.ravel(on_channel_steps(tf.constant(kernel), 3)), [12.7, 254, 0.3, -4], rtol=1e-6
    )


def test_values_on_a_grid():
    # (q + 28) * 0.5: from -50 to 77.5
    values = tf.Variable([-50.3, -50.0, 0.2, 0.3, 7.74, 77.5, 80.0])
    with tf.GradientTape() as tape:
        rounded = on_grid(values, Grid(0.5, -28))
        total = tf.reduce_sum(rounded)
    np.testing.assert_allclose(rounded, [-50, -50, 0, 0.5, 7.5, 77.5, 77.5])
    np.testing.assert_array_equal(tape.gradient(total, values), [0, 1, 1, 1, 1, 1, 0])


def test_pixels_are_read_half_a_level_too_bright():
    levels = np.array([0.0, 100.0, 254.0, 255.0])
    read = as_pixels(tf.constant(levels / 127.5 - 1, tf.float32), Grid(1 / 127.5, -1))
    np.testing.assert_allclose(read, (levels - 127) / 127.5, atol=1e-6)
