"""Image resizers and feature extractors that do not fit together."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from ssd.config.rules import Problem

_SMALLEST_IMAGE = 33
_COARSEST_BACKBONE_LEVEL = 5
_RESIZER = "model.ssd.image_resizer"


def problems(ssd: Any) -> Iterator[Problem]:
    """Yields what is wrong with the size of the images of an Ssd message."""
    sides = dict(_known_sides(ssd.image_resizer))
    for path, pixels in sides.items():
        if pixels < _SMALLEST_IMAGE:
            yield path, f"{pixels} is too small; {_SMALLEST_IMAGE} or more is needed."
    keeps = ssd.image_resizer.keep_aspect_ratio_resizer
    if ssd.image_resizer.HasField("keep_aspect_ratio_resizer"):
        if keeps.min_dimension > keeps.max_dimension:
            path = f"{_RESIZER}.keep_aspect_ratio_resizer.min_dimension"
            yield path, f"{keeps.min_dimension} is above max_dimension {keeps.max_dimension}."
        if len(keeps.per_channel_pad_value) not in (0, 3):
            path = f"{_RESIZER}.keep_aspect_ratio_resizer.per_channel_pad_value"
            yield path, f"{len(keeps.per_channel_pad_value)} values; give three, or none."
    if "_fpn" in ssd.feature_extractor.type and not ssd.feature_extractor.use_explicit_padding:
        yield from _pyramid(ssd, sides)


def _known_sides(resizer: Any) -> Iterator[tuple[str, int]]:
    """Yields (path, pixels) of the sides that every image gets; none where sizes vary."""
    if resizer.HasField("fixed_shape_resizer"):
        for side in ("height", "width"):
            pixels = getattr(resizer.fixed_shape_resizer, side)
            yield f"{_RESIZER}.fixed_shape_resizer.{side}", pixels
    keeps = resizer.keep_aspect_ratio_resizer
    if resizer.HasField("keep_aspect_ratio_resizer") and keeps.pad_to_max_dimension:
        yield f"{_RESIZER}.keep_aspect_ratio_resizer.max_dimension", keeps.max_dimension


def _pyramid(ssd: Any, sides: dict[str, int]) -> Iterator[Problem]:
    """The FPN adds each map to the next coarser one doubled, so sizes must halve exactly."""
    fpn, multiple = ssd.feature_extractor.fpn, ssd.feature_extractor.pad_to_multiple
    coarsest = min(fpn.max_level, _COARSEST_BACKBONE_LEVEL)
    step = 2**coarsest
    for path, pixels in sides.items():
        padded = -(-pixels // multiple) * multiple
        # A convolution of stride 2 with SAME padding rounds up.
        sizes = [-(-padded // 2**level) for level in range(fpn.min_level, coarsest + 1)]
        is_halved = all(fine == 2 * coarse for fine, coarse in itertools.pairwise(sizes))
        if pixels >= _SMALLEST_IMAGE and not is_halved:
            halves = ", ".join(map(str, sizes))
            yield (
                path,
                f"{pixels} gives feature maps of {halves}, which do not double exactly as the "
                f"FPN needs; take a multiple of {step}, such as {-(-pixels // step) * step}.",
            )
    resizer_multiple = ssd.image_resizer.pad_to_multiple_resizer.multiple
    if not sides and multiple % step and resizer_multiple % step:
        yield (
            "model.ssd.feature_extractor.pad_to_multiple",
            f"{multiple}, but with this image_resizer the size varies, and the FPN needs multiples "
            f"of {step}; set it to {step}.",
        )
