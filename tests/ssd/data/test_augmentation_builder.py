"""data_augmentation_options -> ops."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import text_format

from ssd.config.messages import message_class
from ssd.data import augmentation, augmentation_builder
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
    assert flip.func is augmentation.random_horizontal_flip
    assert flip.keywords == {"probability": 0.5}
    assert crop.func is augmentation.random_crop_image
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


def test_defaults_of_the_message_are_those_of_the_op() -> None:
    (crop,) = build(_options("random_crop_image {}"))
    assert crop.keywords == pytest.approx(augmentation.random_crop_image.__kwdefaults__, rel=1e-6)
    (flip,) = build(_options("random_horizontal_flip { probability: 0.25 }"))
    assert flip.keywords == {"probability": 0.25}


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


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (
            ["random_horizontal_flip {}", "random_adjust_hue {}"],
            r"train_config.data_augmentation_options\[1\]: random_adjust_hue; this kit does random",
        ),
        ([""], r"data_augmentation_options\[0\]: no step given"),
        (
            ["random_horizontal_flip { probability: 0 }"],
            r"options\[0\].random_horizontal_flip: probability is 0; expected 0 < prob.*take the",
        ),
        (
            ["random_crop_image { min_area: 0 }"],
            r"\[0\].random_crop_image: min_area is 0 and max_area is 1; expected 0 < min_area <=",
        ),
        (["random_crop_image { max_area: 1.5 }"], r"max_area is 1.5; .*<= max_area <= 1"),
        (
            ["random_crop_image { min_aspect_ratio: 2 max_aspect_ratio: 1 }"],
            r"min_aspect_ratio is 2 and max_aspect_ratio is 1; expected 0 < min_aspect_ratio <=",
        ),
        (["random_crop_image { random_coef: -0.5 }"], r"random_coef is -0.5; expected 0 <="),
        (["random_crop_image { overlap_thresh: 2 }"], r"overlap_thresh is 2; .*<= 1"),
        (
            ["ssd_random_crop { operations { min_area: 0.5 max_area: 0.6 } }"],
            r"ssd_random_crop.operations\[0\]: min_aspect_ratio is 0 and max_aspect_ratio is 0",
        ),
    ],
)
def test_what_is_refused(steps: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        build(_options(*steps))
    assert "\n" not in str(caught.value)
