"""Numbers by category and super-category."""

from __future__ import annotations

import pytest

from ssd.coco_categories import CategoryMetrics, metrics_of_categories, require_known
from ssd.errors import InputError
from ssd.label_map import LabelMap, LabelMapItem
from ssd.metric_names import COCO_NAMES

LABELS = LabelMap(
    (LabelMapItem(2, "/m/01yrx", "cat"), LabelMapItem(3, "car"), LabelMapItem(7, "traffic light"))
)


def numbers(first):
    """12 numbers: first, first + 0.01 ..., and no small objects."""
    values = {name: first + n / 100 for n, name in enumerate(COCO_NAMES)}
    return {**values, "APs": None}


PER_CLASS = {2: numbers(0.2), 3: numbers(0.4), 7: dict.fromkeys(COCO_NAMES)}


def test_nothing_is_added_unless_asked_for():
    assert metrics_of_categories(CategoryMetrics(), LABELS, PER_CLASS) == {}


def test_one_number_per_category():
    wanted = CategoryMetrics(include_metrics_per_category=True)
    assert metrics_of_categories(wanted, LABELS, PER_CLASS) == {
        "DetectionBoxes_PerformanceByCategory/mAP/cat": 0.2,
        "DetectionBoxes_PerformanceByCategory/mAP/car": 0.4,
        "DetectionBoxes_PerformanceByCategory/mAP/traffic light": None,
    }


def test_every_number_per_category():
    wanted = CategoryMetrics(all_metrics_per_category=True)
    found = metrics_of_categories(wanted, LABELS, PER_CLASS)
    assert len(found) == 3 * 12
    assert found["DetectionBoxes_Precision/mAP ByCategory/car"] == 0.4
    assert found["DetectionBoxes_Precision/mAP (small) ByCategory/car"] is None
    # The twelfth: 0.4 + 11 / 100.
    assert found["DetectionBoxes_Recall/AR@100 (large) ByCategory/car"] == pytest.approx(0.51)


def test_a_super_category_is_the_mean_of_its_members_that_have_objects():
    wanted = CategoryMetrics(
        all_metrics_per_category=True,
        super_categories={
            "all": ("/m/01yrx", "car", "traffic light"),
            "street": ("traffic light",),
        },
    )
    found = metrics_of_categories(wanted, LABELS, PER_CLASS)
    # (0.2 + 0.4) / 2; the traffic light has none.
    assert found["DetectionBoxes_PerformanceBySuperCategory/all"] == pytest.approx(0.3)
    assert found["DetectionBoxes_Recall/AR@1 BySuperCategory/all"] == pytest.approx(0.36)
    assert found["DetectionBoxes_Precision/mAP (small) BySuperCategory/all"] is None
    assert found["DetectionBoxes_PerformanceBySuperCategory/street"] is None


def test_a_member_that_the_label_map_does_not_have():
    require_known(CategoryMetrics(super_categories={"a": ("cat", "/m/01yrx")}), LABELS)
    with pytest.raises(
        InputError,
        match=r"^eval_config\.super_categories: 'street' names 'bus', but the label map has .*car",
    ):
        require_known(CategoryMetrics(super_categories={"street": ("car", "bus")}), LABELS)
