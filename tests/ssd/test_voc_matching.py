"""Which detections are hits, misses or do not count: by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ssd.voc_matching import by_falling_score, match_detections

# 30 high and 20 wide, at (10, 40).
BOX = [10, 40, 40, 60]


def matched(detections, groundtruth, *, difficult=(), groups=()):
    """(row, is_hit) of what counts; detections are (box, score, class), groundtruth (box, class).

    `difficult` and `groups` are rows of the groundtruth.
    """
    count = len(groundtruth)
    rows, is_hit = match_detections(
        groundtruth_boxes=np.array([box for box, _ in groundtruth], float).reshape(-1, 4),
        groundtruth_classes=np.array([class_id for _, class_id in groundtruth], int),
        is_difficult=np.isin(np.arange(count), difficult),
        is_group=np.isin(np.arange(count), groups),
        detection_boxes=np.array([box for box, _, _ in detections], float).reshape(-1, 4),
        detection_scores=np.array([score for _, score, _ in detections], float),
        detection_classes=np.array([class_id for _, _, class_id in detections], int),
    )
    return list(zip(rows.tolist(), is_hit.tolist(), strict=True))


def test_the_best_scored_detection_of_a_box_is_its_hit():
    # Row 0 overlaps less: 30 x 18 of 600, IoU 0.9; but it has the higher score.
    assert matched([([10, 42, 40, 60], 0.8, 2), (BOX, 0.7, 2)], [(BOX, 2)]) == [
        (0, True),
        (1, False),
    ]


@pytest.mark.parametrize(
    ("box", "is_hit"),
    [
        ([10, 40, 40, 50], True),  # half the width: IoU 300 / 600
        ([10, 40, 40, 49.99], False),
        ([25, 40, 40, 60], True),  # half the height
        ([10, 30, 40, 60], True),  # 1.5 times as wide: 600 / 900
        ([40, 40, 70, 60], False),  # only an edge in common
    ],
)
def test_half_an_overlap_is_enough(box, is_hit):
    assert matched([(box, 0.5, 1)], [(BOX, 1)]) == [(0, is_hit)]


def test_classes_do_not_meet():
    assert matched([(BOX, 0.9, 1), (BOX, 0.8, 2)], [(BOX, 2)]) == [(0, False), (1, True)]


def test_a_detection_asks_only_for_the_box_it_overlaps_most():
    # Both overlap row 0 more (IoU 1 and 560 / 640) than row 1, so the second gets nothing.
    near = [12, 40, 42, 60]
    groundtruth = [(BOX, 1), ([14, 40, 44, 60], 1)]
    found = matched([(BOX, 0.9, 1), ([11, 40, 41, 60], 0.8, 1)], groundtruth)
    assert found == [(0, True), (1, False)]
    # In the middle the two are equal, and the first of the groundtruth is asked.
    assert matched([(near, 0.9, 1), (near, 0.8, 1)], groundtruth) == [(0, True), (1, False)]


def test_an_object_annotated_twice_is_found_once():
    assert matched([(BOX, 0.9, 1), (BOX, 0.8, 1)], [(BOX, 1), (BOX, 1)]) == [
        (0, True),
        (1, False),
    ]


def test_detections_of_a_difficult_box_do_not_count():
    groundtruth = [(BOX, 1), ([60, 5, 90, 35], 1)]
    detections = [(BOX, 0.9, 1), (BOX, 0.8, 1), ([60, 5, 90, 35], 0.7, 1), ([0, 0, 5, 9], 0.6, 1)]
    assert matched(detections, groundtruth, difficult=[0]) == [(2, True), (3, False)]


@pytest.mark.parametrize(
    ("box", "counts"),
    [
        ([10, 40, 20, 45], False),  # inside the group, though IoU is 50 / 600
        ([10, 35, 20, 45], False),  # half of it is inside
        ([10, 34.9, 20, 45], True),
        (BOX, False),
    ],
)
def test_detections_inside_a_group_do_not_count(box, counts):
    expected = [(0, False)] if counts else []
    assert matched([(box, 0.9, 1)], [(BOX, 1)], groups=[0]) == expected
    # A group of another class is none.
    assert matched([(box, 0.9, 2)], [(BOX, 1)], groups=[0]) == [(0, False)]


def test_a_hit_inside_a_group_is_a_hit():
    groundtruth = [([0, 30, 50, 70], 1), (BOX, 1)]
    assert matched([(BOX, 0.9, 1), (BOX, 0.8, 1)], groundtruth, groups=[0]) == [(0, True)]


def test_detections_without_area_do_not_exist():
    flat, inverted = [10, 40, 10, 60], [10, 60, 40, 40]
    assert matched([(flat, 0.9, 1), (inverted, 0.8, 1), (BOX, 0.7, 1)], [(BOX, 1)]) == [(2, True)]


def test_nothing_there():
    assert matched([], [(BOX, 1)]) == []
    assert matched([(BOX, 0.2, 1), (BOX, 0.9, 1)], []) == [(1, False), (0, False)]
    # A groundtruth box without area is found by nobody.
    assert matched([(BOX, 0.9, 1)], [([10, 40, 10, 60], 1)]) == [(0, False)]


def test_of_equal_scores_the_later_comes_first():
    assert by_falling_score(np.array([0.5, 0.9, 0.5, 0.1])).tolist() == [1, 2, 0, 3]
