"""Scopes of TF1 layers -> places of the same layers in TF2 checkpoints.

Both follow from the model's structure, so each kind of layer has one rule; widths, which are part
of some scopes, do not matter. No value needs to be transposed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

_F = "model/_feature_extractor"
_P = "model/_box_predictor"
_BOX, _BOX_LAYERS = "box_encodings", "_box_encoder_layers"
_CLASS, _CLASS_LAYERS = "class_predictions_with_background", "_class_predictor_layers"

_VARIABLE = re.compile(
    r"(?P<scope>.+?)/(?:BatchNorm/(?:feature_(?P<level>\d+)/)?"
    r"(?P<norm>gamma|beta|moving_mean|moving_variance)"
    r"|(?P<leaf>weights|depthwise_weights|pointwise_weights|biases))"
)
_LEAVES = {
    "weights": "kernel",
    "depthwise_weights": "depthwise_kernel",
    "pointwise_weights": "pointwise_kernel",
    "biases": "bias",
}


@dataclass(frozen=True)
class _Place:
    """Of a convolution and of its normalization, which is the next layer unless said otherwise.

    Attributes:
      start: the path up to the layer's number.
      number: of the convolution.
      norm_start, norm_number: the same for a normalization that lies elsewhere.
    """

    start: str
    number: int
    norm_start: str = ""
    norm_number: int = 0

    def path(self, variable: re.Match[str]) -> str:
        if variable["leaf"]:
            return f"{self.start}{self.number}/{_LEAVES[variable['leaf']]}"
        if not self.norm_start:
            return f"{self.start}{self.number + 1}/{variable['norm']}"
        return f"{self.norm_start}{variable['level'] or 0}/{self.norm_number}/{variable['norm']}"


def scope_of(name: str) -> str | None:
    """Returns the scope of the layer that a variable belongs to; None if it is no layer's."""
    match = _VARIABLE.fullmatch(name)
    return match["scope"] if match else None


def path_of(name: str, scopes: Collection[str]) -> str | None:
    """Returns the TF2 path of a TF1 variable, or None where no rule knows the name.

    Args:
      name: `FeatureExtractor/MobilenetV2/Conv/weights`, ...; without `FeatureExtractor/` it is a
        classifier's, whose paths begin with `feature_extractor/`.
      scopes: of all layers of the file.
    """
    variable = _VARIABLE.fullmatch(name)
    if not variable:
        return None
    for pattern, place in _RULES:
        if match := re.fullmatch(pattern, variable["scope"]):
            return place(match, scopes).path(variable)
    return None


def _backbone(match: re.Match[str], number: int) -> _Place:
    folder = f"{_F}/classification_backbone" if match["F"] else "feature_extractor"
    return _Place(f"{folder}/layer_with_weights-", number)


def _v1_block(match: re.Match[str], _: Collection[str]) -> _Place:
    return _backbone(match, 4 * int(match["n"]) - (2 if match["kind"] == "depthwise" else 0))


def _v2_block(match: re.Match[str], _: Collection[str]) -> _Place:
    offset = {"expand": 0, "depthwise": 2, "project": 4}[match["kind"]]
    return _backbone(match, 6 * int(match["n"] or 0) + offset)


def _extra_level(match: re.Match[str], scopes: Collection[str]) -> _Place:
    # The original's two Keras classes name the same attribute differently.
    generator = "_feature_map_generator" if match["V"] == "1" else "feature_map_generator"
    number = 0
    if match["order"] == "2":
        number = 6 if f"{match[0]}_depthwise" in scopes else 3
    return _Place(f"{_F}/{generator}/convolutions/{match['level']}/", number)


def _pyramid(match: re.Match[str], scopes: Collection[str]) -> _Place:
    folder, number = f"{_F}/_fpn_features_generator", int(match["n"])
    if match["kind"] == "bottom_up_Conv2d":
        first = 14 if match["V"] == "1" else 20
        return _Place(f"{_F}/_coarse_feature_layers/{number - first}/", 0)
    # TF1 counts from the finest level, the lists of TF2 begin below the coarsest.
    levels = [int(n) for s in scopes if (n := s.rpartition("/fpn/projection_")[2]).isdigit()]
    below_top = max(levels, default=number) - number
    if match["kind"] == "smoothing":
        return _Place(f"{folder}/conv_layers/{below_top - 1}/", 0)
    if below_top == 0:
        return _Place(f"{folder}/top_layers/", 0)
    return _Place(f"{folder}/residual_blocks/{below_top - 1}/", 0)


