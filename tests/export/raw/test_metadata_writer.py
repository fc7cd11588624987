from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from export.metadata_writer import Description
from export.raw import facts, files
from export.raw.metadata_writer import build
from ssd.tflite_metadata import METADATA_IDENTIFIER, Slots, Table
from ssd.tflite_raw import ssd_decode
from ssd.tflite_raw.ssd_decode import Decoding, Quantization

DECODING = Decoding(
    anchors=np.array([[0.5, 0.25, 0.75, 0.125], [0.0, 0.625, 0.375, 1.5]], np.float32),
    scale_factors=(10.0, 8.0, 5.0, 4.0),
    num_classes=3,
    score_threshold=0.25,
    iou_threshold=0.5,
    max_detections_per_class=7,
    max_total_detections=9,
    labels=("bolt", "nut", "washer"),
)
INT8 = dataclasses.replace(
    DECODING,
    box_quantization=Quantization(0.0625, 3),
    score_quantization=Quantization(0.00390625, -128),
)
DESCRIPTION = Description(name="small", description="Finds fasteners.", license="Apache-2.0")
_CUSTOM = 9  # field of a subgraph


def built(decoding: Decoding) -> tuple[bytes, Table, Table]:
    """The bytes, the model's table and its subgraph's."""
    data = build(DESCRIPTION, decoding, label_file="labels.txt", is_float_input=True)
    model = Table.root(data)
    (subgraph,) = model.tables(Slots.model["subgraphs"])
    return data, model, subgraph


def test_what_it_says():
    data, model, subgraph = built(DECODING)
    assert data[4:8] == METADATA_IDENTIFIER
    assert model.text(Slots.model["name"]) == "small"
    assert model.text(Slots.model["license"]) == "Apache-2.0"
    assert model.text(Slots.model["author"]) == ""
    (image,) = subgraph.tables(Slots.subgraph["inputs"])
    (unit,) = image.tables(Slots.tensor["process_units"])
    options = unit.table(Slots.process_unit["options"])
    assert options is not None
    assert options.floats(Slots.normalization["mean"]) == [127.5]
    location, score = subgraph.tables(Slots.subgraph["outputs"])
    assert location.text(Slots.tensor["name"]) == "location"
    assert score.text(Slots.tensor["name"]) == "score"
    (labels,) = score.tables(Slots.tensor["files"])
    assert labels.text(Slots.file["name"]) == "labels.txt"
    assert labels.int8(Slots.file["type"]) == 2  # TENSOR_AXIS_LABELS
    assert location.tables(Slots.tensor["files"]) == []


@pytest.mark.parametrize(("is_float", "ends"), [(True, ([-1.0], [1.0])), (False, ([0.0], [255.0]))])
def test_values_of_the_input(is_float, ends):
    data = build(DESCRIPTION, DECODING, label_file="l", is_float_input=is_float)
    (subgraph,) = Table.root(data).tables(Slots.model["subgraphs"])
    (image,) = subgraph.tables(Slots.subgraph["inputs"])
    stats = image.table(Slots.tensor["stats"])
    assert stats is not None
    assert (stats.floats(Slots.stats["min"]), stats.floats(Slots.stats["max"])) == ends


def test_decoding_options_of_mediapipe():
    data, _, subgraph = built(DECODING)
    (custom,) = subgraph.tables(_CUSTOM)
    assert custom.text(0) == "DETECTOR_METADATA"
    first = data.index(b"V001") - 4
    assert first % 16 == 0  # read in place
    options = Table.root(data[first:])
    schema = options.table(1).table(0)
    anchors = [[float32(anchor, n) for n in range(4)] for anchor in schema.tables(0)]
    # x center, y center, width, height
    assert anchors == [[0.25, 0.5, 0.125, 0.75], [0.625, 0.0, 1.5, 0.375]]
    tensors = options.table(2)
    assert [tensors.int32(n) for n in range(6)] == [3, 2, 4, 0, 0, 2]
    assert [float32(tensors, n) for n in range(6, 10)] == [8, 10, 4, 5]  # x, y, w, h
    assert (tensors.int8(10), tensors.int8(11)) == (1, 0)  # exponential, sigmoid


