"""What a backbone yields, and where checkpoints keep it."""

from __future__ import annotations

from typing import NamedTuple

import keras
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


def backbone_paths(backbone: keras.layers.Layer) -> dict[str, keras.layers.Layer]:
    """Returns the backbone's layers by their path in checkpoints, below `_feature_extractor`.

    Only layers with variables are counted there, not what stands in for a batch norm.
    """
    layers = [
        layer
        for layer in backbone.layers_in_order()
        if not isinstance(layer, keras.layers.Identity)
    ]
    return {f"classification_backbone/layer_with_weights-{n}": x for n, x in enumerate(layers)}
