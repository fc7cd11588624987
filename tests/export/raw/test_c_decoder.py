"""ssd_decode.c against ssd_decode.py."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import export.raw
from export.raw import c_header, facts
from ssd.tflite_raw.ssd_decode import Decoding, Quantization, decode

ROOM = Path(export.raw.__file__).parent
HERE = Path(__file__).parent
STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
SANITIZED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g")
F = np.float32

Run = Callable[..., tuple[int, np.ndarray]]


def compiled(output: Path, *arguments: str) -> Path:
    """The program of ssd_decode.c and whatever the arguments name; skips without a compiler."""
    if shutil.which("cc") is None:
        pytest.skip("no cc: C is not compiled here")
    command = ["cc", "-std=c99", *STRICT, *SANITIZED, f"-I{ROOM}", *arguments]
    done = subprocess.run(
        [*command, str(ROOM / "ssd_decode.c"), "-lm", "-o", str(output)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return output


@pytest.fixture(scope="module")
def run_c(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Decodes in C; returns how many scores passed, and rows of class, score, box."""
    path = tmp_path_factory.mktemp("c") / "decode_any"
    program = compiled(path, str(HERE / "decode_any.c"))

    def run(
        encodings: np.ndarray,
        scores: np.ndarray,
        decoding: Decoding,
        capacity: int = 2000,
        max_detections: int = 1000,
    ) -> tuple[int, np.ndarray]:
        box, score = decoding.box_quantization, decoding.score_quantization
        whole = [
            *(len(decoding.anchors), decoding.num_classes),
            *(decoding.max_detections_per_class, decoding.max_total_detections),
            *(box.zero_point, score.zero_point),
        ]
        thresholds = decoding.score_threshold, decoding.iou_threshold
        reals = [box.scale, score.scale, *decoding.scale_factors, *thresholds]
        given = [
            np.array(whole, np.int32),
            np.array(reals, F),
            np.array([capacity, max_detections], np.uint32),
            *(decoding.anchors, encodings, scores),
        ]
        done = subprocess.run(
            [str(program)],
            input=b"".join(np.ascontiguousarray(part).tobytes() for part in given),
            check=True,
            capture_output=True,
        )
        first, *rest = done.stdout.decode().splitlines()
        return int(first), np.array([row.split() for row in rest], np.float64).reshape(-1, 6)

    return run


def assert_same(found: np.ndarray, expected) -> None:
    assert len(found) == expected.num_detections
    np.testing.assert_array_equal(found[:, 0], expected.classes)
    np.testing.assert_array_equal(found[:, 1].astype(F), expected.scores)
    # expf and NumPy's exp may differ in the last digit.
    np.testing.assert_allclose(found[:, 2:], expected.boxes, atol=1e-6)


def random_model(seed: int, num_anchors: int = 150, num_classes: int = 3, **changes) -> tuple:
    """Crowded boxes, some outside the image; int8 encodings and scores, all four scales unlike."""
    rng = np.random.default_rng(seed)
    anchors = np.concatenate(
        [rng.uniform(-0.2, 1.2, (num_anchors, 2)), rng.uniform(0.1, 0.5, (num_anchors, 2))], 1
    )
    decoding = Decoding(
        anchors=anchors.astype(F),
        scale_factors=(10.0, 8.0, 5.0, 4.0),
        num_classes=num_classes,
        score_threshold=0.3,
        iou_threshold=0.35,
        max_detections_per_class=9,
        max_total_detections=20,
        box_quantization=Quantization(0.071, 11),
        score_quantization=Quantization(0.00390625, -128),
    )
    encodings = rng.integers(-100, 100, (num_anchors, 4)).astype(np.int8)
    scores = rng.integers(-128, 128, (num_anchors, num_classes)).astype(np.int8)
    return encodings, scores, dataclasses.replace(decoding, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="as it is"),
        pytest.param({"num_classes": 1}, id="one class"),
        pytest.param({"max_detections_per_class": 1}, id="one of each class"),
        pytest.param({"max_total_detections": 500}, id="many"),
        pytest.param({"iou_threshold": 0.0}, id="no overlap at all"),
        pytest.param({"iou_threshold": 1.0, "max_detections_per_class": 400}, id="every overlap"),
        pytest.param({"score_threshold": 1e-8}, id="low threshold"),
        pytest.param({"score_quantization": Quantization(0.0061, 40)}, id="another zero point"),
    ],
)
@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_random_outputs(run_c, seed, changes):
    encodings, scores, decoding = random_model(seed, **changes)
    num_passing, found = run_c(encodings, scores, decoding)
    expected = decode(encodings, scores, decoding)
    assert expected.num_detections > 0
    assert_same(found, expected)
    scale, zero_point = decoding.score_quantization
    real = (scores.astype(F) - F(zero_point)) * F(scale)
    assert num_passing == np.count_nonzero(real > F(decoding.score_threshold))