def float32(table: Table, slot: int) -> float:
    return float(np.array([table.int32(slot)], np.int32).view(np.float32)[0])


def test_int8_outputs_have_no_options():
    """MediaPipe refuses such outputs; the anchors would be weight without use."""
    data, _, subgraph = built(INT8)
    assert subgraph.tables(_CUSTOM) == []
    assert len(data) < 1200


MEDIAPIPE = """
import json, sys
import numpy as np
import mediapipe as mp
from mediapipe.tasks.python import vision
from mediapipe.tasks.python.core.base_options import BaseOptions

options = vision.ObjectDetectorOptions(
    base_options=BaseOptions(model_asset_path=sys.argv[1]), score_threshold=float(sys.argv[3])
)
try:
    detector = vision.ObjectDetector.create_from_options(options)
except ValueError as error:
    print(json.dumps({"refused": str(error)}))
    sys.exit()
with detector:
    pixels = np.load(sys.argv[2])
    found = detector.detect(mp.Image(image_format=mp.ImageFormat.SRGB, data=pixels)).detections
    print(json.dumps([
        [d.categories[0].category_name, d.categories[0].score, d.bounding_box.origin_y,
         d.bounding_box.origin_x, d.bounding_box.height, d.bounding_box.width]
        for d in found
    ]))
"""


def in_mediapipe(model: Path, image: np.ndarray, threshold: float):
    """What MediaPipe's ObjectDetector finds, in a process of its own: it ends on bad metadata."""
    pytest.importorskip("mediapipe", reason="no mediapipe: requirements/deploy.txt has it")
    np.save(model.with_suffix(".npy"), image)
    script = model.with_suffix(".py")
    script.write_text(MEDIAPIPE)
    given = [str(model), str(model.with_suffix(".npy")), str(threshold)]
    done = subprocess.run(
        [sys.executable, str(script), *given], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_mediapipe_opens_a_float_file(small_detector, raw_files, photos, run_raw, tmp_path):
    """It suppresses more, at its own IoU and across classes; what it keeps is what we find."""
    decoding = facts.decoding_of(small_detector, raw_files["float32"], DECODING.labels)
    model = tmp_path / "m.tflite"
    model.write_bytes(files.attach(raw_files["float32"], decoding, DESCRIPTION))
    height, width = 64, 96
    inside = 0
    for photo in np.rint(photos[:4]):
        found = in_mediapipe(model, photo.astype(np.uint8), 0.5)
        assert len(found) > 0
        outputs = run_raw(raw_files["float32"], photo)
        # Every anchor by its best class, nothing suppressed: what MediaPipe chooses from.
        every = dataclasses.replace(
            decoding, iou_threshold=1.0, max_detections_per_class=99, max_total_detections=99
        )
        ours = ssd_decode.decode(outputs["box_encodings"], outputs["scores"], every)
        for label, score, ymin, xmin, box_height, box_width in found:
            is_same = (np.array(decoding.labels)[ours.classes] == label) & (
                np.abs(ours.scores - score) < 1e-3
            )
            assert is_same.any()
            boxes = ours.boxes[is_same]
            if boxes.min() > 0 and boxes.max() < 1:  # MediaPipe moves boxes that stick out
                box = [ymin, xmin, ymin + box_height, xmin + box_width]
                pixels = boxes * [height, width, height, width]
                # Origins and sides are cut to whole pixels, so the far corner may lose two.
                assert np.abs(pixels - box).max(axis=1).min() < 2
                inside += 1
    assert inside > 3


@pytest.mark.slow
def test_mediapipe_refuses_int8_outputs(small_detector, raw_files, photos, tmp_path):
    decoding = facts.decoding_of(small_detector, raw_files["int8"], DECODING.labels)
    model = tmp_path / "m.tflite"
    model.write_bytes(files.attach(raw_files["int8"], decoding, DESCRIPTION))
    answer = in_mediapipe(model, photos[0].astype(np.uint8), 0.5)
    assert "UINT8 or FLOAT32, found INT8" in answer["refused"]
