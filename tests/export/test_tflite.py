from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from export.converter import native_stderr_held_back
from export.detection_op import center_size_anchors
from export.options import CLASS_WISE, FAST, REGULAR
from export.quantization.int8 import Int8Settings
from export.tflite import TfliteConverter
from ssd.errors import GateError
from ssd.standard_fields import DetectionFields, PredictionFields
from ssd.tflite_predictor import TflitePredictor


def calibration(photos):
    """Photos in [-1, 1]."""
    return lambda: iter((photo[np.newaxis] / 127.5 - 1).astype(np.float32) for photo in photos)


def nms(detector, quantize="none", images=None, **options) -> bytes:
    """The bytes of a file of form nms."""
    return TfliteConverter(detector, images).nms(quantize, **options).data


def run(data: bytes, image: np.ndarray) -> dict[str, np.ndarray]:
    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    return interpreter.get_signature_runner()(image=image)


def fast_nms(detector, image, max_detections):
    """The op's fast mode in NumPy: every anchor's best class, then one greedy pass over all."""
    predictions = detector.predict(image)
    encodings = (
        predictions[PredictionFields.box_encodings].numpy()[0] / detector.box_coder.scale_factors
    )
    logits = predictions[PredictionFields.class_predictions_with_background].numpy()[0, :, 1:]
    anchors = center_size_anchors(detector.anchors)
    center = encodings[:, :2] * anchors[:, 2:] + anchors[:, :2]
    half = np.exp(encodings[:, 2:]) * anchors[:, 2:] / 2
    boxes = np.concatenate([center - half, center + half], axis=1)
    scores, classes = 1 / (1 + np.exp(-logits.max(1))), logits.argmax(1)
    settings, kept = detector.post_processor.nms, []
    for anchor in np.argsort(-scores, kind="stable"):
        if scores[anchor] < settings.score_threshold or len(kept) == max_detections:
            break
        if all(iou(boxes[anchor], boxes[other]) <= settings.iou_threshold for other in kept):
            kept.append(anchor)
    return boxes[kept], classes[kept], scores[kept]


def iou(a: np.ndarray, b: np.ndarray) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    intersection = np.prod(np.maximum(sides, 0))
    return float(intersection / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - intersection))


def test_fast_nms_detects_what_fast_nms_detects(small_detector, photos):
    data = nms(small_detector, kind=FAST, max_detections=15)
    for photo in photos[:3]:
        image = (photo[np.newaxis] / 127.5 - 1).astype(np.float32)
        outputs = run(data, image)
        boxes, classes, scores = fast_nms(small_detector, image, 15)
        count = len(scores)
        assert count > 3
        assert outputs["count"] == [count]
        np.testing.assert_allclose(outputs["boxes"][0, :count], np.clip(boxes, 0, 1), atol=1e-5)
        np.testing.assert_array_equal(outputs["classes"][0, :count], classes)
        np.testing.assert_allclose(outputs["scores"][0, :count], scores, atol=1e-6)
        assert {name: value.dtype for name, value in outputs.items()} == dict.fromkeys(
            ("boxes", "classes", "scores", "count"), np.float32
        )


def assert_detects_as_the_detector(data: bytes, detector, photo: np.ndarray) -> int:
    """Compares all rows; returns how many are detections."""
    outputs = run(data, (photo[np.newaxis] / 127.5 - 1).astype(np.float32))
    expected = detector.postprocess(detector.predict(detector.preprocess(photo[np.newaxis])))
    count = int(expected[DetectionFields.num_detections][0])
    assert outputs["count"] == [count]
    for name, field in (
        ("boxes", DetectionFields.detection_boxes),
        ("classes", DetectionFields.detection_classes),
        ("scores", DetectionFields.detection_scores),
    ):
        np.testing.assert_allclose(outputs[name][0], expected[field][0], atol=2e-5, err_msg=name)
    return count


@pytest.mark.parametrize("kind", [CLASS_WISE, REGULAR])
def test_files_detect_what_the_detector_detects(small_detector, photos, kind):
    data = nms(small_detector, kind=kind)
    counts = [assert_detects_as_the_detector(data, small_detector, photo) for photo in photos[:6]]
    assert max(counts) > 5


def test_rows_beyond_the_count_are_zero(small_detector, photos):
    """The op leaves there whatever was in memory."""
    for kind in (CLASS_WISE, FAST, REGULAR):
        data = nms(small_detector, kind=kind, max_detections=200)
        outputs = run(data, photos[:1] / 127.5 - 1)
        count = int(outputs["count"][0])
        assert 0 < count < 200
        for name in ("boxes", "classes", "scores"):
            assert not outputs[name][0, count:].any(), (kind, name)


