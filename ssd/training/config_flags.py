"""Flags of `train` that stand for settings of the config: what a run does is in its config."""

from __future__ import annotations

from typing import Any

from ssd.errors import InputError
from ssd.training.options import TrainOptions

# Of each backbone: its blocks by TF1 name, the first convolution at number 0.
_V2_BLOCKS = ("Conv", "expanded_conv", *(f"expanded_conv_{n}" for n in range(1, 17)))
_V1_BLOCKS = ("Conv2d_0", *(f"Conv2d_{n}_(depthwise|pointwise)" for n in range(1, 14)))
_BACKBONE = "^model/_feature_extractor/classification_backbone/"


def apply_flags(config: Any, options: TrainOptions) -> None:
    """Puts --moving-average-decay and --freeze into the config, in place.

    Raises:
      InputError: --freeze asks for more blocks than the backbone has.
    """
    decay = options.moving_average_decay
    if decay is not None:
        config.train_config.optimizer.use_moving_average = True
        config.train_config.optimizer.moving_average_decay = decay
        config.eval_config.use_moving_averages = True
    if options.freeze is not None:
        pattern = freeze_pattern(options.freeze, config.model.ssd.feature_extractor.type)
        if pattern not in config.train_config.freeze_variables:
            config.train_config.freeze_variables.append(pattern)


def freeze_pattern(part: str, extractor_type: str) -> str:
    """Returns the regular expression of `freeze_variables` that finds a part of the backbone.

    Args:
      part: "backbone", or the number of blocks to freeze from the input on: inverted residual
        blocks of MobileNetV2 (17), separable convolutions of MobileNetV1 (13); the convolution
        in front of the first block goes with it.
      extractor_type: `feature_extractor.type`.

    Raises:
      InputError: there are not that many blocks.
    """
    if part == "backbone":
        return _BACKBONE
    version, blocks = (1, _V1_BLOCKS) if "mobilenet_v1" in extractor_type else (2, _V2_BLOCKS)
    if int(part) > len(blocks) - 1:
        raise InputError(
            f"--freeze {part}: the backbone of {extractor_type} has {len(blocks) - 1} blocks; give "
            "fewer, or --freeze backbone"
        )
    names = "|".join(blocks[: int(part) + 1])
    return f"^FeatureExtractor/MobilenetV{version}/({names})/"
