"""Boxes of COCO segmentations, for annotations that state none: polygons, RLE in both its forms."""

from __future__ import annotations

import math
from typing import Any


class SegmentError(Exception):
    """A segmentation without a usable box; the message says what is wrong with it."""


def box_of(segmentation: Any) -> list[float]:
    """Returns [x, y, width, height] in pixels around a segmentation.

    >>> box_of([[10, 20, 40.5, 20, 10, 60], [5, 30, 6, 31, 5, 32]])
    [5.0, 20.0, 35.5, 40.0]

    Args:
      segmentation: a list of polygons, each x, y, x, y, ...; one such polygon; or a mask as
        {"size": [height, width], "counts": list or text}.

    Raises:
      SegmentError: empty, or not of these forms.
    """
    if not segmentation:
        raise SegmentError("no segmentation either")
    if isinstance(segmentation, dict):
        return _around_mask(segmentation)
    if not isinstance(segmentation, list):
        raise SegmentError(f"segmentation is {str(segmentation)[:60]!r}")
    polygons = segmentation if isinstance(segmentation[0], list) else [segmentation]
    xs, ys = [], []
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) % 2 or not all(map(_is_finite, polygon)):
            raise SegmentError(f"a polygon that is no list of x, y, x, y: {str(polygon)[:60]}")
        xs += polygon[0::2]
        ys += polygon[1::2]
    if not xs:
        raise SegmentError("polygons without a point")
    x, y = float(min(xs)), float(min(ys))
    return [x, y, max(xs) - x, max(ys) - y]


def _around_mask(mask: dict[str, Any]) -> list[float]:
    # Imported here: the other annotations do not need it.
    from faster_coco_eval.core import mask as masks

    counts, size = mask.get("counts"), mask.get("size")
    try:
        if not isinstance(size, list) or len(size) != 2 or not all(map(_is_length, size)):
            raise ValueError("its size is not height, width")
        if isinstance(counts, str):
            encoded = {"size": size, "counts": counts.encode()}
        elif isinstance(counts, list) and all(map(_is_length, counts)):
            if sum(counts) != size[0] * size[1]:
                raise ValueError(f"its counts make {sum(counts)} pixels")
            encoded = masks.frPyObjects(mask, *size)
        else:
            raise ValueError("its counts are neither text nor whole numbers")
        return [float(value) for value in masks.toBbox(encoded)]
    except (ValueError, RuntimeError) as error:
        raise SegmentError(f"an RLE mask of size {size} that cannot be read: {error}") from None


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _is_length(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < 1 << 31
