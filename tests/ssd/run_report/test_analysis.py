"""Curves of all classes against COCO's numbers; who is taken for whom."""

from __future__ import annotations

import numpy as np
import pytest

from ssd import label_map as label_maps
from ssd.coco_metrics import CocoMetrics
from ssd.label_map import LabelMap, LabelMapItem
from ssd.run_report.analysis import Analysis

A, B, C = (0.0, 0.0, 0.4, 0.3), (0.0, 0.5, 0.4, 0.8), (0.6, 0.1, 0.9, 0.9)
HALF = {1: 0.5, 2: 0.5, 3: 0.5}


@pytest.fixture
def labels() -> LabelMap:
    return label_maps.from_names(["bolt", "nut", "washer"])


def test_ap50_is_that_of_coco(random_images, labels):
    metrics = CocoMetrics(labels)
    for image in random_images:
        metrics.add(
            source_id=image.source_id,
            image_size=image.image_size,
            groundtruth_boxes=image.groundtruth_boxes,
            groundtruth_classes=image.groundtruth_classes,
            groundtruth_is_crowd=image.groundtruth_is_crowd,
            detection_boxes=image.detection_boxes,
            detection_scores=image.detection_scores,
            detection_classes=image.detection_classes,
        )
    summary = metrics.summarize()
    analysis = Analysis.of(random_images, labels)
    found = dict(zip(labels.names, analysis.curves.values(), strict=True))
    expected = {name: row["AP50"] for name, row in summary["per_class"].items()}
    assert {n: curve.average_precision for n, curve in found.items()} == pytest.approx(expected)
    assert 0.2 < min(expected.values()) < max(expected.values()) < 1
    assert list(analysis.num_boxes.values()) == [
        row["boxes"] for row in summary["per_class"].values()
    ]


@pytest.fixture
def analysis(make_image, labels) -> Analysis:
    """A bolt found, a nut taken for a washer, a washer missed; a false bolt; below 0.5 a hit."""
    return Analysis.of(
        [
            make_image(0, [(1, A), (2, B)], [(1, 0.9, A), (3, 0.8, B), (1, 0.7, C)]),
            make_image(1, [(3, C)], [(3, 0.4, C)]),
            make_image(2, [], []),
        ],
        labels,
    )


def test_judged(analysis):
    judged = analysis.judged(0, HALF)
    assert [part.tolist() for part in judged] == [[[0, 0]], [[1, 1]], [], [2]]
    assert [part.tolist() for part in analysis.judged(1, HALF)] == [[], [], [0], []]
    assert [part.tolist() for part in analysis.judged(1, HALF | {3: 0.4})] == [[[0, 0]], [], [], []]
    assert [len(part) for part in analysis.judged(2, HALF)] == [0, 0, 0, 0]


def test_a_score_of_the_threshold_counts(make_image, labels):
    analysis = Analysis.of([make_image(0, [(1, A)], [(1, 0.5, A)])], labels)
    assert [len(part) for part in analysis.judged(0, HALF)] == [1, 0, 0, 0]
    assert [len(part) for part in analysis.judged(0, HALF | {1: 0.51})] == [0, 0, 1, 0]


def test_confusion(analysis):
    assert analysis.confusion(HALF).tolist() == [
        [1, 0, 0, 0],  # the bolt
        [0, 0, 1, 0],  # the nut, a washer
        [0, 0, 0, 1],  # the washer, missed
        [1, 0, 0, 0],  # background, a bolt
    ]


def test_of_two_wrong_detections_the_nearer_one_is_the_confusion(make_image, labels):
    """IoU 3/4 and 1/2 with A; the right class is no confusion, however little it overlaps."""
    near, far = (0.1, 0.0, 0.4, 0.3), (0.2, 0.0, 0.4, 0.3)
    image = make_image(0, [(1, A)], [(2, 0.9, far), (3, 0.6, near)])
    judged = Analysis.of([image], labels).judged(0, HALF)
    assert (judged.confused.tolist(), judged.false.tolist()) == ([[1, 0]], [0])
    image = make_image(0, [(1, A)], [(1, 0.6, far), (3, 0.9, near)])
    judged = Analysis.of([image], labels).judged(0, HALF)
    assert (judged.hits.tolist(), judged.false.tolist()) == ([[0, 0]], [1])


def test_crowds_are_neither_missed_nor_confused(make_image, labels):
    image = make_image(0, [(1, A)], [(2, 0.9, A), (1, 0.8, A)], crowds=[0])
    judged = Analysis.of([image], labels).judged(0, HALF)
    assert [part.tolist() for part in judged] == [[], [], [], [0]]


def test_ids_with_gaps_and_ids_that_nobody_knows(make_image):
    labels = LabelMap((LabelMapItem(2, "cat"), LabelMapItem(90, "dog")))
    image = make_image(0, [(90, A), (2, B)], [(90, 0.9, A), (1, 0.9, B), (2, 0.6, B)])
    analysis = Analysis.of([image], labels)
    assert {k: c.average_precision for k, c in analysis.curves.items()} == pytest.approx(
        {2: 1.0, 90: 1.0}
    )
    assert analysis.confusion({2: 0.5, 90: 0.5}).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("count", [0, 2])
def test_without_anything(make_image, labels, count):
    analysis = Analysis.of([make_image(n, [], []) for n in range(count)], labels)
    assert analysis.all_classes.average_precision is None
    assert analysis.best_thresholds == HALF
    np.testing.assert_array_equal(analysis.confusion(HALF), np.zeros((4, 4), np.int64))
