from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from export.detection_op import center_size_anchors
from export.raw import facts
from ssd.core.box_coder import MeanStddevBoxCoder
from ssd.errors import GateError, InputError
from ssd.tflite_raw import ssd_decode

LABELS = ("bolt", "nut", "washer")


def test_decoding_of_a_float_file(small_detector, raw_files):
    decoding = facts.decoding_of(small_detector, raw_files["float32"], LABELS)
    anchors = center_size_anchors(small_detector.anchors)
    np.testing.assert_array_equal(decoding.anchors, anchors)
    assert decoding.scale_factors == (10, 8, 5, 4)
    assert (decoding.num_classes, decoding.labels) == (3, LABELS)
    assert (decoding.score_threshold, decoding.iou_threshold) == (0.1, 0.6)
    assert (decoding.max_detections_per_class, decoding.max_total_detections) == (20, 25)
    assert decoding.box_quantization is None is decoding.score_quantization
    assert [(n.rows, n.columns, len(n.sizes)) for n in decoding.levels] == [(4, 6, 2)]
    factors = (3.0, 0.5, 1.0, 2.0)
    rescaled = facts.decoding_of(small_detector, raw_files["float32"], LABELS, box_factors=factors)
    assert rescaled.scale_factors == (30, 4, 5, 8)
    fewer = facts.decoding_of(small_detector, raw_files["float32"], LABELS, max_detections=7)
    assert fewer.max_total_detections == 7


def test_quantization_of_an_int8_file(small_detector, raw_files):
    from ai_edge_litert.interpreter import Interpreter

    decoding = facts.decoding_of(small_detector, raw_files["int8"], LABELS)
    interpreter = Interpreter(model_content=raw_files["int8"])
    tensors = {d["name"]: d for d in interpreter.get_output_details()}
    assert {tensor["dtype"] for tensor in tensors.values()} == {np.int8}
    boxes, scores = (tensors[name]["quantization"] for name in ("box_encodings", "scores"))
    assert decoding.box_quantization == (pytest.approx(boxes[0], rel=1e-8), boxes[1])
    assert decoding.score_quantization == (pytest.approx(scores[0], rel=1e-8), scores[1])
    assert np.float32(decoding.box_quantization.scale) == np.float32(boxes[0])


@pytest.mark.parametrize("kind", ["float32", "int8"])
@pytest.mark.parametrize("has_levels", [True, False])
def test_json_comes_back(small_detector, raw_files, kind, has_levels):
    decoding = facts.decoding_of(small_detector, raw_files[kind], LABELS)
    if not has_levels:
        decoding = dataclasses.replace(decoding, levels=())
    text = facts.to_json(decoding, anchors_file="a.npy")
    files = {"a.npy": npy(decoding.anchors)}
    found = ssd_decode.parse(text, files.__getitem__)
    for field in dataclasses.fields(decoding):
        value, expected = getattr(found, field.name), getattr(decoding, field.name)
        if field.name == "anchors":
            np.testing.assert_allclose(value, expected, rtol=0, atol=1e-6)
        elif field.name.endswith("threshold"):
            assert np.float32(value) == np.float32(expected)
        else:
            assert value == expected, field.name
    assert ("a.npy" in text) is not has_levels
    assert json.loads(text)["box_encodings"]["values"] == ["ty", "tx", "th", "tw"]


def npy(array: np.ndarray) -> bytes:
    import io

    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "value"),
    [("use_class_agnostic_nms", True), ("soft_nms_sigma", 0.5), ("use_combined_nms", True)],
)
def test_other_kinds_of_suppression(small_detector, raw_files, monkeypatch, name, value):
    post_processor = small_detector.post_processor
    nms = dataclasses.replace(post_processor.nms, **{name: value})
    other = dataclasses.replace(post_processor, nms=nms)
    monkeypatch.setattr(small_detector, "post_processor", other)
    with pytest.raises(InputError, match=rf"batch_non_max_suppression\.{name} is {value}: raw"):
        facts.decoding_of(small_detector, raw_files["float32"], LABELS)


def test_another_box_coder(small_detector, raw_files, monkeypatch):
    monkeypatch.setattr(small_detector, "box_coder", MeanStddevBoxCoder())
    with pytest.raises(InputError, match=r"model\.ssd\.box_coder: .* not MeanStddevBoxCoder"):
        facts.decoding_of(small_detector, raw_files["float32"], LABELS)


def test_a_file_with_other_outputs(small_detector, raw_files):
    other = raw_files["float32"].replace(b"box_encodings", b"box_emcodings")
    with pytest.raises(GateError, match=r"outputs are .*box_emcodings.* a raw file has .*48, 4"):
        facts.decoding_of(small_detector, other, LABELS)
