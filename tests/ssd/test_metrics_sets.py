"""What an evaluation measures, as eval_config asks for it."""

from __future__ import annotations

import pytest

from ssd.coco_categories import CategoryMetrics
from ssd.config.messages import TrainEvalPipelineConfig
from ssd.errors import InputError
from ssd.label_map import from_names
from ssd.metric_names import COCO_NAMES
from ssd.metrics_sets import ONLY_COCO, DetectionMetrics, MetricsSettings, format_metrics

LABELS = from_names(["bird", "cat", "dog"])


def summary_of(settings, **changes):
    """The summary of one 120x200 picture: a difficult cat, not found, and a dog, found."""
    metrics = DetectionMetrics(LABELS, settings)
    dog = [0.10, 0.20, 0.35, 0.60]
    image = {
        "groundtruth_boxes": [[0.5, 0.1, 0.9, 0.8], dog],
        "groundtruth_classes": [2, 3],
        "groundtruth_is_crowd": [False, False],
        "groundtruth_area": [0.0, 0.0],
        "groundtruth_difficult": [True, False],
        "groundtruth_group_of": [False, False],
        "detection_boxes": [dog],
        "detection_scores": [0.9],
        "detection_classes": [3],
    }
    metrics.add(source_id="img_1", image_size=(120, 200), **{**image, **changes})
    return metrics.summarize()


def test_coco_is_always_there_and_alone_by_default():
    summary = summary_of(ONLY_COCO)
    assert list(summary) == [*COCO_NAMES, "per_class"]
    # Difficult boxes count under COCO: (0 + 1) / 2.
    assert summary["AP"] == pytest.approx(0.5)
    listed = MetricsSettings(metrics_set=("coco_detection_metrics",))
    assert summary_of(listed) == summary


def test_other_sets_come_beside_it():
    sets = ("pascal_voc_detection_metrics", "oid_V2_detection_metrics")
    # The second name of the same set adds nothing.
    summary = summary_of(MetricsSettings((*sets, "open_images_V2_detection_metrics")))
    assert list(summary)[:13] == [*COCO_NAMES, "per_class"]
    assert list(summary)[13:] == [
        "PascalBoxes_Precision/mAP@0.5IOU",
        "PascalBoxes_PerformanceByCategory/AP@0.5IOU/bird",
        "PascalBoxes_PerformanceByCategory/AP@0.5IOU/cat",
        "PascalBoxes_PerformanceByCategory/AP@0.5IOU/dog",
        "OpenImagesV2_Precision/mAP@0.5IOU",
        "OpenImagesV2_PerformanceByCategory/AP@0.5IOU/bird",
        "OpenImagesV2_PerformanceByCategory/AP@0.5IOU/cat",
        "OpenImagesV2_PerformanceByCategory/AP@0.5IOU/dog",
    ]
    # Pascal VOC leaves the difficult cat out; Open Images knows none.
    assert summary["PascalBoxes_Precision/mAP@0.5IOU"] == pytest.approx(1.0)
    assert summary["OpenImagesV2_Precision/mAP@0.5IOU"] == pytest.approx(0.5)


def test_settings_from_a_config():
    config = TrainEvalPipelineConfig().eval_config
    assert MetricsSettings.from_config(config) == ONLY_COCO
    config.metrics_set.append("precision_at_recall_detection_metrics")
    config.recall_lower_bound, config.recall_upper_bound = 0.25, 0.75
    config.include_metrics_per_category = config.all_metrics_per_category = True
    config.super_categories["pet"] = "cat, dog,"
    settings = MetricsSettings.from_config(config)
    assert settings == MetricsSettings(
        ("precision_at_recall_detection_metrics",),
        CategoryMetrics(True, True, {"pet": ("cat", "dog")}),
        (0.25, 0.75),
    )
    summary = summary_of(settings.with_pascal_voc())
    assert summary["DetectionBoxes_PerformanceBySuperCategory/pet"] == pytest.approx(0.5)
    # Recall 1 is not below 0.75; Pascal VOC has no bounds.
    assert summary["PrecisionAtRecallBoxes_Precision/mAP@0.5IOU@[0.2,0.8]Recall"] == 0.0
    assert summary["PascalBoxes_Precision/mAP@0.5IOU"] == pytest.approx(1.0)


def test_table_for_a_screen():
    categories = CategoryMetrics(True, super_categories={"pet": ("cat", "dog"), "air": ("bird",)})
    summary = summary_of(MetricsSettings(categories=categories).with_pascal_voc())
    lines = format_metrics(summary).splitlines()
    assert lines[0] == "AP     0.5000  average precision, IoU 0.50 to 0.95"
    assert lines[-5:] == [
        "dog    1.0000  1.0000  1",
        "",
        "0.5000  DetectionBoxes_PerformanceBySuperCategory/pet",
        "n/a     DetectionBoxes_PerformanceBySuperCategory/air",
        "1.0000  PascalBoxes_Precision/mAP@0.5IOU",
    ]
    assert format_metrics(summary_of(ONLY_COCO)).splitlines()[-1] == "dog    1.0000  1.0000  1"


def test_what_is_not_known():
    with pytest.raises(
        InputError, match=r"^eval_config\.metrics_set: 'coco_mask_metrics' .* coco_detection_met"
    ):
        DetectionMetrics(LABELS, MetricsSettings(("coco_mask_metrics",)))
    wanted = CategoryMetrics(super_categories={"pet": ("horse",)})
    with pytest.raises(InputError, match=r"super_categories: 'pet' names 'horse'"):
        DetectionMetrics(LABELS, MetricsSettings(categories=wanted))


def test_a_bad_image_is_in_none_of_them():
    metrics = DetectionMetrics(LABELS, ONLY_COCO.with_pascal_voc())
    nothing = metrics.summarize()
    image = {
        "source_id": "img_1",
        "image_size": (120, 200),
        "groundtruth_boxes": [[0.1, 0.2, 0.35, 0.6]],
        "groundtruth_classes": [9],
        "detection_boxes": [],
        "detection_scores": [],
        "detection_classes": [],
    }
    with pytest.raises(InputError, match=r"^image img_1: groundtruth class id 9"):
        metrics.add(**image)
    assert metrics.summarize() == nothing
