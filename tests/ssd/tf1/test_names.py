from __future__ import annotations

import json
from pathlib import Path

import pytest

from ssd.tf1 import names

F, P = "model/_feature_extractor/", "model/_box_predictor/"
V1, V2 = "FeatureExtractor/MobilenetV1/", "FeatureExtractor/MobilenetV2/"
SHARED = "WeightSharedConvolutionalBoxPredictor/"
# Where it matters which other layers there are.
BESIDE = (
    f"{V2}layer_19_2_Conv2d_2_3x3_s2_179_depthwise/depthwise_weights",
    "BoxPredictor_4/ClassPredictor_depthwise/depthwise_weights",
    f"{V1}fpn/projection_3/biases",
)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (f"{V1}Conv2d_0/weights", "classification_backbone/layer_with_weights-0/kernel"),
        # Block i: depthwise 4i - 2, its normalization 4i - 1, pointwise 4i, 4i + 1.
        (
            f"{V1}Conv2d_11_depthwise/BatchNorm/gamma",
            "classification_backbone/layer_with_weights-43/gamma",
        ),
        (
            f"{V1}Conv2d_11_pointwise/weights",
            "classification_backbone/layer_with_weights-44/kernel",
        ),
        (
            f"{V2}expanded_conv/depthwise/depthwise_weights",
            "classification_backbone/layer_with_weights-2/depthwise_kernel",
        ),
        # Block b: 6b, 6b + 2, 6b + 4.
        (
            f"{V2}expanded_conv_13/project/BatchNorm/moving_variance",
            "classification_backbone/layer_with_weights-83/moving_variance",
        ),
        (f"{V2}Conv_1/BatchNorm/beta", "classification_backbone/layer_with_weights-103/beta"),
        (
            f"{V1}Conv2d_13_pointwise_1_Conv2d_3_1x1_89/weights",
            "_feature_map_generator/convolutions/3/0/kernel",
        ),
        (
            f"{V1}Conv2d_13_pointwise_2_Conv2d_3_3x3_s2_179/BatchNorm/beta",
            "_feature_map_generator/convolutions/3/4/beta",
        ),
        (
            f"{V2}layer_19_2_Conv2d_2_3x3_s2_179_depthwise/BatchNorm/beta",
            "feature_map_generator/convolutions/2/4/beta",
        ),
        (
            f"{V2}layer_19_2_Conv2d_2_3x3_s2_179/weights",
            "feature_map_generator/convolutions/2/6/kernel",
        ),
        (f"{V1}fpn/projection_3/weights", "_fpn_features_generator/top_layers/0/kernel"),
        (f"{V1}fpn/projection_2/biases", "_fpn_features_generator/residual_blocks/0/0/bias"),
        (f"{V1}fpn/projection_1/biases", "_fpn_features_generator/residual_blocks/1/0/bias"),
        (
            f"{V1}fpn/smoothing_1/pointwise_weights",
            "_fpn_features_generator/conv_layers/1/0/pointwise_kernel",
        ),
        (f"{V1}fpn/bottom_up_Conv2d_15/weights", "_coarse_feature_layers/1/0/kernel"),
        (f"{V2}fpn/bottom_up_Conv2d_20/BatchNorm/beta", "_coarse_feature_layers/0/1/beta"),
    ],
)
def test_layers_of_the_extractor(name, path):
    assert names.translate({name, *BESIDE}).names[F + path] == name


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (
            "BoxPredictor_3/BoxEncodingPredictor/biases",
            "_prediction_heads/box_encodings/3/_box_encoder_layers/0/bias",
        ),
        (
            "BoxPredictor/BoxEncodingPredictor/biases",
            "_prediction_heads/box_encodings/0/_box_encoder_layers/0/bias",
        ),
        (
            "BoxPredictor_4/ClassPredictor_depthwise/BatchNorm/gamma",
            "_prediction_heads/class_predictions_with_background/4/_class_predictor_layers/1/gamma",
        ),
        (
            "BoxPredictor_4/ClassPredictor/weights",
            "_prediction_heads/class_predictions_with_background/4/_class_predictor_layers/3/kernel",
        ),
        ("BoxPredictor_2/Conv2d_1_1x1_40/weights", "_shared_nets/2/3/kernel"),
        ("BoxPredictor_2/Conv2d_1_1x1_40/BatchNorm/beta", "_shared_nets/2/4/beta"),
        (
            f"{SHARED}PredictionTower/conv2d_2/pointwise_weights",
            "_head_scope_conv_layers/PredictionTower/2/pointwise_kernel",
        ),
        # Convolution, normalization, activation: 3 places per convolution.
        (
            f"{SHARED}PredictionTower/conv2d_2/BatchNorm/feature_4/beta",
            "_base_tower_layers_for_heads/box_encodings/4/7/beta",
        ),
        (
            f"{SHARED}ClassPredictionTower/conv2d_0/BatchNorm/feature_1/beta",
            "_base_tower_layers_for_heads/class_predictions_with_background/1/1/beta",
        ),
        (
            f"{SHARED}ProjectionLayer/conv2d_4/BatchNorm/beta",
            "_additional_projection_layers/4/1/beta",
        ),
        (f"{SHARED}BoxPredictor/biases", "_box_prediction_head/_box_encoder_layers/0/bias"),
        (
            f"{SHARED}ClassPredictor/depthwise_weights",
            "_prediction_heads/class_predictions_with_background/_class_predictor_layers/0/"
            "depthwise_kernel",
        ),
    ],
)
def test_layers_of_the_predictor(name, path):
    assert names.translate({name, *BESIDE}).names[P + path] == name


