"""What holds for every op that changes the image alone; how often it draws what, as recorded."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from ssd.data.augmentation import color, patches, quality, resizing, values
from ssd.standard_fields import InputFields

_F = InputFields
_SCALES = {"original_maxval": 255.0}
_SIZE = {"target_height": 30, "target_width": 70}

OPS: dict[str, Callable[..., Any]] = {
    "adjust_gamma": functools.partial(color.adjust_gamma, gamma=1.7, gain=1.1),
    "normalize_image": functools.partial(values.normalize_image, **_SCALES),
    "random_adjust_brightness": color.random_adjust_brightness,
    "random_adjust_contrast": color.random_adjust_contrast,
    "random_adjust_hue": color.random_adjust_hue,
    "random_adjust_saturation": color.random_adjust_saturation,
    "random_black_patches": patches.random_black_patches,
    "random_distort_color": color.random_distort_color,
    "random_distort_color 1": functools.partial(color.random_distort_color, color_ordering=1),
    "random_downscale_to_target_pixels": functools.partial(
        quality.random_downscale_to_target_pixels, min_target_pixels=6000, max_target_pixels=30000
    ),
    "random_image_scale": resizing.random_image_scale,
    "random_jpeg_quality": functools.partial(quality.random_jpeg_quality, random_coef=0.3),
    "random_patch_gaussian": functools.partial(patches.random_patch_gaussian, random_coef=0.3),
    "random_pixel_value_scale": values.random_pixel_value_scale,
    "random_resize_method": functools.partial(resizing.random_resize_method, **_SIZE),
    "random_rgb_to_gray": functools.partial(color.random_rgb_to_gray, probability=0.4),
    "resize_image": functools.partial(
        resizing.resize_image, new_height=30, new_width=70, method="AREA"
    ),
    "rgb_to_gray": color.rgb_to_gray,
    "subtract_channel_mean": functools.partial(
        values.subtract_channel_mean, means=[120.0, 110.0, 100.0]
    ),
}


def _example(count: int) -> dict[str, tf.Tensor]:
    image = np.random.default_rng(4).integers(0, 256, [120, 200, 3]).astype(np.float32)
    boxes = np.random.default_rng(5).random([count, 4]).astype(np.float32)
    return {
        _F.image: tf.constant(image),
        _F.source_id: tf.constant("a"),
        _F.original_image_size: tf.constant(image.shape[:2]),
        _F.groundtruth_boxes: tf.constant(boxes),
        _F.groundtruth_classes: tf.range(1, count + 1, dtype=tf.int64),
        _F.groundtruth_weights: tf.range(count, dtype=tf.float32) / 10,
        _F.groundtruth_area: tf.range(count, dtype=tf.float32),
        _F.groundtruth_is_crowd: tf.math.mod(tf.range(count), 2) == 1,
        _F.groundtruth_difficult: tf.math.mod(tf.range(count), 3) == 1,
        _F.groundtruth_group_of: tf.math.mod(tf.range(count), 4) == 1,
    }


@pytest.mark.parametrize("count", [3, 0])
@pytest.mark.parametrize("op", OPS.values(), ids=OPS)
def test_image_alone_changes_the_same_in_tf_data_and_out(
    op: Callable[..., Any], count: int
) -> None:
    example = _example(count)
    before = {key: np.array(value) for key, value in example.items()}

    def with_unknown_size(number: tf.Tensor, image: tf.Tensor) -> Any:
        inside = {**example, _F.image: tf.ensure_shape(image, [None, None, 3])}
        return op(inside, tf.stack([number, tf.constant(9, tf.int64)]))

    images = tf.data.Dataset.from_tensors(example[_F.image]).repeat(6)
    numbered = tf.data.Dataset.zip((tf.data.Dataset.range(6), images))
    dataset = numbered.map(with_unknown_size, num_parallel_calls=2)
    assert dataset.element_spec[_F.image].shape[-1] == 3
    has_changed = False
    for number, inside in enumerate(dataset):
        outside = op(example, tf.constant([number, 9], tf.int64))
        assert set(inside) == set(outside) == set(example)
        assert outside[_F.image].dtype == tf.float32
        assert inside[_F.image].shape == outside[_F.image].shape
        # A graph may add up a mean in another order.
        np.testing.assert_allclose(inside[_F.image], outside[_F.image], atol=1e-3)
        has_changed |= not np.array_equal(outside[_F.image], before[_F.image])
        for key in example.keys() - {_F.image}:
            np.testing.assert_array_equal(outside[key], before[key], err_msg=key)
            np.testing.assert_array_equal(inside[key], before[key], err_msg=key)
    assert has_changed
    np.testing.assert_array_equal(example[_F.image], before[_F.image])


@pytest.fixture(scope="module")
def recorded(golden_data: Path) -> dict[str, np.ndarray]:
    with np.load(golden_data / "augmentation_color.npz") as arrays:
        return dict(arrays)


def _ks_p_value(a: np.ndarray, b: np.ndarray) -> float:
    """Two-sample Kolmogorov-Smirnov test; Stephens' approximation (Numerical Recipes, 14.3)."""
    points = np.unique(np.concatenate([a, b]))
    cumulative = [np.searchsorted(np.sort(x), points, side="right") / len(x) for x in (a, b)]
    root = np.sqrt(len(a) * len(b) / (len(a) + len(b)))
    distance = (root + 0.12 + 0.11 / root) * np.max(np.abs(cumulative[0] - cumulative[1]))
    terms = [(-1) ** (k - 1) * np.exp(-2 * (k * distance) ** 2) for k in range(1, 101)]
    # The series does not converge where both samples are the same.
    return float(np.clip(2 * np.sum(terms), 0.0, 1.0)) if distance > 0.2 else 1.0