@pytest.mark.parametrize("threshold", [0.99609375, 1.0, 7.0])
def test_none_passes(run_c, threshold):
    """(127 + 128) / 256 = 0.99609375 is the highest score; equal does not pass."""
    encodings, scores, decoding = random_model(4, score_threshold=threshold)
    scores[:] = 127
    num_passing, found = run_c(encodings, scores, decoding)
    assert (num_passing, len(found)) == (0, 0)
    assert decode(encodings, scores, decoding).num_detections == 0


@pytest.mark.parametrize("capacity", [0, 1, 2, 7, 40, 299])
def test_more_pass_than_there_is_room_for(run_c, capacity):
    """The first of them in the order of the detections take part."""
    encodings, scores, decoding = random_model(5, score_threshold=0.1)
    num_passing, found = run_c(encodings, scores, decoding, capacity=capacity)
    assert num_passing > 300
    assert_same(found, decode(encodings, scores, decoding, max_candidates=capacity))


@pytest.mark.parametrize("capacity", [30, 2000])
@pytest.mark.parametrize("values", [(100,), (90, 100), (-60, 0, 127)])
def test_ties(run_c, values, capacity):
    encodings, _, decoding = random_model(6, max_total_detections=27)
    rng = np.random.default_rng(7)
    scores = rng.choice(np.array(values, np.int8), (len(encodings), 3))
    _, found = run_c(encodings, scores, decoding, capacity=capacity)
    assert_same(found, decode(encodings, scores, decoding, max_candidates=capacity))


def test_the_callers_room_for_detections(run_c):
    encodings, scores, decoding = random_model(8)
    whole = decode(encodings, scores, decoding)
    for room in (0, 1, 5):
        _, found = run_c(encodings, scores, decoding, max_detections=room)
        np.testing.assert_array_equal(found[:, 0], whole.classes[:room])


def test_no_anchors(run_c):
    encodings, scores, decoding = random_model(9)
    decoding = dataclasses.replace(decoding, anchors=decoding.anchors[:0])
    assert run_c(encodings[:0], scores[:0], decoding)[0] == 0


@pytest.mark.parametrize("has_levels", [True, False])
def test_a_model_with_its_header(small_detector, raw_files, photos, run_raw, tmp_path, has_levels):
    labels = ("bolt", 'a "nut"??/', "Unterlegscheibe\\ü")
    decoding = facts.decoding_of(small_detector, raw_files["int8"], labels)
    assert decoding.levels
    if not has_levels:
        decoding = dataclasses.replace(decoding, levels=())
    (tmp_path / "my-model_decoding.h").write_text(c_header.header(decoding, "my-model"))
    program = compiled(
        tmp_path / "model",
        f"-I{tmp_path}",
        *('-DMODEL_HEADER="my-model_decoding.h"', "-DMODEL=my_model", "-DMACRO=MY_MODEL"),
        str(HERE / "decode_model.c"),
    )
    for photo in photos[:6]:
        outputs = run_raw(raw_files["int8"], photo)
        given = outputs["box_encodings"].tobytes() + outputs["scores"].tobytes()
        done = subprocess.run([str(program)], input=given, check=True, capture_output=True)
        lines = done.stdout.decode().splitlines()
        expected = decode(outputs["box_encodings"], outputs["scores"], decoding)
        assert lines[::2] == [labels[n] for n in expected.classes]
        found = np.array([line.split() for line in lines[1::2]], np.float64)
        assert expected.num_detections > 5
        np.testing.assert_array_equal(found[:, 0].astype(F), expected.scores)
        np.testing.assert_allclose(found[:, 1:], expected.boxes, atol=1e-6)


@pytest.mark.slow
def test_the_coco_checkpoint_on_photos(shared, run_c, run_raw, tmp_path, conversion):
    from PIL import Image

    from ssd.predictor import load_checkpoint_predictor

    folder = shared / "checkpoints/ssd_mobilenet_v2_fpnlite_050_224_coco80"
    detector = load_checkpoint_predictor(folder).detector
    images = []
    for path in sorted((shared / "data/coco_val2017_64/val2017").glob("*.jpg"))[:16]:
        with Image.open(path) as photo:
            images.append(np.asarray(photo.convert("RGB").resize((224, 224)), F))
    data = conversion(detector, tmp_path / "saved", np.stack(images))
    decoding = facts.decoding_of(detector, data, [str(n) for n in range(80)])
    for image in images:
        outputs = run_raw(data, image)
        encodings, scores = outputs["box_encodings"][0], outputs["scores"][0]
        num_passing, found = run_c(encodings, scores, decoding, capacity=500_000)
        assert num_passing > 10_000
        assert_same(found, decode(encodings, scores, decoding))
        _, found = run_c(encodings, scores, decoding, capacity=400)
        assert_same(found, decode(encodings, scores, decoding, max_candidates=400))
