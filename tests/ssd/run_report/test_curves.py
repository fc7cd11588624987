"""Precision, recall and thresholds on detections counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ssd.run_report.curves import Curve

# By falling score: hit, false, hit, false; one of three boxes is never found.
SCORES, IS_HIT = np.array([0.3, 0.9, 0.6, 0.7]), np.array([False, True, True, False])


@pytest.fixture
def curve() -> Curve:
    return Curve.of(SCORES, IS_HIT, 3)


def test_points_and_envelope(curve):
    recall, precision = curve.points()
    np.testing.assert_allclose(recall, [1 / 3, 1 / 3, 2 / 3, 2 / 3])
    np.testing.assert_allclose(precision, [1, 1 / 2, 2 / 3, 1 / 2])
    envelope = curve.envelope()
    # Up to recall 0.33 precision 1, up to 0.66 2/3, then nothing.
    np.testing.assert_allclose(envelope[[0, 33, 34, 66, 67, 100]], [1, 1, 2 / 3, 2 / 3, 0, 0])
    assert curve.average_precision == pytest.approx((34 * 1 + 33 * 2 / 3) / 101)


def test_counts_and_operating_points(curve):
    hits, false = curve.counts(np.array([0.0, 0.3, 0.31, 0.6, 0.65, 0.9, 0.95]))
    assert hits.tolist() == [2, 2, 2, 2, 1, 1, 0]
    assert false.tolist() == [2, 2, 1, 1, 1, 0, 0]
    point = curve.at(0.65)
    # One hit, one false, three boxes: 1/2, 1/3, 2 * 1 / (2 + 3).
    assert (point.precision, point.recall, point.f1) == pytest.approx((1 / 2, 1 / 3, 2 / 5))
    assert curve.at(0.95).precision == 0.0


def test_the_best_threshold_is_the_middle_of_the_best_ones(curve):
    """F1 is 4 / 6 from 0.31 to 0.60: (31 + 60) / 2, the upper middle."""
    point = curve.best_point()
    assert point.threshold == pytest.approx(0.46)
    assert (point.precision, point.recall, point.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))


@pytest.mark.parametrize(
    ("scores", "is_hit", "num_groundtruth", "ap"),
    [
        ([], [], 3, 0.0),
        ([0.9], [False], 0, None),
        ([], [], 0, None),
        ([0.8, 0.7], [False, False], 2, 0.0),
    ],
    ids=["nothing found", "no groundtruth", "nothing at all", "no hit"],
)
def test_edges(scores, is_hit, num_groundtruth, ap):
    curve = Curve.of(np.array(scores), np.array(is_hit, bool), num_groundtruth)
    assert curve.average_precision == ap
    assert curve.best_point() is None
    assert curve.f1().max() == 0.0
    assert [len(part) for part in curve.points()] == [len(scores) if num_groundtruth else 0] * 2


def test_a_perfect_detector():
    curve = Curve.of(np.array([0.9, 0.5]), np.array([True, True]), 2)
    assert curve.average_precision == pytest.approx(1.0)
    # 0.01 to 0.50 are all perfect.
    assert curve.best_point().threshold == pytest.approx(0.26)