def _flat(*shape: int, value: float) -> np.ndarray:
    return np.full([*shape, 3], value, np.float32)


_TWO = np.concatenate([_flat(4, 3, value=100), _flat(4, 3, value=120)], axis=1)
_COLOR = np.tile(np.float32([[[200.0, 100.0, 60.0]]]), [4, 6, 1])
_BOTH = np.concatenate([_COLOR, _TWO], axis=1)


def _size(image: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.shape(image)[:2], tf.float32)


def _bounds(is_changed: tf.Tensor) -> list[tf.Tensor]:
    """First and last + 1 row and column where something has changed; -1 where nothing has."""
    found = []
    for axis in (1, 0):
        at = tf.where(tf.reduce_any(is_changed, axis))[:, 0]
        none = tf.constant([-1], tf.int64)
        found += [tf.concat([at, none], 0)[0], tf.concat([none, at + 1], 0)[-1]]
    return [tf.cast(each, tf.float32) for each in found]


def _noise(image: tf.Tensor) -> tf.Tensor:
    noise = (image - 127.5) / 255.0
    bounds = _bounds(tf.reduce_any(tf.abs(noise) > 1e-5, -1))
    values_in = (bounds[1] - bounds[0]) * (bounds[3] - bounds[2]) * 3
    stddev = tf.sqrt(tf.reduce_sum(noise**2) / tf.maximum(values_in, 1.0))
    return tf.stack([*bounds, stddev])


def _black(image: tf.Tensor) -> tf.Tensor:
    is_black = image[..., 0] == 0
    return tf.stack([*_bounds(is_black), tf.reduce_sum(tf.cast(is_black, tf.float32))])


# name -> (op, image, what of the changed image was recorded)
DRAWN: dict[str, tuple[Callable[..., Any], np.ndarray, Callable[[tf.Tensor], tf.Tensor]]] = {
    "random_adjust_brightness": (
        color.random_adjust_brightness,
        _flat(4, 6, value=100),
        lambda image: image[0, 0, :1],
    ),
    "random_adjust_contrast": (
        color.random_adjust_contrast,
        _TWO,
        lambda image: image[0, 0, :1],
    ),
    "random_adjust_hue": (
        functools.partial(color.random_adjust_hue, max_delta=0.05),
        _COLOR,
        lambda image: image[0, 0],
    ),
    "random_adjust_saturation": (
        color.random_adjust_saturation,
        _COLOR,
        lambda image: image[0, 0],
    ),
    "random_rgb_to_gray": (
        functools.partial(color.random_rgb_to_gray, probability=0.3),
        _COLOR,
        lambda image: image[0, 0, :1],
    ),
    **{
        f"random_distort_color/{ordering}": (
            functools.partial(color.random_distort_color, color_ordering=ordering),
            _BOTH,
            lambda image: tf.concat([image[0, 0], image[0, -1]], 0),
        )
        for ordering in (0, 1)
    },
    "random_pixel_value_scale": (
        values.random_pixel_value_scale,
        _flat(2, 2, value=200),
        lambda image: tf.reshape(image, [-1])[:4],
    ),
    "random_downscale_to_target_pixels": (
        functools.partial(
            quality.random_downscale_to_target_pixels,
            min_target_pixels=6000,
            max_target_pixels=30000,
            random_coef=0.2,
        ),
        _flat(120, 200, value=0),
        _size,
    ),
    "random_image_scale": (resizing.random_image_scale, _flat(120, 200, value=0), _size),
    "random_patch_gaussian": (
        functools.partial(
            patches.random_patch_gaussian,
            random_coef=0.2,
            min_patch_size=6,
            max_patch_size=40,
            min_gaussian_stddev=0.05,
            max_gaussian_stddev=0.1,
        ),
        _flat(60, 90, value=127.5),
        _noise,
    ),
    "random_black_patches": (
        functools.partial(
            patches.random_black_patches,
            max_black_patches=6,
            probability=0.3,
            size_to_image_ratio=0.2,
        ),
        _flat(60, 90, value=1),
        _black,
    ),
}


