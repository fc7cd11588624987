"""Both forms of the resize against the recording and each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssd.core.image_resizer import resize_bilinear_legacy
from ssd.core.image_resizer_numpy import resize_bilinear_legacy_numpy


def test_by_hand() -> None:
    # Two rows to three: source rows 0, 2/3, 4/3 (beyond the last row there is no neighbour).
    image = np.array([[[0.0]], [[9.0]]], np.float32)
    np.testing.assert_allclose(resize_bilinear_legacy(image, (3, 1))[:, 0, 0], [0, 6, 9], rtol=1e-6)
    np.testing.assert_allclose(
        resize_bilinear_legacy_numpy(image, (3, 1))[:, 0, 0], [0, 6, 9], rtol=1e-6
    )


@pytest.mark.parametrize("size", [(30, 77), (120, 200), (333, 64), (1, 1)])
def test_numpy_equals_tensorflow(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (120, 200, 3)).astype(np.uint8)
    theirs = resize_bilinear_legacy(image, size).numpy()
    ours = resize_bilinear_legacy_numpy(image, size)
    assert ours.dtype == np.float32
    # Positions are float32: a hundred-millionth of 200 pixels, times a step of 255.
    np.testing.assert_allclose(ours, theirs, atol=6e-3)


@pytest.mark.parametrize(("case", "size"), [(0, (30, 30)), (1, (64, 96))])
def test_equals_the_recording(oracle: Path, case: int, size: tuple[int, int]) -> None:
    golden = np.load(oracle / "ops" / "image_resizers.npz")
    for n in range(2):
        ours = resize_bilinear_legacy(golden[f"image{n}"], size)
        np.testing.assert_allclose(ours, golden[f"case{case}_image{n}"], atol=1e-4)
