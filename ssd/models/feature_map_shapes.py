"""How many rows and columns the feature maps of a config have, without building its network."""

from __future__ import annotations

from typing import Any

from ssd.models.feature_extractor_builder import EXTRACTOR_TYPES, num_feature_maps

# The two maps of the backbone that an SSD without pyramid begins with have strides 16 and 32.
_FIRST_LEVEL_WITHOUT_PYRAMID = 4


def feature_map_shapes(message: Any, image_size: tuple[int, int]) -> list[tuple[int, int]]:
    """Returns (rows, columns) of the feature maps, finest first.

    Every level halves the one before and rounds up, whatever the padding.

    Args:
      message: SsdFeatureExtractor.
      image_size: (H, W) of the network's input.
    """
    has_fpn = EXTRACTOR_TYPES[message.type].has_fpn
    first = message.fpn.min_level if has_fpn else _FIRST_LEVEL_WITHOUT_PYRAMID
    multiple = message.pad_to_multiple
    height, width = (-(-side // multiple) * multiple for side in image_size)
    levels = range(first, first + num_feature_maps(message))
    return [(-(-height // 2**level), -(-width // 2**level)) for level in levels]
