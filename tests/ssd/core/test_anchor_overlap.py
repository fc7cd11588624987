"""The best IoU of boxes, found without comparing all anchors: against all of them."""

from __future__ import annotations

import numpy as np
import pytest

from ssd.core import anchor_overlap, boxes
from ssd.core.anchor_generators import (
    AnchorGrid,
    FlexibleGridAnchorGenerator,
    MultiscaleGridAnchorGenerator,
    SsdAnchorGenerator,
)
from ssd.core.anchor_overlap import AxisCenters, ShapeGrid

IMAGE_SIZE = (96, 160)
SHAPES = [(12, 20), (6, 10), (3, 5)]
GENERATORS = {
    "multiscale": MultiscaleGridAnchorGenerator(3, 4.0, (1.0, 2.0, 0.5), 2),
    "ssd": SsdAnchorGenerator((1.0, 2.0, 0.3333), min_scale=0.15),
    "ssd with strides": SsdAnchorGenerator(
        (1.0, 3.0),
        scales=(0.1, 0.35, 0.9),
        height_stride=(8, 16, 32),
        width_stride=(8, 16, 32),
        height_offset=(1, 5, 9),
        width_offset=(2, 4, 20),
    ),
    "flexible": FlexibleGridAnchorGenerator(
        (
            AnchorGrid(((9.0, 20.0),), (8.0, 8.0), (4.0, 3.0)),
            AnchorGrid(((30.0, 12.0), (16.0, 16.0)), (16.0, 16.0), (8.0, 8.0)),
            AnchorGrid(((90.0, 60.0),), (32.0, 32.0), (0.0, 16.0)),
        )
    ),
}


def some_boxes(count: int) -> np.ndarray:
    """Boxes of all sizes, some of which reach outside of the image."""
    random = np.random.default_rng(3)
    centers, sides = random.uniform(-0.1, 1.1, (count, 2)), random.uniform(0, 1, (count, 2)) ** 2
    return np.concatenate([centers - sides / 2, centers + sides / 2], axis=1).astype(np.float32)


@pytest.mark.parametrize("name", GENERATORS)
def test_it_is_the_best_of_all_anchors(name):
    generator = GENERATORS[name]
    anchors = generator.generate(SHAPES, IMAGE_SIZE)
    grids = anchor_overlap.grids_of(anchors, SHAPES, generator.num_anchors_per_location(3))
    found = some_boxes(700)
    best = anchor_overlap.best_iou(found, grids)
    # float32 corners of boxes as small as a thousandth of the image: 1e-7 / 1e-3.
    expected = boxes.iou(found, anchors).numpy().max(axis=1)
    np.testing.assert_allclose(best, expected, atol=2e-4)
    assert best.dtype == np.float32
    assert 0.05 < (best < 0.5).mean() < 0.95


def test_by_hand():
    # Centres at y 2, 6, 10 and x 3, 9; one anchor, 4 high and 6 wide.
    grid = ShapeGrid(AxisCenters(2.0, 4.0, 3), AxisCenters(3.0, 6.0, 2), np.array([[4.0, 6.0]]))
    found = np.array(
        [
            [4.0, 6.0, 8.0, 12.0],  # the anchor around (6, 9)
            [5.0, 6.0, 9.0, 12.0],  # a row lower: shares 3 of 4 rows, 18 of 30
            [3.0, 3.0, 7.0, 9.0],  # y center 5: (6, 3) or (6, 9); shares 3 x 3 = 9 of 39
            [9.0, 1.0, 10.0, 3.0],  # inside the one around (10, 3): 2 of 24
            [40.0, 1.0, 44.0, 7.0],  # below all of them
            [5.0, 9.0, 5.0, 12.0],  # no area
        ]
    )
    expected = [1.0, 18 / 30, 9 / 39, 2 / 24, 0.0, 0.0]
    np.testing.assert_allclose(anchor_overlap.best_iou(found, [grid]), expected, rtol=1e-6)
    # A second map with an anchor of the third box's own shape beside it.
    other = ShapeGrid(AxisCenters(5.0, 9.0, 1), AxisCenters(6.0, 9.0, 1), np.array([[4.0, 6.0]]))
    assert anchor_overlap.best_iou(found, [grid, other])[2] == 1.0


def test_no_boxes():
    grid = ShapeGrid(AxisCenters(2.0, 4.0, 3), AxisCenters(3.0, 6.0, 2), np.array([[4.0, 6.0]]))
    best = anchor_overlap.best_iou(np.zeros((0, 4)), [grid])
    assert best.shape == (0,)
    assert best.dtype == np.float32


def test_chunks_are_joined(monkeypatch):
    generator = GENERATORS["multiscale"]
    anchors = generator.generate(SHAPES, IMAGE_SIZE)
    grids = anchor_overlap.grids_of(anchors, SHAPES, [6, 6, 6])
    found = some_boxes(50)
    whole = anchor_overlap.best_iou(found, grids)
    monkeypatch.setattr(anchor_overlap, "_CHUNK", 7)
    np.testing.assert_array_equal(anchor_overlap.best_iou(found, grids), whole)


def test_other_sizes_at_the_same_centers():
    # 2 x 4 cells of a 8 x 16 image: stride 4, first centre at 2.
    anchors = MultiscaleGridAnchorGenerator(2, 1.0, (1.0,), 1).generate([(2, 4)], (8, 16))
    (grid,) = anchor_overlap.grids_of(anchors, [(2, 4)], [1])
    assert (grid.y, grid.x) == (AxisCenters(0.25, 0.5, 2), AxisCenters(0.125, 0.25, 4))
    np.testing.assert_allclose(grid.sizes, [[0.5, 0.25]])
    (changed,) = anchor_overlap.with_sizes([grid], [np.array([[0.25, 0.5], [1.0, 1.0]])])
    box = np.array([[0.125, 0.125, 0.375, 0.625]])  # 0.25 x 0.5 around (0.25, 0.375)
    assert anchor_overlap.best_iou(box, [changed])[0] == 1.0
    assert anchor_overlap.best_iou(box, [grid])[0] < 0.5
