"""Pascal VOC, precision-at-recall and Open Images metrics: by hand, and against the original."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssd.label_map import LabelMap, LabelMapItem, from_names
from ssd.voc_metrics import PREFIXES, VocMetrics

RECORDING = Path(__file__).parents[1] / "data/detection_metrics.npz"
# Ids with a gap. Nothing is annotated as a dog, and every horse is difficult.
LABELS = LabelMap(
    tuple(
        LabelMapItem(class_id, name)
        for class_id, name in [(1, "bird"), (2, "café crème"), (4, "cow"), (5, "dog"), (7, "horse")]
    )
)
MEAN, CLASS = "PascalBoxes_Precision/mAP@0.5IOU", "PascalBoxes_PerformanceByCategory/AP@0.5IOU/"


def recorded_images(recording):
    """Yields `add` arguments of 60 images."""
    ends = {
        "groundtruth": np.cumsum(recording["num_groundtruth_boxes"])[:-1],
        "detection": np.cumsum(recording["num_detections"])[:-1],
    }
    columns = {
        name: np.split(recording[name], ends[name.split("_")[0]])
        for name in recording.files
        if name.startswith(("groundtruth", "detection"))
    }
    for rows in zip(*columns.values(), strict=True):
        yield dict(zip(columns, rows, strict=True))


@pytest.mark.parametrize("case", range(6))
def test_equals_the_original(case):
    with np.load(RECORDING) as recording:
        metrics_set, *bounds = str(recording[f"case{case}_settings"]).split()
        # The schema's floats have 32 bits.
        low, high = map(float, np.array(bounds or [0, 1], np.float32))
        metrics = VocMetrics(metrics_set, LABELS, recall_bounds=(low, high))
        for image in recorded_images(recording):
            metrics.add(**image)
        names = recording[f"case{case}_names"].tolist()
        values = recording[f"case{case}_values"].tolist()
    found = metrics.summarize()
    assert list(found) == names
    assert {name for name, value in found.items() if value is None} == {
        name for name, value in zip(names, values, strict=True) if np.isnan(value)
    }
    for name, value in zip(names, values, strict=True):
        if not np.isnan(value):
            assert found[name] == pytest.approx(value, abs=1e-12), name


def add_one(metrics, **changes):
    """Adds a picture with two cats; detected are one, the same again, and a place without one."""
    boxes = [[0.10, 0.20, 0.35, 0.60], [0.50, 0.10, 0.80, 0.30]]
    image = {
        "groundtruth_boxes": boxes,
        "groundtruth_classes": [2, 2],
        "detection_boxes": [boxes[0], boxes[0], [0.50, 0.70, 0.80, 0.90]],
        "detection_scores": [0.9, 0.7, 0.8],
        "detection_classes": [2, 2, 2],
    }
    metrics.add(**{**image, **changes})


def summary_of(metrics_set, *images, recall_bounds=(0.0, 1.0)):
    labels = from_names(["bird", "cat", "dog"])
    metrics = VocMetrics(metrics_set, labels, recall_bounds=recall_bounds)
    for image in images:
        add_one(metrics, **image)
    return metrics.summarize()


def test_area_below_precision_over_recall():
    # By falling score: hit, miss, then the second picture's hit at 0.75, and a miss.
    # Recall 1/4, 1/4, 2/4, 2/4 at precision 1, 1/2, 2/3, 2/4: 1/4 * 1 + 1/4 * 2/3 = 5/12.
    box = [0.50, 0.10, 0.80, 0.30]
    second = {"detection_boxes": [box], "detection_scores": [0.75], "detection_classes": [2]}
    found = summary_of("pascal_voc_detection_metrics", {}, second)
    assert found == {
        MEAN: pytest.approx(5 / 12),
        f"{CLASS}bird": None,
        f"{CLASS}cat": pytest.approx(5 / 12),
        f"{CLASS}dog": None,
    }


def test_precision_rises_back_to_the_best_of_higher_recall():
    # Miss, hit, hit: precision 0, 1/2, 2/3 at recall 0, 1/2, 1: the area is all 2/3.
    boxes = [[0.50, 0.70, 0.80, 0.90], [0.10, 0.20, 0.35, 0.60], [0.50, 0.10, 0.80, 0.30]]
    image = {"detection_boxes": boxes, "detection_scores": [0.9, 0.8, 0.7]}
    found = summary_of("pascal_voc_detection_metrics", image)
    assert found[f"{CLASS}cat"] == pytest.approx(2 / 3)


def test_weighted_mean_takes_all_detections_as_one_class():
    # Cats as in `add_one`: hit 0.9, miss 0.8, miss 0.7, of 2. Dogs: hit 0.85, of 1.
    # Together 1/3 at precision 1, 2/3 at precision 1: AP 2/3; the plain mean is (1/2 + 1) / 2.
    dog = [0.2, 0.3, 0.9, 0.5]
    image = {"groundtruth_boxes": [dog], "groundtruth_classes": [3], "detection_boxes": [dog]}
    image |= {"detection_scores": [0.85], "detection_classes": [3]}
    plain = summary_of("pascal_voc_detection_metrics", {}, image)
    weighted = summary_of("weighted_pascal_voc_detection_metrics", {}, image)
    assert plain[MEAN] == pytest.approx(3 / 4)
    assert weighted[f"Weighted{MEAN}"] == pytest.approx(2 / 3)
    assert weighted[f"Weighted{CLASS}cat"] == plain[f"{CLASS}cat"] == pytest.approx(1 / 2)


@pytest.mark.parametrize(
    ("bounds", "name", "value"),
    [
        # Hit, miss, miss of 2: recall 1/2 at precision 1, 1/2, 1/3.
        ((0.0, 1.0), "", 1 / 2),
        ((0.5, 1.0), "@[0.5,1.0]Recall", 1 / 2),
        ((0.0, 0.25), "@[0.0,0.2]Recall", 0.0),
    ],
)
def test_bounds_of_recall(bounds, name, value):
    found = summary_of("precision_at_recall_detection_metrics", {}, recall_bounds=bounds)
    assert found[f"PrecisionAtRecallBoxes_Precision/mAP@0.5IOU{name}"] == pytest.approx(value)
    assert found["PrecisionAtRecallBoxes_PerformanceByCategory/AP@0.5IOU/cat"] == pytest.approx(
        value
    )


def test_difficult_boxes_are_pascal_and_groups_are_open_images():
    second = {"groundtruth_difficult": [False, True], "groundtruth_group_of": [True, False]}
    # Only the first box counts, which is found: 1. Groups are boxes.
    pascal = summary_of("pascal_voc_detection_metrics", second)
    assert pascal[f"{CLASS}cat"] == pytest.approx(1.0)
    # Only the second box counts, which is not found.
    open_images = summary_of("oid_V2_detection_metrics", second)
    assert open_images["OpenImagesV2_PerformanceByCategory/AP@0.5IOU/cat"] == 0.0


def test_only_difficult_boxes_are_nothing_to_measure():
    found = summary_of("pascal_voc_detection_metrics", {"groundtruth_difficult": [True, True]})
    assert set(found.values()) == {None}


@pytest.mark.parametrize("metrics_set", PREFIXES)
def test_no_image_and_no_detection(metrics_set):
    assert set(summary_of(metrics_set).values()) == {None}
    nothing = {"detection_boxes": [], "detection_scores": [], "detection_classes": []}
    mean, bird, cat, dog = summary_of(metrics_set, nothing).values()
    assert (mean, bird, cat, dog) == (0.0, None, 0.0, None)
    empty = {"groundtruth_boxes": [], "groundtruth_classes": []}
    assert set(summary_of(metrics_set, empty).values()) == {None}


def test_summarize_again_after_more_images_and_input_unchanged():
    labels = from_names(["bird", "cat", "dog"])
    once, twice = (VocMetrics("pascal_voc_detection_metrics", labels) for _ in range(2))
    scores = np.array([0.2, 0.7, 0.8], np.float32)
    add_one(twice, detection_scores=scores)
    twice.summarize()
    scores[:] = 0.0
    add_one(twice)
    add_one(once, detection_scores=[0.2, 0.7, 0.8])
    add_one(once)
    assert once.summarize() == pytest.approx(twice.summarize(), abs=1e-6)


def test_detections_of_unknown_classes_are_left_out():
    box = [0.10, 0.20, 0.35, 0.60]
    strange = {"detection_boxes": [box] * 2, "detection_scores": [0.9, 0.8]}
    found = summary_of("pascal_voc_detection_metrics", {**strange, "detection_classes": [77, 2]})
    assert found[f"{CLASS}cat"] == pytest.approx(0.5)
    assert len(found) == 4
