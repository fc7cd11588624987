"""`spec.config`: the settings of a specification that can be changed after it is made."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ssd.errors import InputError

# Model Maker's expression for what stays as it is without train_whole_model.
DEFAULT_FREEZE = "(efficientnet|fpn_cells|resample_p6)"
_FROZEN_PARTS = {"efficientnet", "fpn_cells", "resample_p6"}
_BACKBONE = "efficientnet"
_OTHERS = (
    "other hyperparameters belong to EfficientDet; a field of this kit's models is set with "
    "overrides=['section.field=value']"
)


class Hparams:
    """Settings by name; what has no meaning here is refused, whoever sets it.

    Attributes:
      learning_rate: the highest one of the schedule, for the batch size of the run; None: as the
        kit's config has it, in proportion to the batch size.
      image_size: (height, width) of the model's input; None: the config's.
      num_epochs: how often training goes through the data.
      batch_size: None: 16, or all images where there are fewer.
      moving_average_decay: of averages of the weights; 0: none.
      var_freeze_expr: what is not trained without train_whole_model; see `freezes_backbone`.
      max_instances_per_image: boxes of one picture that training sees; 100 or more.
    """

    learning_rate: float | None
    image_size: tuple[int, int] | None
    num_epochs: int
    batch_size: int | None
    moving_average_decay: float
    var_freeze_expr: str | None
    max_instances_per_image: int

    def __init__(self, **settings: Any) -> None:
        self.learning_rate = self.image_size = self.batch_size = None
        self.num_epochs = 50
        self.moving_average_decay = 0.0
        self.var_freeze_expr = DEFAULT_FREEZE
        self.max_instances_per_image = 100
        self.override(settings)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _READERS:
            near = difflib.get_close_matches(name, _READERS, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise InputError(
                f"hparams: {name}={value}: {hint}known are {', '.join(_READERS)}; {_OTHERS}"
            )
        try:
            super().__setattr__(name, None if value is None else _READERS[name](value))
        except (TypeError, ValueError) as error:
            raise InputError(f"hparams: {name}={value!r}: {error}") from None

    def override(self, settings: Mapping[str, Any] | str) -> None:
        """Sets several: a dict, text such as "learning_rate=0.01,image_size=384", or a YAML file.

        Raises:
          InputError: an unknown name, or a value that does not fit.
        """
        for name, value in _as_mapping(settings).items():
            setattr(self, name, value)

    @property
    def freezes_backbone(self) -> bool:
        """Whether `var_freeze_expr` is a part of Model Maker's own that names the backbone."""
        return _BACKBONE in (self.var_freeze_expr or "")


def _as_mapping(settings: Mapping[str, Any] | str) -> Mapping[str, Any]:
    if not isinstance(settings, str):
        return settings
    if settings.endswith((".yaml", ".yml")):
        return _of_yaml(Path(settings))
    pairs = [pair.partition("=") for pair in settings.split(",") if pair.strip()]
    for name, equals, _ in pairs:
        if not equals:
            raise InputError(f"hparams: {name!r}: name=value, a dict or a .yaml file was expected")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _of_yaml(path: Path) -> Mapping[str, Any]:
    import yaml  # late: only such a file needs it

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"hparams: {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise InputError(f"hparams: {path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise InputError(f"hparams: {path}: lines such as learning_rate: 0.01 were expected")
    return content


def _positive_rate(value: Any) -> float:
    rate = float(value)
    if not (math.isfinite(rate) and rate > 0):
        raise ValueError("a number above 0 was expected")
    return rate


def _decay(value: Any) -> float:
    decay = float(value)
    if not 0 <= decay < 1:
        raise ValueError("a number from 0 (no averages) to below 1 was expected")
    return decay


def _count(value: Any, least: int = 1) -> int:
    count = int(value)
    if count < least or count != float(value):
        raise ValueError(f"a whole number of {least} or more was expected")
    return count


def _boxes(value: Any) -> int:
    return _count(value, 100)


def _size(value: Any) -> tuple[int, int]:
    """512, (height, width), or "1280x640" as width x height."""
    if isinstance(value, str) and "x" in value.lower():
        width, height = value.lower().split("x")
        return _count(height), _count(width)
    if isinstance(value, (list, tuple)):
        height, width = value
        return _count(height), _count(width)
    return _count(value), _count(value)


def _freeze(value: Any) -> str:
    parts = set(filter(None, re.split(r"[()|]+", str(value))))
    if not parts <= _FROZEN_PARTS or (parts and _BACKBONE not in parts):
        raise ValueError(
            f"names variables of EfficientDet; {_BACKBONE!r} (the backbone) or {DEFAULT_FREEZE!r} "
            "was expected"
        )
    return str(value)


_READERS: dict[str, Callable[[Any], Any]] = {
    "learning_rate": _positive_rate,
    "image_size": _size,
    "num_epochs": _count,
    "batch_size": _count,
    "moving_average_decay": _decay,
    "var_freeze_expr": _freeze,
    "max_instances_per_image": _boxes,
}
