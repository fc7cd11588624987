"""The regions of VGG Image Annotator: JSON in the cells of its .csv."""

from __future__ import annotations

import json
import math
from typing import Any

Corners = tuple[float, float, float, float]

# What a row of a picture without regions says.
NO_REGION = None


class RegionError(Exception):
    """A region without a usable box or class; the message says what is wrong with it."""


def read_region(shape: str, attributes: str, attribute: str) -> tuple[Corners, str] | None:
    """Returns box and class of one region, or NO_REGION.

    >>> shape = '{"name":"circle","cx":50,"cy":30,"r":5}'
    >>> read_region(shape, '{"kind":"coin"}', "")
    ((25.0, 45.0, 35.0, 55.0), 'coin')

    Args:
      shape: JSON of rect, circle, ellipse, polygon or polyline.
      attributes: JSON of the region attributes.
      attribute: the one that holds the class; "" where there is only one.

    Raises:
      RegionError: see there.
    """
    form = _json(shape, "region_shape_attributes")
    if not form:
        return NO_REGION
    return _box(form), _class_name(_json(attributes, "region_attributes"), attribute)


def _json(text: str, column: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise RegionError(f"{column} is no JSON object: {text[:60]}")
    return content


def _box(form: dict[str, Any]) -> Corners:
    name = form.get("name")
    try:
        if name == "rect":
            x, y, width, height = (float(form[key]) for key in ("x", "y", "width", "height"))
            box = (y, x, y + height, x + width)
        elif name in ("polygon", "polyline"):
            xs, ys = ([float(v) for v in form[f"all_points_{axis}"]] for axis in "xy")
            box = (min(ys), min(xs), max(ys), max(xs))
        elif name == "circle":
            x, y, radius = (float(form[key]) for key in ("cx", "cy", "r"))
            box = (y - radius, x - radius, y + radius, x + radius)
        elif name == "ellipse":
            box = _around_ellipse(form)
        else:
            raise RegionError(f"a {name} has no box")
    except (KeyError, TypeError, ValueError):
        raise RegionError(f"a {name} with a missing or wrong number: {form}") from None
    if not math.isfinite(sum(box)):
        raise RegionError(f"a {name} with a number that is not finite: {form}")
    return box


def _around_ellipse(form: dict[str, Any]) -> Corners:
    x, y, radius_x, radius_y = (float(form[key]) for key in ("cx", "cy", "rx", "ry"))
    turn = float(form.get("theta") or 0)
    half_width = math.hypot(radius_x * math.cos(turn), radius_y * math.sin(turn))
    half_height = math.hypot(radius_x * math.sin(turn), radius_y * math.cos(turn))
    return y - half_height, x - half_width, y + half_height, x + half_width


def _class_name(attributes: dict[str, Any], attribute: str) -> str:
    if not attribute and len(attributes) > 1:
        names = ", ".join(attributes)
        raise RegionError(
            f"the region attributes are {names}; say which is the class: --layout via:NAME"
        )
    if attribute and attribute not in attributes:
        raise RegionError(
            f"no region attribute {attribute!r}, but {', '.join(attributes) or 'none'}"
        )
    value = attributes[attribute] if attribute else next(iter(attributes.values()), "")
    if isinstance(value, dict):
        # A checkbox: all that may be ticked, or only what is.
        ticked = [name for name, is_on in value.items() if is_on]
        if len(ticked) != 1:
            raise RegionError(f"{len(ticked)} classes of one region ({', '.join(ticked)})")
        value = ticked[0]
    name = str(value).strip()
    if not name:
        raise RegionError("a region without a class")
    return name
