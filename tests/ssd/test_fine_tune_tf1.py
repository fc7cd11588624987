"""TF1 checkpoints through all restore types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from ssd.config.messages import TrainEvalPipelineConfig
from ssd.errors import InputError
from ssd.fine_tune import restore_fine_tune
from ssd.models.builder import build_detector
from ssd.models.detector import Detector

EXTRACTOR = "model/_feature_extractor/"
BACKBONE = EXTRACTOR + "classification_backbone/"
CLASS_HEAD = "/_class_predictor_layers/"
V2 = "FeatureExtractor/MobilenetV2/"
SHARED = "WeightSharedConvolutionalBoxPredictor/"
NARROW = "tf1/ssdlite_mobilenet_v2_narrow"


@pytest.fixture(scope="module")
def built(project) -> tuple[Detector, dict[str, np.ndarray]]:
    """The FPNLite of TF1 at depth 0.25, 64x96, three classes; with its initial values."""
    from ssd.config import pipeline

    config = pipeline.load(
        project / "pipeline_configs/ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8.config"
    ).message
    config.model.ssd.num_classes = 3
    config.model.ssd.feature_extractor.type = "ssd_mobilenet_v2_fpn"
    config.model.ssd.feature_extractor.depth_multiplier = 0.25
    config.model.ssd.image_resizer.fixed_shape_resizer.height = 64
    config.model.ssd.image_resizer.fixed_shape_resizer.width = 96
    detector = build_detector(config.model, seed=3)
    return detector, values(detector)


@pytest.fixture
def detector(built) -> Iterator[Detector]:
    made, initial = built
    yield made
    for key, variable in made.checkpoint_variables().items():
        variable.assign(initial[f"model/{key}"])


def values(detector: Detector) -> dict[str, np.ndarray]:
    return {f"model/{key}": v.numpy() for key, v in detector.checkpoint_variables().items()}


def changed(detector: Detector, before: dict[str, np.ndarray]) -> set[str]:
    return {
        key for key, value in values(detector).items() if not np.array_equal(value, before[key])
    }


def tf1_names() -> list[str]:
    """Of an FPNLite detector, in order of creation."""
    norm = ("gamma", "beta", "moving_mean", "moving_variance")
    separable = ("depthwise_weights", "pointwise_weights")

    def normalized(scope: str, *leaves: str) -> list[str]:
        return [f"{scope}/{leaf}" for leaf in (*leaves, *(f"BatchNorm/{n}" for n in norm))]

    names = normalized(f"{V2}Conv", "weights")
    for number in range(17):
        block = f"{V2}expanded_conv_{number}" if number else f"{V2}expanded_conv"
        names += normalized(f"{block}/expand", "weights") if number else []
        names += normalized(f"{block}/depthwise", "depthwise_weights")
        names += normalized(f"{block}/project", "weights")
    names += normalized(f"{V2}Conv_1", "weights")
    for number in (3, 2, 1):
        names += [f"{V2}fpn/projection_{number}/{leaf}" for leaf in ("weights", "biases")]
    for layer in ("smoothing_2", "smoothing_1", "bottom_up_Conv2d_20", "bottom_up_Conv2d_21"):
        names += normalized(f"{V2}fpn/{layer}", *separable)
    for number in range(4):
        conv = f"{SHARED}PredictionTower/conv2d_{number}"
        names += [f"{conv}/{leaf}" for leaf in separable]
        names += [f"{conv}/BatchNorm/feature_{level}/{n}" for level in range(5) for n in norm]
    for head in ("BoxPredictor", "ClassPredictor"):
        names += [f"{SHARED}{head}/{leaf}" for leaf in (*separable, "biases")]
    return names


@pytest.fixture
def stored(built) -> dict[str, np.ndarray]:
    """{TF1 name: value}: every variable differs from the model's, and from every other."""
    from ssd.tf1.names import translate

    _, initial = built
    places = translate(tf1_names()).names
    assert places.keys() == initial.keys()
    return {
        name: initial[path] + np.float32(1 + number / 8)
        for number, (path, name) in enumerate(places.items())
    }


def write_tf1(prefix: Path, arrays: dict[str, np.ndarray]) -> str:
    """A name-based checkpoint, as TF1 writes them."""
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(arrays),
        shape_and_slices=[""] * len(arrays),
        tensors=[tf.constant(value) for value in arrays.values()],
    )
    return str(prefix)


def require_whole_account(report, detector: Detector, arrays: dict[str, np.ndarray]) -> None:
    """Every tensor of the model and every one of the file stands in the report once."""
    model = {f"model/{key}" for key in detector.checkpoint_variables()}
    assert set(report.restored) | set(report.kept_at_init) == model
    assert len(report.restored) + len(report.kept_at_init) == len(model)
    assert set(report.renamed.values()) | set(report.not_used) == set(arrays)
    assert len(report.renamed) + len(report.not_used) == len(arrays)


