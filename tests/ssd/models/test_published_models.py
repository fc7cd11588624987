"""Models that checkpoints exist of, at their full size: variables, values, anchors, keys."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from ssd.config import pipeline
from ssd.models.builder import build_detector

SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
EXTRACTOR, PREDICTOR = "model.ssd.feature_extractor", "model.ssd.box_predictor"
HEADS = f"{PREDICTOR}.convolutional_box_predictor"
LITE_HEADS = (f"{HEADS}.use_depthwise=true", f"{HEADS}.kernel_size=3")
LITE_LEVELS = f"{EXTRACTOR}.use_depthwise=true"
OWN_BACKBONE = f"{EXTRACTOR}.override_base_feature_extractor_hyperparams=false"
BOXES, CLASSES = "box_encodings", "class_predictions_with_background"
NORM = ("beta", "gamma", "moving_mean", "moving_variance")


def built(project, model: str, *overrides: str):
    path = project / f"pipeline_configs/ssd_mobilenet_{model}_coco17_tpu-8.config"
    return build_detector(pipeline.load(path, overrides).message.model)


def num_values(detector) -> int:
    return sum(int(np.prod(v.shape)) for v in detector.checkpoint_variables().values())


def square(side: int) -> tuple[str, str]:
    resizer = "model.ssd.image_resizer.fixed_shape_resizer"
    return f"{resizer}.height={side}", f"{resizer}.width={side}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recording", "config", "overrides"),
    [
        ("ssd_mobilenet_v1", "v2_320x320", [OWN_BACKBONE]),
        (
            "ssd_mobilenet_v1_075_pets",
            "v2_320x320",
            [OWN_BACKBONE, f"{EXTRACTOR}.depth_multiplier=0.75", "model.ssd.num_classes=37"],
        ),
        ("ssdlite_mobilenet_v1", "v2_320x320", [OWN_BACKBONE, LITE_LEVELS, *LITE_HEADS]),
        # The zoo's: depthwise extra levels, plain heads.
        ("ssd_mobilenet_v2", "v2_320x320", [OWN_BACKBONE, LITE_LEVELS, f"{HEADS}.kernel_size=3"]),
        ("ssdlite_mobilenet_v2", "v2_320x320", [OWN_BACKBONE, LITE_LEVELS, *LITE_HEADS]),
        ("ssd_mobilenet_v1_fpn", "v1_fpn_640x640", []),
        (
            "ssd_mobilenet_v2_fpnlite_075_256",
            "v2_fpnlite_320x320",
            [f"{EXTRACTOR}.depth_multiplier=0.75", *square(256)],
        ),
    ],
)
def test_tf1_models(project, oracle, recording, config, overrides):
    facts = json.loads((oracle / f"tf1/facts/{recording}.json").read_text())
    overrides = [*overrides, f'{EXTRACTOR}.type="{tf1_type(recording)}"']
    detector = built(project, config, *overrides)
    variables = detector.checkpoint_variables()
    assert len(variables) == facts["n_variables"]
    assert len(detector.network.trainable_variables) == facts["n_trainable"]
    assert num_values(detector) == facts["n_values"]
    assert len(detector.network.losses) == sum(facts["l2_scale_and_number_of_terms"].values())
    maps = detector.network.feature_extractor.feature_map_channels
    assert list(maps) == [channels for _, _, channels in facts["feature_maps"]]
    # Every kernel of theirs is one of ours; depthwise ones end in 1 on both sides.
    shapes = sorted(tuple(v.shape) for v in variables.values())
    assert shapes == sorted(tuple(shape) for _, shape, _ in facts["variables"])
    assert len(detector.anchors) == facts["n_anchors"]
    for part, rows in (("first", slice(None, 8)), ("last", slice(-6, None))):
        recorded = facts[f"anchors_{part}"]
        np.testing.assert_allclose(detector.anchors[rows], recorded, atol=1e-6)


def tf1_type(recording: str) -> str:
    version = "v1" if "v1" in recording else "v2"
    return f"ssd_mobilenet_{version}{'_fpn' if 'fpn' in recording else ''}"


@pytest.mark.slow
def test_fpnlite_640_has_the_keys_of_fpnlite_320(project, oracle):
    detector = built(project, "v2_fpnlite_640x640")
    recorded = json.loads((oracle / "ssd_mobilenet_v2_fpnlite_320x320/keys.json").read_text())
    ours = {
        f"model/{key}{SUFFIX}": list(v.shape) for key, v in detector.checkpoint_variables().items()
    }
    assert ours == {entry["key"]: entry["shape"] for entry in recorded}
    assert len(ours) == 384
    assert num_values(detector) == 2_667_002
    # 80^2 + 40^2 + 20^2 + 10^2 + 5^2 = 8525 cells of 6 anchors.
    assert detector.anchors.shape == (51_150, 4)


@pytest.mark.slow
def test_v1_fpn_640_has_the_keys_of_the_original(project):
    """Written out after oracle/CHECKPOINT-KEYS.md."""
    detector = built(project, "v1_fpn_640x640")
    extractor, predictor = "_feature_extractor", "_box_predictor"
    backbone = f"{extractor}/classification_backbone/layer_with_weights-"
    pyramid = f"{extractor}/_fpn_features_generator"
    coarse = f"{extractor}/_coarse_feature_layers"
    # Stem, then a depthwise convolution at 4 i - 2 of every block i, and a 1x1 one at 4 i.
    expected = {f"{backbone}{n}/{leaf}" for n in range(1, 54, 2) for leaf in NORM}
    expected |= {f"{backbone}{n}/kernel" for n in (0, *range(4, 53, 4))}
    expected |= {f"{backbone}{n}/depthwise_kernel" for n in range(2, 51, 4)}
    for projection in ("top_layers/0", "residual_blocks/0/0", "residual_blocks/1/0"):
        expected |= {f"{pyramid}/{projection}/{leaf}" for leaf in ("kernel", "bias")}
    for pair in (f"{folder}/{n}" for folder in (f"{pyramid}/conv_layers", coarse) for n in (0, 1)):
        expected |= {f"{pair}/0/kernel", *(f"{pair}/1/{leaf}" for leaf in NORM)}
    for tower in ("BoxPredictionTower", "ClassPredictionTower"):
        folder = f"{predictor}/_head_scope_conv_layers/{tower}"
        expected |= {f"{folder}/{n}/kernel" for n in range(4)}
    for head, level, n, leaf in itertools.product((BOXES, CLASSES), range(5), (1, 4, 7, 10), NORM):
        folder = f"{predictor}/_base_tower_layers_for_heads/{head}"
        expected.add(f"{folder}/{level}/{n}/{leaf}")
    for head in (
        "_box_prediction_head/_box_encoder_layers/0",
        f"_prediction_heads/{CLASSES}/_class_predictor_layers/0",
    ):
        expected |= {f"{predictor}/{head}/{leaf}" for leaf in ("kernel", "bias")}
    assert set(detector.checkpoint_variables()) == expected
    assert len(expected) == 333
    assert len(detector.network.trainable_variables) == 191
    assert num_values(detector) == 12_125_178
    assert detector.anchors.shape == (51_150, 4)


@pytest.mark.slow
def test_v2_320_has_the_keys_of_the_original(project, oracle):
    detector = built(project, "v2_320x320")
    recorded = json.loads((oracle / "ssd_mobilenet_v2_320x320/keys.json").read_text())
    ours = {
        f"model/{key}{SUFFIX}": list(v.shape) for key, v in detector.checkpoint_variables().items()
    }
    assert ours == {entry["key"]: entry["shape"] for entry in recorded}
    assert num_values(detector) == 6_103_999
    assert detector.anchors.shape == (1_917, 4)
