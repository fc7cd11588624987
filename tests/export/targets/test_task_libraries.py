from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from export import flatbuffer, metadata, metadata_writer
from export.metadata_writer import Description
from export.targets import task_libraries

LABELS = ("bolt", "nut", "washer")


def problems(data: bytes) -> tuple[str, ...]:
    return task_libraries.check(data, "mediapipe").problems


def again(made, labels=LABELS) -> bytes:
    """The bare float file with metadata attached anew."""
    return metadata.attach(made["nms", "bare"], Description("x", "y"), labels)


def test_facts(made):
    found = task_libraries.check(made["nms", "int8"], "android-task")
    assert found.facts["input"] == "uint8"
    assert found.lines[0] == "uint8 input, 25 detections"


def test_no_metadata(made):
    (problem,) = problems(made["nms", "bare"])[-1:]
    assert problem.startswith("the file has no metadata, without which")


def test_float_input_without_normalization(made, monkeypatch):
    monkeypatch.setattr(metadata_writer, "NORMALIZATION_OPTIONS", 2)
    (problem,) = problems(again(made))
    assert problem.startswith("input 'image' is float32, but the metadata has no Normalization")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("IMAGE_PROPERTIES", 1, "does not say that the input is an image"),
        ("COLOR_SPACE_RGB", 2, "does not say that the input is RGB"),
        ("BOUNDING_BOX_PROPERTIES", 1, "output 'location' has no BoundingBoxProperties"),
        ("BOUNDING_BOX_BOUNDARIES", 2, "not of BOUNDARIES in RATIO"),
        ("COORDINATE_RATIO", 1, "not of BOUNDARIES in RATIO"),
        ("_LEFT_TOP_RIGHT_BOTTOM", (0, 1, 2, 3), r"reads boxes in the order [0, 1, 2, 3]"),
        ("OUTPUT_NAMES", ("boxes", "category", "score", "n"), "the outputs ['boxes', 'cat"),
        ("TENSOR_VALUE_LABELS", 1, "no labels for output 'category'"),
    ],
)
def test_wrong_metadata(made, monkeypatch, name, value, message):
    monkeypatch.setattr(metadata_writer, name, value)
    (problem,) = problems(again(made))
    assert message in problem
    assert "attach the metadata again" in problem


def test_too_few_labels(made):
    (problem,) = problems(again(made, LABELS[:2]))
    assert problem.startswith("the labels in the file have 2 lines for 3 classes; give --label-map")


def test_int8_input(made):
    """As a converter gives it when asked for int8 all over."""
    model = flatbuffer.unpack(again(made))
    graph = model.subgraphs[0]
    graph.tensors[int(graph.inputs[0])].type = schema.TensorType.INT8
    found = problems(flatbuffer.pack(model))
    assert found[0].startswith("input 'image' is int8; the library takes uint8 or float32")


def test_outputs_in_another_order(made):
    model = flatbuffer.unpack(again(made))
    graph = model.subgraphs[0]
    graph.outputs = np.array([graph.outputs[n] for n in (2, 0, 3, 1)], np.int32)
    found = problems(flatbuffer.pack(model))
    assert "outputs are scores [1, 25], boxes [1, 25, 4], count [1], classes [1, 25]" in found[0]


def test_raw_file(made):
    found = problems(made["raw", "none"])
    assert found[0].startswith("the file has no TFLite_Detection_PostProcess")


def test_regular_nms(made):
    (problem,) = problems(made["nms", "regular"])
    assert problem.startswith("regular NMS loses a class where it runs with several threads")
