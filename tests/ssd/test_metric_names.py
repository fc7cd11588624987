from __future__ import annotations

from ssd.label_map import LabelMap, LabelMapItem
from ssd.metric_names import COCO_NAMES, class_names


def test_numbers_in_the_order_of_coco():
    assert " ".join(COCO_NAMES) == "AP AP50 AP75 APs APm APl AR1 AR10 AR100 ARs ARm ARl"


def test_classes_are_named_as_people_call_them_unless_that_is_ambiguous():
    items = (
        LabelMapItem(1, "/m/01yrx", "Cat"),
        LabelMapItem(2, "/m/0bt9lr", "Pet"),
        LabelMapItem(5, "/m/015p6", "Pet"),
    )
    assert class_names(LabelMap(items)) == {1: "Cat", 2: "/m/0bt9lr", 5: "/m/015p6"}
