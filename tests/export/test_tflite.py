from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from export import tflite
from export.detection_op import center_size_anchors
from ssd.standard_fields import DetectionFields, PredictionFields
from ssd.tflite_predictor import TflitePredictor


def calibration(photos):
    """Real photos in [-1, 1]; the first one reaches both ends."""

    def images():
        for number, photo in enumerate(photos):
            image = photo[np.newaxis] / 127.5 - 1
            if number == 0:
                image[0, 0, 0], image[0, 0, 1] = -1, 1
            yield image.astype(np.float32)

    return images


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


def test_float_file_detects_what_fast_nms_detects(small_detector, photos):
    data = tflite.convert(small_detector, max_detections=15)
    for photo in photos[:3]:
        image = (photo[np.newaxis] / 127.5 - 1).astype(np.float32)
        outputs = run(data, image)
        boxes, classes, scores = fast_nms(small_detector, image, 15)
        count = len(scores)
        assert count > 3
        assert outputs["count"] == [count]
        np.testing.assert_allclose(outputs["boxes"][0, :count], boxes, atol=1e-5)
        np.testing.assert_array_equal(outputs["classes"][0, :count], classes)
        np.testing.assert_allclose(outputs["scores"][0, :count], scores, atol=1e-6)
        assert not outputs["scores"][0, count:].any()
        assert {name: value.dtype for name, value in outputs.items()} == dict.fromkeys(
            ("boxes", "classes", "scores", "count"), np.float32
        )


def test_regular_nms_detects_what_the_detector_detects(small_detector, photos):
    data = tflite.convert(small_detector, use_regular_nms=True)
    for photo in photos[:3]:
        outputs = run(data, (photo[np.newaxis] / 127.5 - 1).astype(np.float32))
        expected = small_detector.postprocess(
            small_detector.predict(small_detector.preprocess(photo[np.newaxis]))
        )
        count = int(expected[DetectionFields.num_detections][0])
        assert count > 5
        assert outputs["count"] == [count]
        for name, field in (
            ("boxes", DetectionFields.detection_boxes),
            ("classes", DetectionFields.detection_classes),
            ("scores", DetectionFields.detection_scores),
        ):
            # The op leaves boxes as they are decoded; the detector clips them.
            found = np.clip(outputs[name][0], 0, None if name == "classes" else 1)
            np.testing.assert_allclose(found, expected[field][0], atol=1e-5, err_msg=name)


def test_regular_nms_finds_every_class_whatever_the_threads(small_detector, photos, tmp_path):
    """With two threads the op itself skips class index 2."""
    path = tmp_path / "model.tflite"
    path.write_bytes(tflite.convert(small_detector, use_regular_nms=True))
    alone = TflitePredictor(path, num_threads=1)(photos[:4])
    assert set(alone[DetectionFields.detection_classes].ravel()) == {1, 2, 3}
    together = TflitePredictor(path, num_threads=2)(photos[:4])
    for name, value in alone.items():
        np.testing.assert_array_equal(together[name], value)


def test_int8_file_takes_pixels_and_gives_floats(small_detector, photos, tmp_path):
    data = tflite.convert(small_detector, quantize="int8", calibration=calibration(photos))
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
    tflite.convert(small_detector, quantize="int8", calibration=calibration(photos[:2]))
    for variable, value in zip(small_detector.network.variables, before, strict=True):
        np.testing.assert_array_equal(np.array(variable), value)


@pytest.mark.parametrize("quantize", ["float16", "dynamic"])
def test_smaller_float_files(small_detector, photos, quantize):
    data = tflite.convert(small_detector, quantize=quantize)
    image = (photos[:1] / 127.5 - 1).astype(np.float32)
    outputs, exact = run(data, image), run(tflite.convert(small_detector), image)
    assert outputs["count"] == exact["count"]
    np.testing.assert_allclose(outputs["scores"], exact["scores"], atol=2e-2)


def test_int8_without_images(small_detector):
    with pytest.raises(ValueError, match="needs calibration images"):
        tflite.convert(small_detector, quantize="int8")


def test_what_fails_is_shown(small_detector, capfd):
    def broken():
        raise KeyError("no such image")
        yield

    with pytest.raises(KeyError, match="no such image"):
        tflite.convert(small_detector, quantize="int8", calibration=broken)
    # Whatever the converter wrote to stderr came back with the error, and stderr works again.
    import os

    os.write(2, b"still here\n")
    assert capfd.readouterr().err.endswith("still here\n")


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
    path.write_bytes(
        tflite.convert(
            reference.detector,
            quantize=quantize,
            calibration=calibration(images[10:]),
            use_regular_nms=True,
        )
    )
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
