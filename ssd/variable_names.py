"""What the variables of a detector are called: in checkpoints, under TF2 and under TF1.

Configs name variables by regular expressions, in whichever of the three their writer saw.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ssd.models.detector import Detector
from ssd.models.feature_pyramid import FpnFeatureExtractor
from ssd.models.mobilenet_v2 import MobileNetV2
from ssd.standard_fields import PredictionFields

_BOX, _CLASS = PredictionFields.box_encodings, PredictionFields.class_predictions_with_background
_SHARED = "WeightSharedConvolutionalBoxPredictor"
# (pattern of a layer's path, its Keras scope, its TF1 scope). {E} and {M} are the extractor's
# scopes, {layer} is the layer's name, {stem} and so on are its parts, see `_parts`.
_RULES = (
    ("_feature_extractor/classification_backbone/", "{layer}", "{M}/{backbone}"),
    ("_feature_extractor/_fpn_", "{E}/FeatureMaps/top_down/{layer}", "{M}/fpn/{pyramid}"),
    ("_feature_extractor/_coarse_", "{E}/{layer}", "{M}/fpn/{pyramid}"),
    (r"_feature_extractor/_?feature_map_", "{E}/FeatureMaps/{layer}", "{M}/{stem}"),
    (
        rf"_box_predictor/_prediction_heads/{_BOX}/(?P<level>\d+)/",
        "BoxPredictor/ConvolutionalBoxHead_{level}/{head}",
        "BoxPredictor{_level}/{head_stem}",
    ),
    (
        rf"_box_predictor/_prediction_heads/{_CLASS}/(?P<level>\d+)/",
        "BoxPredictor/ConvolutionalClassHead_{level}/{head}",
        "BoxPredictor{_level}/{head_stem}",
    ),
    (
        r"_box_predictor/_shared_nets/(?P<level>\d+)/",
        "BoxPredictor/SharedConvolutions_{level}/{shared}",
        "BoxPredictor{_level}/{shared_stem}",
    ),
    (
        "_box_predictor/_box_prediction_head/",
        f"{_SHARED}/WeightSharedConvolutionalBoxHead/{{layer}}",
        f"{_SHARED}/{{layer}}",
    ),
    (
        f"_box_predictor/_prediction_heads/{_CLASS}/_",
        f"{_SHARED}/WeightSharedConvolutionalClassHead/{{layer}}",
        f"{_SHARED}/{{layer}}",
    ),
    *(
        (f"_box_predictor/{pattern}", f"{_SHARED}/{scope}", f"{_SHARED}/{scope}")
        for pattern, scope in (
            (r"_head_scope_conv_layers/(?P<tower>\w+)/(?P<n>\d+)", "{tower}/conv2d_{n}"),
            (
                r"_base_tower_layers_for_heads/(?P<of>\w+)/(?P<level>\d+)/(?P<place>\d+)",
                "{tower_of}/conv2d_{norm}/BatchNorm/feature_{level}",
            ),
            (
                r"_additional_projection_layers/(?P<level>\d+)/0",
                "ProjectionLayer/conv2d_{level}",
            ),
            (
                r"_additional_projection_layers/(?P<level>\d+)/1",
                "ProjectionLayer/conv2d_{level}/BatchNorm",
            ),
        )
    ),
)
# Layer names of the Keras backbones -> scopes of the slim ones.
_BACKBONE = (
    (r"conv1", r"Conv2d_0"),
    (r"conv_dw_(\d+)", r"Conv2d_\1_depthwise"),
    (r"conv_pw_(\d+)", r"Conv2d_\1_pointwise"),
    (r"Conv1", r"Conv"),
    (r"block_(\d+)_(\w+)", r"expanded_conv_\1/\2"),
    (r"expanded_conv_(\w+)", r"expanded_conv/\1"),
)
_TF1_LEAVES = {
    "kernel": "weights",
    "depthwise_kernel": "depthwise_weights",
    "pointwise_kernel": "pointwise_weights",
    "bias": "biases",
}


class VariableNames(NamedTuple):
    """The names of one variable.

    Attributes:
      tf1: as in TF1 graphs: `FeatureExtractor/MobilenetV2/Conv/weights`.
      keras: as in the TF2 original: `Conv1/kernel`.
      path: as in checkpoints: `model/_feature_extractor/classification_backbone/...`.
    """

    tf1: str
    keras: str
    path: str


def names_of_variables(detector: Detector) -> dict[str, VariableNames]:
    """Returns the names of every variable by the keys of `detector.checkpoint_variables()`."""
    layers = detector.checkpoint_layers()
    extractor = detector.network.feature_extractor
    version = 2 if isinstance(extractor.backbone, MobileNetV2) else 1
    fpn = "_fpn" if isinstance(extractor, FpnFeatureExtractor) else ""
    scopes = {
        "E": f"ssd_mobile_net_v{version}{fpn}_keras_feature_extractor",
        "M": f"FeatureExtractor/MobilenetV{version}",
    }
    levels = {path.split("/")[3] for path in layers if f"_prediction_heads/{_BOX}/" in path}
    towers = {path.split("/")[2] for path in layers if "/_head_scope_conv_layers/" in path}
    found = {}
    for key in detector.checkpoint_variables():
        path, _, leaf = key.rpartition("/")
        for pattern, keras_scope, tf1_scope in _RULES:
            if match := re.match(pattern, path):
                parts = scopes | _parts(path, layers[path].name, match, towers)
                parts["_level"] = f"_{parts.get('level')}" if len(levels) > 1 else ""
                keras = f"{keras_scope.format(**parts)}/{leaf}"
                tf1 = f"{tf1_scope.format(**parts)}/{_tf1_leaf(leaf, tf1_scope)}"
                found[key] = VariableNames(tf1, keras, f"model/{key}")
                break
    return found


def _parts(path: str, layer: str, match: re.Match[str], towers: set[str]) -> dict[str, str]:
    """What the scopes of `_RULES` are made of, for one layer."""
    groups = match.groupdict()
    stem = re.sub(r"_(conv|batchnorm)$", "", layer)
    head = re.sub(r"^([A-Za-z]+)_\d+", r"\1", layer)
    shared = re.sub(r"^SharedConvolutions_\d+_", "", layer)
    parts = groups | {
        "layer": layer,
        "stem": stem,
        "pyramid": stem.removesuffix("_depthwise"),
        "backbone": _backbone_scope(re.sub(r"^bn_|_(bn|BN)$", "", layer)),
        "head": head,
        "head_stem": head.removesuffix("_batchnorm"),
        "shared": shared,
        "shared_stem": shared.removesuffix("_norm"),
    }
    if "of" in groups:
        own = "BoxPredictionTower" if groups["of"] == _BOX else "ClassPredictionTower"
        parts["tower_of"] = own if own in towers else "PredictionTower"
        parts["norm"] = str(int(groups["place"]) // 3)
    return parts


def _backbone_scope(name: str) -> str:
    for pattern, scope in _BACKBONE:
        if match := re.fullmatch(pattern, name):
            return match.expand(scope)
    return name


def _tf1_leaf(leaf: str, scope: str) -> str:
    if leaf in _TF1_LEAVES:
        return _TF1_LEAVES[leaf]
    return leaf if "/BatchNorm" in scope else f"BatchNorm/{leaf}"
