from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ssd import checkpoint, label_map
from ssd.config import pipeline
from ssd.errors import InputError
from ssd.predictor import CheckpointPredictor, load_predictor

IMAGES = np.random.default_rng(3).uniform(0, 255, (2, 64, 96, 3)).astype(np.float32)


@pytest.fixture
def model_folder(tiny_detector, tiny_config, tiny_label_map, tmp_path) -> Path:
    """As a run leaves it."""
    pipeline.save(tiny_config, tmp_path / "pipeline.config")
    label_map.save(tiny_label_map, tmp_path / "label_map.pbtxt")
    checkpoint.save(tmp_path / "best", tiny_detector, 5)
    return tmp_path


class Recorded(tf.Module):
    """A SavedModel with the signature of detection models and fixed answers."""

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8)])
    def detect(self, input_tensor):
        # The height of the picture comes back as a score, to show what arrived.
        height = tf.cast(tf.shape(input_tensor)[1], tf.float32) / 1000.0
        return {
            "detection_boxes": tf.constant([[[0.1, 0.2, 0.5, 0.9], [0.0, 0.0, 0.0, 0.0]]]),
            "detection_scores": tf.stack([[height, 0.0]]),
            "detection_classes": tf.constant([[2.0, 1.0]]),
            "num_detections": tf.constant([1.0]),
        }

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.float32)])
    def wrong(self, images):
        return {"detection_boxes": images}


def test_ids_are_one_based_integers(tiny_detector, tiny_label_map):
    predictor = CheckpointPredictor(tiny_detector, tiny_label_map, "name")
    found = predictor(IMAGES)
    raw = tiny_detector.postprocess(tiny_detector.predict(tiny_detector.preprocess(IMAGES)))
    np.testing.assert_array_equal(found["detection_classes"], raw["detection_classes"].numpy() + 1)
    assert found["detection_classes"].dtype == found["num_detections"].dtype == np.int64
    np.testing.assert_allclose(
        found["detection_scores"], raw["detection_scores"].numpy(), atol=1e-5
    )
    assert set(found) == {
        "detection_boxes",
        "detection_scores",
        "detection_classes",
        "num_detections",
    }
    assert (predictor.image_size, predictor.label_map.names) == ((64, 96), tiny_label_map.names)


def test_it_sees_variables_that_change(tiny_detector, tiny_label_map):
    predictor = CheckpointPredictor(tiny_detector, tiny_label_map)
    before = predictor(IMAGES)["detection_scores"]
    bias = tiny_detector.network.box_predictor.class_head.bias
    bias.assign(bias + 1.0)
    assert predictor(IMAGES)["detection_scores"].min() > before.max()


# Building a detector takes seconds; what counts as a checkpoint is tested where it is found.
@pytest.mark.parametrize(
    "given",
    [
        "",
        pytest.param("best", marks=pytest.mark.slow),
        "best/ckpt-5",
        pytest.param("best/ckpt-5.index", marks=pytest.mark.slow),
    ],
)
def test_forms_of_a_run(model_folder, tiny_label_map, given):
    predictor = load_predictor(model_folder / given)
    assert isinstance(predictor, CheckpointPredictor)
    assert predictor.label_map.names == tiny_label_map.names
    assert predictor.name == f"{model_folder}/best/ckpt-5"


@pytest.mark.parametrize("where", ["", "saved_model"])
def test_saved_models(tmp_path, where):
    model = Recorded()
    tf.saved_model.save(model, str(tmp_path / where), {"serving_default": model.detect})
    predictor = load_predictor(tmp_path)
    assert (predictor.image_size, predictor.batch_size, predictor.label_map) == (None, 1, None)
    found = predictor(np.zeros((1, 120, 200, 3), np.uint8))
    # Ids are 1-based in the signature already.
    assert found["detection_classes"].tolist() == [[2, 1]]
    assert found["detection_scores"][0, 0] == pytest.approx(0.12)
    assert found["num_detections"].tolist() == [1]


def test_another_label_map_replaces_the_models(tmp_path, tiny_label_map):
    model = Recorded()
    tf.saved_model.save(model, str(tmp_path / "saved_model"), {"serving_default": model.detect})
    label_map.save(tiny_label_map, tmp_path / "label_map.pbtxt")
    other = label_map.from_names(["a", "b", "c"])
    assert load_predictor(tmp_path, other).label_map is other


def test_a_label_map_beside_a_saved_model(tmp_path, tiny_label_map):
    model = Recorded()
    tf.saved_model.save(model, str(tmp_path / "saved_model"), {"serving_default": model.detect})
    label_map.save(tiny_label_map, tmp_path / "label_map.pbtxt")
    assert load_predictor(tmp_path / "saved_model").label_map.names == tiny_label_map.names


