from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from export import flatbuffer, tflite
from export.late_dequantize import dequantize_late
from export.tflite import TfliteConverter


def converter(detector, photos) -> TfliteConverter:
    return TfliteConverter(
        detector, lambda: iter((p[np.newaxis] / 127.5 - 1).astype(np.float32) for p in photos)
    )


def outputs_of(data: bytes, photo: np.ndarray) -> dict[str, np.ndarray]:
    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    return interpreter.get_signature_runner()(image=np.rint(photo[np.newaxis]).astype(np.uint8))


def dequantized_shapes(data: bytes) -> list[list[int]]:
    model = flatbuffer.unpack(data)
    tensors = model.subgraphs[0].tensors
    operators = flatbuffer.operators_of(model, "DEQUANTIZE")
    return sorted(tensors[int(o.outputs[0])].shape.tolist() for o in operators)


@pytest.fixture
def late(small_detector, photos) -> bytes:
    return converter(small_detector, photos).nms("int8").data


def test_detections_are_the_same_to_the_bit(late, small_detector, photos, monkeypatch):
    monkeypatch.setattr(tflite, "dequantize_late", lambda model: None)
    early = converter(small_detector, photos).nms("int8").data
    assert dequantized_shapes(early) == [[1, 48, 3], [1, 48, 4]]
    # Of 48 anchors with 3 classes all 144 pairs are looked at.
    assert dequantized_shapes(late) == [[1, 144, 4], [144]]
    for photo in photos[:8]:
        one, other = outputs_of(early, photo), outputs_of(late, photo)
        for name, value in one.items():
            np.testing.assert_array_equal(value, other[name])


def test_there_is_nothing_left_to_move(late):
    model = flatbuffer.unpack(late)
    dequantize_late(model)
    assert flatbuffer.pack(model) == late


@pytest.mark.parametrize("form", ["raw", "nms"])
def test_float_files_stay_as_they_are(small_detector, form):
    data = getattr(TfliteConverter(small_detector), form)().data
    model = flatbuffer.unpack(data)
    dequantize_late(model)
    assert flatbuffer.pack(model) == data


def test_what_the_file_gives_stays_float(small_detector, photos):
    """A network by itself: its outputs are dequantized and nobody reads them."""
    data = converter(small_detector, photos).int8_network().data
    before = dequantized_shapes(data)
    model = flatbuffer.unpack(data)
    dequantize_late(model)
    assert dequantized_shapes(flatbuffer.pack(model)) == before == [[1, 48, 3], [1, 48, 4]]
