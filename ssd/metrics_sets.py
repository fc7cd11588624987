"""Everything an evaluation measures: COCO's numbers, and what eval_config asks for beside them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from ssd.coco_categories import NO_CATEGORIES, CategoryMetrics
from ssd.coco_metrics import CocoMetrics, format_table
from ssd.errors import InputError
from ssd.label_map import LabelMap
from ssd.voc_metrics import PASCAL_VOC, PRECISION_AT_RECALL, PREFIXES, VocMetrics

COCO = "coco_detection_metrics"


@dataclass(frozen=True)
class MetricsSettings:
    """What to measure.

    Attributes:
      metrics_set: names of `eval_config.metrics_set`; COCO's numbers are computed in any case.
      categories: COCO's numbers by category.
      recall_bounds: for precision_at_recall_detection_metrics.
    """

    metrics_set: tuple[str, ...] = ()
    categories: CategoryMetrics = NO_CATEGORIES
    recall_bounds: tuple[float, float] = (0.0, 1.0)

    @classmethod
    def from_config(cls, eval_config: Any) -> MetricsSettings:
        """Returns what an EvalConfig message asks for."""
        return cls(
            metrics_set=tuple(eval_config.metrics_set),
            categories=CategoryMetrics(
                include_metrics_per_category=eval_config.include_metrics_per_category,
                all_metrics_per_category=eval_config.all_metrics_per_category,
                super_categories={
                    name: members_of(text)
                    for name, text in sorted(eval_config.super_categories.items())
                },
            ),
            recall_bounds=(eval_config.recall_lower_bound, eval_config.recall_upper_bound),
        )

    def with_pascal_voc(self) -> MetricsSettings:
        """Returns the same settings with the Pascal VOC metrics among the others."""
        return MetricsSettings((*self.metrics_set, PASCAL_VOC), self.categories, self.recall_bounds)


ONLY_COCO = MetricsSettings()


def members_of(text: str) -> tuple[str, ...]:
    """Returns the classes of a super-category, which eval_config separates by commas.

    Example:
      >>> members_of("car, traffic light,")
      ('car', 'traffic light')
    """
    return tuple(name for part in text.split(",") if (name := part.strip()))


class DetectionMetrics:
    """Collects images one by one; `summarize` scores all of them.

    Raises:
      InputError: a set of metrics is unknown, or a super-category names a class that the label map
        does not have.
    """

    def __init__(self, label_map: LabelMap, settings: MetricsSettings = ONLY_COCO) -> None:
        self.coco = CocoMetrics(label_map, settings.categories)
        # Two names of one set are computed once.
        self._others = {
            PREFIXES[name]: VocMetrics(
                name,
                label_map,
                recall_bounds=(
                    settings.recall_bounds if name == PRECISION_AT_RECALL else (0.0, 1.0)
                ),
            )
            for name in _known(settings.metrics_set)
        }

    def add(
        self,
        *,
        source_id: str,
        image_size: tuple[int, int],
        groundtruth_is_crowd: ArrayLike | None = None,
        groundtruth_area: ArrayLike | None = None,
        **arrays: Any,
    ) -> None:
        """Adds one image; takes what `CocoMetrics.add` takes, difficult and group_of included."""
        self.coco.add(
            source_id=source_id,
            image_size=image_size,
            groundtruth_is_crowd=groundtruth_is_crowd,
            groundtruth_area=groundtruth_area,
            **arrays,
        )
        for other in self._others.values():
            other.add(**arrays)

    def summarize(self) -> dict[str, Any]:
        """Returns `CocoMetrics.summarize`, then the other sets under the original's names."""
        summary = self.coco.summarize()
        for other in self._others.values():
            summary |= other.summarize()
        return summary


def format_metrics(summary: dict[str, Any]) -> str:
    """Returns a summary as plain text for a screen.

    COCO's table comes first, then the means of other sets and of super-categories; what concerns
    one class is left to files.
    """
    others = {
        name: value for name, value in summary.items() if "/" in name and "ByCategory/" not in name
    }
    rows = [
        f"{'n/a   ' if value is None else f'{value:.4f}'}  {name}" for name, value in others.items()
    ]
    return "\n".join([format_table(summary), *([""] if rows else []), *rows])


def _known(metrics_set: Iterable[str]) -> list[str]:
    """The sets beside COCO's; InputError for one that is not known."""
    for name in metrics_set:
        if name != COCO and name not in PREFIXES:
            raise InputError(
                f"eval_config.metrics_set: {name!r} is not supported; supported: "
                f"{', '.join([COCO, *PREFIXES])}."
            )
    return [name for name in metrics_set if name != COCO]