def test_a_config_that_ignores_classes_gets_fast_nms(small_detector, photos, monkeypatch):
    agnostic = replace(small_detector.post_processor.nms, use_class_agnostic_nms=True)
    expected = run(nms(small_detector, kind=FAST), photos[:1] / 127.5 - 1)
    monkeypatch.setattr(
        small_detector, "post_processor", replace(small_detector.post_processor, nms=agnostic)
    )
    found = run(nms(small_detector), photos[:1] / 127.5 - 1)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


def test_scores_that_depend_on_their_row(small_detector, photos, monkeypatch):
    processor = replace(small_detector.post_processor, score_converter="SOFTMAX")
    monkeypatch.setattr(small_detector, "post_processor", processor)
    assert assert_detects_as_the_detector(nms(small_detector), small_detector, photos[0]) > 0


def test_several_classes_of_one_detection(small_detector, photos):
    """With fast NMS and two classes per detection every box comes twice, with two classes."""
    data = nms(small_detector, kind=FAST, max_detections=4, max_classes_per_detection=2)
    outputs = run(data, photos[:1] / 127.5 - 1)
    assert outputs["boxes"].shape == (1, 8, 4)
    count = int(outputs["count"][0])
    assert count == 8
    np.testing.assert_array_equal(outputs["boxes"][0, 0:8:2], outputs["boxes"][0, 1:8:2])
    assert np.all(outputs["classes"][0, 0:8:2] != outputs["classes"][0, 1:8:2])


def test_regular_nms_finds_every_class_whatever_the_threads(small_detector, photos, tmp_path):
    """With two threads the op itself skips class index 2."""
    path = tmp_path / "model.tflite"
    path.write_bytes(nms(small_detector, kind=REGULAR))
    alone = TflitePredictor(path, num_threads=1)(photos[:4])
    assert set(alone[DetectionFields.detection_classes].ravel()) == {1, 2, 3}
    together = TflitePredictor(path, num_threads=2)(photos[:4])
    for name, value in alone.items():
        np.testing.assert_array_equal(together[name], value)


def test_int8_file_takes_pixels_and_gives_floats(small_detector, photos, tmp_path):
    data = nms(small_detector, "int8", calibration(photos))
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    interpreter = Interpreter(model_content=data)
    (image,) = interpreter.get_input_details()
    assert (image["dtype"], image["shape"].tolist()) == (np.uint8, [1, 64, 96, 3])
    assert image["quantization"] == pytest.approx((1 / 127.5, 127), abs=1e-6)
    assert all(d["dtype"] == np.float32 for d in interpreter.get_output_details())
    predictor, close = TflitePredictor(path), 0
    for photo in photos[:10]:
        detections = predictor(photo[np.newaxis])
        _, classes, scores = fast_nms(
            small_detector, (photo[np.newaxis] / 127.5 - 1).astype(np.float32), 1
        )
        # Four steps of an int8 score.
        assert abs(detections[DetectionFields.detection_scores][0, 0] - scores[0]) < 4 / 256
        close += detections[DetectionFields.detection_classes][0, 0] == classes[0] + 1
    assert close >= 9


def test_int8_leaves_the_detector_as_it_was(small_detector, photos):
    before = [np.array(variable) for variable in small_detector.network.variables]
    nms(small_detector, "int8", calibration(photos[:2]))
    for variable, value in zip(small_detector.network.variables, before, strict=True):
        np.testing.assert_array_equal(np.array(variable), value)


@pytest.mark.parametrize("quantize", ["float16", "dynamic"])
def test_smaller_float_files(small_detector, photos, quantize):
    image = (photos[:1] / 127.5 - 1).astype(np.float32)
    outputs, exact = run(nms(small_detector, quantize), image), run(nms(small_detector), image)
    assert outputs["count"] == exact["count"]
    np.testing.assert_allclose(outputs["scores"], exact["scores"], atol=2e-2)


def test_int8_without_images(small_detector):
    with pytest.raises(ValueError, match="needs calibration images"):
        nms(small_detector, "int8")


def test_what_the_converter_says_is_shown_where_it_fails(capfd):
    import os

    def failing() -> None:
        with native_stderr_held_back():
            os.write(2, b"what went wrong\n")
            raise KeyError("no such op")

    with native_stderr_held_back():
        os.write(2, b"chatter\n")
    with pytest.raises(KeyError, match="no such op"):
        failing()
    os.write(2, b"still here\n")
    assert capfd.readouterr().err == "what went wrong\nstill here\n"


