"""Variable names of a TF1 checkpoint, every one accounted for."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from ssd.tf1 import layers

# (pattern of a whole name, why it is no weight of the model)
_NO_WEIGHTS = (
    (r".*/ExponentialMovingAverage", "moving average; the variable itself counts"),
    (r".*/(Momentum|RMSProp|Adam|Adagrad)(_\d+)?|beta[12]_power", "optimizer state"),
    (r"global_step|fake_quantization_step", "counter"),
    (r".*_quant/.*", "range of quantization-aware training"),
    (r".*/(biased|local_step)", "helper of a moving average"),
    (r"Mobilenet\w+/(Logits|AuxLogits|Predictions)/.*", "classes of the classifier"),
)
_DETECTOR = "FeatureExtractor/"
_FAMILY = re.compile(rf"({_DETECTOR})?MobilenetV[12]/")
# (pattern of a name's beginning, what the file holds then)
_OTHER_FAMILIES = (
    (rf"({_DETECTOR})?MobilenetV3/", "MobileNetV3"),
    (rf"({_DETECTOR})?MobilenetEdgeTPU/", "MobileNetEdgeTPU"),
    (rf"{_DETECTOR}MobileDet(CPU|DSP|EdgeTPU|GPU)/", "MobileDet"),
    (rf"{_DETECTOR}MnasFPN/", "MnasFPN"),
)
# What an extractor of this family makes beside the backbone's maps; a pooling pyramid has neither.
_LEVELS = re.compile(r".*(/fpn/|_1_Conv2d_\d+_1x1_)")
# Lists in which layers without variables may stand among the others.
_LAYER_LIST = re.compile(
    r"(.*/(?:convolutions/\d+|conv_layers/\d+|_coarse_feature_layers/\d+|_box_encoder_layers"
    r"|_class_predictor_layers)/)(\d+)(/\w+)"
)


@dataclass(frozen=True)
class Translation:
    """Accounts for every name of a TF1 checkpoint.

    Attributes:
      names: {TF2 path: TF1 name} of the weights; a detector's paths begin with `model/`, those of
        a classifier's backbone with `feature_extractor/`, as in TF2 checkpoints of one.
      left_out: {TF1 name: why no layer takes it}.
    """

    names: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def is_known_family(names: Collection[str]) -> bool:
    """Whether these are names of a detector or a classifier on MobileNetV1 or V2."""
    return other_family(names) is None and any(_FAMILY.match(name) for name in names)


def other_family(names: Collection[str]) -> str | None:
    """Returns the name of the model that the names belong to if `translate` has no rules for it."""
    for pattern, family in _OTHER_FAMILIES:
        if any(re.match(pattern, name) for name in names):
            return family
    extractor = [name for name in names if name.startswith(_DETECTOR)]
    if not extractor:
        return None
    if not any(_FAMILY.match(name) for name in extractor):
        return min(extractor).split("/")[1]
    has_third_level = any("/BatchNorm/feature_2/" in name for name in names)
    if has_third_level and not any(_LEVELS.match(name) for name in extractor):
        return "pooling pyramid (PPN)"
    return None


def translate(names: Collection[str]) -> Translation:
    """Returns where every variable of a TF1 checkpoint lies in a TF2 checkpoint.

    Args:
      names: all of the file; of a known family.
    """
    result = Translation()
    reasons = {name: _why_no_weight(name) for name in sorted(names)}
    weights = [name for name, reason in reasons.items() if reason is None]
    scopes = {scope for name in weights if (scope := layers.scope_of(name))}
    for name, reason in reasons.items():
        path = None if reason else layers.path_of(name, scopes)
        if path is None or path in result.names:
            result.left_out[name] = reason or "no layer of this family has this name"
        else:
            result.names[path] = name
    return result


def _why_no_weight(name: str) -> str | None:
    return next((why for pattern, why in _NO_WEIGHTS if re.fullmatch(pattern, name)), None)


def aligned(paths: Iterable[str], model_paths: Iterable[str]) -> dict[str, str]:
    """Returns {path: path of the same variable in one model}.

    Explicit padding and dropout are layers of their own in a TF2 model and shift the numbers of
    those behind them, and no TF1 name tells of them. So the n-th layer with variables of a list is
    the model's n-th there; lists of unequal length stay as they are.
    """
    paths = list(paths)
    theirs, ours = _numbers(paths), _numbers(model_paths)
    moved: Mapping[tuple[str, int], int] = {
        (folder, number): ours[folder][rank]
        for folder, numbers in theirs.items()
        if len(ours.get(folder, ())) == len(numbers)
        for rank, number in enumerate(numbers)
    }

    def place(path: str) -> str:
        match = _LAYER_LIST.fullmatch(path)
        if not match:
            return path
        folder, number, leaf = match[1], int(match[2]), match[3]
        return f"{folder}{moved.get((folder, number), number)}{leaf}"

    return {path: place(path) for path in paths}


def _numbers(paths: Iterable[str]) -> dict[str, list[int]]:
    """{list of layers: the numbers of those with variables, ascending}."""
    found: dict[str, set[int]] = {}
    for path in paths:
        if match := _LAYER_LIST.fullmatch(path):
            found.setdefault(match[1], set()).add(int(match[2]))
    return {folder: sorted(numbers) for folder, numbers in found.items()}
