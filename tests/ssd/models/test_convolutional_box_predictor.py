from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from ssd.models.box_predictor import Columns
from ssd.models.convolutional_box_predictor import ConvolutionalBoxPredictor
from ssd.models.hyperparams import BatchNorm, ConvHyperparams

HYPERPARAMS = ConvHyperparams(
    initializer={"class_name": "RandomNormal", "config": {"stddev": 0.01}},
    regularizer={"class_name": "L2", "config": {"l2": 2e-5}},
    normalizer=BatchNorm(decay=0.9),
)
# Two maps of 3x5 cells with 8 channels and 3 anchors, of 2x3 cells with 11 channels and 6 anchors.
SHAPES, ANCHORS = ((3, 5, 8), (2, 3, 11)), (3, 6)
ROWS = 15 * 3 + 6 * 6
BOXES, CLASSES = "box_encodings", "class_predictions_with_background"


def predictor(columns: Columns | None = None, **changes) -> ConvolutionalBoxPredictor:
    keras.utils.set_random_seed(4)
    arguments = {"num_anchors_per_location": ANCHORS} | changes
    return ConvolutionalBoxPredictor(HYPERPARAMS, columns or Columns(4, 4), **arguments)


def feature_maps() -> list[np.ndarray]:
    draw = np.random.default_rng(6)
    return [draw.normal(size=(2, *shape)).astype(np.float32) for shape in SHAPES]


def test_rows_are_levels_then_cells_row_by_row_then_anchors():
    model = predictor()
    maps = [np.zeros((1, *shape), np.float32) for shape in SHAPES]
    maps[0][0, 2, 4, 0] = 1.0  # level 0, row 2, column 4: rows from (2 * 5 + 4) * 3 = 42
    maps[1][0, 1, 0, 0] = 1.0  # level 1, row 1, column 0: rows from 45 + (1 * 3 + 0) * 6 = 63
    model(maps)
    for heads, begin in ((model.box_heads, 0), (model.class_heads, 100)):
        for (head,), count in zip(heads, ANCHORS, strict=True):
            kernel = np.zeros(head.kernel.shape, np.float32)
            kernel[0, 0, 0] = begin + np.arange(4 * count)  # channel = anchor * 4 + column
            head.kernel.assign(kernel)
    predictions = {name: value.numpy()[0] for name, value in model(maps).items()}
    expected = np.zeros((ROWS, 4))
    expected[42:45] = np.arange(12).reshape(3, 4)
    expected[63:69] = np.arange(24).reshape(6, 4)
    np.testing.assert_allclose(predictions[BOXES], expected, atol=1e-5)
    expected[[*range(42, 45), *range(63, 69)]] += 100
    np.testing.assert_allclose(predictions[CLASSES], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("use_depthwise", "expected"),
    # The original's depthwise heads ignore the setting.
    [(False, -4.6), (True, 0.0)],
)
def test_initial_class_logits_are_the_bias_in_every_column(use_depthwise, expected):
    model = predictor(use_depthwise=use_depthwise, kernel_size=3, class_prediction_bias_init=-4.6)
    predictions = model([np.zeros((1, *shape), np.float32) for shape in SHAPES])
    np.testing.assert_allclose(predictions[CLASSES], np.full((1, ROWS, 4), expected), rtol=1e-6)
    np.testing.assert_array_equal(predictions[BOXES], np.zeros((1, ROWS, 4)))


@pytest.mark.parametrize(
    ("min_depth", "max_depth", "num_layers", "depths"),
    [
        (0, 0, 2, None),  # no depth, no layers
        (0, 50, 0, None),
        (0, 100, 1, (8, 11)),  # as many as the map has
        (0, 9, 2, (8, 9)),
        (10, 30, 1, (10, 11)),
        (20, 0, 1, (20, 20)),
    ],
)
def test_layers_in_front_have_the_channels_of_the_map_within_bounds(
    min_depth, max_depth, num_layers, depths
):
    model = predictor(
        min_depth=min_depth, max_depth=max_depth, num_layers_before_predictor=num_layers
    )
    model(feature_maps())
    found = [[conv.filters for conv, _ in pairs] for pairs in model.shared_layers]
    assert found == ([[depth] * num_layers for depth in depths] if depths else [[], []])
    for level, pairs in enumerate(model.shared_layers):
        for n, (conv, norm) in enumerate(pairs):
            name = f"SharedConvolutions_{level}_Conv2d_{n}_1x1_{depths[level]}"
            assert (conv.name, norm.name) == (name, f"{name}_norm")
            assert conv.kernel_size == (1, 1)


def test_layers_in_front_serve_both_heads():
    model = predictor(max_depth=9, num_layers_before_predictor=2, kernel_size=3)
    maps = feature_maps()
    model(maps)
    expected = {BOXES: [], CLASSES: []}
    for level, x in enumerate(maps):
        for n, (conv, norm) in enumerate(model.shared_layers[level]):
            norm.beta.assign(np.full(norm.beta.shape, 0.5 + level + n))
            x = tf.nn.relu6(norm(conv(x)))
        for what, heads in ((BOXES, model.box_heads), (CLASSES, model.class_heads)):
            expected[what].append(tf.reshape(heads[level][0](x), [2, -1, 4]))
    found = model(maps)
    for what, parts in expected.items():
        np.testing.assert_allclose(found[what], tf.concat(parts, axis=1), atol=1e-5)


