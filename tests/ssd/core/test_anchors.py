"""Anchors by hand and against the recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssd.core.anchors import multiscale_grid_anchors

ZOO = {"anchor_scale": 4.0, "aspect_ratios": [1.0, 2.0, 0.5], "scales_per_octave": 2}


def test_one_cell_by_hand() -> None:
    # Level 3 in an image of 64 x 96: base 2 * 8 = 16 pixels; ratio 4 halves the height (8) and
    # doubles the width (32); the first cell's centre is (4, 4).
    anchors = multiscale_grid_anchors(
        [(8, 12)], (64, 96), min_level=3, anchor_scale=2.0, aspect_ratios=[4.0], scales_per_octave=1
    )
    expected = [(4 - 4) / 64, (4 - 16) / 96, (4 + 4) / 64, (4 + 16) / 96]
    np.testing.assert_allclose(anchors[0], expected, atol=1e-7)
    # One column further: 8 pixels to the right.
    np.testing.assert_allclose(anchors[1] - anchors[0], [0, 8 / 96, 0, 8 / 96], atol=1e-7)
    # One row further, after 12 columns: 8 pixels down.
    np.testing.assert_allclose(anchors[12] - anchors[0], [8 / 64, 0, 8 / 64, 0], atol=1e-7)


def test_scales_vary_faster_than_aspect_ratios() -> None:
    anchors = multiscale_grid_anchors([(1, 1)], (32, 64), min_level=5, **ZOO)
    heights = (anchors[:, 2] - anchors[:, 0]) * 32
    # Base 128; ratios 1, 2, 0.5; scales 1, sqrt 2.
    root = 2**0.5
    np.testing.assert_allclose(
        heights, [128, 128 * root, 128 / root, 128, 128 * root, 256], rtol=1e-6
    )


def test_centres_lose_the_half_where_the_stride_does_not_divide() -> None:
    # 128 divides 256 (height) but not 320 (width).
    anchors = multiscale_grid_anchors([(2, 3)], (256, 320), min_level=7, **ZOO)
    y, x = (anchors[0, 0] + anchors[0, 2]) / 2, (anchors[0, 1] + anchors[0, 3]) / 2
    assert y == pytest.approx(64 / 256)
    assert x == pytest.approx(0.0, abs=1e-7)


@pytest.mark.parametrize(("case", "min_level"), [(0, 3), (1, 3)])
def test_equals_the_recording(oracle: Path, case: int, min_level: int) -> None:
    golden = np.load(oracle / "ops" / "anchors.npz")
    shapes = [tuple(shape) for shape in golden[f"case{case}_feature_maps"]]
    anchors = multiscale_grid_anchors(
        shapes, tuple(golden[f"case{case}_image"]), min_level=min_level, **ZOO
    )
    # Bit by bit where the stages below compare them; elsewhere the contract's 1e-6.
    np.testing.assert_allclose(anchors, golden[f"case{case}_anchors"], atol=1e-6, rtol=0)
    assert anchors.dtype == np.float32
