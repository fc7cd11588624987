from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from export import flatbuffer
from export.converter import convert_graph
from export.detection_graph import DetectionGraph
from export.detection_op import DetectionOpOptions, options_of
from export.join import join
from export.network_graph import NetworkGraph
from ssd import tflite_file
from ssd.errors import GateError
from ssd.tflite_file import DETECTION_OUTPUTS


@pytest.fixture(scope="module")
def plain() -> bytes:
    """A .tflite without the detection op: two outputs, one convolution of 3*3*3*4 weights."""
    kernel = tf.constant(np.random.default_rng(0).normal(size=(3, 3, 3, 4)), tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([1, 8, 12, 3])])
    def call(image):
        maps = tf.nn.conv2d(image, kernel, 1, "SAME")
        return maps, tf.reduce_max(maps)

    return tf.lite.TFLiteConverter.from_concrete_functions(
        [call.get_concrete_function()], call
    ).convert()


@pytest.fixture(scope="module")
def converted(_shared_small_detector) -> bytes:
    """Network and detection op of the small detector, as they come from the converter."""
    detector, _ = _shared_small_detector
    network = convert_graph(NetworkGraph(detector, gives_logits=False))
    end = DetectionGraph(detector, options_of(detector), is_class_wise=False)
    return join(network, convert_graph(end))


def put_in_order(data: bytes, options: DetectionOpOptions) -> bytes:
    return flatbuffer.put_in_order(data, DETECTION_OUTPUTS, options)


def check(data: bytes, *, quantize: str = "none", num_weights: int = 1) -> None:
    flatbuffer.check(data, quantize=quantize, num_weights=num_weights, has_detection_op=True)


def buffer_offsets(data: bytes) -> list[int]:
    """Where the bytes of every constant begin."""
    model, base = schema.Model.GetRootAs(data), np.frombuffer(data, np.uint8)
    first = base.__array_interface__["data"][0]
    buffers = [model.Buffers(n) for n in range(model.BuffersLength())]
    return [
        buffer.DataAsNumpy().__array_interface__["data"][0] - first
        for buffer in buffers
        if buffer.DataLength()
    ]


def test_names_order_and_options(converted, small_detector):
    options = dataclasses.replace(options_of(small_detector), use_regular_nms=True)
    data = put_in_order(converted, options)
    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    outputs = interpreter.get_output_details()
    assert [d["name"] for d in outputs] == ["boxes", "classes", "scores", "count"]
    assert [d["shape"].tolist() for d in outputs] == [[1, 25, 4], [1, 25], [1, 25], [1]]
    assert [d["name"] for d in interpreter.get_input_details()] == ["image"]
    (signature,) = interpreter.get_signature_list().values()
    assert signature["inputs"] == ["image"]
    assert sorted(signature["outputs"]) == ["boxes", "classes", "count", "scores"]
    runner = interpreter.get_signature_runner().get_output_details()
    assert {name: d["index"] for name, d in runner.items()} == {
        d["name"]: d["index"] for d in outputs
    }
    # The converter itself leaves detections_per_class out.
    assert "detections_per_class" not in tflite_file.parse(converted).detection_options
    assert tflite_file.parse(data).detection_options == pytest.approx(dataclasses.asdict(options))


def test_order_does_not_change_what_is_detected(converted, small_detector, photos):
    data = put_in_order(converted, options_of(small_detector))
    found = []
    for content in (converted, data):
        interpreter = Interpreter(model_content=content)
        interpreter.allocate_tensors()
        outputs = interpreter.get_signature_runner()(image=photos[:1] / 127.5 - 1)
        found.append(outputs)
    assert found[0]["count"][0] > 0
    for name in ("boxes", "classes", "scores", "count"):
        np.testing.assert_array_equal(found[0][name], found[1][name])


def test_constants_are_aligned(converted, small_detector):
    offsets = buffer_offsets(put_in_order(converted, options_of(small_detector)))
    assert len(offsets) > 8
    assert not [offset for offset in offsets if offset % 16]


def test_a_file_in_order_stays_as_it_is(converted, small_detector):
    options = options_of(small_detector)
    once = put_in_order(converted, options)
    assert put_in_order(once, options) == once


def test_file_without_the_op_is_refused(converted, plain, small_detector):
    with pytest.raises(GateError, match=r"gives \{.*\}, expected boxes, classes, scores, count"):
        put_in_order(plain, options_of(small_detector))
    with pytest.raises(GateError, match=r"0 TFLite_Detection_PostProcess ops in 1 subgraphs"):
        check(plain)
    flatbuffer.check(plain, quantize="none", num_weights=108, has_detection_op=False)


def test_one_tensor_for_two_outputs_is_refused(converted, small_detector):
    model = flatbuffer.unpack(converted)
    outputs = model.signatureDefs[0].outputs
    outputs[1].tensorIndex = outputs[0].tensorIndex
    with pytest.raises(GateError, match=r"the file gives"):
        put_in_order(flatbuffer.pack(model), options_of(small_detector))


@pytest.mark.parametrize(
    ("quantize", "num_weights", "needed"),
    [
        pytest.param("none", 2000, 8000, id="float32"),
        pytest.param("float16", 4000, 8000, id="float16"),
        pytest.param("int8", 9000, 9000, id="int8"),
    ],
)
def test_lost_weights_are_noticed(converted, quantize, num_weights, needed):
    with pytest.raises(GateError, match=rf"\d+ bytes of constants, .* need {needed};"):
        check(converted, quantize=quantize, num_weights=num_weights)


def test_frozen_graph_loses_the_op_and_is_refused(small_detector):
    """Freezing first inlines the stand-in: the converter is content with a file of constants."""
    graph = DetectionGraph(small_detector, options_of(small_detector), is_class_wise=True)
    frozen = convert_variables_to_constants_v2(graph.run.get_concrete_function())
    data = tf.lite.TFLiteConverter.from_concrete_functions([frozen]).convert()
    with pytest.raises(GateError, match=r"0 TFLite_Detection_PostProcess ops"):
        check(data)


def test_untracked_variables_are_refused(small_detector):
    """A module that does not hold the variables converts, to reads of variables nobody sets."""
    graph = NetworkGraph(small_detector, gives_logits=True)
    del graph.tracked
    graph.network = small_detector.network
    with pytest.raises(GateError, match=r"reads variables \((READ_VARIABLE|VAR_HANDLE)"):
        flatbuffer.check(
            convert_graph(graph), quantize="none", num_weights=1, has_detection_op=False
        )


def test_float_input_is_no_int8_file(converted):
    with pytest.raises(GateError, match=r"does not take uint8"):
        check(converted, quantize="int8", num_weights=1)
