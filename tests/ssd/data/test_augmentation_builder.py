"""data_augmentation_options -> ops."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from google.protobuf import text_format

from ssd.config.messages import message_class
from ssd.data import augmentation_builder
from ssd.data.augmentation import auto_augment, boxes, crops, flips, resizing
from ssd.errors import InputError


def _options(*steps: str) -> Any:
    text = "\n".join(f"data_augmentation_options {{ {step} }}" for step in steps)
    return text_format.Parse(text, message_class("TrainConfig")()).data_augmentation_options


def build(options: Any) -> list[Any]:
    """The ops, as the `functools.partial` they are."""
    return list(augmentation_builder.build(options))


def test_nothing_asked_nothing_done() -> None:
    assert build(_options()) == []


def test_the_steps_of_the_zoo_configs() -> None:
    flip, crop = build(
        _options(
            "random_horizontal_flip {}",
            "random_crop_image { min_object_covered: 0.0 min_aspect_ratio: 0.75 max_aspect_ratio: "
            "3.0 min_area: 0.75 max_area: 1.0 overlap_thresh: 0.0 }",
        )
    )
    assert flip.func is flips.random_horizontal_flip
    assert flip.keywords == {"probability": 0.5}
    assert crop.func is crops.random_crop_image
    assert crop.keywords == {
        "min_object_covered": 0.0,
        "min_aspect_ratio": 0.75,
        "max_aspect_ratio": 3.0,
        "min_area": 0.75,
        "max_area": 1.0,
        "overlap_thresh": 0.0,
        "clip_boxes": True,
        "random_coef": 0.0,
    }


@pytest.mark.parametrize("step", augmentation_builder.OPS)
def test_arguments_of_an_op_are_the_fields_of_its_step(step: str) -> None:
    op = augmentation_builder.OPS[step]
    parameters = inspect.signature(op).parameters
    if step == "random_crop_pad_image":
        parameters = {**inspect.signature(crops.random_crop_image).parameters, **parameters}
    arguments = {
        name: each.default
        for name, each in parameters.items()
        if each.kind is inspect.Parameter.KEYWORD_ONLY
    }
    message = message_class("PreprocessingStep")()
    getattr(message, step).SetInParent()
    fields = augmentation_builder.arguments(getattr(message, step))
    assert set(arguments) == set(fields)
    for name, default in fields.items():
        # Fields are float32: 0.05 is 0.0500000007.
        rounded = pytest.approx(default, rel=1e-6) if isinstance(default, float) else default
        assert arguments[name] == rounded, name


def test_ssd_random_crop_without_and_with_operations() -> None:
    (plain,) = build(_options("ssd_random_crop {}"))
    assert plain.keywords == {"operations": ()}
    sizes = "min_aspect_ratio: 0.5 max_aspect_ratio: 2.0 min_area: 0.1 max_area: 0.9"
    (given,) = build(
        _options(
            f"ssd_random_crop {{ operations {{ {sizes} random_coef: 0.25 }} "
            f"operations {{ {sizes} min_object_covered: 0.5 clip_boxes: false }} }}"
        )
    )
    first, second = given.keywords["operations"]
    assert first["random_coef"] == 0.25
    assert first["min_object_covered"] == 0.0
    assert first["overlap_thresh"] == 0.0
    assert first["clip_boxes"] is True
    assert second["min_object_covered"] == 0.5
    assert second["clip_boxes"] is False
    assert second["max_area"] == pytest.approx(0.9)


def test_enums_come_by_name_and_lists_as_tuples() -> None:
    jitter, resize, pad, remap = build(
        _options(
            "random_jitter_boxes { jitter_mode: SHRINK_SYMMETRIC_XY }",
            "resize_image { new_height: 3 new_width: 5 method: AREA }",
            "random_absolute_pad_image { max_height_padding: 200 pad_color: [1, 2, 3] }",
            "remap_labels { original_labels: [4, 2] new_label: 1 }",
        )
    )
    assert jitter.func is boxes.random_jitter_boxes
    assert jitter.keywords["jitter_mode"] == "SHRINK_SYMMETRIC_XY"
    assert resize.func is resizing.resize_image
    assert resize.keywords == {"new_height": 3, "new_width": 5, "method": "AREA"}
    assert pad.keywords["pad_color"] == (1.0, 2.0, 3.0)
    assert pad.keywords["max_height_padding"] == 200
    assert remap.keywords == {"original_labels": (4, 2), "new_label": 1}


def test_the_order_of_keypoints_is_of_no_concern() -> None:
    (flip,) = build(_options("random_horizontal_flip { keypoint_flip_permutation: [1, 0] }"))
    assert flip.keywords == {"probability": 0.5}


def test_autoaugment_is_refused_before_the_first_image(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def absent() -> None:
        asked.append("official")
        raise InputError("autoaugment_image: not installed")

    monkeypatch.setattr(auto_augment, "load_model_garden", absent)
    build(_options("random_horizontal_flip {}"))
    assert asked == []
    with pytest.raises(InputError, match="autoaugment_image: not installed"):
        build(_options("autoaugment_image { policy_name: 'v1' }"))


_SIZES = "min_aspect_ratio: 0.5 max_aspect_ratio: 2 min_area: 0.1 max_area: 0.9"


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("", r"^train_config.data_augmentation_options\[1\]: needs one of: .*random_crop_image"),
        (
            "convert_class_logits_to_softmax {}",
            r"options\[1\].convert_class_logits_to_softmax: not supported",
        ),
        ("random_horizontal_flip { probability: 0 }", r"flip.probability: 0 is .*take the step"),
        ("random_vertical_flip { probability: 1.5 }", r"flip.probability: 1.5 is .*up to 1"),
        ("random_rotation90 { probability: -1 }", r"90.probability: -1 is not supported"),
        ("random_crop_image { min_area: 0 }", r"crop_image.min_area: 0 is .*more than 0, up to 1"),
        ("random_crop_image { max_area: 1.5 }", r"max_area: 1.5 is not supported"),
        (
            "random_crop_image { min_aspect_ratio: 2 max_aspect_ratio: 1 }",
            r"min_aspect_ratio: 2 is above max_aspect_ratio 1",
        ),
        ("random_crop_image { random_coef: -0.5 }", r"random_coef: -0.5 is .*0 to 1"),
        (
            "ssd_random_crop { operations { min_area: 0.5 max_area: 0.6 } }",
            r"ssd_random_crop.operations\[0\].max_aspect_ratio: not set; give a value",
        ),
        (
            f"ssd_random_crop_pad {{ operations {{ {_SIZES} min_padded_size_ratio: 2 }} }}",
            r"operations\[0\].min_padded_size_ratio: 1 values; 2 are needed",
        ),
        (
            "random_crop_pad_image { max_padded_size_ratio: [2, 2, 2] }",
            r"max_padded_size_ratio: 3 values; 2 are needed",
        ),
        ("ssd_random_crop_fixed_aspect_ratio { aspect_ratio: 0 }", r"aspect_ratio: 0 is not"),
        ("random_crop_to_aspect_ratio { aspect_ratio: -2 }", r"aspect_ratio: -2 is not supported"),
        (
            "random_pad_image { min_image_width: 300 }",
            r"random_pad_image.min_image_width: needs min_image_height beside it",
        ),
        (
            "random_pad_image { max_image_height: 0 max_image_width: 9 }",
            r"max_image_height: 0 is no size; leave it out",
        ),
        (
            "random_pad_image { min_image_height: 9 min_image_width: 2 max_image_height: 8 "
            "max_image_width: 8 }",
            r"min_image_height: 9 is above max_image_height 8",
        ),
        ("random_pad_image { pad_color: [1, 2] }", r"pad_color: 2 values; 3 or 1 are needed"),
        ("random_absolute_pad_image { max_width_padding: -1 }", r"padding: -1 is .*0 or more"),
        ("random_square_crop_by_scale { num_scales: 0 }", r"num_scales: 0 is .*1 or more"),
        ("random_square_crop_by_scale { scale_min: 2 }", r"scale_min: 2 is above scale_max 1.3"),
        ("random_scale_crop_and_pad_to_square { output_size: 0 }", r"output_size: 0 is not"),
        (
            "random_self_concat_image { concat_vertical_probability: 2 }",
            r"concat_vertical_probability: 2 is .*0 to 1",
        ),
        ("random_jitter_boxes { ratio: -0.1 }", r"ratio: -0.1 is not supported"),
        (
            "random_jitter_boxes { ratio: 1.5 jitter_mode: SHRINK }",
            r"ratio: 1.5 turns boxes inside out with jitter_mode SHRINK; give 0 to 1",
        ),
        ("drop_label_probabilistically {}", r"label: not set; give a value \(1 or more\)"),
        ("remap_labels { original_labels: 0 new_label: 1 }", r"original_labels\[0\]: 0 is not"),
        ("remap_labels { original_labels: 3 }", r"new_label: not set"),
        ("random_adjust_hue { max_delta: 2 }", r"random_adjust_hue.max_delta: 2 is .*0 to 1"),
        ("random_adjust_contrast { min_delta: 2 }", r"min_delta: 2 is above max_delta 1.25"),
        ("random_distort_color { color_ordering: 2 }", r"color_ordering: 2 is .*0, 1"),
        ("normalize_image { original_minval: 3 original_maxval: 3 }", r"maxval: 3 is original_min"),
        ("subtract_channel_mean { means: [1, 2] }", r"means: 2 values; 3 are needed"),
        ("random_jpeg_quality { max_jpeg_quality: 101 }", r"max_jpeg_quality: 101 is .*0 to 100"),
        ("random_downscale_to_target_pixels { min_target_pixels: 600000 }", r"is above max_target"),
        ("random_patch_gaussian { min_patch_size: 0 }", r"min_patch_size: 0 is .*1 or more"),
        ("random_black_patches { size_to_image_ratio: 2 }", r"size_to_image_ratio: 2 is not"),
        ("resize_image { new_width: 9 }", r"resize_image.new_height: not set; give a value"),
        ("random_image_scale { min_scale_ratio: 3 }", r"min_scale_ratio: 3 is above max_scale_rat"),
        ("autoaugment_image { policy_name: 'v7' }", r"policy_name: v7 is .*v0, v1, v2, v3, test"),
    ],
)
def test_what_is_refused(step: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        build(_options("random_horizontal_flip {}", step))
    assert "\n" not in str(caught.value)
    assert "data_augmentation_options[1]" in str(caught.value)
