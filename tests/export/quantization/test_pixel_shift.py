from __future__ import annotations

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from export import flatbuffer
from export.converter import convert_graph
from export.flatbuffer import Constants, operators_of
from export.network_graph import NetworkGraph
from export.quantization import int8
from export.quantization.activation_ranges import observe
from export.quantization.int8 import Int8Settings
from export.quantization.pixel_shift import center_pixels


def first_bias(model) -> np.ndarray:
    return Constants(model)[int(operators_of(model, "CONV_2D")[0].inputs[2])]


class OneConvolution(tf.Module):
    """A kernel [3, 2, 2, 2] that sums to 6 and -3, a bias of 0.5 and 0.25."""

    def __init__(self, *, reads_twice: bool = False) -> None:
        super().__init__()
        kernel = np.zeros((3, 2, 2, 2), np.float32)
        kernel[..., 0], kernel[..., 1] = 0.5, -0.25
        weights, bias = tf.constant(kernel), tf.constant([0.5, 0.25])

        @tf.function(input_signature=[tf.TensorSpec([1, 6, 8, 2], tf.float32, name="image")])
        def run(image: tf.Tensor) -> dict[str, tf.Tensor]:
            made = tf.nn.conv2d(image, weights, 1, "VALID") + bias
            return {"scores": made, "image_too": image * 2.0} if reads_twice else {"scores": made}

        self.run = run


def test_by_hand_and_undone():
    model = flatbuffer.unpack(convert_graph(OneConvolution()))
    center_pixels(model)
    # half a level is 0.5 / 127.5 = 0.00392157: 0.5 - 6 * it, 0.25 + 3 * it
    np.testing.assert_allclose(first_bias(model), [0.4764706, 0.2617647], atol=1e-6)
    center_pixels(model, undo=True)
    np.testing.assert_allclose(first_bias(model), [0.5, 0.25], atol=1e-6)


def test_an_image_that_goes_elsewhere_too_is_left_alone():
    model = flatbuffer.unpack(convert_graph(OneConvolution(reads_twice=True)))
    center_pixels(model)
    np.testing.assert_array_equal(first_bias(model), [0.5, 0.25])


def test_int8_gives_what_float_gives_on_average(small_detector, photos, monkeypatch):
    # Whole pixel values: nothing but the half level is between the two files' inputs.
    pixels = np.rint(photos[:8]).astype(np.uint8)
    network = convert_graph(NetworkGraph(small_detector, gives_logits=True))
    ranges = observe(network, lambda: (p[np.newaxis] / np.float32(127.5) - 1 for p in pixels))
    stem = int(flatbuffer.unpack(network).subgraphs[0].operators[0].outputs[0])
    name = flatbuffer.unpack(network).subgraphs[0].tensors[stem].name.decode()
    floats = stem_outputs(network, name, pixels / np.float32(127.5) - 1)

    def mean_error() -> np.ndarray:
        made = int8.quantize(network, ranges, Int8Settings())
        error = stem_outputs(made.data, name, pixels) - floats
        return np.abs(error.mean(axis=(0, 1, 2)))

    centered = mean_error()
    monkeypatch.setattr(int8, "center_pixels", lambda model: None)
    assert centered.mean() < 0.5 * mean_error().mean()


def stem_outputs(data: bytes, name: str, images: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(model_content=data, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    given = interpreter.get_input_details()[0]["index"]
    tensor = next(t for t in interpreter.get_tensor_details() if t["name"] == name)
    rows = []
    for image in images:
        interpreter.set_tensor(given, image[np.newaxis])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(tensor["index"])[0].astype(np.float32))
    scale, zero_point = tensor["quantization"]
    return (np.array(rows) - zero_point) * (scale or 1.0)
