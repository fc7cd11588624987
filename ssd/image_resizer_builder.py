"""ImageResizer messages -> image resizers."""

from __future__ import annotations

from typing import Any

from ssd.core.image_resizer import (
    ConditionalShapeResizer,
    FixedShapeResizer,
    GrayscaleResizer,
    IdentityResizer,
    ImageResizer,
    KeepAspectRatioResizer,
    PadToMultipleResizer,
)


def build(message: Any) -> ImageResizer:
    """Returns the resizer that an ImageResizer message describes."""
    kind = message.WhichOneof("image_resizer_oneof")
    values = getattr(message, kind)
    resizer = _in_colour(kind, values)
    if kind != "identity_resizer" and values.convert_to_grayscale:
        return GrayscaleResizer(resizer)
    return resizer


def _in_colour(kind: str, values: Any) -> ImageResizer:
    match kind:
        case "fixed_shape_resizer":
            return FixedShapeResizer(values.height, values.width, _method(values))
        case "keep_aspect_ratio_resizer":
            return KeepAspectRatioResizer(
                values.min_dimension,
                values.max_dimension,
                _method(values),
                values.pad_to_max_dimension,
                tuple(values.per_channel_pad_value) or (0.0, 0.0, 0.0),
            )
        case "conditional_shape_resizer":
            conditions = values.DESCRIPTOR.fields_by_name["condition"].enum_type
            return ConditionalShapeResizer(
                conditions.values_by_number[values.condition].name,
                values.size_threshold,
                _method(values),
            )
        case "pad_to_multiple_resizer":
            return PadToMultipleResizer(values.multiple)
    return IdentityResizer()


def _method(values: Any) -> str:
    methods = values.DESCRIPTOR.fields_by_name["resize_method"].enum_type
    return str(methods.values_by_number[values.resize_method].name)