def _head(match: re.Match[str], scopes: Collection[str]) -> _Place:
    is_box = match["what"] == "BoxEncodingPredictor"
    heads, layers = (_BOX, _BOX_LAYERS) if is_box else (_CLASS, _CLASS_LAYERS)
    number = 3 if f"{match[0]}_depthwise" in scopes else 0
    return _Place(f"{_P}/_prediction_heads/{heads}/{match['level'] or 0}/{layers}/", number)


def _tower(match: re.Match[str], _: Collection[str]) -> _Place:
    heads = _CLASS if match["tower"] == "ClassPredictionTower" else _BOX
    # The levels share the convolutions, not the normalizations.
    norms = f"{_P}/_base_tower_layers_for_heads/{heads}/"
    number = int(match["n"])
    return _Place(f"{_P}/_head_scope_conv_layers/{match['tower']}/", number, norms, 3 * number + 1)


def _shared_head(match: re.Match[str], _: Collection[str]) -> _Place:
    if match["what"] == "BoxPredictor":
        return _Place(f"{_P}/_box_prediction_head/{_BOX_LAYERS}/", 0)
    return _Place(f"{_P}/_prediction_heads/{_CLASS}/{_CLASS_LAYERS}/", 0)


_V1 = r"(?P<F>FeatureExtractor/)?MobilenetV1"
_V2 = r"(?P<F>FeatureExtractor/)?MobilenetV2"
_DETECTOR = r"FeatureExtractor/MobilenetV(?P<V>[12])"
_LEVEL = r"BoxPredictor(_(?P<level>\d+))?"  # a single level has no number
_SHARED = "WeightSharedConvolutionalBoxPredictor"

# (pattern of a whole scope, its place)
_RULES: tuple[tuple[str, Callable[[re.Match[str], Collection[str]], _Place]], ...] = (
    (f"{_V1}/Conv2d_0", lambda match, _: _backbone(match, 0)),
    (rf"{_V1}/Conv2d_(?P<n>\d+)_(?P<kind>depthwise|pointwise)", _v1_block),
    (f"{_V2}/Conv", lambda match, _: _backbone(match, 0)),
    (rf"{_V2}/expanded_conv(_(?P<n>\d+))?/(?P<kind>expand|depthwise|project)", _v2_block),
    (f"{_V2}/Conv_1", lambda match, _: _backbone(match, 6 * 17)),
    (
        rf"{_DETECTOR}/(Conv2d_\d+_pointwise|layer_\d+)_(?P<order>[12])_Conv2d_(?P<level>\d+)"
        r"_\dx\d(_s2)?_\d+(_depthwise)?",
        _extra_level,
    ),
    (rf"{_DETECTOR}/fpn/(?P<kind>projection|smoothing|bottom_up_Conv2d)_(?P<n>\d+)", _pyramid),
    (rf"{_LEVEL}/(?P<what>BoxEncodingPredictor|ClassPredictor)(_depthwise)?", _head),
    (
        rf"{_LEVEL}/Conv2d_(?P<n>\d+)_1x1_\d+",
        lambda match, _: _Place(f"{_P}/_shared_nets/{match['level'] or 0}/", 3 * int(match["n"])),
    ),
    (rf"{_SHARED}/(?P<tower>(Box|Class)?PredictionTower)/conv2d_(?P<n>\d+)", _tower),
    (
        rf"{_SHARED}/ProjectionLayer/conv2d_(?P<level>\d+)",
        lambda match, _: _Place(f"{_P}/_additional_projection_layers/{match['level']}/", 0),
    ),
    (f"{_SHARED}/(?P<what>BoxPredictor|ClassPredictor)", _shared_head),
)
