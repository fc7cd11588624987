"""Hits, misses and what does not count, on boxes whose IoU is known."""

from __future__ import annotations

import numpy as np
import pytest

from ssd.run_report.matching import iou, match

LEFT, RIGHT = (0.0, 0.0, 0.4, 0.3), (0.0, 0.5, 0.4, 0.8)
# Of height 0.4: the lower 0.3 and 0.2 of it, IoU 3/4 and 2/4; then 0.1, IoU 1/4.
MOST, HALF, LITTLE = (0.1, 0.0, 0.4, 0.3), (0.2, 0.0, 0.4, 0.3), (0.3, 0.0, 0.4, 0.3)


def outcome(image, class_ids=(1, 2)):
    found = match(image, frozenset(class_ids))
    return found.counts.tolist(), found.groundtruth.tolist()


@pytest.mark.parametrize(
    ("truth", "found", "counts", "groundtruth"),
    [
        ([(1, LEFT)], [(1, 0.9, LEFT)], [True], [0]),
        ([(1, LEFT)], [(1, 0.9, HALF)], [True], [0]),
        ([(1, LEFT)], [(1, 0.9, LITTLE)], [True], [-1]),
        ([(1, LEFT)], [(2, 0.9, LEFT)], [True], [-1]),
        ([(1, LEFT)], [(3, 0.9, LEFT)], [False], [-1]),
        ([(1, LEFT)], [(1, 0.2, LEFT), (1, 0.9, HALF)], [True, True], [-1, 0]),
        ([(1, LEFT), (1, MOST)], [(1, 0.9, LEFT), (1, 0.8, LEFT)], [True, True], [0, 1]),
        ([(1, LEFT), (1, LEFT)], [(1, 0.9, LEFT)], [True], [1]),
        ([], [(1, 0.9, LEFT)], [True], [-1]),
        ([(1, LEFT)], [], [], []),
        ([], [], [], []),
    ],
    ids=[
        *("exact", "half is enough", "too little", "another class", "no class", "a double"),
        *("the next best box", "of equal boxes the last", "no box", "nothing found", "nothing"),
    ],
)
def test_outcomes(make_image, truth, found, counts, groundtruth):
    assert outcome(make_image(0, truth, found)) == (counts, groundtruth)


def test_what_lies_in_a_crowd_does_not_count(make_image):
    """HALF is half of the crowd LEFT but lies in it; what reaches out by more than half does."""
    out = (0.0, -0.4, 0.4, 0.3)
    image = make_image(0, [(1, LEFT), (1, RIGHT)], [(1, 0.9, HALF), (1, 0.8, out)], crowds=[0])
    assert outcome(image) == ([False, True], [-1, -1])
    # A box that is none comes first, however little of it is found.
    image = make_image(0, [(1, LEFT), (1, MOST)], [(1, 0.9, LEFT)], crowds=[0])
    assert outcome(image) == ([True], [1])


def test_only_the_best_hundred_of_a_class_count(make_image):
    found = [(1, 0.5 + k / 1000, RIGHT) for k in range(101)] + [(2, 0.1, RIGHT)]
    counts, _ = outcome(make_image(0, [(1, LEFT)], found))
    assert counts == [False] + [True] * 101


def test_iou_by_hand():
    boxes = np.array([LEFT, RIGHT])
    found = np.array([MOST, (0.0, 0.0, 0.8, 0.8), (0.2, 0.2, 0.2, 0.9)])
    # The second covers both: 0.12 / 0.64; the third has no area.
    expected = [[0.75, 0.0], [0.1875, 0.1875], [0.0, 0.0]]
    np.testing.assert_allclose(iou(found, boxes), expected, atol=1e-7)
    of_crowd = iou(found, boxes, np.array([True, False]))
    np.testing.assert_allclose(of_crowd[:, 0], [1.0, 0.1875, 0.0], atol=1e-7)
