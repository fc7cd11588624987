"""COCO numbers by category and by super-category, under the original's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ssd.coco_evaluation import CocoNumbers
from ssd.errors import InputError
from ssd.label_map import LabelMap
from ssd.metric_names import COCO_NAMES, class_names

_PREFIX = "DetectionBoxes_"


@dataclass(frozen=True)
class CategoryMetrics:
    """Which of these numbers are wanted; the names are those of eval_config.

    Attributes:
      include_metrics_per_category: the AP of every class.
      all_metrics_per_category: all 12 numbers of every class and super-category.
      super_categories: name -> its classes, by name or display name; the numbers of a
        super-category are the means over those of its classes that have groundtruth.
    """

    include_metrics_per_category: bool = False
    all_metrics_per_category: bool = False
    super_categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


NO_CATEGORIES = CategoryMetrics()


def require_known(wanted: CategoryMetrics, label_map: LabelMap) -> None:
    """Raises InputError where a super-category names a class that the label map does not have."""
    for name, members in wanted.super_categories.items():
        for member in members:
            if member not in label_map.id_of:
                raise InputError(
                    f"eval_config.super_categories: {name!r} names {member!r}, but the label map "
                    f"has {', '.join(label_map.id_of)}; leave out or rename it."
                )


def metrics_of_categories(
    wanted: CategoryMetrics, label_map: LabelMap, per_class: Mapping[int, CocoNumbers]
) -> CocoNumbers:
    """Returns the original's name -> fraction, or None where there is nothing to measure.

    Args:
      wanted: names only classes of `label_map`; see `require_known`.
      label_map: names the classes.
      per_class: class id -> its 12 numbers.
    """
    found: CocoNumbers = {}
    for class_id, name in class_names(label_map).items():
        if wanted.include_metrics_per_category:
            found[f"{_PREFIX}PerformanceByCategory/mAP/{name}"] = per_class[class_id]["AP"]
        if wanted.all_metrics_per_category:
            found |= _every_number("ByCategory", name, per_class[class_id])
    for name, members in wanted.super_categories.items():
        means = _means([per_class[label_map.id_of[member]] for member in members])
        found[f"{_PREFIX}PerformanceBySuperCategory/{name}"] = means["AP"]
        if wanted.all_metrics_per_category:
            found |= _every_number("BySuperCategory", name, means)
    return found


def _every_number(kind: str, name: str, numbers: CocoNumbers) -> CocoNumbers:
    return {f"{_PREFIX}{COCO_NAMES[key]} {kind}/{name}": value for key, value in numbers.items()}


def _means(members: list[CocoNumbers]) -> CocoNumbers:
    means: CocoNumbers = {}
    for name in COCO_NAMES:
        values = [value for numbers in members if (value := numbers[name]) is not None]
        means[name] = sum(values) / len(values) if values else None
    return means
