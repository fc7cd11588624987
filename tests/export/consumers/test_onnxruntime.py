"""The ONNX file of the raw form in ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest

from export import flatbuffer, onnx_file
from ssd.errors import GateError, InputError


@pytest.fixture(scope="module")
def onnxruntime(consumer):
    for name in ("onnx", "tf2onnx"):
        consumer(name)
    return consumer("onnxruntime")


@pytest.fixture(scope="module")
def converted(onnxruntime, exported) -> bytes:
    raw = exported.path("raw", "none").read_bytes()
    images = [image[np.newaxis] for image in exported.images[:3]]
    return onnx_file.convert(raw, images, {"labels.txt": "\n".join(exported.labels)})


def test_same_boxes(onnxruntime, exported, differences, converted):
    session = onnxruntime.InferenceSession(converted, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    assert ([i.name for i in session.get_inputs()], names) == (
        ["image"],
        ["box_encodings", "scores"],
    )
    height, width = exported.pictures.shape[1:3]
    assert session.get_inputs()[0].shape == [1, height, width, 3]
    outputs = [
        dict(zip(names, session.run(names, {"image": image[np.newaxis]}), strict=True))
        for image in exported.images
    ]
    theirs = exported.decoded(exported.path("raw", "none"), outputs)
    assert differences(exported.ours("raw", "none"), theirs, max_score_error=1e-4) == []


def test_opset_and_texts_are_inside(onnxruntime, exported, converted):
    import onnx

    model = onnx.load_from_string(converted)
    assert [o.version for o in model.opset_import if o.domain == ""] == [17]
    assert {p.key: p.value.split("\n")[0] for p in model.metadata_props} == {
        "labels.txt": exported.labels[0]
    }


def test_other_values_are_noticed(onnxruntime, exported, converted):
    """The ONNX file of one network beside the .tflite of another: a kernel 1 % larger."""
    model = flatbuffer.unpack(exported.path("raw", "none").read_bytes())
    constants = flatbuffer.Constants(model)
    kernel = int(flatbuffer.operators_of(model, "CONV_2D")[0].inputs[1])
    constants[kernel] = constants[kernel] * 1.01
    with pytest.raises(GateError, match=r"^conversion to ONNX: box_encodings on noise 0 is off by"):
        onnx_file.require_same(flatbuffer.pack(model), converted, ())


def test_other_names_are_refused(onnxruntime, exported, monkeypatch):
    convert = onnx_file._converted

    def renamed(raw: bytes):
        model = convert(raw)
        model.graph.output[1].name = "Identity:0"
        return model

    monkeypatch.setattr(onnx_file, "_converted", renamed)
    with pytest.raises(
        GateError, match=r"are \['image', 'box_encodings', 'Identity:0'\], expected"
    ):
        onnx_file.convert(exported.path("raw", "none").read_bytes(), (), {})


def test_without_the_packages(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "onnx" else name)
    message = r"^--format onnx: onnx not installed; `pip install -r requirements/deploy\.txt`"
    with pytest.raises(InputError, match=message):
        onnx_file.require_packages()
