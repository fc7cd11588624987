from __future__ import annotations

import numpy as np
import pytest

from export.detection_op import center_size_anchors
from export.raw.anchor_levels import find_levels
from ssd.core.anchors import multiscale_grid_anchors, ssd_anchors
from ssd.tflite_raw.ssd_decode import grid_anchors

F = np.float32


def test_numbers_by_hand():
    """2 x 3 cells of two anchors, then one cell of one."""
    anchors = np.array(
        [
            [y, x, *size]
            for y in (0.25, 0.75)
            for x in (0.125, 0.5, 0.875)
            for size in ([0.5, 0.25], [0.75, 0.625])
        ]
        + [[0.5, 0.4, 1.5, 1.25]],
        F,
    )
    first, second = find_levels(anchors)
    assert (first.rows, first.columns, second.rows, second.columns) == (2, 3, 1, 1)
    assert (first.first, first.step) == ((0.25, 0.125), (0.5, 0.375))
    assert first.sizes == ((0.5, 0.25), (0.75, 0.625))
    assert (second.first, second.step) == ((0.5, pytest.approx(0.4)), (0, 0))
    assert second.sizes == ((1.5, 1.25),)


def pyramid(height: int, width: int) -> np.ndarray:
    shapes = [(-(-height // 2**level), -(-width // 2**level)) for level in range(3, 8)]
    return multiscale_grid_anchors(
        shapes,
        (height, width),
        min_level=3,
        anchor_scale=4.0,
        aspect_ratios=[1.0, 2.0, 0.5],
        scales_per_octave=2,
    )


SSD_SHAPES = [(19, 32), (10, 16), (5, 8), (3, 4), (2, 2), (1, 1)]


@pytest.mark.parametrize(
    ("corners", "grids"),
    [
        pytest.param(pyramid(224, 224), [(28, 28), (14, 14), (7, 7), (4, 4), (2, 2)], id="FPN 224"),
        pytest.param(
            pyramid(320, 640), [(40, 80), (20, 40), (10, 20), (5, 10), (3, 5)], id="FPN 320x640"
        ),
        pytest.param(
            pyramid(640, 640), [(80, 80), (40, 40), (20, 20), (10, 10), (5, 5)], id="FPN 640"
        ),
        pytest.param(
            ssd_anchors(SSD_SHAPES, (300, 500), aspect_ratios=[1.0, 2.0, 0.5, 3.0, 0.3333]),
            SSD_SHAPES,
            id="SSD 300x500",
        ),
    ],
)
def test_the_anchors_of_ssd(corners, grids):
    anchors = center_size_anchors(corners)
    levels = find_levels(anchors)
    assert [(level.rows, level.columns) for level in levels] == grids
    found = grid_anchors(levels)
    assert (found.dtype, found.shape) == (F, anchors.shape)
    np.testing.assert_allclose(found, anchors, rtol=0, atol=1e-6)
    assert np.abs(found - anchors).max() < 5e-7


def test_two_maps_of_one_cell_in_the_same_place():
    """They need not be told apart: the anchors are the same."""
    anchors = np.array([[0.5, 0.5, 0.2, 0.3], [0.5, 0.5, 0.4, 0.1], [0.5, 0.5, 0.9, 0.8]], F)
    anchors = np.concatenate([center_size_anchors(pyramid(64, 96)), anchors])
    np.testing.assert_allclose(grid_anchors(find_levels(anchors)), anchors, rtol=0, atol=1e-6)


def noisy(scale: float) -> np.ndarray:
    anchors = center_size_anchors(pyramid(64, 96))
    return anchors + np.random.default_rng(0).uniform(-scale, scale, anchors.shape).astype(F)


def drifting() -> np.ndarray:
    """80 centres in a row; from the middle on each step is 0.9e-6 longer."""
    places = np.arange(80)
    x = 0.0125 * places + 0.9e-6 * np.maximum(places - 40, 0)
    anchors = np.tile([0.5, 0.0, 0.2, 0.1], (80, 1))
    anchors[:, 1] = x
    return anchors.astype(F)


@pytest.mark.parametrize(
    "anchors",
    [
        pytest.param(drifting(), id="steps that drift"),
        pytest.param(np.random.default_rng(1).uniform(0, 1, (300, 4)).astype(F), id="anywhere"),
        pytest.param(noisy(1e-5), id="not quite a grid"),
        pytest.param(np.array([[0.5, 0.4, 0.3, 0.2]], F), id="one"),
        pytest.param(np.zeros((0, 4), F), id="none"),
    ],
)
def test_anchors_that_a_table_does_not_shorten(anchors):
    assert find_levels(anchors) == ()