@pytest.mark.parametrize(
    ("signatures", "message"),
    [
        ({}, r"it has no serving_default signature \(signatures: none\); uint8 \[1, h, w, 3\] in"),
        (
            {"serving_default": "wrong"},
            r"it takes float32 \[1, \?, \?, 3\] and gives detection_boxes; uint8 \[1, h, w, 3\] in",
        ),
    ],
)
def test_other_saved_models_are_refused(tmp_path, signatures, message):
    model = Recorded()
    tf.saved_model.save(
        model, str(tmp_path), {key: getattr(model, name) for key, name in signatures.items()}
    )
    with pytest.raises(InputError, match=message):
        load_predictor(tmp_path)


def test_a_damaged_saved_model_is_one_line(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\xff\xfe nothing" * 9)
    with pytest.raises(InputError, match=r"TensorFlow cannot load it \(Cannot parse file[^\n]+\)$"):
        load_predictor(tmp_path)


def with_columns(columns: int | None) -> tf.Module:
    """A detector whose network has so many columns of class scores."""
    module = Recorded()

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8)])
    def detect(image):
        more = {} if columns is None else {"raw_detection_scores": tf.zeros([1, 9, columns])}
        return module.detect(image) | more

    module.with_columns = detect
    return module


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (91, (90, "bicycle", "toothbrush")),
        (90, (90, "bicycle", "toothbrush")),
        (81, (80, "bicycle", "90")),
        (4, None),
        (None, None),
    ],
)
def test_classes_of_others_have_cocos_names(tmp_path, capsys, columns, expected):
    module = with_columns(columns)
    tf.saved_model.save(module, str(tmp_path), {"serving_default": module.with_columns})
    predictor = load_predictor(tmp_path)
    said = capsys.readouterr().err
    if expected is None:
        assert (predictor.label_map, said) == (None, "")
        return
    count = expected[0]
    labels = predictor.label_map
    assert (labels.num_classes, labels.name_of(2), labels.name_of(90)) == expected
    assert said == (
        f"{tmp_path}: carries no label map; its {count} classes are taken for COCO's, "
        "--label-map FILE names others\n"
    )


@pytest.mark.parametrize(
    "place", ["assets/mscoco_label_map.pbtxt", "label_map.pbtxt", "../label_map.pbtxt"]
)
def test_where_a_saved_models_labels_are_found(tmp_path, tiny_label_map, capsys, place):
    module = with_columns(91)
    path = tmp_path / "saved_model"
    tf.saved_model.save(module, str(path), {"serving_default": module.with_columns})
    label_map.save(tiny_label_map, path / place)
    assert load_predictor(path).label_map.names == tiny_label_map.names
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param(
            "nowhere",
            r"nowhere: no such file or folder; a run, a model folder, a "
            r"SavedModel or a \.tflite was expected",
            id="nowhere",
        ),
        pytest.param("empty", r"empty: no pipeline\.config in this folder or above it", id="empty"),
        pytest.param(
            "photo.jpg", r"photo\.jpg: no pipeline\.config|photo\.jpg: .*expected", id="a picture"
        ),
        pytest.param("none.tflite", r"none\.tflite: No such file", id="no .tflite"),
    ],
)
def test_nothing_to_load(tmp_path, given, message):
    folder = tmp_path / "deep/deeper"
    (folder / "empty").mkdir(parents=True)
    (folder / "photo.jpg").write_bytes(b"\xff\xd8")
    with pytest.raises(InputError, match=message):
        load_predictor(folder / given)


def test_a_run_without_checkpoint(model_folder):
    for path in (model_folder / "best").iterdir():
        path.unlink()
    with pytest.raises(InputError, match=r"no checkpoint \(ckpt-N\.index\) in this folder"):
        load_predictor(model_folder)


def test_a_config_that_does_not_belong_to_the_checkpoint(model_folder, tiny_config):
    tiny_config.model.ssd.num_classes = 5
    pipeline.save(tiny_config, model_folder / "pipeline.config")
    with pytest.raises(
        InputError,
        match=r"ckpt-5: .*class_pred.* is \(.*24\), the model expects "
        r"\(.*36\) \(2 of 384 variables differ\)",
    ):
        load_predictor(model_folder)


def test_reference_kernels_belong_to_tflite_files(tmp_path):
    with pytest.raises(InputError, match=r"run1: --reference-kernels are for \.tflite files"):
        load_predictor(tmp_path / "run1", reference_kernels=True)
