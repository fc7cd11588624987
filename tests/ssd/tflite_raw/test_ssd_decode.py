from __future__ import annotations

import ast
import dataclasses
import io
import json
import math
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ssd.standard_fields import DetectionFields, PredictionFields
from ssd.tflite_raw import ssd_decode
from ssd.tflite_raw.ssd_decode import AnchorLevel, Decoding, Quantization, decode

F = np.float32
# ycenter, xcenter, height, width
ANCHORS = np.array([[0.5, 0.4, 0.4, 0.2], [0.5, 0.4, 0.4, 0.2], [0.95, 0.8, 0.3, 0.3]], F)
# a0: yc = 0.1 * 0.4 + 0.5 = 0.54, xc = -0.1 * 0.2 + 0.4 = 0.38, h = 2 * 0.4, w = 0.2
ENCODINGS = np.array([[1, -0.8, 5 * math.log(2), 0], [0, 0, 0, 0], [0, 0, 0, 0]], F)
SCORES = np.array([[0.9, 0.1], [0.6, 0.7], [0.2, 0.05]], F)
BOX_0 = [0.14, 0.28, 0.94, 0.48]
BOX_1 = [0.3, 0.3, 0.7, 0.5]
BOX_2 = [0.8, 0.65, 1.0, 0.95]  # ymax 1.1, clipped


def small(**changes) -> Decoding:
    """Three anchors, two classes, four different scale factors."""
    decoding = Decoding(
        anchors=ANCHORS,
        scale_factors=(10.0, 8.0, 5.0, 4.0),
        num_classes=2,
        score_threshold=0.1,
        iou_threshold=0.45,
        max_detections_per_class=3,
        max_total_detections=4,
        labels=("bolt", "nut"),
    )
    return dataclasses.replace(decoding, **changes)


def rows(found) -> list[tuple[int, float]]:
    return [(int(c), round(float(s), 4)) for c, s in zip(found.classes, found.scores, strict=True)]


def test_numbers_by_hand():
    before = ENCODINGS.copy(), SCORES.copy()
    found = decode(ENCODINGS[np.newaxis], SCORES[np.newaxis], small(max_total_detections=6))
    # 0.1 is not more than 0.1. IoU of a0 and a1: 0.4 * 0.18 / (0.16 + 0.08 - 0.072) = 0.4286.
    assert rows(found) == [(0, 0.9), (1, 0.7), (0, 0.6), (0, 0.2)]
    np.testing.assert_allclose(found.boxes, [BOX_0, BOX_1, BOX_1, BOX_2], atol=1e-6)
    assert (found.boxes.dtype, found.classes.dtype, found.scores.dtype) == (F, np.int64, F)
    assert found.num_detections == 4
    np.testing.assert_array_equal(ENCODINGS, before[0])
    np.testing.assert_array_equal(SCORES, before[1])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"iou_threshold": 0.42}, [(0, 0.9), (1, 0.7), (0, 0.2)], id="overlap"),
        pytest.param({"max_detections_per_class": 1}, [(0, 0.9), (1, 0.7)], id="one of each class"),
        pytest.param({"max_total_detections": 2}, [(0, 0.9), (1, 0.7)], id="two in all"),
        pytest.param({"score_threshold": 0.65}, [(0, 0.9), (1, 0.7)], id="score threshold"),
        pytest.param({"score_threshold": 0.95}, [], id="none"),
    ],
)
def test_settings(changes, expected):
    found = decode(ENCODINGS, SCORES, small(**changes))
    assert rows(found) == expected
    assert found.boxes.shape == (len(expected), 4)


def test_arguments_before_settings():
    assert rows(decode(ENCODINGS, SCORES, small(), score_threshold=0.65)) == [(0, 0.9), (1, 0.7)]
    assert rows(decode(ENCODINGS, SCORES, small(), max_candidates=3)) == [
        *((0, 0.9), (1, 0.7), (0, 0.6))
    ]
    assert rows(decode(ENCODINGS, SCORES, small(), max_candidates=0)) == []


