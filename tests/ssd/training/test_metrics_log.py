"""metrics.jsonl over stops and resumes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ssd.training.metrics_log import MetricsLog


def log(path: Path, step: int, *lines: dict | str, **settings: Any) -> MetricsLog:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("".join(text + "\n" for text in texts))
    return MetricsLog(path, step, **settings)


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


def test_another_metric_decides(tmp_path):
    lines = [
        {"step": 10, "AP": 0.3, "AP50": 0.5},
        {"step": 20, "AP": 0.2, "AP50": 0.6},
        {"step": 30, "AP": 0.1, "AP50": 0.55},
    ]
    metrics = log(tmp_path / "metrics.jsonl", 30, *lines, metric="AP50")
    assert (metrics.best, metrics.since_best) == (0.6, 1)
    assert metrics.is_best({"AP": 0.0, "AP50": 0.61})
    assert not metrics.is_best({"AP": 0.9, "AP50": 0.6})
    assert not metrics.is_best({"AP": 0.9, "AP50": None})


def test_small_steps_are_no_progress(tmp_path):
    """0.25 is no more than 0.05 above 0.2, 0.27 is; best/ follows every rise all the same."""
    values = [0.2, 0.22, 0.25, 0.27, 0.31]
    lines = [{"step": n, "AP": value} for n, value in enumerate(values)]
    found = [
        log(tmp_path / "m", n, *lines[: n + 1], min_delta=0.05).since_best
        for n in range(len(lines))
    ]
    assert found == [0, 1, 2, 0, 1]
    assert log(tmp_path / "m", 1, *lines[:2], min_delta=0.05).is_best({"AP": 0.23})


def test_without_anything_found_the_newest_weights_are_kept(tmp_path):
    metrics = log(tmp_path / "m", 20, {"step": 10, "AP": None}, {"step": 20, "AP": 0.0})
    assert metrics.is_best({"AP": 0.0})
    assert metrics.is_best({"AP": None})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((), None),
        ((0.2, 0.5, 0.5, 0.1), 20),
        ((None, 0.3), 20),
        ((0.0, None, 0.0), 30),  # nothing found yet: the newest
    ],
)
def test_the_step_of_the_best_weights(tmp_path, values, expected):
    lines = [{"step": 10 * (n + 1), "AP": value} for n, value in enumerate(values)]
    assert log(tmp_path / "metrics.jsonl", 100, *lines).best_step == expected


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ((20,), False),
        ((), True),
        ((10,), True),
        ((40,), False),  # its own step comes again
        ((30,), True),  # came again, and is not the best this time
        ((10, 20), False),  # killed before the older one was deleted
    ],
)
def test_best_weights_that_are_gone(tmp_path, kept, expected):
    metrics = log(tmp_path / "metrics.jsonl", 30, {"step": 10, "AP": 0.2}, {"step": 20, "AP": 0.5})
    assert metrics.is_best_lost(kept, 30) is expected


def test_without_evaluations_nothing_is_gone(tmp_path):
    assert not MetricsLog(tmp_path / "metrics.jsonl", 0).is_best_lost((), 10)


def test_garbage_is_removed(tmp_path):
    """What a power cut may leave of a file."""
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(
        b'{"step": 10, "AP": 0.5}\n\x00\x00\xff\xfe\n12\n{"AP": 0.9}\n'
        b'{"step": 20, "AP": 0.4}\n{"ste'
    )
    metrics = MetricsLog(path, 20)
    assert [line["step"] for line in metrics.lines] == [10, 20]
    assert path.read_text() == '{"step": 10, "AP": 0.5}\n{"step": 20, "AP": 0.4}\n'
