"""Who the other workers are: the environment variable TF_CONFIG, checked.

    TF_CONFIG='{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]},
                "task": {"type": "worker", "index": 0}}'

Every worker gets the same cluster and its own index. A `chief` in the cluster counts as the worker
in front of the others. Nothing here needs TensorFlow.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ssd.errors import InputError

_VARIABLE = "TF_CONFIG"
_EXPECTED = (
    'expected {"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": "worker", "index": 0}}'
)
# In the order in which workers are numbered.
_JOBS = ("chief", "worker")


@dataclass(frozen=True)
class Cluster:
    """Workers that train one model together.

    Attributes:
      addresses: "HOST:PORT" of each, the chief first; two at least.
      index: which of them this process is.
      tasks: "worker 1" of each as TF_CONFIG counts them: (type, index).
    """

    addresses: tuple[str, ...]
    index: int
    tasks: tuple[tuple[str, int], ...]

    def worker_of_task(self, job: str, index: int) -> int | None:
        """Returns the number of the worker that TF_CONFIG calls `job` `index`; None for none."""
        return self.tasks.index((job, index)) if (job, index) in self.tasks else None

    def name(self, worker: int) -> str:
        """Returns "worker 1 (HOST:PORT)"."""
        return f"worker {worker} ({self.addresses[worker]})"


def from_environment(environment: Mapping[str, str] = os.environ) -> Cluster | None:
    """Returns the cluster that TF_CONFIG describes; None where it names one worker or none.

    Raises:
      InputError: TF_CONFIG is malformed, or has tasks that do not exist here.
    """
    text = environment.get(_VARIABLE, "").strip()
    if not text:
        return None
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{_VARIABLE}: no JSON ({error}); {_EXPECTED}") from None
    if not isinstance(content, dict):
        raise InputError(f"{_VARIABLE}: {text[:60]} is no JSON object; {_EXPECTED}")
    if not content.get("cluster"):  # as TensorFlow reads it: a process on its own
        return None
    return _cluster(content["cluster"], content.get("task"))


def _cluster(jobs: Any, task: Any) -> Cluster | None:
    if not isinstance(jobs, dict) or not isinstance(task, dict):
        wrong = "cluster" if not isinstance(jobs, dict) else "task"
        raise InputError(f"{_VARIABLE}: {wrong} is no JSON object; {_EXPECTED}")
    for job in [*jobs, task.get("type")]:
        _require_known(job)
    addresses: list[str] = []
    tasks: list[tuple[str, int]] = []
    for job in _JOBS:
        found = _addresses(job, jobs.get(job, []))
        addresses += found
        tasks += [(job, number) for number in range(len(found))]
    for address in addresses:
        if addresses.count(address) > 1:
            raise InputError(
                f"{_VARIABLE}: {address} is given {addresses.count(address)} times; every worker "
                "needs an address of its own"
            )
    job = task["type"]
    index: Any = task.get("index")
    if isinstance(index, str) and index.isdigit():  # some launchers quote it
        index = int(index)
    if (job, index) not in tasks or isinstance(index, bool):
        count = len(jobs.get(job, []))
        raise InputError(
            f"{_VARIABLE}: task.index is {index!r}; cluster.{job} has {count} "
            f"address{'' if count == 1 else 'es'}, so 0 to {count - 1} are allowed"
            if count
            else f"{_VARIABLE}: task.type is {job!r}, but cluster has no {job!r}; {_EXPECTED}"
        )
    if len(addresses) == 1:
        return None
    return Cluster(tuple(addresses), tasks.index((job, index)), tuple(tasks))


def _require_known(job: Any) -> None:
    if job in _JOBS:
        return
    if job == "ps":
        raise InputError(
            f"{_VARIABLE}: 'ps': there are no parameter servers here, all workers train in step; "
            "name worker tasks only"
        )
    if job == "evaluator":
        raise InputError(
            f"{_VARIABLE}: 'evaluator': worker 0 evaluates between its steps; name worker tasks "
            "only, and start no evaluator"
        )
    if job == "chief" or job is None:
        raise InputError(f"{_VARIABLE}: task.type is missing; {_EXPECTED}")
    raise InputError(f"{_VARIABLE}: unknown task type {job!r}; {_EXPECTED}")


def _addresses(job: str, found: Any) -> list[str]:
    if not isinstance(found, list):
        raise InputError(f"{_VARIABLE}: cluster.{job} is {found!r}, no list; {_EXPECTED}")
    if job == "chief" and len(found) > 1:
        raise InputError(f"{_VARIABLE}: cluster.chief has {len(found)} addresses; there is one")
    for number, address in enumerate(found):
        host, colon, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
        if not (host and colon and port.isdigit() and 0 < int(port) < 2**16):
            raise InputError(
                f"{_VARIABLE}: cluster.{job}[{number}] is {address!r}; expected HOST:PORT"
            )
    return found