@pytest.mark.parametrize(
    ("kind", "count"),
    # Backbone 52 x 5; pyramid 3 x 2 and 4 x 6; predictor 4 x 2, 20 x 4 and 2 x 3.
    [("detection", 290), ("fine_tune", 290), ("full", 384), ("matching", 384)],
)
def test_types(detector, stored, tmp_path, kind, count):
    arrays = stored | {
        "global_step": np.int64(50000),
        f"{V2}Conv/weights/RMSProp": np.ones(3, np.float32),
        f"{V2}Conv/weights_quant/min": np.float32(-6),
    }
    before = values(detector)
    report = restore_fine_tune(detector, write_tf1(tmp_path / "model.ckpt-50000", arrays), kind)
    assert len(report.restored) == count
    assert changed(detector, before) == set(report.restored)
    after = values(detector)
    for path, name in report.renamed.items():
        np.testing.assert_array_equal(after[path], stored[name])
    require_whole_account(report, detector, arrays)
    assert report.not_used["global_step"] == "counter"
    assert report.not_used[f"{V2}Conv/weights/RMSProp"] == "optimizer state"
    assert report.not_used[f"{V2}Conv/weights_quant/min"] == "range of quantization-aware training"
    if count < 384:
        assert report.not_used[f"{SHARED}BoxPredictor/biases"] == "new in this run"


def test_classification_takes_a_classifier(detector, stored, tmp_path):
    arrays = {
        name.removeprefix("FeatureExtractor/"): value
        for name, value in stored.items()
        if name.startswith(V2) and "/fpn/" not in name
    } | {"MobilenetV2/Logits/Conv2d_1c_1x1/biases": np.ones(1001, np.float32)}
    before = values(detector)
    prefix = write_tf1(tmp_path / "mobilenet_v2.ckpt", arrays)
    report = restore_fine_tune(detector, prefix, "classification")
    backbone = {key for key in before if key.startswith(BACKBONE)}
    assert len(backbone) == 260
    assert changed(detector, before) == backbone == set(report.restored)
    require_whole_account(report, detector, arrays)
    reason = report.not_used["MobilenetV2/Logits/Conv2d_1c_1x1/biases"]
    assert reason == "classes of the classifier"
    assert report.note == ""


def test_what_does_not_fit_stays_new_as_under_tf1(detector, stored, tmp_path):
    """The zoo's ssd_mobilenet_v2 fits its own sample config no better."""
    gone = f"{V2}fpn/bottom_up_Conv2d_21/depthwise_weights"
    wide = f"{V2}Conv_1/weights"
    arrays = {name: value for name, value in stored.items() if name != gone}
    arrays[wide] = np.zeros((1, 1, 80, 1280), np.float32)
    report = restore_fine_tune(detector, write_tf1(tmp_path / "model.ckpt", arrays), "detection")
    new = {k: why for k, why in report.kept_at_init.items() if k.startswith(EXTRACTOR)}
    assert new == {
        BACKBONE + "layer_with_weights-102/kernel": "of another shape in the file",
        EXTRACTOR + "_coarse_feature_layers/1/0/depthwise_kernel": "not in the file",
    }
    assert report.not_used[wide] == "new in this run"
    require_whole_account(report, detector, arrays)
    with pytest.raises(
        InputError,
        match=r"layer_with_weights-102/kernel \(FeatureExtractor/MobilenetV2/Conv_1/weights\) is "
        r"\(1, 1, 80, 1280\) in the file, the model expects \(1, 1, 80, \d+\): .*of a TF1 "
        "checkpoint: the one without _keras",
    ):
        restore_fine_tune(detector, tmp_path / "model.ckpt", "full")


@pytest.mark.parametrize("kind", ["detection", "full", "matching"])
def test_another_depth_is_refused(detector, stored, tmp_path, kind):
    arrays = {name: np.zeros([n + 1 for n in v.shape], np.float32) for name, v in stored.items()}
    before = values(detector)
    with pytest.raises(
        InputError, match=r"model\.ckpt: .* belongs to another model; check .*depth"
    ):
        restore_fine_tune(detector, write_tf1(tmp_path / "model.ckpt", arrays), kind)
    assert not changed(detector, before)


