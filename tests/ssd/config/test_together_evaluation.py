"""Settings of eval_config that do not fit together."""

from __future__ import annotations

import pytest

from ssd.config.messages import TrainEvalPipelineConfig
from ssd.config.text_reader import parse
from ssd.config.text_source import Source
from ssd.config.together_evaluation import problems

AT_RECALL = 'metrics_set: "precision_at_recall_detection_metrics"'


def found(text: str) -> list[tuple[str, str]]:
    config = TrainEvalPipelineConfig()
    parse(f"eval_config {{ {text} }}", config, Source("p.config"))
    return list(problems(config.eval_config))


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"{AT_RECALL} recall_lower_bound: 0.3 recall_upper_bound: 0.3",
        'super_categories { key: "vehicle" value: "car, truck" }',
    ],
)
def test_fits(text):
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "path", "why"),
    [
        (
            f"{AT_RECALL} recall_lower_bound: 0.6 recall_upper_bound: 0.2",
            "eval_config.recall_lower_bound",
            "0.6 is above recall_upper_bound 0.2.",
        ),
        (
            "recall_lower_bound: 0.6",
            "eval_config.recall_lower_bound",
            "0.6 has no effect: metrics_set does not list precision_at_recall_detection_metrics. "
            "Add it.",
        ),
        (
            'metrics_set: "pascal_voc_detection_metrics" recall_upper_bound: 0.5',
            "eval_config.recall_upper_bound",
            "0.5 has no effect: metrics_set does not list precision_at_recall_detection_metrics. "
            "Add it.",
        ),
        (
            'super_categories { key: "vehicle" value: " ," }',
            "eval_config.super_categories",
            "'vehicle' names no class; give their names, separated by commas.",
        ),
    ],
    ids=["upside down", "bound without its metrics", "other metrics", "empty super-category"],
)
def test_does_not_fit(text, path, why):
    assert found(text) == [(path, why)]
