from __future__ import annotations

import json

import pytest

from ssd.errors import InputError
from ssd.training.cluster import Cluster, from_environment

A, B, C = "10.0.0.7:2222", "10.0.0.8:2223", "node-3.local:80"


def read(cluster: object, task: object) -> Cluster | None:
    return from_environment({"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})})


def test_workers_are_numbered_in_their_order():
    found = read({"worker": [A, B, C]}, {"type": "worker", "index": 2})
    assert found == Cluster((A, B, C), 2, (("worker", 0), ("worker", 1), ("worker", 2)))
    assert found.name(1) == f"worker 1 ({B})"
    assert found.worker_of_task("worker", 1) == 1
    assert found.worker_of_task("chief", 0) is None


def test_a_chief_goes_first():
    jobs = {"worker": [B, C], "chief": [A]}
    assert read(jobs, {"type": "chief", "index": 0}).index == 0
    last = read(jobs, {"type": "worker", "index": "1"})
    assert (last.addresses, last.index) == ((A, B, C), 2)
    assert last.worker_of_task("worker", 1) == 2


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"TF_CONFIG": " "},
        {"TF_CONFIG": "{}"},
        {"TF_CONFIG": '{"task": {"type": "worker", "index": 0}}'},
        {"TF_CONFIG": '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}'},
    ],
    ids=["not set", "blank", "empty", "no cluster", "one worker"],
)
def test_a_process_on_its_own(environment):
    assert from_environment(environment) is None


WORKERS = {"worker": [A, B]}
FIRST = {"type": "worker", "index": 0}


@pytest.mark.parametrize(
    ("cluster", "task", "message"),
    [
        pytest.param([A], FIRST, r"cluster is no JSON object; expected \{.cluster", id="list"),
        pytest.param(WORKERS, None, "task is no JSON object; expected", id="no task"),
        pytest.param(
            {**WORKERS, "ps": [C]}, FIRST, "'ps': there are no parameter servers here", id="ps"
        ),
        pytest.param(
            WORKERS, {"type": "ps", "index": 0}, "'ps': there are no parameter", id="is ps"
        ),
        pytest.param(
            WORKERS,
            {"type": "evaluator", "index": 0},
            "'evaluator': worker 0 evaluates between its steps; name worker tasks only",
            id="evaluator",
        ),
        pytest.param(
            WORKERS, {"type": "wroker", "index": 0}, "unknown task type 'wroker'", id="misspelt"
        ),
        pytest.param(WORKERS, {"index": 0}, "task.type is missing", id="no type"),
        pytest.param(
            WORKERS,
            {"type": "worker", "index": 2},
            "task.index is 2; cluster.worker has 2 addresses, so 0 to 1 are allowed",
            id="index too high",
        ),
        pytest.param(WORKERS, {"type": "worker"}, "task.index is None; cluster", id="no index"),
        pytest.param(
            WORKERS, {"type": "worker", "index": True}, "task.index is True", id="index no number"
        ),
        pytest.param(
            WORKERS,
            {"type": "chief", "index": 0},
            "task.type is 'chief', but cluster has no 'chief'",
            id="no such job",
        ),
        pytest.param(
            {"worker": A}, FIRST, f"cluster.worker is '{A}', no list", id="address is no list"
        ),
        pytest.param(
            {"worker": [A, "10.0.0.8"]},
            FIRST,
            r"cluster.worker\[1\] is '10.0.0.8'; expected HOST:PORT",
            id="no port",
        ),
        pytest.param(
            {"worker": [A, "b:70000"]},
            FIRST,
            r"cluster.worker\[1\] is 'b:70000'; expected",
            id="port too high",
        ),
        pytest.param({"worker": [A, 7]}, FIRST, r"cluster.worker\[1\] is 7; expected", id="number"),
        pytest.param({"worker": [A, A]}, FIRST, f"{A} is given 2 times", id="same address"),
        pytest.param(
            {"worker": [A], "chief": [B, C]}, FIRST, "cluster.chief has 2 addresses", id="2 chiefs"
        ),
    ],
)
def test_wrong_clusters(cluster, task, message):
    with pytest.raises(InputError, match=f"^TF_CONFIG: {message}") as caught:
        read(cluster, task)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"cluster": ', r"no JSON \(Expecting value: line 1 column 12 .*\); expected \{"),
        ("[1, 2]", r"\[1, 2\] is no JSON object; expected \{"),
    ],
)
def test_no_json(text, message):
    with pytest.raises(InputError, match=f"^TF_CONFIG: {message}"):
        from_environment({"TF_CONFIG": text})
