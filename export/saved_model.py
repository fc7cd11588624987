"""Detector -> SavedModel with the signature of the TF Object Detection API."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ssd import label_map as label_maps
from ssd.errors import GateError, InputError
from ssd.label_map import LabelMap
from ssd.models.detector import Detector
from ssd.standard_fields import LABEL_ID_OFFSET, DetectionFields, TfExampleFields

INPUT_NAME = "input_tensor"
LABEL_MAP_ASSET = "label_map.pbtxt"
_SIGNATURE = "serving_default"
_INPUT_SPECS = {
    "image_tensor": tf.TensorSpec([1, None, None, 3], tf.uint8, INPUT_NAME),
    "float_image_tensor": tf.TensorSpec([1, None, None, 3], tf.float32, INPUT_NAME),
    "encoded_image_string_tensor": tf.TensorSpec([1], tf.string, INPUT_NAME),
    "tf_example": tf.TensorSpec([1], tf.string, INPUT_NAME),
}

# A reloaded model may differ from the detector by the order of its additions.
_BOX_TOLERANCE, _SCORE_TOLERANCE = 1e-3, 1e-4


def export_saved_model(
    detector: Detector,
    output_dir: str | os.PathLike[str],
    *,
    label_map: LabelMap,
    input_type: str = "image_tensor",
) -> None:
    """Writes the SavedModel folder `output_dir`, whole or not at all; replaces one that is there.

    It takes `input_tensor` and gives, all float32, detection_anchor_indices, detection_boxes,
    detection_classes (ids from 1), detection_multiclass_scores, detection_scores, num_detections,
    raw_detection_boxes and raw_detection_scores (both with the background in column 0), through
    the signature serving_default and when called itself. The label map lies in its assets.

    Args:
      detector: restored.
      output_dir: becomes the folder that holds saved_model.pb.
      label_map: of the detector's classes.
      input_type: "image_tensor" (uint8 [1, h, w, 3], RGB), "float_image_tensor" (float32
        [1, h, w, 3], 0..255), "encoded_image_string_tensor" (string [1], a JPEG, PNG, BMP or
        GIF) or "tf_example" (string [1], a serialized tf.train.Example).

    Raises:
      InputError: the folder cannot be written.
      GateError: the written model does not give the detector's own detections.
    """
    output_dir = Path(output_dir)
    try:
        output_dir.parent.mkdir(parents=True, exist_ok=True)
        aside = tempfile.mkdtemp(prefix=".writing-", dir=output_dir.parent)
    except OSError as error:
        raise InputError(f"{output_dir}: cannot be written ({error.strerror})") from error
    try:
        asset = os.path.join(aside, LABEL_MAP_ASSET)
        label_maps.save(label_map, asset)
        module = _ServingModule(detector, asset, input_type)
        written = os.path.join(aside, "saved_model")
        tf.saved_model.save(module, written, signatures={_SIGNATURE: module.__call__})
        _require_same_detections(written, detector, input_type)
        if output_dir.exists():
            os.replace(output_dir, os.path.join(aside, "before"))
        os.replace(written, output_dir)
    except OSError as error:
        raise InputError(f"{output_dir}: cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


class _ServingModule(tf.Module):
    """What is saved: variables, the label map, and one function from an input to detections."""

    def __init__(self, detector: Detector, label_map_path: str, input_type: str) -> None:
        super().__init__()
        self._detector = detector
        self._input_type = input_type
        # The saver looks for variables in the module, not inside a Keras model.
        self.tracked = [variable.value for variable in detector.network.variables]
        self.label_map = tf.saved_model.Asset(label_map_path)
        self.__call__ = tf.function(self._run, input_signature=[_INPUT_SPECS[input_type]])

    def _run(self, input_tensor: tf.Tensor) -> dict[str, tf.Tensor]:
        images = images_of(input_tensor, self._input_type)
        return serving_detections(self._detector, images)


def images_of(input_tensor: tf.Tensor, input_type: str) -> tf.Tensor:
    """Returns the images [1, h, w, 3], 0..255, that an input of this type holds."""
    if input_type in ("image_tensor", "float_image_tensor"):
        return input_tensor
    encoded = input_tensor[0]
    if input_type == "tf_example":
        spec = {TfExampleFields.image_encoded: tf.io.FixedLenFeature([], tf.string)}
        encoded = tf.io.parse_single_example(encoded, spec)[TfExampleFields.image_encoded]
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    image.set_shape([None, None, 3])
    return image[tf.newaxis]


def serving_detections(detector: Detector, images: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the detector's detections in the form of the signature: float32, ids from 1."""
    detections = detector.detect(images[0])
    detections[DetectionFields.detection_classes] += LABEL_ID_OFFSET
    return {name: tf.cast(value, tf.float32) for name, value in detections.items()}


def _require_same_detections(folder: str, detector: Detector, input_type: str) -> None:
    """Raises unless the saved model, loaded again, detects on noise what the detector does."""
    noise = np.random.default_rng(0).integers(0, 256, (1, 119, 203, 3), np.uint8)
    expected = serving_detections(detector, tf.constant(noise))
    signature = tf.saved_model.load(folder).signatures[_SIGNATURE]
    found = signature(**{INPUT_NAME: _as_input(noise, input_type)})
    for name, tolerance in (
        (DetectionFields.raw_detection_boxes, _BOX_TOLERANCE),
        (DetectionFields.raw_detection_scores, _SCORE_TOLERANCE),
    ):
        theirs, ours = found[name].numpy(), expected[name].numpy()
        difference = float(np.max(np.abs(theirs - ours) / np.maximum(1.0, np.abs(ours))))
        if not difference <= tolerance:
            raise GateError(
                f"saved_model: {name} differ from the checkpoint's by {difference:.2g}, allowed "
                f"is {tolerance:.0e}; nothing was written"
            )


def _as_input(image: np.ndarray, input_type: str) -> Any:
    if input_type in ("image_tensor", "float_image_tensor"):
        return tf.constant(image, _INPUT_SPECS[input_type].dtype)
    encoded = tf.io.encode_png(image[0]).numpy()
    if input_type == "encoded_image_string_tensor":
        return tf.constant([encoded])
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded]))
    example = tf.train.Example(
        features=tf.train.Features(feature={TfExampleFields.image_encoded: feature})
    )
    return tf.constant([example.SerializeToString()])