def test_ties_go_to_the_lower_class_then_to_the_lower_anchor():
    anchors = np.array([[0.2, 0.3, 0.1, 0.1], [0.5, 0.6, 0.2, 0.1], [0.8, 0.7, 0.1, 0.2]], F)
    scores = np.array([[0.5, 0.5], [0.5, 0.7], [0.7, 0.5]], F)
    found = decode(np.zeros((3, 4), F), scores, small(anchors=anchors, max_total_detections=6))
    centers = np.round((found.boxes[:, 0] + found.boxes[:, 2]) / 2, 4)
    anchor = [[0.2, 0.5, 0.8].index(round(float(c), 4)) for c in centers]
    classes_and_anchors = list(zip(found.classes.tolist(), anchor, strict=True))
    assert classes_and_anchors == [(0, 2), (1, 1), (0, 0), (0, 1), (1, 0), (1, 2)]


def test_a_box_outside_the_image_suppresses_and_is_no_detection():
    anchors = np.array([[1.3, 0.4, 0.2, 0.2], [1.25, 0.4, 0.6, 0.2], [0.5, 0.5, 1, 1]], F)
    scores = np.array([[0.9, 0], [0.8, 0], [0.7, 0]], F)
    # a0 is below the image; a1, [0.95, 1.55], contains it: IoU 0.2 / 0.6.
    found = decode(np.zeros((3, 4), F), scores, small(anchors=anchors, iou_threshold=0.3))
    assert rows(found) == [(0, 0.7)]
    # It counts among those of its class, too.
    one = small(anchors=anchors, iou_threshold=0.3, max_detections_per_class=1)
    assert decode(np.zeros((3, 4), F), scores, one).num_detections == 0


def test_no_anchors():
    found = decode(np.zeros((0, 4), F), np.zeros((0, 2), F), small(anchors=np.zeros((0, 4), F)))
    assert found.num_detections == 0
    assert found.boxes.shape == (0, 4)


QUANTIZED = {
    "box_quantization": Quantization(0.0625, 3),
    "score_quantization": Quantization(0.00390625, -128),
}


@pytest.mark.parametrize(
    ("dtype", "shift"), [pytest.param(np.int8, 0, id="i8"), pytest.param(np.uint8, 128, id="u8")]
)
def test_integers_as_the_file_gives_them(dtype, shift):
    # (19 - 3) * 0.0625 = 1, (-10 - 3) * 0.0625 = -0.8125; (102 + 128) / 256 = 0.8984375
    encodings = np.array([[19, -10, 3, 3], [3, 3, 3, 3], [3, 3, 3, 3]])
    scores = np.array([[102, -128], [26, 51], [-77, -102]])
    quantized = {
        name: Quantization(scale, zero_point + shift)
        for name, (scale, zero_point) in QUANTIZED.items()
    }
    found = decode(
        (encodings + shift).astype(dtype), (scores + shift).astype(dtype), small(**quantized)
    )
    # a1, [0.3, 0.3, 0.7, 0.5], overlaps the first by 0.68; 26 / 256 = 0.1016 passes 0.1.
    assert rows(found) == [(0, 0.8984), (1, 0.6992), (0, 0.1992), (1, 0.1016)]
    # yc = 0.54, h 0.4; xc = -0.8125 / 8 * 0.2 + 0.4 = 0.3796875, w 0.2
    np.testing.assert_allclose(found.boxes[0], [0.34, 0.2796875, 0.74, 0.4796875], atol=1e-6)


@pytest.mark.parametrize(
    ("threshold", "count"),
    [pytest.param(0.25, 1, id="equal does not pass"), pytest.param(0.2499, 2, id="more passes")],
)
def test_the_threshold_of_integers(threshold, count):
    scores = np.array([[-63, -128], [-128, -64], [-128, -128]], np.int8)  # 65 / 256, 64 / 256
    found = decode(ENCODINGS, scores, small(**QUANTIZED), score_threshold=threshold)
    assert found.num_detections == count