def test_a_classifier_is_a_backbone_of_its_own():
    found = names.translate(
        [
            "MobilenetV2/Conv_1/weights",
            "MobilenetV2/Logits/Conv2d_1c_1x1/biases",
            "MobilenetV2/Conv_1/weights/ExponentialMovingAverage",
        ]
    )
    assert found.names == {
        "feature_extractor/layer_with_weights-102/kernel": "MobilenetV2/Conv_1/weights"
    }
    assert found.left_out == {
        "MobilenetV2/Logits/Conv2d_1c_1x1/biases": "classes of the classifier",
        "MobilenetV2/Conv_1/weights/ExponentialMovingAverage": (
            "moving average; the variable itself counts"
        ),
    }


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (f"{V2}Conv/weights/ExponentialMovingAverage", "moving average"),
        (f"{V2}Conv/weights/RMSProp_1", "optimizer state"),
        (f"{V2}Conv/BatchNorm/beta/Momentum", "optimizer state"),
        ("beta1_power", "optimizer state"),
        ("global_step", "counter"),
        ("fake_quantization_step", "counter"),
        (f"{V1}MobilenetV1/Conv2d_0/weights_quant/min", "range of quantization-aware training"),
        (f"{V2}expanded_conv_2/post_activation_bypass_quant/max", "range of quantization-aware"),
        (
            f"{V1}MobilenetV1/Conv2d_0/act_quant/{V1}MobilenetV1/Conv2d_0/act_quant/min/biased",
            "range of quantization-aware training",
        ),
        (f"{V2}Conv/BatchNorm/moving_mean/local_step", "helper of a moving average"),
        (f"{V2}Conv/kernel", "no layer of this family has this name"),
        ("SomethingElse/weights", "no layer of this family has this name"),
    ],
)
def test_what_is_no_weight_has_a_reason(name, reason):
    found = names.translate([name, f"{V2}Conv/weights"])
    assert len(found.names) == 1
    assert found.left_out[name].startswith(reason)


@pytest.mark.parametrize(
    "model",
    ["ssd_mobilenet_v1", "ssdlite_mobilenet_v1", "ssd_mobilenet_v2", "ssdlite_mobilenet_v2"],
)
def test_the_recorded_maps(oracle, model):
    """Those were checked by running both originals on the same values."""
    recorded = json.loads((oracle / f"tf1/facts/name_map_{model}.json").read_text())["map"]
    found = names.translate(recorded)
    assert {name: path for path, name in found.names.items()} == recorded
    assert found.left_out == {}


def variables(oracle: Path, model: str) -> dict[str, tuple[int, ...]]:
    facts = json.loads((oracle / f"tf1/facts/{model}.json").read_text())
    return {name: tuple(shape) for name, shape, _ in facts["variables"]}