def _draw(
    op: Callable[..., Any], image: tf.Tensor, measure: Callable[[tf.Tensor], tf.Tensor], count: int
) -> np.ndarray:
    def one(number: tf.Tensor) -> tf.Tensor:
        seed = tf.stack([number, tf.constant(23, tf.int64)])
        return measure(op({_F.image: image}, seed)[_F.image])

    drawn = tf.data.Dataset.range(count).map(one, num_parallel_calls=2)
    return np.stack(list(drawn.as_numpy_iterator()))


def _assert_same_distribution(ours: np.ndarray, theirs: np.ndarray) -> None:
    # In two columns equal up to rounding, rounding would look like another distribution.
    ours, theirs = ours.astype(np.float64).round(2), theirs.astype(np.float64).round(2)
    assert ours.shape[1] == theirs.shape[1]
    # 31 columns in all: at 0.001 a right op fails once in 32 seeds; the seeds are fixed.
    p_values = [_ks_p_value(a, b) for a, b in zip(ours.T, theirs.T, strict=True)]
    assert min(p_values) > 0.001, p_values


@pytest.mark.parametrize("name", DRAWN)
def test_drawn_as_recorded(recorded: dict[str, np.ndarray], name: str) -> None:
    op, image, measure = DRAWN[name]
    scale = 100.0 if name == "random_patch_gaussian" else 1.0
    ours = _draw(op, tf.constant(image), measure, 1000)
    _assert_same_distribution(ours * scale, recorded[f"drawn/{name}"] * scale)


def test_jpeg_quality_drawn_as_recorded(recorded: dict[str, np.ndarray]) -> None:
    image = tf.constant(recorded["image"], tf.float32)
    fields = {"random_coef": 0.25, "min_jpeg_quality": 5, "max_jpeg_quality": 80}
    op = functools.partial(quality.random_jpeg_quality, **fields)  # type: ignore[arg-type]
    ours = _draw(op, image, lambda changed: tf.reduce_mean(tf.abs(changed - image))[None], 1000)
    _assert_same_distribution(ours, recorded["drawn/random_jpeg_quality"])


def test_resize_method_drawn_as_recorded(recorded: dict[str, np.ndarray]) -> None:
    image = tf.constant(recorded["image"], tf.float32)
    methods = ("BILINEAR", "NEAREST_NEIGHBOR", "BICUBIC", "AREA")
    four = np.stack([recorded[f"resize_image/{method}/17x55"] for method in methods])
    op = functools.partial(resizing.random_resize_method, target_height=17, target_width=55)

    def which(changed: tf.Tensor) -> tf.Tensor:
        is_it = tf.reduce_all(tf.abs(four - changed) < 1e-3, axis=[1, 2, 3])
        return tf.cast(tf.where(is_it)[0], tf.float32)

    ours = _draw(op, image, which, 800)[:, 0].astype(int)
    # A quarter each; 4 sigma are 49. The original's 500: 135, 123, 123, 119.
    assert np.abs(np.bincount(ours, minlength=4) - 200).max() < 49
    theirs = recorded["drawn/random_resize_method"][:, 0].astype(int)
    assert np.abs(np.bincount(theirs, minlength=4) - 125).max() < 39
