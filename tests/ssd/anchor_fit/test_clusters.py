"""k-means of shapes by IoU."""

from __future__ import annotations

import numpy as np
import pytest

from ssd.anchor_fit import clusters
from ssd.anchor_fit.clusters import cluster, shape_iou

# (height, width, boxes)
BLOBS = ((10.0, 30.0, 40), (60.0, 20.0, 100), (120.0, 200.0, 60))


def blobs() -> np.ndarray:
    """Boxes of three shapes, each side up to 5 percent off."""
    random = np.random.default_rng(8)
    parts = [np.tile([height, width], (count, 1)) for height, width, count in BLOBS]
    sides = np.concatenate(parts)
    return random.permutation(sides * random.uniform(0.95, 1.05, sides.shape))


def test_iou_of_shapes():
    # 2 x 6 and 4 x 3: 6 of 18; 2 x 6 in 4 x 6: 12 of 24; a line shares nothing.
    found = shape_iou(np.array([[2.0, 6.0], [0.0, 6.0]]), np.array([[4.0, 3.0], [4.0, 6.0]]))
    np.testing.assert_allclose(found, [[1 / 3, 0.5], [0.0, 0.0]])


def test_the_shapes_that_are_there():
    found = cluster(blobs(), 3, seed=4)
    # By area: 10 x 30, 60 x 20, 120 x 200; medians lie near the middle of the noise.
    np.testing.assert_allclose(found.sides, [b[:2] for b in BLOBS], rtol=0.02)
    np.testing.assert_allclose(found.shares, [0.2, 0.5, 0.3])
    assert (found.mean_ious > 0.9).all()
    assert found.mean_iou == pytest.approx(float(found.shares @ found.mean_ious))


def test_same_seed_same_shapes():
    sides = np.random.default_rng(1).uniform(1, 300, (500, 2))
    first, again = (cluster(sides, 5, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.sides, again.sides)
    assert first.mean_iou == again.mean_iou
    # More shapes fit better.
    assert cluster(sides, 9, seed=3).mean_iou > first.mean_iou > cluster(sides, 1).mean_iou


def test_medians_are_not_moved_by_a_freak():
    sides = np.array([[10.0, 20.0]] * 9 + [[12.0, 20.0]])
    assert cluster(sides, 1).sides.tolist() == [[10.0, 20.0]]


def test_fewer_shapes_than_asked_for():
    sides = np.array([[10.0, 30.0], [10.0, 30.0], [40.0, 20.0], [0.0, 7.0], [5.0, 0.0]])
    found = cluster(sides, 6)
    assert found.sides.tolist() == [[10.0, 30.0], [40.0, 20.0]]
    np.testing.assert_allclose(found.shares, [2 / 3, 1 / 3])
    assert found.mean_iou == 1.0


@pytest.mark.parametrize("sides", [np.zeros((0, 2)), np.zeros((3, 2))])
def test_nothing_with_an_area(sides):
    found = cluster(sides, 3)
    assert (found.sides.shape, found.shares.shape, found.mean_iou) == ((0, 2), (0,), 0.0)


def test_figures_are_those_of_all_boxes(monkeypatch):
    monkeypatch.setattr(clusters, "_MAX_FITTED", 50)
    monkeypatch.setattr(clusters, "_CHUNK", 7)
    found = cluster(blobs(), 3)
    np.testing.assert_allclose(found.sides, [b[:2] for b in BLOBS], rtol=0.04)
    np.testing.assert_allclose(found.shares, [0.2, 0.5, 0.3])
