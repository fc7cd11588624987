from __future__ import annotations

import numpy as np
import pytest

from ssd import label_map
from ssd.voc_metrics import VocMetrics

LABELS = label_map.from_names(["a", "b", "c", "d"])


def random_images() -> list[dict[str, np.ndarray]]:
    """25 images with ties in their scores, difficult boxes, groups, and a class without boxes."""
    draw = np.random.default_rng(3)

    def boxes(count: int) -> np.ndarray:
        corners = draw.uniform(0, 100, (count, 2, 2))
        corners.sort(axis=1)
        found = corners.reshape(count, 4)
        found[:, 2:] += 3
        return found.astype(np.float32)

    images = []
    for _ in range(25):
        rows, detections = draw.integers(0, 6), draw.integers(0, 25)
        truth, found = boxes(rows), boxes(detections)
        for n in range(detections):
            if rows and draw.uniform() < 0.7:
                found[n] = truth[draw.integers(rows)] + draw.normal(0, 3, 4)
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 0.5)
        images.append(
            {
                "groundtruth_boxes": truth,
                "groundtruth_classes": draw.integers(1, 4, rows),
                "groundtruth_difficult": draw.uniform(size=rows) < 0.2,
                "groundtruth_group_of": draw.uniform(size=rows) < 0.2,
                "detection_boxes": found.astype(np.float32),
                "detection_scores": np.round(draw.uniform(size=detections), 3).astype(np.float32),
                "detection_classes": draw.integers(1, 5, detections),
            }
        )
    return images


# Means and the first three classes, of the original's evaluators on these images.
ORIGINAL = {
    "pascal_voc_detection_metrics": (
        0.03931242623473178,
        [0.04632611241217798, 0.048130923130923126, 0.023480243161094226],
    ),
    "weighted_pascal_voc_detection_metrics": (
        0.0319479691505788,
        [0.04632611241217798, 0.048130923130923126, 0.023480243161094226],
    ),
    "open_images_V2_detection_metrics": (
        0.023023470221260136,
        [0.030132972729321614, 0.008937437934458788, 0.03],
    ),
}


@pytest.mark.parametrize("metrics_set", ORIGINAL)
def test_equals_the_original(metrics_set):
    metrics = VocMetrics(metrics_set, LABELS)
    for image in random_images():
        metrics.add(**image)
    mean, *classes = metrics.summarize().values()
    expected_mean, expected = ORIGINAL[metrics_set]
    assert mean == pytest.approx(expected_mean, rel=1e-6)
    assert classes[:3] == pytest.approx(expected, rel=1e-6)
    # The fourth has no groundtruth.
    assert classes[3] is None


def test_by_hand():
    # Two boxes; a sure hit, a second one of the same box, and a miss of the other: IoU 0.4.
    metrics = VocMetrics("pascal_voc_detection_metrics", label_map.from_names(["a"]))
    metrics.add(
        groundtruth_boxes=np.array([[0, 0, 10, 10], [20, 20, 30, 30]], np.float32),
        groundtruth_classes=np.array([1, 1]),
        groundtruth_difficult=np.array([False, False]),
        groundtruth_group_of=np.array([False, False]),
        detection_boxes=np.array([[0, 0, 10, 9], [0, 0, 10, 10], [20, 20, 30, 24]], np.float32),
        detection_scores=np.array([0.9, 0.8, 0.7], np.float32),
        detection_classes=np.array([1, 1, 1]),
    )
    found = metrics.summarize()
    # Recall 0.5 at precision 1, and no more.
    assert found["PascalBoxes_Precision/mAP@0.5IOU"] == pytest.approx(0.5)
    assert found["PascalBoxes_PerformanceByCategory/AP@0.5IOU/a"] == pytest.approx(0.5)


def test_nothing_to_measure():
    found = VocMetrics("oid_V2_detection_metrics", label_map.from_names(["a"])).summarize()
    assert found == {
        "OpenImagesV2_Precision/mAP@0.5IOU": None,
        "OpenImagesV2_PerformanceByCategory/AP@0.5IOU/a": None,
    }
