"""metrics.jsonl over stops and resumes."""

from __future__ import annotations

import json
from pathlib import Path

from ssd.training.metrics_log import MetricsLog


def log(path: Path, step: int, *lines: dict | str) -> MetricsLog:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("".join(text + "\n" for text in texts))
    return MetricsLog(path, step)


def test_a_new_run_has_no_evaluations(tmp_path):
    metrics = MetricsLog(tmp_path / "metrics.jsonl", 0)
    assert (metrics.best, metrics.since_best, metrics.has(0)) == (None, 0, False)


def test_best_and_how_long_ago(tmp_path):
    metrics = log(
        tmp_path / "metrics.jsonl",
        40,
        {"step": 10, "AP": 0.2},
        {"step": 20, "AP": 0.5},
        {"step": 30, "AP": 0.5},
        {"step": 40, "AP": None},
    )
    assert metrics.best == 0.5
    assert metrics.since_best == 2  # a tie is no improvement
    assert metrics.has(40)
    assert not metrics.has(50)


def test_evaluations_after_the_restored_step_are_removed(tmp_path):
    path = tmp_path / "metrics.jsonl"
    metrics = log(path, 15, {"step": 10, "AP": 0.2}, {"step": 20, "AP": 0.9})
    assert metrics.best == 0.2
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [10]


def test_a_line_that_was_cut_off_is_removed(tmp_path):
    path = tmp_path / "metrics.jsonl"
    metrics = log(path, 30, {"step": 10, "AP": 0.2}, '{"step": 20, "A')
    metrics.append({"step": 20, "AP": 0.3})
    assert [json.loads(line)["AP"] for line in path.read_text().splitlines()] == [0.2, 0.3]
    assert metrics.best == 0.3
