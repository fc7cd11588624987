"""Colours and values: numbers by hand, then recordings of the TF Object Detection API."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from ssd.data.augmentation import color, values
from ssd.errors import InputError
from ssd.standard_fields import InputFields

SEED = tf.constant([1, 2], tf.int64)

# 1/1700 of a level: the original divides by 255 and multiplies again, in float32.
TOLERANCE = 1.5e-4


@pytest.fixture(scope="module")
def recorded(golden_data: Path) -> dict[str, np.ndarray]:
    with np.load(golden_data / "augmentation_color.npz") as arrays:
        return dict(arrays)


def _example(pixels: Any) -> dict[str, tf.Tensor]:
    return {InputFields.image: tf.constant(pixels, tf.float32)}


def _changed(op: Callable[..., Any], pixels: Any, **fields: Any) -> np.ndarray:
    return op(_example(pixels), SEED, **fields)[InputFields.image].numpy()


# One row of two pixels, red above green above blue.
PIXELS = [[[200.0, 100.0, 40.0], [0.0, 60.0, 250.0]]]


@pytest.mark.parametrize(
    ("adjust", "amounts", "expected"),
    [
        # .2989 * 200 + .587 * 100 + .114 * 40 = 123.04; .587 * 60 + .114 * 250 = 63.72.
        (color.to_gray, [], [[[123.04] * 3, [63.72] * 3]]),
        # .4 * 255 = 102, at most 255.
        (color.adjust_brightness, [0.4], [[[255, 202, 142], [102, 162, 255]]]),
        # Means 100, 80, 145: (200 - 100) * .5 + 100 = 150, ...
        (color.adjust_contrast, [0.5], [[[150, 90, 92.5], [50, 70, 197.5]]]),
        # (200 - 100) * 2 + 100 = 300; 120; -65; ...
        (color.adjust_contrast, [2.0], [[[255, 120, 0], [0, 40, 255]]]),
        # A third of the circle: red -> green -> blue -> red.
        (color.adjust_hue, [1 / 3], [[[40, 200, 100], [250, 0, 60]]]),
        # Half as far below the largest: 200 - (200 - 100) / 2, 200 - (200 - 40) / 2; ...
        (color.adjust_saturation, [0.5], [[[200, 150, 120], [125, 155, 250]]]),
    ],
    ids=["gray", "brightness", "contrast", "more contrast", "hue", "saturation"],
)
def test_colours_by_hand(
    adjust: Callable[..., tf.Tensor], amounts: list[float], expected: Any
) -> None:
    changed = adjust(tf.constant(PIXELS), *amounts)
    np.testing.assert_allclose(changed, expected, atol=0.003)


def test_values_by_hand() -> None:
    # (200 - 10) / 240 * 3 - 1 = 1.375, ...; what lies outside of the range stays outside.
    normalized = _changed(
        values.normalize_image, PIXELS, original_minval=10.0, original_maxval=250.0,
        target_minval=-1.0, target_maxval=2.0,
    )  # fmt: skip
    expected = [[[1.375, 0.125, -0.625], [-1.125, -0.375, 2.0]]]
    np.testing.assert_allclose(normalized, expected, atol=1e-6)
    shifted = _changed(values.subtract_channel_mean, PIXELS, means=[100.0, 70.0, 50.0])
    assert shifted.tolist() == [[[100.0, 30.0, -10.0], [-100.0, -10.0, 200.0]]]
    # 2 * (100 / 255) ** 2 * 255 = 78.43; 2 * (200 / 255) ** 2 * 255 = 313.7, clipped.
    gamma = _changed(color.adjust_gamma, PIXELS, gamma=2.0, gain=2.0)
    np.testing.assert_allclose(gamma[0, 0, :2], [255.0, 78.431], atol=0.001)


def test_each_value_is_scaled_by_its_own_factor() -> None:
    scaled = _changed(values.random_pixel_value_scale, np.full([30, 50, 3], 100.0))
    assert len(np.unique(scaled)) > 4000
    assert 90.0 <= scaled.min() < 90.2
    assert 109.8 < scaled.max() <= 110.0
    clipped = _changed(values.random_pixel_value_scale, np.full([4, 5, 3], 250.0), minval=1.03)
    assert (clipped == 255.0).all()


def test_gray_so_often() -> None:
    def is_gray(number: tf.Tensor) -> tf.Tensor:
        seed = tf.stack([number, tf.constant(5, tf.int64)])
        image = color.random_rgb_to_gray(_example(PIXELS), seed)[InputFields.image]
        return tf.reduce_all(image[..., 0] == image[..., 2])

    gray = np.mean(list(tf.data.Dataset.range(600).map(is_gray).as_numpy_iterator()))
    # 0.1 +- 4 sigma.
    assert 0.05 < gray < 0.15


@pytest.mark.parametrize(
    ("op", "fields", "message"),
    [
        (color.random_distort_color, {"color_ordering": 2}, "color_ordering is 2; expected 0, 1"),
        (
            values.normalize_image,
            {"original_minval": 3.0, "original_maxval": 3.0},
            "normalize_image: original_minval and original_maxval are both 3",
        ),
        (
            values.subtract_channel_mean,
            {"means": [1.0, 2.0]},
            "subtract_channel_mean: 2 means; expected 3",
        ),
    ],
    ids=["ordering", "empty range", "two means"],
)
def test_bad_fields(op: Callable[..., Any], fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        op(_example(PIXELS), SEED, **fields)


@pytest.mark.parametrize(
    ("name", "adjust"),
    [
        ("random_adjust_brightness", color.adjust_brightness),
        ("random_adjust_contrast", color.adjust_contrast),
        ("random_adjust_hue", color.adjust_hue),
        ("random_adjust_saturation", color.adjust_saturation),
    ],
)
def test_adjustments_as_recorded(
    recorded: dict[str, np.ndarray], name: str, adjust: Callable[..., tf.Tensor]
) -> None:
    keys = [key for key in recorded if key.startswith(f"{name}/")]
    assert len(keys) == 2
    for key in keys:
        ours = adjust(recorded["image"].astype(np.float32), float(key.rpartition("/")[2]))
        np.testing.assert_allclose(ours, recorded[key], atol=TOLERANCE, err_msg=key)


@pytest.mark.parametrize("ordering", [0, 1])
def test_distorted_as_recorded(
    recorded: dict[str, np.ndarray], ordering: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By the lower end of each range: brightness, hue, the other two in the order they come in.
    pinned = {-32 / 255: [0.1], -0.2: [-0.15], 0.5: [1.3, 1.4] if ordering == 0 else [1.4, 1.3]}
    monkeypatch.setattr(color, "uniform", lambda seed, low, high: pinned[low].pop(0))
    ours = _changed(color.random_distort_color, recorded["image"], color_ordering=ordering)
    np.testing.assert_allclose(ours, recorded[f"random_distort_color/{ordering}"], atol=TOLERANCE)


def test_the_rest_as_recorded(
    recorded: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = recorded["image"]
    gray = _changed(color.random_rgb_to_gray, image, probability=1.0)
    np.testing.assert_allclose(gray, recorded["random_rgb_to_gray"], atol=TOLERANCE)
    # The original leaves one channel.
    one_channel = np.repeat(recorded["rgb_to_gray"], 3, axis=-1)
    np.testing.assert_allclose(_changed(color.rgb_to_gray, image), one_channel, atol=TOLERANCE)
    for gamma, gain in ((2.2, 1.0), (0.5, 1.3)):
        ours = _changed(color.adjust_gamma, image, gamma=gamma, gain=gain)
        np.testing.assert_allclose(ours, recorded[f"adjust_gamma/{gamma}/{gain}"], atol=TOLERANCE)
    ours = _changed(
        values.normalize_image, image, original_minval=10.0, original_maxval=245.0,
        target_minval=-1.0, target_maxval=2.0,
    )  # fmt: skip
    np.testing.assert_allclose(ours, recorded["normalize_image"], atol=1e-6)
    ours = _changed(values.subtract_channel_mean, image, means=[123.68, 116.779, 103.939])
    np.testing.assert_allclose(ours, recorded["subtract_channel_mean"], atol=1e-6)
    factors = recorded["random_pixel_value_scale/coefficients"]
    monkeypatch.setattr(values, "uniform", lambda *_, **__: factors)
    ours = _changed(values.random_pixel_value_scale, image)
    np.testing.assert_allclose(ours, recorded["random_pixel_value_scale"], atol=1e-6)
