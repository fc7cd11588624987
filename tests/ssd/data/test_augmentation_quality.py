"""JPEG quality, sizes and patches: numbers by hand, then recordings of the original."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from ssd.data.augmentation import patches, quality, resizing
from ssd.errors import InputError
from ssd.standard_fields import InputFields

SEED = tf.constant([1, 2], tf.int64)


@pytest.fixture(scope="module")
def recorded(golden_data: Path) -> dict[str, np.ndarray]:
    with np.load(golden_data / "augmentation_color.npz") as arrays:
        return dict(arrays)


def _changed(
    op: Callable[..., Any], pixels: Any, seed: tf.Tensor = SEED, **fields: Any
) -> np.ndarray:
    example = {InputFields.image: tf.constant(pixels, tf.float32)}
    return op(example, seed, **fields)[InputFields.image].numpy()


def _seed(number: int) -> tf.Tensor:
    return tf.constant([number, 11], tf.int64)


def test_resized_by_hand() -> None:
    row = np.repeat([[10.0, 20.0, 60.0, 50.0]], 2, axis=0)[..., np.newaxis].repeat(3, axis=-1)
    expected = {
        # Target 0, 1, 2 comes from 0, 4/3, 8/3: 20 + 40 / 3, 60 - 10 * 2 / 3.
        "BILINEAR": [10.0, 33.333, 53.333],
        "NEAREST_NEIGHBOR": [10.0, 20.0, 60.0],
        # (10 + 20 / 3) / (4 / 3), (20 * 2 / 3 + 60 * 2 / 3) / (4 / 3), (60 / 3 + 50) / (4 / 3).
        "AREA": [12.5, 40.0, 52.5],
    }
    for method, values in expected.items():
        ours = _changed(resizing.resize_image, row, new_height=1, new_width=3, method=method)
        assert ours.shape == (1, 3, 3)
        np.testing.assert_allclose(ours[0, :, 1], values, atol=0.001, err_msg=method)
    # Twice as wide, corners aligned: target t comes from t * 3 / 7.
    ours = _changed(resizing.random_image_scale, row, min_scale_ratio=2.0)
    assert ours.shape == (4, 8, 3)
    at = np.interp(np.arange(8) * 3 / 7, range(4), [10, 20, 60, 50])
    np.testing.assert_allclose(ours[0, :, 2], at, atol=0.001)


def test_sizes_are_cut_to_whole_pixels() -> None:
    image = np.zeros([120, 200, 3])
    scale = {"min_scale_ratio": 0.33, "max_scale_ratio": 0.33}
    # 39.6 and 66.
    assert _changed(resizing.random_image_scale, image, **scale).shape == (39, 66, 3)
    scale = {"min_scale_ratio": 0.001, "max_scale_ratio": 0.001}
    assert _changed(resizing.random_image_scale, image, **scale).shape == (1, 1, 3)
    target = {"min_target_pixels": 5000, "max_target_pixels": 5000}
    # sqrt(5000 / 24000) = .4564: 54.77 and 91.29.
    downscale = quality.random_downscale_to_target_pixels
    assert _changed(downscale, image, **target).shape == (54, 91, 3)
    # As many pixels as the image has, or more: left alone.
    for pixels in (24000, 30000):
        target = {"min_target_pixels": pixels, "max_target_pixels": pixels}
        assert _changed(downscale, image, **target).shape == (120, 200, 3)


def test_jpeg_cuts_fractions_off_and_clips() -> None:
    fields = {"min_jpeg_quality": 100, "max_jpeg_quality": 100}
    flat = np.full([16, 24, 3], 99.9)
    assert (_changed(quality.random_jpeg_quality, flat, **fields) == 99.0).all()
    # What a bicubic resize may leave behind.
    assert (_changed(quality.random_jpeg_quality, flat + 200, **fields) == 255.0).all()
    assert (_changed(quality.random_jpeg_quality, flat - 200, **fields) == 0.0).all()


@pytest.mark.parametrize(
    ("op", "fields"),
    [
        (quality.random_jpeg_quality, {"max_jpeg_quality": 5}),
        (
            quality.random_downscale_to_target_pixels,
            {"min_target_pixels": 100, "max_target_pixels": 300},
        ),
        (patches.random_patch_gaussian, {"min_patch_size": 9, "min_gaussian_stddev": 0.5}),
    ],
    ids=["jpeg", "downscale", "gaussian"],
)
def test_random_coef_is_the_share_left_alone(op: Callable[..., Any], fields: Any) -> None:
    image = tf.constant(np.random.default_rng(0).integers(0, 255, [20, 34, 3]), tf.float32)

    def is_left_alone(number: tf.Tensor, random_coef: float) -> tf.Tensor:
        seed = tf.stack([number, tf.constant(5, tf.int64)])
        changed = op({InputFields.image: image}, seed, random_coef=random_coef, **fields)
        pixels = changed[InputFields.image]
        same_size = tf.reduce_all(tf.shape(pixels) == tf.shape(image))
        return same_size and tf.reduce_all(pixels == image)

    for random_coef, low, high in ((0.0, 0.0, 0.0), (0.3, 0.21, 0.39), (1.0, 1.0, 1.0)):
        numbers = tf.data.Dataset.range(400)
        alone = numbers.map(lambda n, share=random_coef: is_left_alone(n, share))
        # 0.3 +- 4 sigma.
        assert low <= np.mean(list(alone.as_numpy_iterator())) <= high


def test_black_squares_by_hand() -> None:
    # Side int(.1 * 120) = 12; at (.25 * 120, .5 * 200) = (30, 100) and (int(.89 * 120), 0).
    top_left = tf.constant([[0.25, 0.5], [0.89, 0.0], [0.5, 0.5]])
    is_added = tf.constant([True, True, False])
    ours = patches.blacken(tf.fill([120, 200, 3], 7.0), top_left, is_added, 0.1).numpy()
    expected = np.full([120, 200, 3], 7.0)
    expected[30:42, 100:112] = 0.0
    expected[106:118, 0:12] = 0.0
    np.testing.assert_array_equal(ours, expected)


def test_how_many_black_squares() -> None:
    image = np.ones([60, 90, 3])
    never = _changed(patches.random_black_patches, image, probability=0.0)
    none = _changed(patches.random_black_patches, image, max_black_patches=0, probability=1.0)
    assert (never == 1.0).all()
    assert (none == 1.0).all()
    fields = {"max_black_patches": 1, "probability": 1.0, "size_to_image_ratio": 0.2}
    counts = {
        (_changed(patches.random_black_patches, image, _seed(n), **fields) == 0.0).sum()
        for n in range(30)
    }
    # Always one whole square: 12 * 12 pixels of three values.
    assert counts == {432}
    whole = {**fields, "size_to_image_ratio": 1.0}
    # 60 of 90 columns, from the first on.
    black = _changed(patches.random_black_patches, image, **whole)[..., 0] == 0.0
    assert black[:, :60].all()
    assert not black[:, 60:].any()


def test_noise_is_in_one_square_and_clipped_only_there() -> None:
    # Values beyond 255 tell where the clipping was.
    image = np.full([60, 90, 3], 300.0)
    fields = {"min_patch_size": 20, "max_patch_size": 20, "min_gaussian_stddev": 0.1}
    for n in range(20):
        changed = _changed(patches.random_patch_gaussian, image, _seed(n), **fields)
        ys, xs = np.nonzero((changed != 300.0).all(axis=-1))
        inside = changed[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
        assert inside.size == 3 * len(ys)
        assert 10 <= inside.shape[0] <= 20
        assert 10 <= inside.shape[1] <= 20
        assert inside.max() <= 255.0


def test_noise_has_its_standard_deviation() -> None:
    window = tf.constant([5, 10, 55, 80])
    noisy = patches.add_noise(tf.fill([60, 90, 3], 127.5), window, SEED, 0.05).numpy()
    noise = (noisy[5:55, 10:80] - 127.5) / 255.0
    # 10,500 values: .05 +- 4 * .05 / sqrt(21,000); mean 0 +- 4 * .05 / sqrt(10,500).
    assert abs(noise.std() - 0.05) < 0.0014
    assert abs(noise.mean()) < 0.002
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.07


@pytest.mark.parametrize(
    ("op", "fields", "message"),
    [
        (resizing.resize_image, {"new_width": 5}, "resize_image: the size is 0 x 5; expected 1 or"),
        (
            resizing.resize_image,
            {"new_height": 5, "new_width": 5, "method": "LANCZOS3"},
            "method is LANCZOS3; expected one of AREA, BICUBIC, BILINEAR, NEAREST_NEIGHBOR",
        ),
        (resizing.random_resize_method, {"target_height": 5}, "random_resize_method: .* 5 x 0;"),
    ],
    ids=["no height", "no such method", "no width"],
)
def test_bad_fields(op: Callable[..., Any], fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        _changed(op, np.zeros([4, 5, 3]), **fields)


def test_qualities_and_sizes_as_recorded(recorded: dict[str, np.ndarray]) -> None:
    image, compared = recorded["image"], 0
    for key, expected in recorded.items():
        name, _, number = key.partition("/")
        if name == "random_jpeg_quality":
            fields: dict[str, Any] = dict.fromkeys(
                ("min_jpeg_quality", "max_jpeg_quality"), int(number)
            )
            ours = _changed(quality.random_jpeg_quality, image, **fields)
        elif name == "random_downscale_to_target_pixels":
            fields = dict.fromkeys(("min_target_pixels", "max_target_pixels"), int(number))
            ours = _changed(quality.random_downscale_to_target_pixels, image, **fields)
        elif name == "random_image_scale":
            fields = dict.fromkeys(("min_scale_ratio", "max_scale_ratio"), float(number))
            ours = _changed(resizing.random_image_scale, image, **fields)
        elif name == "resize_image":
            method, _, size = number.partition("/")
            height, width = map(int, size.split("x"))
            fields = {"new_height": height, "new_width": width, "method": method}
            ours = _changed(resizing.resize_image, image, **fields)
        else:
            continue
        compared += 1
        np.testing.assert_allclose(ours, expected, atol=1e-4, err_msg=key)
    assert compared == 4 + 4 + 2 + 8


def test_patches_as_recorded(recorded: dict[str, np.ndarray]) -> None:
    image = tf.constant(recorded["image"], tf.float32)
    is_added = tf.constant([True, False, True, True])
    ours = patches.blacken(image, recorded["random_black_patches/yx"], is_added, 0.21)
    np.testing.assert_array_equal(ours, recorded["random_black_patches"])
    table = zip(
        recorded["random_patch_gaussian/y_x_size"],
        recorded["random_patch_gaussian/masks"],
        strict=True,
    )
    for (y, x, size), mask in table:
        top, left, bottom, right = patches.patch_window(y, x, size, 24, 40).numpy()
        expected = np.zeros([24, 40], bool)
        expected[top:bottom, left:right] = True
        np.testing.assert_array_equal(expected, mask, err_msg=f"{y} {x} {size}")
