from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from export import flatbuffer
from export.converter import convert_graph
from export.network_graph import NetworkGraph
from export.quantization.box_columns import box_tensors, scale_box_columns

FACTORS = np.array([0.5, 2.0, 0.25, 3.0])


def outputs_of(data: bytes, image: np.ndarray) -> dict[str, np.ndarray]:
    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    return interpreter.get_signature_runner()(image=image)


@pytest.fixture
def network(small_detector) -> bytes:
    return convert_graph(NetworkGraph(small_detector, gives_logits=True))


def test_columns_are_multiplied_and_nothing_else(network, photos):
    image = photos[:1] / 127.5 - 1
    model = flatbuffer.unpack(network)
    scale_box_columns(model, FACTORS)
    before, after = outputs_of(network, image), outputs_of(flatbuffer.pack(model), image)
    np.testing.assert_allclose(
        after["box_encodings"], before["box_encodings"] * FACTORS, rtol=1e-5, atol=1e-6
    )
    np.testing.assert_array_equal(after["scores"], before["scores"])


class TwoLevels(tf.Module):
    """Two levels with one kernel for both, as a weight-shared predictor has them."""

    def __init__(self, *, clips: bool = False) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        kernel = tf.constant(rng.normal(size=(1, 1, 3, 8)).astype(np.float32))
        bias = tf.constant(np.arange(8, dtype=np.float32))

        def rows(x: tf.Tensor) -> tf.Tensor:
            return tf.reshape(tf.nn.conv2d(x, kernel, 1, "SAME") + bias, [1, -1, 4])

        @tf.function(input_signature=[tf.TensorSpec([1, 4, 6, 3], tf.float32, name="image")])
        def run(image: tf.Tensor) -> dict[str, tf.Tensor]:
            boxes = tf.concat([rows(image), rows(image[:, ::2, ::2])], axis=1)
            if clips:
                boxes = tf.clip_by_value(boxes, -1.0, 1.0)
            return {"box_encodings": boxes, "scores": tf.reduce_sum(image, axis=3)}

        self.run = run


def test_a_shared_kernel_is_multiplied_once():
    data = convert_graph(TwoLevels())
    image = np.random.default_rng(1).normal(size=(1, 4, 6, 3)).astype(np.float32)
    model = flatbuffer.unpack(data)
    scale_box_columns(model, FACTORS)
    before, after = outputs_of(data, image), outputs_of(flatbuffer.pack(model), image)
    np.testing.assert_allclose(
        after["box_encodings"], before["box_encodings"] * FACTORS, rtol=1e-5, atol=1e-6
    )


def test_a_head_that_gives_something_else_too_is_left_alone():
    class Tied(TwoLevels):
        def __init__(self) -> None:
            super().__init__()
            boxes = self.run

            @tf.function(input_signature=boxes.input_signature)
            def run(image: tf.Tensor) -> dict[str, tf.Tensor]:
                found = boxes(image)
                return {**found, "scores": tf.reduce_max(found["box_encodings"], axis=2)}

            self.run = run

    model = flatbuffer.unpack(convert_graph(Tied()))
    assert box_tensors(model) is None


def test_clipped_encodings_are_left_alone():
    model = flatbuffer.unpack(convert_graph(TwoLevels(clips=True)))
    assert box_tensors(model) is None
    before = flatbuffer.pack(model)
    scale_box_columns(model, FACTORS)
    assert flatbuffer.pack(model) == before
