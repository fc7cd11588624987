"""OpenVINO on raw files, read as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def openvino(consumer):
    return consumer("openvino")


def run(openvino, path: Path, images: np.ndarray, **settings: str) -> list[dict[str, np.ndarray]]:
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(str(path)), "CPU", settings)
    assert [port.any_name for port in compiled.inputs] == ["image"]
    outputs = []
    for image in images:
        values = compiled(image[np.newaxis])
        outputs.append({port.any_name: values[port].copy() for port in compiled.outputs})
    return outputs


@pytest.mark.parametrize("quantize", ["none", "float16"])
def test_same_boxes(openvino, exported, differences, quantize):
    path = exported.path("raw", quantize)
    # On processors that have it, OpenVINO computes float networks in bfloat16 unless told.
    outputs = run(openvino, path, exported.images, INFERENCE_PRECISION_HINT="f32")
    theirs = exported.decoded(path, outputs)
    assert differences(exported.ours("raw", quantize), theirs, max_score_error=1e-4) == []


def test_int8_file(openvino, steady, differences):
    """OpenVINO makes its own int8 kernels of such a file, which round otherwise in every layer.

    A layer's step more or less moves scores by a few steps and boxes by a pixel, as LiteRT's own
    reference kernels do against its fast ones. Four in five detections stay what they were, and AP
    what it was.
    """
    path = steady.path("raw", "int8")
    outputs = run(openvino, path, steady.pictures)
    assert {name: value.dtype for name, value in outputs[0].items()} == {
        "box_encodings": np.int8,
        "scores": np.int8,
    }
    ours, theirs = steady.ours("raw", "int8"), steady.decoded(path, outputs)
    total = sum(int((one.scores > 0.3).sum()) for one in (*ours, *theirs))
    assert len(differences(ours, theirs, min_iou=0.7, max_score_error=0.06)) <= total / 5


def test_the_form_nms_does_not_open(openvino, exported):
    """It has no TFLite_Detection_PostProcess; the day it has, this page of the docs changes."""
    with pytest.raises(RuntimeError):
        openvino.Core().read_model(str(exported.path("nms", "none")))