def test_a_depthwise_head_is_depthwise_norm_activation_and_1x1():
    model = predictor(use_depthwise=True, kernel_size=3)
    maps = feature_maps()
    model(maps)
    parts = []
    for level, (depthwise, norm, last) in enumerate(model.box_heads):
        assert depthwise.kernel_size == (3, 3)
        assert last.kernel_size == (1, 1)
        norm.beta.assign(np.full(norm.beta.shape, 0.5 + level))
        last.bias.assign(np.arange(last.filters))
        parts.append(tf.reshape(last(tf.nn.relu6(norm(depthwise(maps[level])))), [2, -1, 4]))
    np.testing.assert_allclose(model(maps)[BOXES], tf.concat(parts, axis=1), atol=1e-5)
    # Depthwise kernels have Keras' initializer and no regularizer: one term per head and level.
    assert len(model.losses) == 4


def test_columns_of_boxes_and_classes():
    model = predictor(Columns(3, 5, (-0.01, 0.02)))
    predictions = {name: value.numpy() for name, value in model(feature_maps()).items()}
    assert predictions[BOXES].shape == (2, ROWS, 3)
    assert predictions[CLASSES].shape == (2, ROWS, 5)
    assert predictions[BOXES].min() == pytest.approx(-0.01)
    assert predictions[BOXES].max() == pytest.approx(0.02)
    assert predictions[CLASSES].max() > 0.02


@pytest.mark.parametrize("training", [False, True])
def test_apply_sigmoid_to_scores(training):
    maps = feature_maps()
    logits = predictor()(maps, training=training)
    scores = predictor(apply_sigmoid_to_scores=True)(maps, training=training)
    np.testing.assert_allclose(scores[CLASSES], tf.sigmoid(logits[CLASSES]), rtol=1e-5)
    np.testing.assert_array_equal(scores[BOXES], logits[BOXES])


def test_dropout_is_in_front_of_the_class_heads_and_only_in_training():
    maps = feature_maps()
    model = predictor(dropout_rate=0.5)
    found = model(maps)
    for what, heads in ((BOXES, model.box_heads), (CLASSES, model.class_heads)):
        parts = [tf.reshape(head(x), [2, -1, 4]) for (head,), x in zip(heads, maps, strict=True)]
        np.testing.assert_allclose(found[what], tf.concat(parts, axis=1), atol=1e-6)
    trained = model(maps, training=True, seed=tf.constant([7, 1]))
    np.testing.assert_array_equal(trained[BOXES], found[BOXES])
    assert np.abs(trained[CLASSES].numpy() - found[CLASSES].numpy()).max() > 1e-3
    # The seed alone decides, also in another model of the same weights.
    same = model(maps, training=True, seed=tf.constant([7, 1]))
    np.testing.assert_array_equal(same[CLASSES], trained[CLASSES])
    other = model(maps, training=True, seed=tf.constant([7, 2]))
    assert np.abs(other[CLASSES].numpy() - trained[CLASSES].numpy()).max() > 1e-3
    with pytest.raises(ValueError, match="dropout needs a seed"):
        model(maps, training=True)


@pytest.mark.parametrize(
    ("changes", "boxes", "classes", "shared"),
    [
        pytest.param({}, [0], [0], [], id="plain"),
        # Dropout counts as a layer.
        pytest.param({"dropout_rate": 0.2}, [0], [1], [], id="dropout"),
        # Depthwise, its norm, the activation, the 1x1 one.
        pytest.param(
            {"use_depthwise": True, "kernel_size": 3}, [0, 1, 3], [0, 1, 3], [], id="depthwise"
        ),
        pytest.param(
            {"use_depthwise": True, "kernel_size": 3, "dropout_rate": 0.2},
            [0, 1, 3],
            [1, 2, 4],
            [],
            id="depthwise and dropout",
        ),
        pytest.param(
            {"num_layers_before_predictor": 2, "max_depth": 9}, [0], [0], [0, 1, 3, 4], id="layers"
        ),
    ],
)
def test_checkpoint_layers(changes, boxes, classes, shared):
    model = predictor(**changes)
    model(feature_maps())
    expected = [
        f"_prediction_heads/{BOXES}/{n}/_box_encoder_layers/{m}" for n in (0, 1) for m in boxes
    ]
    expected += [
        f"_prediction_heads/{CLASSES}/{n}/_class_predictor_layers/{m}"
        for n in (0, 1)
        for m in classes
    ]
    expected += [f"_shared_nets/{n}/{m}" for n in (0, 1) for m in shared]
    paths = model.checkpoint_layers()
    assert sorted(paths) == sorted(expected)
    assert all(layer.variables for layer in paths.values())
    assert (
        paths[f"_prediction_heads/{BOXES}/1/_box_encoder_layers/{boxes[-1]}"]
        is (model.box_heads[1][-1])
    )
