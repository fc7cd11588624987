"""Whether a model adds the same shortcuts as the TF1 graph behind a checkpoint."""

from __future__ import annotations

from ssd.errors import InputError
from ssd.models.detector import Detector
from ssd.models.mobilenet_v2 import MobileNetV2


def require_same_shortcuts(prefix: str, detector: Detector) -> None:
    """Refuses a model that computes something else from the variables of a TF1 checkpoint.

    TF1's MobileNetV2 adds a block's input to its output wherever both have equally many channels;
    the TF2 original compares before min_depth applies, so that at a small depth_multiplier it has
    fewer shortcuts, with all names and shapes the same.

    Raises:
      InputError: `prefix`, a TF1 checkpoint, needs a shortcut that the model has not.
    """
    backbone = detector.network.feature_extractor.backbone
    if not isinstance(backbone, MobileNetV2):
        return
    channels = int(backbone.stem.filters)
    for block in backbone.blocks:
        stride = block.depthwise.strides[0]
        if stride == 1 and channels == block.out_channels and not block.has_shortcut:
            raise InputError(
                f"{prefix}: a TF1 checkpoint; its graph has a shortcut around {block.name} at this "
                "depth_multiplier and min_depth, that of a TF2 type has none: set "
                "feature_extractor.type to the one without _keras"
            )
        channels = block.out_channels
