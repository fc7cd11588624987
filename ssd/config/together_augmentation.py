"""Settings of one augmentation step that are fine one by one but not together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ssd.config.rules import Problem, show

# (least, most): wherever a step or an operation has both, the first is not above the second.
_RANGES = (
    ("min_aspect_ratio", "max_aspect_ratio"),
    ("min_area", "max_area"),
    ("min_image_height", "max_image_height"),
    ("min_image_width", "max_image_width"),
    ("min_scale_ratio", "max_scale_ratio"),
    ("scale_min", "scale_max"),
    ("min_delta", "max_delta"),
    ("minval", "maxval"),
    ("original_minval", "original_maxval"),
    ("min_jpeg_quality", "max_jpeg_quality"),
    ("min_target_pixels", "max_target_pixels"),
    ("min_patch_size", "max_patch_size"),
    ("min_gaussian_stddev", "max_gaussian_stddev"),
)
# Lists -> how many values they may have.
_LENGTHS = {
    "pad_color": (0, 3, 1),
    "min_padded_size_ratio": (0, 2),
    "max_padded_size_ratio": (0, 2),
    "means": (3,),
}
_INWARD_JITTER = ("DEFAULT", "SHRINK", "SHRINK_SYMMETRIC", "SHRINK_SYMMETRIC_XY")


def problems(option: Any, path: str) -> Iterator[Problem]:
    """Yields what does not fit together in a PreprocessingStep that stands at `path`."""
    step = option.WhichOneof("preprocessing_step")
    if step is None:
        return
    message, place = getattr(option, step), f"{path}.{step}"
    yield from _ranges(message, place)
    yield from _lengths(message, place)
    for index, operation in enumerate(getattr(message, "operations", ())):
        yield from _ranges(operation, f"{place}.operations[{index}]")
        yield from _lengths(operation, f"{place}.operations[{index}]")
    if step in _OF_ONE_STEP:
        yield from _OF_ONE_STEP[step](message, place)


def _ranges(message: Any, place: str) -> Iterator[Problem]:
    fields = message.DESCRIPTOR.fields_by_name
    for least, most in _RANGES:
        if least not in fields or most not in fields:
            continue
        if not message.HasField(most) and not fields[most].has_default_value:
            continue
        low, high = getattr(message, least), getattr(message, most)
        if low > high:
            yield f"{place}.{least}", f"{show(low)} is above {most} {show(high)}."


def _lengths(message: Any, place: str) -> Iterator[Problem]:
    for name, lengths in _LENGTHS.items():
        if name not in message.DESCRIPTOR.fields_by_name:
            continue
        count = len(getattr(message, name))
        if count not in lengths:
            wanted = " or ".join(str(length) for length in lengths if length)
            yield f"{place}.{name}", f"{count} values; {wanted} are needed."


def _pad_image(message: Any, place: str) -> Iterator[Problem]:
    for bound in ("min", "max"):
        height, width = f"{bound}_image_height", f"{bound}_image_width"
        if message.HasField(height) != message.HasField(width):
            given, other = (height, width) if message.HasField(height) else (width, height)
            yield f"{place}.{given}", f"needs {other} beside it; give both or none."
    for name in ("max_image_height", "max_image_width"):
        if message.HasField(name) and getattr(message, name) == 0:
            yield f"{place}.{name}", "0 is no size; leave it out for twice the image's."


def _jitter_boxes(message: Any, place: str) -> Iterator[Problem]:
    modes = message.DESCRIPTOR.fields_by_name["jitter_mode"].enum_type.values_by_number
    mode = modes[message.jitter_mode].name
    if message.ratio > 1 and mode in _INWARD_JITTER:
        what = f"{show(message.ratio)} turns boxes inside out with jitter_mode {mode}; give 0 to 1."
        yield f"{place}.ratio", what


def _normalize_image(message: Any, place: str) -> Iterator[Problem]:
    if message.original_minval == message.original_maxval:
        yield (
            f"{place}.original_maxval",
            f"{show(message.original_maxval)} is original_minval too; a range is needed, such as "
            f"0 and 255.",
        )


_OF_ONE_STEP = {
    "random_pad_image": _pad_image,
    "random_jitter_boxes": _jitter_boxes,
    "normalize_image": _normalize_image,
}
