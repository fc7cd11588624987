"""How often the random ops draw what: compared with draws of the TF Object Detection API."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from ssd.config.messages import message_class
from ssd.data import augmentation_builder
from ssd.data.augmentation import Augmentation, crops
from ssd.data.augmentation.flips import flip_left_right
from ssd.data.augmentation.windows import crop_to_window
from ssd.standard_fields import InputFields

_F = InputFields

RECORDING = Path(__file__).parents[2] / "data" / "augmentation_geometry_draws.npz"
with np.load(RECORDING) as _arrays:
    DRAWS = dict(_arrays)
STEPS = sorted(key.removesuffix("_step") for key in DRAWS if key.endswith("_step"))

# Settings of what is recorded in the oracle, and the overlap_thresh that occur.
CROPS: dict[str, tuple[Augmentation, tuple[float, ...]]] = {
    "random_crop_zoo": (
        functools.partial(
            crops.random_crop_image,
            min_object_covered=0.0,
            max_aspect_ratio=3.0,
            min_area=0.75,
            overlap_thresh=0.0,
        ),
        (0.0,),
    ),
    "random_crop_half": (
        functools.partial(
            crops.random_crop_image,
            min_object_covered=0.5,
            min_aspect_ratio=0.5,
            max_aspect_ratio=2.0,
            overlap_thresh=0.5,
        ),
        (0.5,),
    ),
    "random_crop_defaults": (crops.random_crop_image, (0.3,)),
    # Which of the seven was chosen is not recorded.
    "ssd_random_crop": (crops.ssd_random_crop, (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)),
}


def _ks_p_value(a: np.ndarray, b: np.ndarray) -> float:
    """Two-sample Kolmogorov-Smirnov test; Stephens' approximation (Numerical Recipes, 14.3)."""
    values = np.unique(np.concatenate([a, b]))
    cumulative = [np.searchsorted(np.sort(x), values, side="right") / len(x) for x in (a, b)]
    root = np.sqrt(len(a) * len(b) / (len(a) + len(b)))
    distance = (root + 0.12 + 0.11 / root) * np.max(np.abs(cumulative[0] - cumulative[1]))
    terms = [(-1) ** (k - 1) * np.exp(-2 * (k * distance) ** 2) for k in range(1, 101)]
    # The series does not converge at 0, where the answer is 1.
    return float(np.clip(2 * np.sum(terms), 0.0, 1.0)) if distance > 0.2 else 1.0


def test_ks_p_value_tells_distributions_apart() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 2000))
    assert _ks_p_value(a, b) > 0.01
    assert _ks_p_value(a, b + 0.15) < 0.001
    assert _ks_p_value(a, a) == 1.0


def _draw(op: Augmentation, example: dict[str, tf.Tensor], count: int) -> np.ndarray:
    """float32 [count, 7]: height, width, number of boxes and their mean coordinates."""

    def one(number: tf.Tensor) -> tf.Tensor:
        changed = op(example, tf.stack([number, tf.constant(17, tf.int64)]))
        boxes = changed[_F.groundtruth_boxes]
        sizes = tf.concat([tf.shape(changed[_F.image])[:2], tf.shape(boxes)[:1]], axis=0)
        number_of_boxes = tf.cast(sizes[2], tf.float32)
        middle = tf.math.divide_no_nan(tf.reduce_sum(boxes, axis=0), number_of_boxes)
        return tf.concat([tf.cast(sizes, tf.float32), middle], axis=0)

    numbers = tf.data.Dataset.range(count).map(one, num_parallel_calls=2)
    return np.stack(list(numbers.as_numpy_iterator()))


