"""Smaller anchors for smaller boxes: the one setting that may be changed before any training.

Another anchor_scale leaves every anchor its place in the heads: the aspect ratio and the part of
an octave that a checkpoint's filters were trained for stay the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ssd.anchor_fit.recall import AnchorModel, PlacedBoxes
from ssd.anchor_fit.suggestion import class_weights, figures

# Down to a quarter, by quarters of an octave. Larger objects have their own levels as it is.
_STEPS = range(9)
# Of the sum of recall and mean best IoU: less is not worth a change.
_WORTHWHILE = 0.05


@dataclass(frozen=True)
class FittedScale:
    """An anchor_scale for given boxes.

    Attributes:
      anchor_scale: 1/4 to 1 times the config's own.
      recalls, own_recalls: {class id: share of its boxes that overlap an anchor by 0.5 or more},
        with this scale and with the config's own.
    """

    anchor_scale: float
    recalls: dict[int, float]
    own_recalls: dict[int, float]


def fit_scale(model: AnchorModel, placed: PlacedBoxes, class_ids: np.ndarray) -> FittedScale | None:
    """Returns the anchor_scale with the highest recall + mean best IoU, every class counting alike.

    None where the config's own is as good, where there are no boxes, and for other generators than
    the multiscale one.

    Args:
      model, placed: the boxes, those without area left out, at the model's input.
      class_ids: int [M].
    """
    own = model.ssd.anchor_generator
    if not own.HasField("multiscale_anchor_generator") or not len(class_ids):
        return None
    weights = class_weights(class_ids)
    scales, sums, recalls = [], [], []
    for step in _STEPS:
        message = type(own)()
        message.CopyFrom(own)
        scale = round(own.multiscale_anchor_generator.anchor_scale * 2 ** (-step / 4), 2)
        message.multiscale_anchor_generator.anchor_scale = scale
        best = model.best_iou(placed, message)
        scales.append(scale)
        sums.append(sum(figures(best, None, weights)))
        recalls.append(
            {int(c): figures(best[class_ids == c], None)[0] for c in np.unique(class_ids)}
        )
    chosen = int(np.argmax(sums))
    if sums[chosen] - sums[0] < _WORTHWHILE:
        return None
    return FittedScale(scales[chosen], recalls[chosen], recalls[0])