def test_averages_are_left_as_the_original_does(detector, stored, tmp_path):
    averages = {f"{name}/ExponentialMovingAverage": value + 9 for name, value in stored.items()}
    arrays = stored | averages
    report = restore_fine_tune(detector, write_tf1(tmp_path / "model.ckpt", arrays), "full")
    np.testing.assert_array_equal(
        values(detector)[BACKBONE + "layer_with_weights-0/kernel"], stored[f"{V2}Conv/weights"]
    )
    assert report.note == (
        "of 384 variables the file also holds moving averages; the variables themselves are "
        "taken, as the original does"
    )
    require_whole_account(report, detector, arrays)


def test_a_tf2_type_of_this_width_is_refused(tiny_detector, stored, tmp_path):
    """depth 0.25 and min_depth 16: TF1 has shortcuts that TF2 has not."""
    prefix = write_tf1(tmp_path / "model.ckpt", stored)
    with pytest.raises(InputError, match=r"shortcut around expanded_conv .* without _keras"):
        restore_fine_tune(tiny_detector, prefix, "detection")


@pytest.fixture(scope="module")
def narrow(oracle) -> Detector:
    config = TrainEvalPipelineConfig()
    text_format.Parse((oracle / NARROW / "pipeline.config").read_text(), config)
    return build_detector(config.model, seed=3)


def test_the_recorded_tf1_model(oracle, narrow):
    """The original's TF1 graph gives these numbers from the same checkpoint."""
    report = restore_fine_tune(narrow, oracle / NARROW, "full")
    assert len(report.restored) == 404
    assert report.not_used == {"global_step": "counter"}
    golden = np.load(oracle / NARROW / "golden.npz")
    images = [narrow.preprocess(golden[f"in/image_{n}"][np.newaxis]) for n in (0, 1)]
    predictions = narrow.predict(tf.concat(images, axis=0))
    # Two TensorFlows running the original differ by 9e-6; the promise is 1e-4.
    for name in ("box_encodings", "class_predictions_with_background"):
        np.testing.assert_allclose(predictions[name], golden[f"infer/{name}"], rtol=0, atol=1e-4)
    for level, features in enumerate(predictions["feature_maps"]):
        np.testing.assert_allclose(
            features, golden[f"infer/feature_map_{level}"], rtol=0, atol=1e-4
        )


def test_heads_of_every_level_stay_new_together(oracle, narrow, tmp_path):
    """Level 3 with other anchors: `matching` leaves its class head alone."""
    reader = tf.train.load_checkpoint(str(oracle / NARROW / "model.ckpt"))
    arrays = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    head = "BoxPredictor_3/ClassPredictor"
    for leaf in ("weights", "biases"):
        shape = arrays[f"{head}/{leaf}"].shape
        arrays[f"{head}/{leaf}"] = np.zeros([*shape[:-1], shape[-1] - 4], np.float32)
    report = restore_fine_tune(narrow, write_tf1(tmp_path / "model.ckpt", arrays), "matching")
    # Depthwise kernel, normalization of 4, kernel and bias.
    assert len(report.kept_at_init) == 7
    assert all(f"background/3{CLASS_HEAD}" in key for key in report.kept_at_init)
    assert set(report.kept_at_init.values()) == {"class head of another shape in the file"}
    require_whole_account(report, narrow, arrays)


@pytest.mark.parametrize(
    ("case", "count"),
    [
        pytest.param("v1", 228, id="MobileNetV1, plain, two towers"),
        pytest.param("v2", 326, id="MobileNetV2, depthwise, one tower, explicit padding, dropout"),
    ],
)
def test_the_recorded_tf1_pyramids(golden_data, tmp_path, case, count):
    """The original's TF1 graphs at depth 0.05 give these numbers from the same variables."""
    golden = np.load(golden_data / "tf1_pyramids.npz")
    arrays, begin = {}, 0
    for name, text in zip(golden[f"{case}_names"], golden[f"{case}_shapes"], strict=True):
        shape = json.loads(str(text))
        end = begin + int(np.prod(shape))
        arrays[str(name)] = golden[f"{case}_values"][begin:end].reshape(shape)
        begin = end
    config = TrainEvalPipelineConfig()
    text_format.Parse(str(golden[f"{case}_config"]), config)
    detector = build_detector(config.model, seed=3)
    report = restore_fine_tune(detector, write_tf1(tmp_path / "model.ckpt", arrays), "full")
    assert len(report.restored) == len(arrays) == count
    predictions = detector.predict(detector.preprocess(tf.constant(golden["images"])))
    for name, key in (
        ("box_encodings", "boxes"),
        ("class_predictions_with_background", "classes"),
    ):
        wanted = golden[f"{case}_{key}"]
        # The original with and without oneDNN differs by 2e-5 of the largest: random layers
        # amplify. Another graph differs by half of the largest.
        tolerance = 1e-4 * np.abs(wanted).max()
        np.testing.assert_allclose(predictions[name], wanted, rtol=0, atol=tolerance)
