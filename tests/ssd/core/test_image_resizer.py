"""Both forms of the resize against the recording and each other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ssd.core.image_resizer import resize_bilinear_legacy
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
