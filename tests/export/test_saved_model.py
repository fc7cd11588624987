from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from export import saved_model
from export.options import INPUT_TYPES
from ssd import label_map as label_maps
from ssd.errors import GateError, InputError
from ssd.predictor import SavedModelPredictor, load_checkpoint_predictor
from ssd.standard_fields import DetectionFields

LABEL_MAP = label_maps.from_names(["bolt", "nut", "washer"])
MODELS = ("fpnlite_320_narrow", "ssd_mobilenet_v2_fpnlite_320x320")


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """uint8 [1, 119, 203, 3], smooth."""
    coarse = np.random.default_rng(1).uniform(0, 255, (1, 9, 13, 3))
    return tf.cast(tf.image.resize(coarse, (119, 203)), tf.uint8).numpy()


def as_input(picture: np.ndarray, input_type: str) -> tf.Tensor:
    if input_type in ("image_tensor", "float_image_tensor"):
        return tf.constant(picture, {"i": tf.uint8, "f": tf.float32}[input_type[0]])
    encoded = tf.io.encode_png(picture[0]).numpy()
    if input_type == "encoded_image_string_tensor":
        return tf.constant([encoded])
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded]))
    features = tf.train.Features(feature={"image/encoded": feature})
    return tf.constant([tf.train.Example(features=features).SerializeToString()])


@pytest.mark.parametrize("input_type", INPUT_TYPES)
def test_every_input_type_detects_what_the_detector_does(
    small_detector, picture, tmp_path, input_type
):
    folder = tmp_path / "export/saved_model"
    saved_model.export_saved_model(
        small_detector, folder, label_map=LABEL_MAP, input_type=input_type
    )
    model = tf.saved_model.load(str(folder))
    given = as_input(picture, input_type)
    detections = model.signatures["serving_default"](input_tensor=given)
    expected = small_detector.postprocess(
        small_detector.predict(small_detector.preprocess(tf.constant(picture)))
    )
    assert expected[DetectionFields.num_detections][0] > 5
    for name, value in expected.items():
        offset = 1 if name == DetectionFields.detection_classes else 0
        assert detections[name].dtype == tf.float32
        np.testing.assert_allclose(
            detections[name], tf.cast(value, tf.float32) + offset, atol=1e-5, err_msg=name
        )
    called = model(given)
    assert sorted(called) == sorted(expected)
    for name, value in called.items():
        np.testing.assert_array_equal(value, detections[name])


def test_signature(small_detector, tmp_path):
    saved_model.export_saved_model(small_detector, tmp_path / "m", label_map=LABEL_MAP)
    function = tf.saved_model.load(str(tmp_path / "m")).signatures["serving_default"]
    _, inputs = function.structured_input_signature
    ((name, spec),) = inputs.items()
    assert (name, spec.shape.as_list(), spec.dtype) == (
        "input_tensor",
        [1, None, None, 3],
        tf.uint8,
    )
    # 25 detections at most, 48 anchors, 3 classes and the background
    assert {k: v.shape.as_list() for k, v in function.structured_outputs.items()} == {
        "detection_anchor_indices": [1, 25],
        "detection_boxes": [1, 25, 4],
        "detection_classes": [1, 25],
        "detection_multiclass_scores": [1, 25, 4],
        "detection_scores": [1, 25],
        "num_detections": [1],
        "raw_detection_boxes": [1, 48, 4],
        "raw_detection_scores": [1, 48, 4],
    }


def test_predictor_reads_it_with_labels(small_detector, picture, tmp_path):
    saved_model.export_saved_model(small_detector, tmp_path / "m", label_map=LABEL_MAP)
    asset = tmp_path / "m/assets/label_map.pbtxt"
    assert label_maps.load(asset) == LABEL_MAP
    predictor = SavedModelPredictor(tmp_path / "m")
    assert predictor.label_map == LABEL_MAP
    assert predictor(picture)[DetectionFields.detection_classes].min() >= 1


def test_an_earlier_export_is_replaced_whole(small_detector, tmp_path):
    folder = tmp_path / "m"
    (folder / "variables").mkdir(parents=True)
    (folder / "variables/old").touch()
    saved_model.export_saved_model(small_detector, folder, label_map=LABEL_MAP)
    assert not (folder / "variables/old").exists()
    assert (folder / "saved_model.pb").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_model_that_detects_something_else_is_not_written(small_detector, tmp_path, monkeypatch):
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "before").touch()
    real = saved_model.serving_detections

    def drifted(detector, images):
        detections = real(detector, images)
        if tf.executing_eagerly():
            detections[DetectionFields.raw_detection_scores] += 0.01
        return detections

    monkeypatch.setattr(saved_model, "serving_detections", drifted)
    with pytest.raises(GateError, match=r"raw_detection_scores differ .* by 0\.01, allowed"):
        saved_model.export_saved_model(small_detector, folder, label_map=LABEL_MAP)
    assert [path.name for path in tmp_path.rglob("*")] == ["m", "before"]


def test_folder_that_cannot_be_written(small_detector, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/m: cannot be written \("):
        saved_model.export_saved_model(small_detector, tmp_path / "file/m", label_map=LABEL_MAP)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_recorded_saved_model(oracle: Path, tmp_path, name):
    """Signature and detections of the original's own exporter."""
    predictor = load_checkpoint_predictor(oracle / name)
    names = [f"class {n}" for n in range(predictor.detector.num_classes)]
    saved_model.export_saved_model(
        predictor.detector, tmp_path / "m", label_map=label_maps.from_names(names)
    )
    function = tf.saved_model.load(str(tmp_path / "m")).signatures["serving_default"]
    info = json.loads((oracle / name / "golden.info.json").read_text())
    assert {
        key: [f"{spec.dtype!r}".replace("tf.", "<dtype: '") + "'>", spec.shape.as_list()]
        for key, spec in function.structured_outputs.items()
    } == info["saved_model_outputs"]
    golden = np.load(oracle / name / "golden.npz")
    assert sorted(function.structured_outputs) == sorted(golden["saved_model/output_names"])
    for image in (0, 1):
        found = function(input_tensor=tf.constant(golden[f"in/image_{image}"][np.newaxis]))
        for key in (
            "detection_boxes",
            "detection_scores",
            "detection_classes",
            "num_detections",
            "detection_anchor_indices",
        ):
            recorded = golden[f"saved_model/image_{image}/{key}"]
            # The original's own noise between runs is 4e-6 on scores.
            np.testing.assert_allclose(found[key], recorded, atol=1e-5, err_msg=key)
