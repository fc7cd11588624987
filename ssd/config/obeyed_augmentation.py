"""The `train_config.data_augmentation_options` that are acted on; see `obeyed.py`."""

from __future__ import annotations

from ssd.config.rules import COUNT, FRACTION, POSITIVE, Rule, Table, at_least, between, only, under

_NOT_NEGATIVE = at_least(0)
# A share of an image of which nothing cannot be taken.
_SHARE = Rule(lambda value: 0 < value <= 1, "more than 0, up to 1")
_PROBABILITY = Rule(lambda value: 0 < value <= 1, "more than 0, up to 1", "Or take the step out.")

_CROP_WITHOUT_ASPECT: Table = {
    "": None,
    "min_object_covered": FRACTION,
    "min_area": _SHARE,
    "max_area": _SHARE,
    "overlap_thresh": FRACTION,
    "clip_boxes": None,
    "random_coef": FRACTION,
}
_CROP: Table = {
    **_CROP_WITHOUT_ASPECT,
    "min_aspect_ratio": POSITIVE,
    "max_aspect_ratio": POSITIVE,
}
_PADDED_SIZE: Table = {
    "min_padded_size_ratio": POSITIVE,
    "max_padded_size_ratio": POSITIVE,
}

_FLIPS: Table = {
    "random_horizontal_flip": None,
    "random_horizontal_flip.probability": _PROBABILITY,
    "random_vertical_flip": None,
    "random_vertical_flip.probability": _PROBABILITY,
    "random_rotation90": None,
    "random_rotation90.probability": _PROBABILITY,
}

_CROPS_AND_PADS: Table = {
    **under("random_crop_image", _CROP),
    **under("random_crop_pad_image", {**_CROP, **_PADDED_SIZE, "pad_color": None}),
    "random_crop_to_aspect_ratio": None,
    "random_crop_to_aspect_ratio.aspect_ratio": POSITIVE,
    "random_crop_to_aspect_ratio.overlap_thresh": FRACTION,
    "random_crop_to_aspect_ratio.clip_boxes": None,
    "random_pad_image": None,
    "random_pad_image.min_image_height": _NOT_NEGATIVE,
    "random_pad_image.min_image_width": _NOT_NEGATIVE,
    "random_pad_image.max_image_height": _NOT_NEGATIVE,
    "random_pad_image.max_image_width": _NOT_NEGATIVE,
    "random_pad_image.pad_color": None,
    "random_absolute_pad_image": None,
    "random_absolute_pad_image.max_height_padding": _NOT_NEGATIVE,
    "random_absolute_pad_image.max_width_padding": _NOT_NEGATIVE,
    "random_absolute_pad_image.pad_color": None,
    "random_square_crop_by_scale": None,
    "random_square_crop_by_scale.max_border": _NOT_NEGATIVE,
    "random_square_crop_by_scale.scale_min": POSITIVE,
    "random_square_crop_by_scale.scale_max": POSITIVE,
    "random_square_crop_by_scale.num_scales": COUNT,
    "random_scale_crop_and_pad_to_square": None,
    "random_scale_crop_and_pad_to_square.output_size": COUNT,
    "random_scale_crop_and_pad_to_square.scale_min": POSITIVE,
    "random_scale_crop_and_pad_to_square.scale_max": POSITIVE,
    "random_self_concat_image": None,
    "random_self_concat_image.concat_vertical_probability": FRACTION,
    "random_self_concat_image.concat_horizontal_probability": FRACTION,
}

_SSD_CROPS: Table = {
    "ssd_random_crop": None,
    **under("ssd_random_crop.operations", _CROP),
    "ssd_random_crop_pad": None,
    **under(
        "ssd_random_crop_pad.operations",
        {
            **_CROP,
            **_PADDED_SIZE,
            "pad_color_r": None,
            "pad_color_g": None,
            "pad_color_b": None,
        },
    ),
    "ssd_random_crop_fixed_aspect_ratio": None,
    "ssd_random_crop_fixed_aspect_ratio.aspect_ratio": POSITIVE,
    **under("ssd_random_crop_fixed_aspect_ratio.operations", _CROP_WITHOUT_ASPECT),
    **under("ssd_random_crop_pad_fixed_aspect_ratio", {"": None, **_PADDED_SIZE}),
    "ssd_random_crop_pad_fixed_aspect_ratio.aspect_ratio": POSITIVE,
    **under("ssd_random_crop_pad_fixed_aspect_ratio.operations", _CROP),
}