@pytest.mark.parametrize(
    ("encodings", "scores", "message"),
    [
        pytest.param(
            ENCODINGS[:2],
            SCORES,
            r"box_encodings: shape \[2, 4\]; the model has \[3, 4\]",
            id="anchors",
        ),
        pytest.param(
            ENCODINGS,
            SCORES.T,
            r"scores: shape \[2, 3\]; the model has \[3, 2\]",
            id="transposed",
        ),
        pytest.param(
            ENCODINGS, SCORES.astype(np.int8), "scores: int8; the model has float32", id="integers"
        ),
        pytest.param(
            ENCODINGS.astype(np.float64),
            SCORES,
            "box_encodings: float64; the model has float32",
            id="float64",
        ),
    ],
)
def test_arrays_of_another_model(encodings, scores, message):
    with pytest.raises(ValueError, match=message):
        decode(encodings, scores, small())


def test_wide_integers():
    with pytest.raises(ValueError, match="scores: int32; the model has int8, uint8, int16"):
        decode(ENCODINGS, SCORES.astype(np.int32), small(**QUANTIZED))


def one_by_one(encodings, scores, decoding) -> list[tuple[int, float, list[float]]]:
    """(class, score, box) of the detections, by the words of the docstring and nothing else."""
    boxes = []
    for (ty, tx, th, tw), (y, x, h, w) in zip(encodings, decoding.anchors, strict=True):
        center = ty / 10 * h + y, tx / 8 * w + x
        half = math.exp(th / 5) * h / 2, math.exp(tw / 4) * w / 2
        boxes.append([center[n % 2] + (-1, 1)[n // 2] * half[n % 2] for n in range(4)])
    places = [
        (-scores[a, c], c, a)
        for a in range(len(scores))
        for c in range(scores.shape[1])
        if scores[a, c] > decoding.score_threshold
    ]
    kept: dict[int, list] = {c: [] for c in range(scores.shape[1])}
    found = []
    for _, c, a in sorted(places):
        room = len(kept[c]) < decoding.max_detections_per_class
        if room and all(iou(boxes[a], box) <= decoding.iou_threshold for box in kept[c]):
            kept[c].append(boxes[a])
            clipped = [min(max(v, 0.0), 1.0) for v in boxes[a]]
            if area(clipped) > 0:
                found.append((c, round(float(scores[a, c]), 4), clipped))
    return found[: decoding.max_total_detections]


def area(box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def iou(a, b) -> float:
    height, width = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(height, 0) * max(width, 0)
    return shared / (area(a) + area(b) - shared)


def random_model(
    seed: int, num_anchors: int, total: int
) -> tuple[np.ndarray, np.ndarray, Decoding]:
    """Crowded boxes, some of them outside the image; scores in steps, so that many tie."""
    rng = np.random.default_rng(seed)
    anchors = np.concatenate(
        [rng.uniform(-0.2, 1.2, (num_anchors, 2)), rng.uniform(0.1, 0.5, (num_anchors, 2))], 1
    )
    decoding = small(
        anchors=anchors.astype(F),
        num_classes=3,
        iou_threshold=0.35,
        max_detections_per_class=9,
        max_total_detections=total,
    )
    scores = rng.integers(0, 40, (num_anchors, 3)) / 40
    return rng.normal(0, 2, (num_anchors, 4)).astype(F), scores.astype(F), decoding


@pytest.mark.parametrize("total", [3, 25, 100])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_as_one_by_one(seed, total):
    encodings, scores, decoding = random_model(seed, 170, total)
    found = decode(encodings, scores, decoding)
    expected = one_by_one(encodings, scores, decoding)
    assert 15 < len(expected) < 27 or len(expected) == total
    assert rows(found) == [(class_index, score) for class_index, score, _ in expected]
    np.testing.assert_allclose(found.boxes, [box for *_, box in expected], atol=1e-6)


def test_looking_at_the_best_first_changes_nothing(monkeypatch):
    encodings, scores, decoding = random_model(5, 400, 12)
    # So few survive that the first looks are not enough.
    decoding = dataclasses.replace(decoding, iou_threshold=0.05)
    looks = decode(encodings, scores, decoding)
    monkeypatch.setattr(ssd_decode, "_FIRST_LOOK", 1000)
    whole = decode(encodings, scores, decoding)
    monkeypatch.setattr(ssd_decode, "_FIRST_LOOK", 1)
    narrow = decode(encodings, scores, decoding)
    assert whole.num_detections == 12
    for one, other in zip((*looks, *looks), (*whole, *narrow), strict=True):
        np.testing.assert_array_equal(one, other)


def decoding_of(detector) -> Decoding:
    from export.detection_op import center_size_anchors

    nms = detector.post_processor.nms
    return Decoding(
        anchors=center_size_anchors(detector.anchors),
        scale_factors=detector.box_coder.scale_factors,
        num_classes=detector.num_classes,
        score_threshold=nms.score_threshold,
        iou_threshold=nms.iou_threshold,
        max_detections_per_class=nms.max_detections_per_class,
        max_total_detections=nms.max_total_detections,
    )


def assert_as_the_detector(detector, predictions) -> None:
    """The detector's own post-processing and `decode` say the same of these predictions."""
    expected = detector.postprocess(predictions)
    # The same digits: a sigmoid of another number of columns can end in others.
    scores = expected[DetectionFields.raw_detection_scores].numpy()[..., 1:]
    encodings = np.asarray(predictions[PredictionFields.box_encodings])
    found = decode(encodings, scores, decoding_of(detector))
    count = int(expected[DetectionFields.num_detections][0])
    assert found.num_detections == count > 20
    row = {name: value.numpy()[0, :count] for name, value in expected.items() if value.ndim > 1}
    np.testing.assert_array_equal(found.classes, row[DetectionFields.detection_classes])
    np.testing.assert_array_equal(found.scores, row[DetectionFields.detection_scores])
    np.testing.assert_allclose(found.boxes, row[DetectionFields.detection_boxes], atol=3e-7)


@pytest.mark.parametrize("seed", [0, 1])
def test_as_the_detectors_own_post_processing(tiny_detector, seed):
    import tensorflow as tf

    rng = np.random.default_rng(seed)
    num_anchors = len(tiny_detector.anchors)
    predictions = {
        PredictionFields.box_encodings: tf.constant(rng.normal(0, 2, (1, num_anchors, 4)), F),
        PredictionFields.class_predictions_with_background: tf.constant(
            np.round(rng.normal(-3, 2, (1, num_anchors, 4)), 1), F
        ),
    }
    assert_as_the_detector(tiny_detector, predictions)


@pytest.mark.slow
def test_as_the_coco_checkpoint_on_photos(shared):
    import tensorflow as tf
    from PIL import Image

    from ssd.predictor import load_checkpoint_predictor

    folder = shared / "checkpoints/ssd_mobilenet_v2_fpnlite_050_224_coco80"
    detector = load_checkpoint_predictor(folder).detector
    photos = sorted((shared / "data/coco_val2017_64/val2017").glob("*.jpg"))[:8]
    assert photos
    for path in photos:
        with Image.open(path) as photo:
            image = np.asarray(photo.convert("RGB").resize((224, 224)), F)
        images = tf.constant(image[np.newaxis])
        assert_as_the_detector(detector, detector.predict(detector.preprocess(images)))


FACTS = {
    "format": "ssd_raw_detections",
    "version": 1,
    "num_classes": 2,
    "num_anchors": 12,
    "score_threshold": 0.25,
    "iou_threshold": 0.5,
    "max_detections_per_class": 7,
    "max_total_detections": 9,
    "box_encodings": {"scale_factors": [10, 8, 5, 4], "scale": 0.0625, "zero_point": 3},
    "scores": {},
    "anchors": {
        "levels": [
            {
                **{"rows": 2, "columns": 3, "first": [0.25, 0.125], "step": [0.5, 0.375]},
                "sizes": [[0.5, 0.25], [0.75, 0.625]],
            }
        ]
    },
    "labels": ["bolt", "Müller"],
}
# Rows 0.25 and 0.75, columns 0.125, 0.5, 0.875, two sizes in each cell.
LEVEL_ANCHORS = [
    [y, x, *size]
    for y in (0.25, 0.75)
    for x in (0.125, 0.5, 0.875)
    for size in ([0.5, 0.25], [0.75, 0.625])
]


def test_a_decoding_file(tmp_path):
    path = tmp_path / "model_decoding.json"
    path.write_text(json.dumps(FACTS))
    decoding = ssd_decode.load(path)
    np.testing.assert_array_equal(decoding.anchors, np.array(LEVEL_ANCHORS, F))
    assert decoding.scale_factors == (10, 8, 5, 4)
    assert (decoding.num_classes, decoding.labels) == (2, ("bolt", "Müller"))
    assert (decoding.score_threshold, decoding.iou_threshold) == (0.25, 0.5)
    assert (decoding.max_detections_per_class, decoding.max_total_detections) == (7, 9)
    assert decoding.box_quantization == (0.0625, 3)
    assert decoding.score_quantization is None
    assert decoding.levels == (
        AnchorLevel(2, 3, (0.25, 0.125), (0.5, 0.375), ((0.5, 0.25), (0.75, 0.625))),
    )


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def test_anchors_in_a_file_of_their_own(tmp_path):
    facts = FACTS | {"num_anchors": 3, "anchors": {"file": "mine.npy"}}
    (tmp_path / "m_decoding.json").write_text(json.dumps(facts))
    (tmp_path / "mine.npy").write_bytes(npy(ANCHORS))
    (tmp_path / "m.tflite").write_bytes(b"no zip behind it")
    np.testing.assert_array_equal(ssd_decode.load(tmp_path / "m.tflite").anchors, ANCHORS)


def test_inside_the_model_before_beside_it(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(b"a model")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("decoding.json", json.dumps(FACTS | {"labels": ["inside", "x"]}))
    (tmp_path / "m_decoding.json").write_text(json.dumps(FACTS))
    assert ssd_decode.load(path).labels == ("inside", "x")


def test_neither(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(b"a model")
    with pytest.raises(FileNotFoundError, match=r"m_decoding\.json"):
        ssd_decode.load(path)


def without(name: str) -> dict:
    return {key: value for key, value in FACTS.items() if key != name}


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        pytest.param("{", "version 1: JSONDecodeError", id="no JSON"),
        pytest.param([1], "TypeError", id="a list"),
        pytest.param(FACTS | {"version": 2}, "'ssd_raw_detections' 2 is not known", id="newer"),
        pytest.param(without("iou_threshold"), "KeyError.'iou_threshold'", id="a fact missing"),
        pytest.param(
            FACTS | {"num_anchors": 13}, r"anchors are float32 \[12, 4\]", id="number of anchors"
        ),
        pytest.param(
            FACTS | {"anchors": {"file": "other.npy"}}, "FileNotFoundError", id="no anchors"
        ),
        pytest.param(
            FACTS | {"anchors": {"file": "wide.npy"}}, "anchors are float64", id="wide anchors"
        ),
        pytest.param(
            FACTS | {"anchors": {"file": "empty.npy"}}, "EOFError|ValueError", id="empty anchors"
        ),
    ],
)
def test_unusable_decodings(tmp_path, facts, message):
    path = tmp_path / "m_decoding.json"
    path.write_text(facts if isinstance(facts, str) else json.dumps(facts))
    (tmp_path / "wide.npy").write_bytes(npy(np.zeros((12, 4))))
    (tmp_path / "empty.npy").write_bytes(b"")
    with pytest.raises(ValueError, match=f"no ssd_raw_detections version 1: .*{message}|{message}"):
        ssd_decode.load(path)


def test_it_can_be_copied_into_a_project():
    """NumPy and the standard library are all that it imports."""
    tree = ast.parse(Path(ssd_decode.__file__).read_text())
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in (
            [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        )
    }
    assert imported - sys.stdlib_module_names == {"numpy"}
