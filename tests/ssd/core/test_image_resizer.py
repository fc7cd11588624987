"""The resize in both its forms, and the resizers by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ssd.core.image_resizer import (
    METHODS,
    ConditionalShapeResizer,
    FixedShapeResizer,
    IdentityResizer,
    ImageResizer,
    KeepAspectRatioResizer,
    PadToMultipleResizer,
    resize,
    resize_bilinear_legacy,
)
from ssd.core.image_resizer_numpy import resize_bilinear_legacy_numpy

FORMS = [resize_bilinear_legacy, resize_bilinear_legacy_numpy]


@pytest.mark.parametrize("resize", FORMS)
def test_by_hand(resize: object) -> None:
    # Two rows to three: source rows 0, 2/3, 4/3 (beyond the last row there is no neighbour);
    # three columns to two: source columns 0 and 1.5.
    image = np.array([[[0.0], [4.0], [6.0]], [[9.0], [13.0], [15.0]]], np.float32)
    resized = resize(image, (3, 2))  # type: ignore[operator]
    np.testing.assert_allclose(np.array(resized)[..., 0], [[0, 5], [6, 11], [9, 14]], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("size", [(30, 77), (120, 200), (333, 64), (1, 1)])
def test_numpy_equals_tensorflow(size: tuple[int, int], dtype: type) -> None:
    image = np.random.default_rng(0).integers(0, 256, (120, 200, 3)).astype(dtype)
    theirs = resize_bilinear_legacy(image, size).numpy()
    ours = resize_bilinear_legacy_numpy(image, size)
    assert ours.dtype == theirs.dtype == np.float32
    # The same float32 operations; where the compiler fuses two of them, 2e-5 of the range.
    np.testing.assert_allclose(ours, theirs, atol=2e-5 * 255)


def test_a_batch_is_its_images_one_by_one() -> None:
    batch = np.random.default_rng(1).integers(0, 256, (2, 12, 20, 3)).astype(np.uint8)
    together = resize_bilinear_legacy(batch, (9, 31))
    for n in range(2):
        np.testing.assert_array_equal(together[n], resize_bilinear_legacy(batch[n], (9, 31)))


def test_the_given_image_is_unchanged() -> None:
    image = np.full((4, 5, 3), 7.0, np.float32)
    for size in ((4, 5), (8, 3)):
        resized = resize_bilinear_legacy_numpy(image, size)
        resized[...] = 0.0
    assert np.all(image == 7.0)


def test_the_numpy_form_does_not_load_tensorflow() -> None:
    code = "import sys, ssd.core.image_resizer_numpy; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


@pytest.mark.parametrize("resize", FORMS)
@pytest.mark.parametrize(("case", "size"), [(0, (30, 30)), (1, (64, 96))])
def test_equals_the_recording(
    oracle: Path, case: int, size: tuple[int, int], resize: object
) -> None:
    golden = np.load(oracle / "ops" / "image_resizers.npz")
    for n in range(2):
        ours = resize(golden[f"image{n}"], size)  # type: ignore[operator]
        np.testing.assert_allclose(ours, golden[f"case{case}_image{n}"], atol=1e-4)


def _noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        # Four columns become two: source columns 0 and 2 of 1, 2, 4, 8; AREA takes means.
        ("NEAREST_NEIGHBOR", [1, 4]),
        ("BILINEAR", [1, 4]),
        ("BICUBIC", [1, 4]),
        ("AREA", [1.5, 6]),
    ],
)
def test_methods_by_hand(method: str, expected: list[float]) -> None:
    row = np.tile(np.array([1, 2, 4, 8], np.uint8)[np.newaxis, :, np.newaxis], (2, 1, 3))
    resized = resize(row, (2, 2), method)
    np.testing.assert_allclose(resized, np.tile(np.array(expected)[:, np.newaxis], (2, 1, 3)))


@pytest.mark.parametrize("method", METHODS)
def test_a_method_leaves_an_image_of_that_size_alone(method: str) -> None:
    image = _noise(12, 20)
    resized = resize(image, (12, 20), method)
    assert resized.dtype == tf.float32
    np.testing.assert_array_equal(resized, image)


@pytest.mark.parametrize(
    ("resizer", "image_size", "expected", "true_size"),
    [
        (FixedShapeResizer(60, 90), (120, 200), (60, 90), (60, 90)),
        # 120 x 200: the shorter side becomes 60, the longer 100; 80 is the limit, so 48 x 80.
        (KeepAspectRatioResizer(60, 100), (120, 200), (60, 100), (60, 100)),
        (KeepAspectRatioResizer(60, 80), (120, 200), (48, 80), (48, 80)),
        (KeepAspectRatioResizer(60, 80), (200, 120), (80, 48), (80, 48)),
        (KeepAspectRatioResizer(60, 80, "AREA", True), (200, 120), (80, 80), (80, 48)),
        # 37 x 53 by 40 / 37: 53 becomes 57.3, so 57.
        (KeepAspectRatioResizer(40, 64), (37, 53), (40, 57), (40, 57)),
        # Halves go to the even number: 3 x 5 by 1.5 is 4.5 x 7.5.
        (KeepAspectRatioResizer(1, 6, "BILINEAR"), (4, 5), (1, 1), (1, 1)),
        (IdentityResizer(), (120, 200), (120, 200), (120, 200)),
        (ConditionalShapeResizer("GREATER", 100), (120, 200), (60, 100), (60, 100)),
        (ConditionalShapeResizer("GREATER", 200), (120, 200), (120, 200), (120, 200)),
        # 37 x 53 by 40 / 53 is 27.9 x 40: cut off here, not rounded.
        (ConditionalShapeResizer("GREATER", 40), (37, 53), (27, 40), (27, 40)),
        (ConditionalShapeResizer("SMALLER", 150), (120, 200), (150, 250), (150, 250)),
        (ConditionalShapeResizer("SMALLER", 120), (120, 200), (120, 200), (120, 200)),
        (PadToMultipleResizer(32), (120, 200), (128, 224), (120, 200)),
        (PadToMultipleResizer(40), (120, 200), (120, 200), (120, 200)),
        (PadToMultipleResizer(1), (1, 3), (1, 3), (1, 3)),
    ],
)
def test_sizes(
    resizer: ImageResizer,
    image_size: tuple[int, int],
    expected: tuple[int, int],
    true_size: tuple[int, int],
) -> None:
    image = _noise(*image_size)
    resized, true_shape = resizer(image)
    assert resized.dtype == tf.float32
    assert tuple(resized.shape) == (*expected, 3)
    assert true_shape.numpy().tolist() == [*true_size, 3]
    assert resizer.output_size in (None, expected)
    # The same where sizes are not known beforehand.
    traced = tf.function(resizer, input_signature=[tf.TensorSpec([None, None, 3], tf.uint8)])
    again, again_shape = traced(image)
    known = traced.get_concrete_function().structured_outputs[0].shape[:2]
    # A detector takes an image whose size it cannot see for one that is not resized yet.
    assert tuple(known) == (resizer.output_size or (None, None))
    np.testing.assert_array_equal(again, resized)
    np.testing.assert_array_equal(again_shape, true_shape)


def test_padding_is_what_becomes_zero_or_the_given_values() -> None:
    image = _noise(120, 200)
    padded, _ = PadToMultipleResizer(32)(image)
    np.testing.assert_array_equal(padded[:120, :200], image)
    assert np.all(padded[120:] == 127.5)
    assert np.all(padded[:, 200:] == 127.5)
    # (0.2 + 1) * 127.5 = 153, (-0.4 + 1) * 127.5 = 76.5, (1 + 1) * 127.5 = 255.
    resizer = KeepAspectRatioResizer(60, 100, "BILINEAR", True, (0.2, -0.4, 1.0))
    padded, true_shape = resizer(image)
    assert true_shape.numpy().tolist() == [60, 100, 3]
    expected = np.tile([153.0, 76.5, 255.0], (40, 100, 1))
    np.testing.assert_allclose(padded[60:], expected, rtol=1e-6)
    np.testing.assert_array_equal(padded[:60], resize_bilinear_legacy(image, (60, 100)))


def test_images_are_unchanged_and_batches_are_their_images() -> None:
    batch = np.stack([_noise(12, 20), _noise(12, 20)[::-1]])
    before = batch.copy()
    for method in METHODS:
        together = resize(batch, (9, 31), method)
        np.testing.assert_array_equal(together[1], resize(batch[1], (9, 31), method))
    np.testing.assert_array_equal(batch, before)
