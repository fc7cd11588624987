"""`train_config.data_augmentation_options` of a pipeline.config -> ops of `augmentation`."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from ssd.config.messages import is_message, is_repeated, message_class
from ssd.config.refusals import refusals
from ssd.data.augmentation import (
    Augmentation,
    aspect_ratios,
    auto_augment,
    boxes,
    color,
    concat,
    crop_pads,
    crops,
    flips,
    labels,
    pads,
    patches,
    quality,
    resizing,
    square,
    values,
)
from ssd.errors import InputError

_PLACE = "train_config.data_augmentation_options"

# The op of each step; its keyword arguments are the fields of the step's message.
OPS: dict[str, Augmentation] = {
    "random_horizontal_flip": flips.random_horizontal_flip,
    "random_vertical_flip": flips.random_vertical_flip,
    "random_rotation90": flips.random_rotation90,
    "random_crop_image": crops.random_crop_image,
    "ssd_random_crop": crops.ssd_random_crop,
    "random_pad_image": pads.random_pad_image,
    "random_absolute_pad_image": pads.random_absolute_pad_image,
    "random_crop_pad_image": crop_pads.random_crop_pad_image,
    "ssd_random_crop_pad": crop_pads.ssd_random_crop_pad,
    "random_crop_to_aspect_ratio": aspect_ratios.random_crop_to_aspect_ratio,
    "ssd_random_crop_fixed_aspect_ratio": aspect_ratios.ssd_random_crop_fixed_aspect_ratio,
    "ssd_random_crop_pad_fixed_aspect_ratio": (
        aspect_ratios.ssd_random_crop_pad_fixed_aspect_ratio
    ),
    "random_square_crop_by_scale": square.random_square_crop_by_scale,
    "random_scale_crop_and_pad_to_square": square.random_scale_crop_and_pad_to_square,
    "random_self_concat_image": concat.random_self_concat_image,
    "random_jitter_boxes": boxes.random_jitter_boxes,
    "scale_boxes_to_pixel_coordinates": boxes.scale_boxes_to_pixel_coordinates,
    "drop_label_probabilistically": labels.drop_label_probabilistically,
    "remap_labels": labels.remap_labels,
    "random_rgb_to_gray": color.random_rgb_to_gray,
    "rgb_to_gray": color.rgb_to_gray,
    "random_adjust_brightness": color.random_adjust_brightness,
    "random_adjust_contrast": color.random_adjust_contrast,
    "random_adjust_hue": color.random_adjust_hue,
    "random_adjust_saturation": color.random_adjust_saturation,
    "random_distort_color": color.random_distort_color,
    "adjust_gamma": color.adjust_gamma,
    "normalize_image": values.normalize_image,
    "subtract_channel_mean": values.subtract_channel_mean,
    "random_pixel_value_scale": values.random_pixel_value_scale,
    "random_jpeg_quality": quality.random_jpeg_quality,
    "random_downscale_to_target_pixels": quality.random_downscale_to_target_pixels,
    "random_patch_gaussian": patches.random_patch_gaussian,
    "random_black_patches": patches.random_black_patches,
    "resize_image": resizing.resize_image,
    "random_resize_method": resizing.random_resize_method,
    "random_image_scale": resizing.random_image_scale,
    "autoaugment_image": auto_augment.autoaugment_image,
}

# What the original takes for a field that is not set, where that is not the default of the schema.
_REAL_DEFAULTS = {"RandomDownscaleToTargetPixels": {"max_target_pixels": 800_000}}

# Order of keypoints after a flip or a turn; no keypoints are read, so there is nothing to reorder.
_KEYPOINT_FIELDS = ("keypoint_flip_permutation", "keypoint_rot_permutation")


def build(data_augmentation_options: Sequence[Any]) -> list[Augmentation]:
    """Returns the ops of repeated PreprocessingStep messages, in their order.

    Raises:
      InputError: a step that this kit does not do, or a value out of range; it names the step and
        the field. Or autoaugment_image without tf-models-official.
    """
    _refuse_what_is_not_obeyed(data_augmentation_options)
    if any(option.HasField("autoaugment_image") for option in data_augmentation_options):
        # Asked here rather than by the first image, where the error would come out of tf.data.
        auto_augment.load_model_garden()
    return [_build_one(option) for option in data_augmentation_options]


def _refuse_what_is_not_obeyed(options: Sequence[Any]) -> None:
    """Raises the first refusal of the steps, by the tables that hold for a whole file."""
    config = message_class("TrainEvalPipelineConfig")()
    config.train_config.data_augmentation_options.extend(options)
    for refusal in refusals(config):
        if refusal.path.startswith(f"{_PLACE}["):
            raise InputError(f"{refusal.path}: {refusal.why}")


def arguments(message: Any) -> dict[str, Any]:
    """Returns the arguments of the op of a step, or of one of its operations.

    They are the fields by name, defaults included: lists as tuples, enums by their names.
    """
    found = {
        field.name: _value(field, getattr(message, field.name))
        for field in message.DESCRIPTOR.fields
        if field.name not in _KEYPOINT_FIELDS
    }
    for name, value in _REAL_DEFAULTS.get(message.DESCRIPTOR.name, {}).items():
        found[name] = found[name] if message.HasField(name) else value
    return found


def _build_one(option: Any) -> Augmentation:
    step = option.WhichOneof("preprocessing_step")
    return functools.partial(OPS[step], **arguments(getattr(option, step)))


def _value(field: Any, value: Any) -> Any:
    if is_message(field):
        return tuple(arguments(item) for item in value)
    if is_repeated(field):
        return tuple(value)
    if field.enum_type is not None:
        return field.enum_type.values_by_number[value].name
    return value
