"""Settings of evaluation that are fine one by one but not together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ssd.config.rules import Problem, show

_WITH_RECALL_BOUNDS = "precision_at_recall_detection_metrics"


def problems(eval_config: Any) -> Iterator[Problem]:
    """Yields what does not fit together in an EvalConfig."""
    low, high = eval_config.recall_lower_bound, eval_config.recall_upper_bound
    if low > high:
        yield (
            "eval_config.recall_lower_bound",
            f"{show(low)} is above recall_upper_bound {show(high)}.",
        )
    for name, default in (("recall_lower_bound", 0.0), ("recall_upper_bound", 1.0)):
        value = getattr(eval_config, name)
        if value != default and _WITH_RECALL_BOUNDS not in eval_config.metrics_set:
            yield (
                f"eval_config.{name}",
                f"{show(value)} has no effect: metrics_set does not list {_WITH_RECALL_BOUNDS}. "
                "Add it.",
            )
    for name, members in sorted(eval_config.super_categories.items()):
        if not members.replace(",", "").strip():
            yield (
                "eval_config.super_categories",
                f"{name!r} names no class; give their names, separated by commas.",
            )
