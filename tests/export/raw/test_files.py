from __future__ import annotations

import dataclasses
import io
import zipfile

import numpy as np
import pytest

from export.metadata_writer import Description
from export.raw import facts, files
from ssd import tflite_file
from ssd.detect import detect
from ssd.standard_fields import DetectionFields
from ssd.tflite_predictor import TflitePredictor
from ssd.tflite_raw import ssd_decode

LABELS = ("bolt", "nut", "washer")
DESCRIPTION = Description(name="small", description="Finds fasteners.")


@pytest.fixture(params=["float32", "int8"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def decoding(small_detector, raw_files, kind):
    return facts.decoding_of(small_detector, raw_files[kind], LABELS)


@pytest.fixture
def model(raw_files, decoding, kind, tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(files.attach(raw_files[kind], decoding, DESCRIPTION))
    return path


def names_inside(path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        return archive.namelist()


def test_what_is_inside(model):
    assert names_inside(model) == ["labels.txt", "decoding.json"]
    with zipfile.ZipFile(model) as archive:
        assert archive.read("labels.txt") == b"bolt\nnut\nwasher\n"
    inside = tflite_file.read(model)
    assert [tensor.name for tensor in inside.outputs] == ["location", "score"]
    assert (inside.inputs[0].mean, inside.inputs[0].std) == (127.5, 127.5)


def test_the_same_model_is_the_same_file(raw_files, decoding, kind, model):
    again = files.attach(raw_files[kind], decoding, DESCRIPTION)
    assert again == model.read_bytes()
    assert names_inside(io.BytesIO(files.attach(again, decoding, DESCRIPTION)))


def test_the_predictor_needs_only_the_file(model, raw_files, kind, decoding, photos, run_raw):
    predictor = TflitePredictor(model)
    assert predictor.label_map.display_names == LABELS
    assert predictor.image_size == (64, 96)
    for photo in np.rint(photos[:4]):
        found = predictor(photo[np.newaxis])
        outputs = run_raw(raw_files[kind], photo)
        expected = ssd_decode.decode(outputs["box_encodings"], outputs["scores"], decoding)
        count = expected.num_detections
        assert found[DetectionFields.num_detections].tolist() == [count]
        row = {name: value[0] for name, value in found.items()}
        assert row[DetectionFields.detection_boxes].shape == (25, 4)
        np.testing.assert_allclose(
            row[DetectionFields.detection_boxes][:count], expected.boxes, atol=1e-6
        )
        np.testing.assert_array_equal(
            row[DetectionFields.detection_classes][:count], expected.classes + 1
        )
        np.testing.assert_allclose(
            row[DetectionFields.detection_scores][:count], expected.scores, atol=1e-6
        )
        assert not row[DetectionFields.detection_scores][count:].any()
        assert count > 5


def test_it_detects_what_the_detector_detects(model, kind, small_detector, photos):
    predictor, image = TflitePredictor(model), np.rint(photos[7])
    expected = small_detector.postprocess(
        small_detector.predict(small_detector.preprocess(image[np.newaxis]))
    )
    count = int(expected[DetectionFields.num_detections][0])
    found = detect(predictor, image.astype(np.uint8))
    scores = expected[DetectionFields.detection_scores].numpy()[0, :count]
    # An int8 file's scores are steps of 1 / 256 of those of an int8 network.
    assert abs(len(found) - count) <= (0 if kind == "float32" else 3)
    best = scores[:5]
    np.testing.assert_allclose(
        [detection["score"] for detection in found[:5]],
        best,
        atol=1e-4 if kind == "float32" else 0.03,
    )
    assert {detection["class"] for detection in found} <= set(LABELS)


def test_the_tensors_quantization_goes_before_the_facts(
    raw_files, decoding, model, tmp_path, photos
):
    unsaid = dataclasses.replace(decoding, box_quantization=None, score_quantization=None)
    kind = "int8" if decoding.box_quantization else "float32"
    path = tmp_path / "unsaid.tflite"
    path.write_bytes(files.attach(raw_files[kind], unsaid, DESCRIPTION))
    one, other = TflitePredictor(path)(photos[:1]), TflitePredictor(model)(photos[:1])
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name])


def test_anchors_without_levels(raw_files, decoding, kind, tmp_path, model, photos):
    scattered = dataclasses.replace(decoding, levels=())
    path = tmp_path / "scattered.tflite"
    path.write_bytes(files.attach(raw_files[kind], scattered, DESCRIPTION))
    assert names_inside(path) == ["labels.txt", "decoding.json", "anchors.npy"]
    np.testing.assert_array_equal(ssd_decode.load(path).anchors, decoding.anchors)
    one, other = TflitePredictor(path)(photos[:1]), TflitePredictor(model)(photos[:1])
    for name, value in one.items():
        np.testing.assert_allclose(value, other[name], atol=1e-6)


def test_side_files(decoding, kind, tmp_path):
    beside = files.side_files(decoding, "m")
    python = {"m_decoding.json", "m_anchors.npy", "ssd_decode.py"}
    c = {"m_decoding.h", "ssd_decode.c", "ssd_decode.h"} if kind == "int8" else set()
    assert beside.keys() == python | c
    for name, content in beside.items():
        (tmp_path / name).write_bytes(content)
    np.testing.assert_array_equal(np.load(tmp_path / "m_anchors.npy"), decoding.anchors)
    loaded = ssd_decode.load(tmp_path / "m_decoding.json")
    assert loaded.labels == LABELS
    np.testing.assert_allclose(loaded.anchors, decoding.anchors, atol=1e-6)
    scattered = dataclasses.replace(decoding, levels=())
    (tmp_path / "m_decoding.json").write_bytes(files.side_files(scattered, "m")["m_decoding.json"])
    exact = ssd_decode.load(tmp_path / "m_decoding.json")
    np.testing.assert_array_equal(exact.anchors, decoding.anchors)


def test_the_copied_decoder_runs_alone(decoding, tmp_path):
    """As a person runs it: the files of the export in a folder, and nothing of this project."""
    import subprocess
    import sys

    for name, content in files.side_files(decoding, "m").items():
        (tmp_path / name).write_bytes(content)
    code = (
        "import numpy as np, ssd_decode, sys\n"
        "d = ssd_decode.load('m_decoding.json')\n"
        "found = ssd_decode.decode(np.zeros((48, 4), np.float32),\n"
        "                          np.full((48, 3), 0.5, np.float32), d)\n"
        "assert 'ssd' not in sys.modules\n"
        "print(found.num_detections, d.labels[found.classes[0]])\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env={}, check=True, capture_output=True, text=True)
    assert done.stdout == "25 bolt\n"