@pytest.mark.parametrize(
    ("model", "count"),
    [
        ("ssd_mobilenet_v1", 199),
        ("ssd_mobilenet_v1_075_pets", 199),
        ("embedded_ssd_mobilenet_v1", 185),
        ("ssdlite_mobilenet_v1", 279),
        ("ssd_mobilenet_v2", 344),
        ("ssd_mobilenet_v2_fullyconv", 324),
        ("ssdlite_mobilenet_v2", 404),
        ("ssd_mobilenet_v1_fpn", 333),
        ("ssd_mobilenet_v2_fpnlite_075_256", 384),
    ],
)
def test_every_variable_of_a_model_has_a_path(oracle, model, count):
    shapes = variables(oracle, model)
    found = names.translate(shapes)
    assert names.is_known_family(shapes)
    assert len(found.names) == len(shapes) == count
    assert found.left_out == {}


@pytest.mark.parametrize(
    ("tf1", "tf2"),
    [
        ("ssd_mobilenet_v2_fullyconv", "ssd_mobilenet_v2_320x320"),
        ("ssd_mobilenet_v2_fpnlite_075_256", "ssd_mobilenet_v2_fpnlite_320x320"),
    ],
)
def test_paths_are_those_of_the_tf2_model(oracle, tf1, tf2):
    recorded = json.loads((oracle / f"{tf2}/keys.json").read_text())
    keys = {
        entry["key"].removesuffix("/.ATTRIBUTES/VARIABLE_VALUE"): tuple(entry["shape"])
        for entry in recorded
        if entry["key"].startswith("model/")
    }
    shapes = variables(oracle, tf1)
    found = {path: shapes[name] for path, name in names.translate(shapes).names.items()}
    assert found.keys() == keys.keys()
    if "fpn" in tf1:  # depth 0.75 there, 1.0 here
        assert all(len(shape) == len(keys[path]) for path, shape in found.items())
    else:
        assert found == keys


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("ssd_mobilenet_v3_large", "MobileNetV3"),
        ("ssd_mobilenet_v3_small", "MobileNetV3"),
        *((f"ssdlite_mobiledet_{kind}", "MobileDet") for kind in ("cpu", "dsp", "edgetpu", "gpu")),
        ("ssdlite_mobilenet_edgetpu", "MobileNetEdgeTPU"),
        ("ssd_mobilenet_v2_mnasfpn", "MnasFPN"),
        ("ssd_mobilenet_v1_ppn", "pooling pyramid (PPN)"),
    ],
)
def test_other_families_have_a_name(oracle, model, family):
    shapes = variables(oracle, model)
    assert names.other_family(shapes) == family
    assert not names.is_known_family(shapes)


@pytest.mark.parametrize(
    ("given", "family"),
    [
        (["MobilenetV3/Conv/weights"], "MobileNetV3"),
        (["FeatureExtractor/InceptionV2/Conv2d_1a_7x7/weights", "global_step"], "InceptionV2"),
        (["net/kernel"], None),
        ([], None),
    ],
)
def test_other_models(given, family):
    assert names.other_family(given) == family
    assert not names.is_known_family(given)


def test_alignment_keeps_the_order_of_layers():
    folder = f"{F}feature_map_generator/convolutions/2/"
    head = f"{P}_prediction_heads/class_predictions_with_background/2/_class_predictor_layers/"
    backbone = f"{F}classification_backbone/layer_with_weights-4/kernel"
    stored = [
        f"{folder}0/kernel",
        f"{folder}3/kernel",
        f"{folder}4/beta",
        f"{head}0/bias",
        backbone,
    ]
    # Explicit padding stands before the second convolution, dropout before the head.
    model = [f"{folder}0/kernel", f"{folder}4/kernel", f"{folder}5/beta", f"{head}1/bias", backbone]
    assert list(names.aligned(stored, model).values()) == model
    # Another structure is no matter of numbers.
    other = [f"{folder}0/kernel", f"{folder}4/kernel"]
    assert list(names.aligned(stored, other).values()) == stored