def test_raw_file_gives_what_the_network_gives(small_detector, photos):
    image = (photos[:1] / 127.5 - 1).astype(np.float32)
    made = TfliteConverter(small_detector).raw()
    outputs = run(made.data, image)
    assert list(outputs) == ["box_encodings", "scores"]
    predictions = small_detector.predict(image)
    scores = small_detector.post_processor.class_scores(
        predictions[PredictionFields.class_predictions_with_background]
    )
    np.testing.assert_allclose(outputs["scores"], scores, atol=1e-5)
    boxes = predictions[PredictionFields.box_encodings]
    np.testing.assert_allclose(outputs["box_encodings"], boxes, atol=1e-4)
    assert made.box_factors == (1.0, 1.0, 1.0, 1.0)


def test_raw_int8_file_is_int8_throughout(small_detector, photos):
    made = TfliteConverter(small_detector, calibration(photos)).raw("int8")
    interpreter = Interpreter(model_content=made.data)
    interpreter.allocate_tensors()
    outputs = interpreter.get_output_details()
    assert [d["name"] for d in outputs] == ["box_encodings", "scores"]
    assert [d["dtype"] for d in outputs] == [np.int8, np.int8]
    scale, zero_point = outputs[1]["quantization"]
    assert (scale, zero_point) == (pytest.approx(1 / 256), -128)
    # Each of the four encodings has the range that its own values need.
    scale, zero_point = outputs[0]["quantization"]
    assert scale == pytest.approx(2 / 255, rel=1e-3)
    image = photos[:1]
    found = interpreter.get_signature_runner()(image=np.rint(image).astype(np.uint8))
    boxes = (found["box_encodings"].astype(np.float32) - zero_point) * scale / made.box_factors
    exact = small_detector.predict(image / 127.5 - 1)[PredictionFields.box_encodings]
    reach = 1 / np.array(made.box_factors)
    assert np.mean(np.abs(boxes - exact) / reach) < 0.02


def test_int8_settings_change_the_file(small_detector, photos):
    converter = TfliteConverter(small_detector, calibration(photos))
    usual = converter.nms("int8").data
    assert converter.with_settings(Int8Settings()).nms("int8").data == usual
    assert converter.with_settings(Int8Settings(clip_percentile=90.0)).nms("int8").data != usual
    assert converter.with_calibration(calibration(photos[:9])).nms("int8").data != usual
    other = converter.with_network(converter.float_network)
    assert other.nms("int8").data == usual


def test_calibration_from_0_to_1_is_refused(small_detector, photos):
    """The widespread mistake: images / 255 instead of [-1, 1]."""
    images = lambda: iter((photo[np.newaxis] / 255).astype(np.float32) for photo in photos)  # noqa: E731
    with pytest.raises(GateError, match=r"calibration images lie in \[0\.\d\d, \d.*in \[-1, 1\]"):
        nms(small_detector, "int8", images)


@pytest.mark.slow
@pytest.mark.parametrize("quantize", ["none", "int8"])
def test_trained_model_detects_what_the_checkpoint_does(shared, tmp_path, quantize):
    """The COCO checkpoint on a real photo, files against the detector: same things, same places."""
    from PIL import Image

    from ssd.core.image_resizer_numpy import resize_bilinear_legacy_numpy
    from ssd.predictor import load_checkpoint_predictor

    reference = load_checkpoint_predictor(
        shared / "checkpoints/ssd_mobilenet_v2_fpnlite_050_224_coco80"
    )
    folder = shared / "data/coco_val2017_64/val2017"
    images = np.stack(
        [
            resize_bilinear_legacy_numpy(
                np.asarray(Image.open(path).convert("RGB")), reference.image_size
            )
            for path in sorted(folder.glob("*.jpg"))[:60]
        ]
    )
    path = tmp_path / "model.tflite"
    path.write_bytes(nms(reference.detector, quantize, calibration(images[10:])))
    predictor, found, total = TflitePredictor(path), 0, 0
    tolerance = {"none": 1e-4, "int8": 0.12}[quantize]
    for image in images[:10]:
        expected, detections = reference(image[np.newaxis]), predictor(image[np.newaxis])
        sure = expected[DetectionFields.detection_scores][0] > 0.4
        for row in np.flatnonzero(sure):
            box = expected[DetectionFields.detection_boxes][0, row]
            same = [
                n
                for n, other in enumerate(detections[DetectionFields.detection_boxes][0])
                if iou(box, other) > (0.999 if quantize == "none" else 0.8)
                and detections[DetectionFields.detection_classes][0, n]
                == expected[DetectionFields.detection_classes][0, row]
                and abs(
                    detections[DetectionFields.detection_scores][0, n]
                    - expected[DetectionFields.detection_scores][0, row]
                )
                < tolerance
            ]
            total, found = total + 1, found + bool(same)
    assert total > 20
    assert found >= (total if quantize == "none" else 0.9 * total)