@pytest.mark.parametrize("name", STEPS)
def test_steps_draw_as_recorded(name: str) -> None:
    text = f"data_augmentation_options {{ {DRAWS[f'{name}_step']} }}"
    config = text_format.Parse(text, message_class("TrainConfig")())
    (op,) = augmentation_builder.build(config.data_augmentation_options)
    example = {
        _F.image: tf.constant(DRAWS["image"], tf.float32),
        _F.groundtruth_boxes: tf.constant(DRAWS["boxes"]),
        _F.groundtruth_classes: tf.constant(DRAWS["labels"]),
        _F.groundtruth_weights: tf.constant(DRAWS["weights"]),
    }
    ours, theirs = _draw(op, example, 600), DRAWS[name]
    # Equal values must stay equal though TensorFlow's versions round differently.
    p_values = [
        _ks_p_value(np.round(a, 4), np.round(b, 4)) for a, b in zip(ours.T, theirs.T, strict=True)
    ]
    # 161 tests in all: at 0.001 a right sampler fails once in 7 seeds; the seed is fixed.
    assert min(p_values) > 0.001, p_values


@pytest.fixture(scope="module")
def recorded(oracle: Path) -> dict[str, np.ndarray]:
    with np.load(oracle / "ops" / "random_crop.npz") as arrays:
        return dict(arrays)


def _recorded_example(recorded: dict[str, np.ndarray]) -> dict[str, tf.Tensor]:
    rows, columns = np.mgrid[0:375, 0:500]
    return {
        _F.image: tf.constant(np.stack([rows, columns, rows], -1), tf.float32),
        _F.groundtruth_boxes: tf.constant(recorded["boxes"]),
        _F.groundtruth_classes: tf.constant(recorded["labels"], tf.int64),
        _F.groundtruth_weights: tf.constant(recorded["weights"]),
    }


def test_flip_as_recorded(recorded: dict[str, np.ndarray]) -> None:
    flipped = flip_left_right(_recorded_example(recorded))
    np.testing.assert_array_equal(flipped[_F.groundtruth_boxes], recorded["flip/boxes"])


@pytest.mark.parametrize("name", CROPS)
def test_boxes_of_recorded_windows(recorded: dict[str, np.ndarray], name: str) -> None:
    example = _recorded_example(recorded)
    for draw in range(40):
        window = tf.constant(recorded[f"{name}/windows_yxhw"][draw])
        expected = {
            _F.groundtruth_boxes: recorded[f"{name}/draw{draw}/boxes"],
            _F.groundtruth_classes: recorded[f"{name}/draw{draw}/labels"],
            _F.groundtruth_weights: recorded[f"{name}/draw{draw}/weights"],
        }
        cropped = [crop_to_window(example, window, overlap_thresh=t) for t in CROPS[name][1]]
        assert any(
            all(np.array_equal(crop[key], value) for key, value in expected.items())
            for crop in cropped
        ), draw


@pytest.mark.parametrize("name", CROPS)
def test_windows_are_distributed_as_recorded(recorded: dict[str, np.ndarray], name: str) -> None:
    ours = _measures(_draw_windows(CROPS[name][0], _recorded_example(recorded)))
    theirs = _measures(
        np.column_stack([recorded[f"{name}/windows_yxhw"], recorded[f"{name}/num_boxes"]])
    )
    # 28 tests in all: at 0.001 a right sampler fails once in 36 seeds; the seed is fixed.
    p_values = {key: _ks_p_value(values, theirs[key]) for key, values in ours.items()}
    assert min(p_values.values()) > 0.001, p_values


def _measures(windows: np.ndarray) -> dict[str, np.ndarray]:
    y, x, height, width, boxes = windows.T
    area, aspect = height * width, width / height
    return {"y": y, "x": x, "h": height, "w": width, "boxes": boxes, "area": area, "aspect": aspect}


def _draw_windows(op: Augmentation, example: dict[str, tf.Tensor]) -> np.ndarray:
    """int32 [2000, 5]: y, x, height, width and number of boxes of 2000 draws."""

    def one(number: tf.Tensor) -> tf.Tensor:
        cropped = op(example, tf.stack([number, tf.constant(17, tf.int64)]))
        image = cropped[_F.image]
        boxes = tf.shape(cropped[_F.groundtruth_boxes])[:1]
        return tf.concat([tf.cast(image[0, 0, :2], tf.int32), tf.shape(image)[:2], boxes], axis=0)

    numbers = tf.data.Dataset.range(2000).map(one, num_parallel_calls=2)
    return np.stack(list(numbers.as_numpy_iterator()))
