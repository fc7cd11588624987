from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from ssd.config import pipeline
from ssd.fine_tune import restore_fine_tune
from ssd.models.builder import build_detector
from ssd.models.normalization import FusedBatchNormalization, group_normalization
from ssd.optimizer import build_optimizer
from ssd.standard_fields import InputFields, PredictionFields
from ssd.training.precision import computing_in, precision_line
from ssd.training.train_step import make_train_step

FLOAT32 = "float32"
# (precision, dtype inside of the network, what numbers near 1 may be off).
# A float16 has 11 significant bits, a bfloat16 has 8.
MIXED = [("mixed_float16", tf.float16, 0.01), ("mixed_bfloat16", tf.bfloat16, 0.05)]
SMALL = (
    "model.ssd.num_classes=3",
    "model.ssd.image_resizer.fixed_shape_resizer.height=64",
    "model.ssd.image_resizer.fixed_shape_resizer.width=96",
    "model.ssd.feature_extractor.depth_multiplier=0.25",
)


def batch_of(images: np.ndarray) -> dict[str, tf.Tensor]:
    """Two pictures; two boxes and one."""
    boxes = np.zeros((2, 3, 4), np.float32)
    boxes[0, :2] = [[0.1, 0.2, 0.6, 0.5], [0.3, 0.4, 0.95, 0.9]]
    boxes[1, :1] = [[0.25, 0.05, 0.7, 0.85]]
    one_hot = np.zeros((2, 3, 3), np.float32)
    one_hot[0, [0, 1], [2, 0]] = 1.0
    one_hot[1, 0, 1] = 1.0
    return {
        InputFields.image: tf.constant(images),
        InputFields.groundtruth_boxes: tf.constant(boxes),
        InputFields.groundtruth_classes_one_hot: tf.constant(one_hot),
        InputFields.groundtruth_weights: tf.reduce_sum(tf.constant(one_hot), -1),
    }


@pytest.fixture(scope="module")
def batch() -> dict[str, tf.Tensor]:
    images = np.random.default_rng(9).uniform(0, 255, (2, 64, 96, 3))
    return batch_of(images.astype(np.float32))


def values(detector) -> dict[str, np.ndarray]:
    return {key: v.numpy() for key, v in detector.checkpoint_variables().items()}


def one_step(detector, config, batch, precision: str) -> dict[str, np.ndarray]:
    """{variable: what one step adds to it}, which is taken back."""
    optimizer = build_optimizer(config.train_config.optimizer)
    optimizer.build(detector.network.trainable_variables)
    before = values(detector)
    losses = make_train_step(detector, optimizer, precision=precision)(batch)
    assert {value.dtype for value in losses.values()} == {tf.float32}
    after = values(detector)
    for key, variable in detector.checkpoint_variables().items():
        assert variable.dtype == tf.float32
        variable.assign(before[key])
    assert {slot.dtype for slots in optimizer.slots.values() for slot in slots} == {"float32"}
    return {key: after[key] - before[key] for key in before} | {"loss": losses["total_loss"]}


@pytest.mark.slow
def test_a_step_of_a_fresh_network_is_near_that_of_float32_where_it_can_be(
    tiny_detector, tiny_config, batch
):
    """At its end: further down, batch norms over a few pixels make much of a rounding."""
    expected = one_step(tiny_detector, tiny_config, batch, FLOAT32)
    heads = {key for key in expected if "head" in key and key.endswith("/bias")}
    assert len(heads) == 2
    for precision, _, tolerance in MIXED:
        found = one_step(tiny_detector, tiny_config, batch, precision)
        assert float(found["loss"]) == pytest.approx(float(expected["loss"]), rel=2e-3)
        for key in heads:
            difference = np.linalg.norm(found[key] - expected[key])
            assert 0 < difference < tolerance * np.linalg.norm(expected[key]), (precision, key)


@pytest.mark.slow
def test_a_step_of_a_trained_network_goes_the_way_of_float32(project, shared):
    """Cosine of the whole updates; two photos of 224x224 at depth 0.5."""
    checkpoint = shared / "checkpoints/ssd_mobilenet_v2_fpnlite_050_224_coco80"
    photos = sorted((shared / "data/bccd_voc").rglob("*.jpg"))[:2]
    config = pipeline.load(
        project / "pipeline_configs/small_data.config", ("model.ssd.num_classes=3",)
    ).message
    detector = build_detector(config.model, seed=3)
    restore_fine_tune(detector, str(checkpoint), "detection")
    images = [np.asarray(Image.open(photo).resize((224, 224)), np.float32) for photo in photos]
    batch = batch_of(np.stack(images))
    expected = one_step(detector, config, batch, FLOAT32)
    for precision, least in (("mixed_float16", 0.95), ("mixed_bfloat16", 0.85)):
        found = one_step(detector, config, batch, precision)
        assert float(found["loss"]) == pytest.approx(float(expected["loss"]), rel=2e-3)
        weights = [key for key in expected if "moving" not in key and key != "loss"]
        one, other = (np.concatenate([d[k].ravel() for k in weights]) for d in (found, expected))
        cosine = np.dot(one, other) / np.linalg.norm(one) / np.linalg.norm(other)
        assert least < cosine < 0.9999, precision


