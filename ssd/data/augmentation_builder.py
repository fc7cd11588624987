"""`train_config.data_augmentation_options` of a pipeline.config -> ops of `augmentation`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from ssd.data import augmentation
from ssd.data.augmentation import Augmentation
from ssd.errors import InputError

_PLACE = "train_config.data_augmentation_options"

# Fields of RandomCropImage and SSDRandomCropOperation; the arguments have the same names.
_CROP_FIELDS = (
    "min_object_covered",
    "min_aspect_ratio",
    "max_aspect_ratio",
    "min_area",
    "max_area",
    "overlap_thresh",
    "clip_boxes",
    "random_coef",
)


def build(data_augmentation_options: Sequence[Any]) -> list[Augmentation]:
    """Returns the ops of repeated PreprocessingStep messages, in their order.

    Raises:
      InputError: a step that this kit does not do, or a value out of range; it names the step.
    """
    return [
        _build_one(f"{_PLACE}[{number}]", option)
        for number, option in enumerate(data_augmentation_options)
    ]


def _build_one(place: str, option: Any) -> Augmentation:
    kind = option.WhichOneof("preprocessing_step")
    if kind not in _BUILDERS:
        raise InputError(
            f"{place}: {kind or 'no step given'}; this kit does {', '.join(_BUILDERS)}: take the "
            f"others out"
        )
    return _BUILDERS[kind](f"{place}.{kind}", getattr(option, kind))


def _build_flip(place: str, message: Any) -> Augmentation:
    if not 0.0 < message.probability <= 1.0:
        raise InputError(
            f"{place}: probability is {message.probability:g}; expected 0 < probability <= 1; "
            f"to flip nothing, take the step out"
        )
    # Order of keypoints after a flip; the SSD family has none, so there is nothing to reorder.
    return functools.partial(augmentation.random_horizontal_flip, probability=message.probability)


def _build_crop(place: str, message: Any) -> Augmentation:
    return functools.partial(augmentation.random_crop_image, **_crop_arguments(place, message))


def _build_ssd_crop(place: str, message: Any) -> Augmentation:
    operations = tuple(
        _crop_arguments(f"{place}.operations[{number}]", operation)
        for number, operation in enumerate(message.operations)
    )
    return functools.partial(augmentation.ssd_random_crop, operations=operations)


_BUILDERS: dict[str, Callable[[str, Any], Augmentation]] = {
    "random_horizontal_flip": _build_flip,
    "random_crop_image": _build_crop,
    "ssd_random_crop": _build_ssd_crop,
}


def _crop_arguments(place: str, message: Any) -> dict[str, Any]:
    for low, high, limit in (
        ("min_aspect_ratio", "max_aspect_ratio", float("inf")),
        ("min_area", "max_area", 1.0),
    ):
        smallest, largest = getattr(message, low), getattr(message, high)
        if not 0.0 < smallest <= largest <= limit:
            below = "" if limit == float("inf") else f" <= {limit:g}"
            raise InputError(
                f"{place}: {low} is {smallest:g} and {high} is {largest:g}; expected "
                f"0 < {low} <= {high}{below}"
            )
    for share in ("min_object_covered", "overlap_thresh", "random_coef"):
        if not 0.0 <= getattr(message, share) <= 1.0:
            raise InputError(
                f"{place}: {share} is {getattr(message, share):g}; expected 0 <= {share} <= 1"
            )
    return {key: getattr(message, key) for key in _CROP_FIELDS}
