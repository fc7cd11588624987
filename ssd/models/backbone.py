"""What a backbone yields."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf


class BackboneFeatures(NamedTuple):
    """Feature maps of one backbone.

    Attributes:
      levels: {level: float32 [B, H / 2^level, W / 2^level, C]} for levels 2..5, what a feature
        pyramid is built on; sizes round up.
      ssd_maps: the two maps, of strides 16 and 32, that an SSD without pyramid begins with.
    """

    levels: dict[int, tf.Tensor]
    ssd_maps: tuple[tf.Tensor, tf.Tensor]
