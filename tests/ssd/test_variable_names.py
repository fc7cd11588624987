from __future__ import annotations

import json
import re

import pytest

from ssd.config import pipeline
from ssd.models.builder import build_detector
from ssd.variable_names import names_of_variables

SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
EXTRACTOR = "model.ssd.feature_extractor"
V2, FPNLITE, V1_FPN = (
    f"ssd_mobilenet_{name}_coco17_tpu-8"
    for name in ("v2_320x320", "v2_fpnlite_320x320", "v1_fpn_640x640")
)


@pytest.mark.parametrize("model", ["fpnlite_320_narrow", "ssd_mobilenet_v2_320_narrow"])
def test_keras_names_are_those_of_the_original(oracle, model):
    names = names_of_variables(
        build_detector(pipeline.load(oracle / model / "pipeline.config").message.model)
    )
    recorded = {
        entry["key"].removesuffix(SUFFIX): entry["keras_name"].removesuffix(":0")
        for entry in json.loads((oracle / model / "keys.json").read_text())
    }
    assert {forms.path for forms in names.values()} == set(recorded)
    for key, forms in names.items():
        assert forms.path == f"model/{key}"
        # Keras counts the extractors of a process.
        assert forms.keras == re.sub(r"(_feature_extractor)_\d+/", r"\1/", recorded[forms.path])


@pytest.mark.parametrize(
    ("config", "overrides", "recording"),
    [
        pytest.param(V2, ('type="ssd_mobilenet_v1"',), "ssd_mobilenet_v1", id="v1"),
        pytest.param(
            V2, ('type="ssd_mobilenet_v2"', "use_depthwise=true"), "ssd_mobilenet_v2", id="v2"
        ),
        pytest.param(V1_FPN, (), "ssd_mobilenet_v1_fpn", id="v1_fpn", marks=pytest.mark.slow),
        pytest.param(
            FPNLITE,
            ('type="ssd_mobilenet_v2_fpn"', "depth_multiplier=0.75"),
            "ssd_mobilenet_v2_fpnlite_075_256",
            id="v2_fpnlite",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_tf1_names_are_those_of_the_original(project, oracle, config, overrides, recording):
    loaded = pipeline.load(
        project / f"pipeline_configs/{config}.config", [f"{EXTRACTOR}.{o}" for o in overrides]
    )
    names = names_of_variables(build_detector(loaded.message.model))
    facts = json.loads((oracle / f"tf1/facts/{recording}.json").read_text())
    assert {forms.tf1 for forms in names.values()} == {name for name, *_ in facts["variables"]}
    assert len({forms.tf1 for forms in names.values()}) == len(names)


def test_tf1_names_belong_to_their_paths(project, oracle):
    """SSDLite heads and extra levels, against the recorded map of names to keys."""
    loaded = pipeline.load(oracle / "tf1/ssdlite_mobilenet_v2_narrow/pipeline.config")
    names = names_of_variables(build_detector(loaded.message.model))
    recorded = json.loads((oracle / "tf1/facts/name_map_ssdlite_mobilenet_v2.json").read_text())

    def without_widths(name: str) -> str:
        # Recorded at depth 1.0: the widths of the extra levels are part of their names.
        return re.sub(r"(_\dx\d(?:_s2)?)_\d+", r"\1", name)

    expected = {without_widths(tf1): path for tf1, path in recorded["map"].items()}
    assert {without_widths(forms.tf1): forms.path for forms in names.values()} == expected


def test_every_kind_of_layer_has_names(project):
    """Layers between the maps and the heads, dropout, depthwise heads."""
    predictor = "model.ssd.box_predictor.convolutional_box_predictor"
    overrides = (
        "model.ssd.feature_extractor.num_layers=2",
        "model.ssd.anchor_generator.ssd_anchor_generator.num_layers=2",
        f"{predictor}.max_depth=24",
        f"{predictor}.num_layers_before_predictor=1",
        f"{predictor}.use_dropout=true",
        f"{predictor}.use_depthwise=true",
        f"{predictor}.kernel_size=3",
    )
    config = pipeline.load(project / f"pipeline_configs/{V2}.config", overrides).message
    detector = build_detector(config.model)
    names = names_of_variables(detector)
    assert names.keys() == detector.checkpoint_variables().keys()
    assert names["_box_predictor/_shared_nets/1/0/kernel"] == (
        "BoxPredictor_1/Conv2d_0_1x1_24/weights",
        "BoxPredictor/SharedConvolutions_1/Conv2d_0_1x1_24/kernel",
        "model/_box_predictor/_shared_nets/1/0/kernel",
    )
    head = "_prediction_heads/box_encodings/0/_box_encoder_layers"
    assert names[f"_box_predictor/{head}/1/gamma"][:2] == (
        "BoxPredictor_0/BoxEncodingPredictor_depthwise/BatchNorm/gamma",
        "BoxPredictor/ConvolutionalBoxHead_0/BoxEncodingPredictor_depthwise_batchnorm/gamma",
    )
