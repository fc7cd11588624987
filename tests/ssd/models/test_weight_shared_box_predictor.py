from __future__ import annotations

import keras
import numpy as np
import pytest

from ssd.models.box_predictor import Columns
from ssd.models.hyperparams import BatchNorm, ConvHyperparams
from ssd.models.weight_shared_box_predictor import WeightSharedBoxPredictor

HYPERPARAMS = ConvHyperparams(
    initializer={"class_name": "RandomNormal", "config": {"stddev": 0.01}},
    regularizer={"class_name": "L2", "config": {"l2": 2e-5}},
    normalizer=BatchNorm(decay=0.9),
)
SIZES = ((3, 5), (2, 3))
BOXES, CLASSES = "box_encodings", "class_predictions_with_background"


def predictor(**changes) -> WeightSharedBoxPredictor:
    keras.utils.set_random_seed(4)
    arguments = {
        "num_levels": 2,
        "num_anchors_per_location": 6,
        "depth": 10,
        "num_layers_before_predictor": 4,
        "kernel_size": 3,
        "class_prediction_bias_init": -4.6,
        "share_prediction_tower": True,
        "use_depthwise": True,
    }
    arguments |= changes
    columns = Columns(4, 1 + arguments.pop("num_classes", 3))
    return WeightSharedBoxPredictor(HYPERPARAMS, columns, **arguments)


def feature_maps(batch: int = 2) -> list[np.ndarray]:
    draw = np.random.default_rng(6)
    return [draw.normal(size=(batch, *size, 8)).astype(np.float32) for size in SIZES]


def test_rows_are_levels_then_cells_row_by_row_then_anchors():
    # No tower and heads of 1x1: each row of the output is known from one cell of one map.
    model = predictor(num_layers_before_predictor=0, kernel_size=1, use_depthwise=False)
    maps = [np.zeros((1, *size, 8), np.float32) for size in SIZES]
    maps[0][0, 2, 4, 0] = 1.0  # level 0, row 2, column 4: cell 2 * 5 + 4 = 14
    maps[1][0, 1, 0, 0] = 1.0  # level 1, row 1, column 0: cell 15 + 1 * 3 + 0 = 18
    model(maps)
    kernel = np.zeros((1, 1, 8, 24), np.float32)
    kernel[0, 0, 0] = np.arange(24)  # channel = anchor * 4 + code
    model.box_head.kernel.assign(kernel)
    kernel = np.zeros((1, 1, 8, 24), np.float32)
    kernel[0, 0, 0] = 100 + np.arange(24)  # channel = anchor * (C + 1) + class
    model.class_head.kernel.assign(kernel)
    predictions = {name: value.numpy()[0] for name, value in model(maps).items()}
    assert predictions[BOXES].shape == (21 * 6, 4)
    assert predictions[CLASSES].shape == (21 * 6, 4)
    marked = {name: np.zeros((21, 6, 4)) for name in predictions}
    for cell in (14, 18):
        marked[BOXES][cell] = np.arange(24).reshape(6, 4)
        marked[CLASSES][cell] = 100 + np.arange(24).reshape(6, 4)
    np.testing.assert_allclose(predictions[BOXES], marked[BOXES].reshape(-1, 4), atol=1e-5)
    np.testing.assert_allclose(
        predictions[CLASSES], marked[CLASSES].reshape(-1, 4) - 4.6, atol=1e-4
    )


def test_initial_class_logits_are_the_bias_in_every_column():
    model = predictor()
    predictions = model([np.zeros((1, *size, 8), np.float32) for size in SIZES])
    np.testing.assert_allclose(predictions[CLASSES], np.full((1, 126, 4), -4.6), rtol=1e-6)
    np.testing.assert_array_equal(predictions[BOXES], np.zeros((1, 126, 4)))


def test_the_tower_is_convolution_batch_norm_relu6_with_norms_per_level():
    model = predictor(num_layers_before_predictor=2)
    model(feature_maps())
    # Different statistics per level and layer, so that a mix-up shows.
    for level, norms in enumerate(model.tower_batch_norms[BOXES]):
        for n, norm in enumerate(norms):
            norm.beta.assign(np.full(10, 1.0 + level + 2.5 * n))
    x = feature_maps()
    expected = []
    for level, features in enumerate(x):
        for n, conv in enumerate(model.tower_convs[BOXES]):
            norm = model.tower_batch_norms[BOXES][level][n]
            features = np.clip(norm(conv(features)).numpy(), 0, 6)
        expected.append(model.box_head(features).numpy().reshape(2, -1, 4))
    np.testing.assert_allclose(model(x)[BOXES], np.concatenate(expected, 1), atol=1e-5)


def test_separable_heads_take_neither_initializer_nor_regularizer():
    model = predictor(depth=128)
    model([np.zeros((1, *size, 128), np.float32) for size in SIZES])
    assert model.box_head.losses == []
    assert model.class_head.losses == []
    # Keras counts the fans of a depthwise kernel [3, 3, 128, 1] as 9 * 128 and 9 * 1: glorot's
    # limit is sqrt(6 / 1161) = 0.072; the pointwise one's sqrt(6 / (128 + 24)) = 0.199.
    for head in (model.box_head, model.class_head):
        depthwise, pointwise, _ = (v.numpy() for v in head.variables)
        assert depthwise.std() == pytest.approx(np.sqrt(6 / 1161) / np.sqrt(3), rel=0.1)
        assert pointwise.std() == pytest.approx(np.sqrt(6 / 152) / np.sqrt(3), rel=0.05)


def test_plain_heads_take_both():
    model = predictor(use_depthwise=False)
    model(feature_maps())
    assert len(model.box_head.losses) == len(model.class_head.losses) == 1
    assert model.box_head.kernel.numpy().std() == pytest.approx(0.01, rel=0.1)


def test_a_shared_tower_serves_both_heads():
    model = predictor()
    model(feature_maps())
    paths = model.checkpoint_layers()
    towers = {path.split("/")[1] for path in paths if path.startswith("_head_scope_conv_layers")}
    assert towers == {"PredictionTower"}
    # 2 heads, 4 convolutions, 4 batch norms on each of 2 levels.
    assert len(paths) == 2 + 4 + 8
    norms = [path for path in paths if path.startswith("_base_tower_layers_for_heads")]
    assert norms == [
        f"_base_tower_layers_for_heads/{BOXES}/{level}/{n}"
        for level in (0, 1)
        for n in (1, 4, 7, 10)
    ]


def test_two_towers_have_names_and_norms_of_their_own():
    model = predictor(share_prediction_tower=False, num_layers_before_predictor=1)
    maps = feature_maps()
    before = model(maps)
    paths = model.checkpoint_layers()
    assert {path for path in paths if "Tower" in path} == {
        "_head_scope_conv_layers/BoxPredictionTower/0",
        "_head_scope_conv_layers/ClassPredictionTower/0",
    }
    assert f"_base_tower_layers_for_heads/{CLASSES}/1/1" in paths
    norm = model.tower_batch_norms[CLASSES][0][0]
    norm.beta.assign(norm.beta + 1.0)
    after = model(maps)
    np.testing.assert_array_equal(after[BOXES], before[BOXES])
    assert np.abs(after[CLASSES].numpy() - before[CLASSES].numpy()).max() > 1e-4