@pytest.mark.parametrize(("precision", "inside", "_tolerance"), MIXED)
@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8", ()),
        ("ssd_mobilenet_v2_320x320_coco17_tpu-8", ()),
        ("ssd_mobilenet_v1_fpn_640x640_coco17_tpu-8", ()),
    ],
    ids=["depthwise pyramid", "extra levels", "MobileNetV1, plain pyramid"],
)
@pytest.mark.slow
def test_only_the_network_computes_in_half_precision(
    project, name, overrides, precision, inside, _tolerance
):
    config = pipeline.load(project / f"pipeline_configs/{name}.config", SMALL + overrides).message
    detector = build_detector(config.model, seed=3)
    images = tf.constant(np.random.default_rng(4).uniform(-1, 1, (2, 64, 96, 3)), tf.float32)

    @tf.function(autograph=False)
    def predict(images):
        with computing_in(precision, detector.network):
            return detector.predict(images, training=True)

    graph = predict.get_concrete_function(images).graph
    kinds = {
        op.type: op.inputs[0].dtype
        for op in graph.get_operations()
        if op.type in ("Conv2D", "DepthwiseConv2dNative", "FusedBatchNormV3", "Relu6", "AddV2")
        or op.type == "ResizeNearestNeighbor"
    }
    assert set(kinds.values()) == {inside}
    assert {"Conv2D", "DepthwiseConv2dNative", "FusedBatchNormV3"} <= kinds.keys()
    scales = {op.inputs[1].dtype for op in graph.get_operations() if op.type == "FusedBatchNormV3"}
    assert scales == {tf.float32}
    predictions = predict(images)
    for field in (
        PredictionFields.box_encodings,
        PredictionFields.class_predictions_with_background,
    ):
        assert predictions[field].dtype == tf.float32
        assert np.all(np.isfinite(predictions[field]))
    assert {m.dtype for m in predictions[PredictionFields.feature_maps]} == {tf.float32}
    assert {v.dtype for v in detector.network.variables if "seed" not in v.name} == {"float32"}


@pytest.mark.parametrize(("precision", "inside", "tolerance"), MIXED)
def test_group_normalization_sums_in_float32(precision, inside, tolerance):
    """Values around 400: their squares are beyond float16."""
    values = np.random.default_rng(4).uniform(300, 500, (2, 4, 6, 64)).astype(np.float32)
    groups = values.reshape(2, 4 * 6, 32, 2)
    mean, variance = (f(groups, axis=(1, 3), keepdims=True) for f in (np.mean, np.var))
    expected = ((groups - mean) / np.sqrt(variance)).reshape(values.shape)
    layer = group_normalization(64)
    layer.build(values.shape)
    layer.dtype_policy = precision
    found = layer(tf.constant(values))
    assert (found.dtype, layer.gamma.dtype) == (inside, "float32")
    # 400 itself is rounded to a quarter in float16, to 2 in bfloat16; the deviation is 58.
    np.testing.assert_allclose(tf.cast(found, tf.float32), expected, atol=tolerance)


@pytest.mark.parametrize(("precision", "inside", "tolerance"), MIXED)
def test_batch_normalization_keeps_float32_statistics(precision, inside, tolerance):
    values = np.random.default_rng(5).uniform(300, 500, (3, 4, 6, 2)).astype(np.float32)
    layer = FusedBatchNormalization(momentum=0.0)
    layer.build(values.shape)
    layer.dtype_policy = precision
    found = layer(tf.constant(values), training=True)
    mean, variance = values.mean((0, 1, 2)), values.var((0, 1, 2), ddof=1)
    assert (found.dtype, layer.moving_variance.dtype) == (inside, "float32")
    np.testing.assert_allclose(layer.moving_mean.value, mean, rtol=1e-3)
    np.testing.assert_allclose(layer.moving_variance.value, variance, rtol=1e-2)
    expected = (values - mean) / values.std((0, 1, 2))
    np.testing.assert_allclose(tf.cast(found, tf.float32), expected, atol=tolerance)


def test_outside_of_the_block_nothing_has_changed(tiny_detector):
    images = tf.constant(np.random.default_rng(4).uniform(-1, 1, (1, 64, 96, 3)), tf.float32)
    expected = tiny_detector.predict(images)[PredictionFields.box_encodings]
    with computing_in("mixed_bfloat16", tiny_detector.network):
        inside = tiny_detector.predict(images)[PredictionFields.box_encodings]
    assert np.max(np.abs(inside - expected)) > 0
    after = tiny_detector.predict(images)[PredictionFields.box_encodings]
    np.testing.assert_array_equal(after, expected)
    with pytest.raises(ValueError, match="mixed"), computing_in("mixed", tiny_detector.network):
        pass
    assert {layer.compute_dtype for layer in tiny_detector.network.layers} == {FLOAT32}


@pytest.mark.parametrize(
    ("precision", "expected"),
    [
        (FLOAT32, ""),
        (
            "mixed_float16",
            "precision mixed_float16: evaluation, best/ and exports stay float32; on a CPU a step "
            "takes some 30 times as long as in float32",
        ),
        (
            "mixed_bfloat16",
            "precision mixed_bfloat16: evaluation, best/ and exports stay float32; on a CPU a step "
            "takes 1.1 to 2 times as long as in float32",
        ),
    ],
)
def test_what_is_said(monkeypatch, precision, expected):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    assert precision_line(precision) == expected
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a GPU"])
    assert precision_line(precision) == expected.split("; on a CPU")[0]
