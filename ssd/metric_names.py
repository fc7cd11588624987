"""What metrics are called: the classes in them, and COCO's 12 numbers in the original's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssd.label_map import LabelMap

# Ours, in COCO's order -> the original's, without its prefix `DetectionBoxes_`.
COCO_NAMES = {
    "AP": "Precision/mAP",
    "AP50": "Precision/mAP@.50IOU",
    "AP75": "Precision/mAP@.75IOU",
    "APs": "Precision/mAP (small)",
    "APm": "Precision/mAP (medium)",
    "APl": "Precision/mAP (large)",
    "AR1": "Recall/AR@1",
    "AR10": "Recall/AR@10",
    "AR100": "Recall/AR@100",
    "ARs": "Recall/AR@100 (small)",
    "ARm": "Recall/AR@100 (medium)",
    "ARl": "Recall/AR@100 (large)",
}


def class_names(label_map: LabelMap) -> dict[int, str]:
    """Returns class id -> what people call the class, in the order of the ids.

    Where people call two classes the same, both have the name that stands in the records, which
    is never shared.
    """
    shown = [label_map.name_of(item.id) for item in label_map.items]
    return {
        item.id: name if shown.count(name) == 1 else item.name
        for item, name in zip(label_map.items, shown, strict=True)
    }
