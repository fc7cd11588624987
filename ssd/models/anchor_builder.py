"""AnchorGenerator messages -> anchor generators."""

from __future__ import annotations

from typing import Any

from ssd.core.anchor_generators import (
    AnchorGenerator,
    AnchorGrid,
    FlexibleGridAnchorGenerator,
    MultiscaleGridAnchorGenerator,
    SsdAnchorGenerator,
    grid_sizes,
)


def build(message: Any) -> AnchorGenerator:
    """Returns the anchor generator that an AnchorGenerator message describes."""
    kind = message.WhichOneof("anchor_generator_oneof")
    values = getattr(message, kind)
    match kind:
        case "multiscale_anchor_generator":
            return MultiscaleGridAnchorGenerator(
                min_level=values.min_level,
                anchor_scale=values.anchor_scale,
                aspect_ratios=tuple(values.aspect_ratios),
                scales_per_octave=values.scales_per_octave,
            )
        case "ssd_anchor_generator":
            return SsdAnchorGenerator(
                aspect_ratios=tuple(values.aspect_ratios),
                min_scale=values.min_scale,
                max_scale=values.max_scale,
                scales=tuple(values.scales),
                interpolated_scale_aspect_ratio=values.interpolated_scale_aspect_ratio,
                reduce_boxes_in_lowest_layer=values.reduce_boxes_in_lowest_layer,
                base_anchor_size=(values.base_anchor_height, values.base_anchor_width),
                height_stride=tuple(values.height_stride),
                width_stride=tuple(values.width_stride),
                height_offset=tuple(values.height_offset),
                width_offset=tuple(values.width_offset),
            )
        case "grid_anchor_generator":
            return FlexibleGridAnchorGenerator((_single_grid(values),))
    return FlexibleGridAnchorGenerator(tuple(_grid(grid) for grid in values.anchor_grid))


def _single_grid(values: Any) -> AnchorGrid:
    # Scales vary fastest, then aspect ratios.
    pairs = [(scale, ratio) for ratio in values.aspect_ratios for scale in values.scales]
    scales, ratios = zip(*pairs, strict=True)
    return AnchorGrid(
        grid_sizes((values.height, values.width), scales, ratios),
        stride=(values.height_stride, values.width_stride),
        offset=(values.height_offset, values.width_offset),
    )


def _grid(values: Any) -> AnchorGrid:
    return AnchorGrid(
        grid_sizes((1.0, 1.0), values.base_sizes, values.aspect_ratios),
        stride=(values.height_stride, values.width_stride),
        offset=(values.height_offset, values.width_offset),
    )