_BOXES_AND_LABELS: Table = {
    "random_jitter_boxes": None,
    "random_jitter_boxes.ratio": _NOT_NEGATIVE,
    "random_jitter_boxes.jitter_mode": None,
    "scale_boxes_to_pixel_coordinates": None,
    "drop_label_probabilistically": None,
    "drop_label_probabilistically.label": COUNT,
    "drop_label_probabilistically.drop_probability": FRACTION,
    "remap_labels": None,
    "remap_labels.original_labels": COUNT,
    "remap_labels.new_label": COUNT,
}

_COLORS: Table = {
    "random_rgb_to_gray": None,
    "random_rgb_to_gray.probability": FRACTION,
    "rgb_to_gray": None,
    "random_adjust_brightness": None,
    "random_adjust_brightness.max_delta": _NOT_NEGATIVE,
    "random_adjust_contrast": None,
    "random_adjust_contrast.min_delta": _NOT_NEGATIVE,
    "random_adjust_contrast.max_delta": _NOT_NEGATIVE,
    "random_adjust_hue": None,
    "random_adjust_hue.max_delta": FRACTION,
    "random_adjust_saturation": None,
    "random_adjust_saturation.min_delta": _NOT_NEGATIVE,
    "random_adjust_saturation.max_delta": _NOT_NEGATIVE,
    "random_distort_color": None,
    "random_distort_color.color_ordering": only(0, 1),
    "adjust_gamma": None,
    "adjust_gamma.gamma": _NOT_NEGATIVE,
    "adjust_gamma.gain": _NOT_NEGATIVE,
    "normalize_image": None,
    "normalize_image.original_minval": None,
    "normalize_image.original_maxval": None,
    "normalize_image.target_minval": None,
    "normalize_image.target_maxval": None,
    "subtract_channel_mean": None,
    "subtract_channel_mean.means": None,
    "random_pixel_value_scale": None,
    "random_pixel_value_scale.minval": _NOT_NEGATIVE,
    "random_pixel_value_scale.maxval": _NOT_NEGATIVE,
    "autoaugment_image": None,
    "autoaugment_image.policy_name": only("v0", "v1", "v2", "v3", "test"),
}

_QUALITY_AND_SIZE: Table = {
    "random_jpeg_quality": None,
    "random_jpeg_quality.random_coef": FRACTION,
    "random_jpeg_quality.min_jpeg_quality": between(0, 100),
    "random_jpeg_quality.max_jpeg_quality": between(0, 100),
    "random_downscale_to_target_pixels": None,
    "random_downscale_to_target_pixels.random_coef": FRACTION,
    "random_downscale_to_target_pixels.min_target_pixels": COUNT,
    "random_downscale_to_target_pixels.max_target_pixels": COUNT,
    "random_patch_gaussian": None,
    "random_patch_gaussian.random_coef": FRACTION,
    "random_patch_gaussian.min_patch_size": COUNT,
    "random_patch_gaussian.max_patch_size": COUNT,
    "random_patch_gaussian.min_gaussian_stddev": _NOT_NEGATIVE,
    "random_patch_gaussian.max_gaussian_stddev": _NOT_NEGATIVE,
    "random_black_patches": None,
    "random_black_patches.max_black_patches": _NOT_NEGATIVE,
    "random_black_patches.probability": FRACTION,
    "random_black_patches.size_to_image_ratio": FRACTION,
    "resize_image": None,
    "resize_image.new_height": COUNT,
    "resize_image.new_width": COUNT,
    "resize_image.method": None,
    "random_resize_method": None,
    "random_resize_method.target_height": COUNT,
    "random_resize_method.target_width": COUNT,
    "random_image_scale": None,
    "random_image_scale.min_scale_ratio": POSITIVE,
    "random_image_scale.max_scale_ratio": POSITIVE,
}

AUGMENTATION: Table = {
    "": None,
    **_FLIPS,
    **_CROPS_AND_PADS,
    **_SSD_CROPS,
    **_BOXES_AND_LABELS,
    **_COLORS,
    **_QUALITY_AND_SIZE,
}
