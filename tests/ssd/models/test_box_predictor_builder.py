from __future__ import annotations

import pytest
from google.protobuf import text_format

from ssd.config.messages import message_class
from ssd.errors import InputError
from ssd.models import box_predictor_builder
from ssd.models.convolutional_box_predictor import ConvolutionalBoxPredictor
from ssd.models.weight_shared_box_predictor import WeightSharedBoxPredictor

BOXES, CLASSES = "box_encodings", "class_predictions_with_background"
SHARED = "weight_shared_convolutional_box_predictor"


def built(kind: str, text: str, anchors=(6, 6), normalizer="batch_norm {}", channels=(64, 64)):
    message = message_class("BoxPredictor")()
    conv_hyperparams = f"conv_hyperparams {{ activation: RELU_6 {normalizer} }}"
    text_format.Parse(f"{kind} {{ {conv_hyperparams} {text} }}", message)
    return box_predictor_builder.build(
        message,
        num_class_columns=4,
        num_anchors_per_location=anchors,
        freeze_batchnorm=False,
        is_tf1=False,
        feature_map_channels=channels,
    )


def test_a_convolutional_predictor():
    found = built(
        "convolutional_box_predictor",
        "min_depth: 10 max_depth: 20 num_layers_before_predictor: 1 kernel_size: 3 "
        "class_prediction_bias_init: -2 use_depthwise: true apply_sigmoid_to_scores: true "
        "dropout_keep_probability: 0.75 box_encodings_clip_range { min: -1 max: 2 }",
        anchors=(3, 6),
        channels=(8, 40),
    )
    assert type(found) is ConvolutionalBoxPredictor
    assert found.columns.box_encodings_clip_range == (-1.0, 2.0)
    assert found.apply_sigmoid_to_scores
    # Dropout is on unless it is switched off.
    assert found.dropout_rate == 0.25
    assert [pairs[0][0].filters for pairs in found.shared_layers] == [10, 20]
    assert [head[-1].filters for head in found.box_heads] == [12, 24]
    assert [head[0].kernel_size for head in found.class_heads] == [(3, 3), (3, 3)]


def test_a_weight_shared_predictor():
    found = built(
        SHARED,
        "depth: 10 num_layers_before_predictor: 2 box_code_size: 3 use_dropout: false "
        "score_converter: SIGMOID class_prediction_bias_init: -2",
    )
    assert type(found) is WeightSharedBoxPredictor
    assert set(found.tower_names) == {BOXES, CLASSES}
    assert [conv.filters for conv in found.tower_convs[CLASSES]] == [10, 10]
    assert (found.box_head.filters, found.class_head.filters) == (18, 24)
    assert found.converts_to_sigmoid
    assert found.dropout_rate is None
    assert built(SHARED, "num_layers_before_predictor: 0").tower_convs == {BOXES: [], CLASSES: []}


@pytest.mark.parametrize(
    ("normalizer", "is_normalized"),
    [("", False), ("batch_norm {}", True), ("sync_batch_norm {}", False), ("group_norm {}", True)],
)
def test_towers_are_normalized_by_two_of_the_three_normalizers(normalizer, is_normalized):
    found = built(SHARED, "depth: 64 num_layers_before_predictor: 1", normalizer=normalizer)
    assert found.has_normalized_towers is is_normalized
    assert found.tower_convs[BOXES][0].use_bias is not is_normalized


def test_shared_heads_need_equally_many_anchors_everywhere():
    with pytest.raises(
        InputError,
        match=rf"^model.ssd.box_predictor.{SHARED}: .* has \[3, 6\] anchors per location; give a "
        r"convolutional_box_predictor, or the same number everywhere .*$",
    ):
        built(SHARED, "", anchors=(3, 6))


@pytest.mark.parametrize(
    ("kind", "text", "layer", "channels"),
    [
        (SHARED, "depth: 48 num_layers_before_predictor: 1", "BoxPredictionTower_norm", 48),
        # The most frequent number of channels is what the others are projected to.
        (SHARED, "num_layers_before_predictor: 0", "ProjectionLayer_norm_0", 40),
        (
            "convolutional_box_predictor",
            "num_layers_before_predictor: 1 max_depth: 64",
            "SharedConvolutions_1_Conv2d_0_1x1_40_norm",
            40,
        ),
        (
            "convolutional_box_predictor",
            "use_depthwise: true kernel_size: 3",
            "BoxEncodingPredictor_1_depthwise_batchnorm",
            40,
        ),
    ],
)
def test_group_norm_names_the_first_layer_that_does_not_divide(kind, text, layer, channels):
    with pytest.raises(
        InputError,
        match=rf"^conv_hyperparams.group_norm: {layer} has {channels} channels, which do not "
        r"divide into 32 groups; give batch_norm, or .* multiples of 32$",
    ):
        built(kind, text, anchors=(6, 6, 6), normalizer="group_norm {}", channels=(96, 40, 40))
