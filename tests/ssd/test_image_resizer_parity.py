"""Image resizers from the image to the detections, against the recording of the original."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from ssd import checkpoint, checkpoint_file
from ssd.config import pipeline
from ssd.data import input_pipeline
from ssd.models.builder import build_detector
from ssd.models.detector import Detector
from ssd.standard_fields import DetectionFields, InputFields

GOLDEN = Path(__file__).parents[1] / "data" / "image_resizer_detections.npz"
_ANY_IMAGE = tf.TensorSpec([None, None, 3], tf.uint8)


def _detector(oracle: Path, model: str, resizer: str) -> Detector:
    config = pipeline.load(oracle / model / "pipeline.config").message
    config.model.ssd.image_resizer.Clear()
    text_format.Parse(resizer, config.model.ssd.image_resizer)
    detector = build_detector(config.model)
    checkpoint.restore_model(detector, checkpoint_file.find_prefix(oracle / model / "checkpoint"))
    return detector


@pytest.mark.slow
@pytest.mark.parametrize("case", ["pad", "multiple", "greater", "smaller", "nearest"])
def test_detections_equal_the_recording(oracle: Path, case: str) -> None:
    golden = np.load(GOLDEN)
    photos = np.load(oracle / "fpnlite_320_narrow" / "golden.npz")
    detector = _detector(oracle, str(golden[f"{case}_model"]), str(golden[f"{case}_config"]))
    # As a SavedModel is traced: for images of any size.
    detect = tf.function(detector.detect, input_signature=[_ANY_IMAGE], autograph=False)
    for n in range(2):
        image = photos[f"in/image_{n}"]
        example = {
            InputFields.image: tf.constant(image),
            InputFields.groundtruth_boxes: tf.constant(golden["groundtruth"]),
        }
        resized = input_pipeline.resized(example, detector.image_resizer)
        network_image = detector.preprocess(resized[InputFields.image][tf.newaxis])[0]
        true_shape = resized[InputFields.true_image_shape].numpy()
        assert true_shape.tolist() == golden[f"{case}_true_shape{n}"].tolist()
        np.testing.assert_allclose(network_image[::17, ::19], golden[f"{case}_image{n}"], atol=2e-6)
        boxes = resized[InputFields.groundtruth_boxes]
        np.testing.assert_allclose(boxes, golden[f"{case}_groundtruth{n}"], atol=1e-6)
        found = {name: value[0, :20] for name, value in detect(image).items() if value.ndim > 1}
        scores = found[DetectionFields.detection_scores]
        np.testing.assert_allclose(scores, golden[f"{case}_scores{n}"], atol=1e-4)
        classes = found[DetectionFields.detection_classes]
        np.testing.assert_array_equal(classes, golden[f"{case}_classes{n}"])
        boxes = found[DetectionFields.detection_boxes]
        np.testing.assert_allclose(boxes, golden[f"{case}_boxes{n}"], atol=1e-4)
