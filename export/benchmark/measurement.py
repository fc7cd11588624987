"""The workers of a benchmark, file after file in rounds, each in a process of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from export.benchmark import graph, input_data, machine, worker
from export.benchmark.graph import Graph
from ssd import tflite_file
from ssd.errors import InputError

WARM_UP = 3
# Runs of one turn, and how many rounds there are at least where there are runs enough.
_RUNS_PER_ROUND, _MIN_ROUNDS = 10, 10
# How LiteRT says that it does not have an op, or not in this version.
_LACKING = re.compile(
    r"unresolved custom op: ([^\s.]+)"
    r"|opcode '(\w+)' version '(\d+)'"
    r"|Select TensorFlow op.*\((\w+)\) failed to prepare"
)


@dataclass(frozen=True)
class Measured:
    """One file.

    Attributes:
      path: as it was given.
      num_bytes: its size.
      graph: what its FlatBuffer says.
      memory: the answer of `worker.memory`.
      rounds: number of threads -> milliseconds of every run, round by round; a number of threads
        that the file must not be run with is not there.
    """

    path: str
    num_bytes: int
    graph: Graph
    memory: dict[str, Any]
    rounds: dict[int, list[list[float]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Measurement:
    """Files that were measured side by side.

    Attributes:
      files: in the order of their ratios.
      other_cpus: that other processes had meanwhile, on average; None where unknown.
    """

    files: tuple[Measured, ...]
    other_cpus: float | None = None


def rounds_of(runs: int) -> list[int]:
    """Returns how many runs of a file and number of threads each round holds; in all `runs`.

    Example:
      >>> rounds_of(23), rounds_of(2), len(rounds_of(300))
      ([3, 3, 3, 2, 2, 2, 2, 2, 2, 2], [1, 1], 30)
    """
    num_rounds = min(runs, max(_MIN_ROUNDS, runs // _RUNS_PER_ROUND))
    return [runs // num_rounds + (n < runs % num_rounds) for n in range(num_rounds)]


def measure(
    paths: Sequence[str], *, threads: Sequence[int], runs: int, image: np.ndarray | None = None
) -> Measurement:
    """Returns the files in their order, measured side by side.

    A round takes one number of threads after the other, and for each of them every file once: what
    slows the machine down for a while slows down all of them. Every turn is a new process, as where
    its memory happens to lie makes a process faster or slower than the next by percents.

    Args:
      paths: .tflite files; one that comes twice shows the noise.
      threads: of the interpreter; files with regular NMS are run with 1 only.
      runs: of every file and number of threads, in all rounds together.
      image: as for `input_data.of`.

    Raises:
      InputError: a file is none, or not one that LiteRT runs; found before anything is timed.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        prepared = [
            _prepared(path, threads, image, Path(folder) / str(n)) for n, path in enumerate(paths)
        ]
        with machine.watched() as others:
            _time(prepared, threads, rounds_of(runs))
    return Measurement(tuple(file for file, _ in prepared), others.cpus)


def _prepared(
    path: str, threads: Sequence[int], image: np.ndarray | None, folder: Path
) -> tuple[Measured, list[str]]:
    """The file with everything but times, and its inputs, stored in `folder`."""
    described, facts = tflite_file.read(path), graph.read(path)
    folder.mkdir()
    inputs = [folder / f"{n}.npy" for n in range(len(facts.inputs))]
    arrays = input_data.of(path, facts.inputs, described, image)
    for stored, values in zip(inputs, arrays, strict=True):
        np.save(stored, values)
    names = [str(stored) for stored in inputs]
    memory = _answer("memory", path, names, warm_up=WARM_UP, constants=list(facts.constants))
    allowed = [n for n in threads if n == 1 or not facts.has_regular_nms]
    size = Path(path).stat().st_size
    return Measured(path, size, facts, memory, {n: [] for n in allowed}), names


def _time(
    prepared: Sequence[tuple[Measured, list[str]]],
    threads: Sequence[int],
    rounds: Sequence[int],
) -> None:
    """Fills the `rounds` of each file."""
    turns = [
        (runs, number, file, inputs)
        for runs in rounds
        for number in threads
        for file, inputs in prepared
        if number in file.rounds
    ]
    # disable=None: no bar where nobody watches.
    for runs, number, file, inputs in tqdm(turns, desc="measuring", leave=False, disable=None):
        answer = _answer("latencies", file.path, inputs, threads=number, warm_up=WARM_UP, runs=runs)
        file.rounds[number].append(answer["ms"])


def _answer(task: str, path: str, inputs: list[str], **job: Any) -> dict[str, Any]:
    """What the worker answers.

    Raises:
      InputError: LiteRT refused the file, or the process died over it.
    """
    job |= {"task": task, "path": path, "inputs": inputs}
    done = subprocess.run(
        [sys.executable, worker.__file__],
        check=False,
        input=json.dumps(job),
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode < 0:
        raise InputError(
            f"{path}: signal {-done.returncode} ended the process that ran it; the file is "
            "damaged, or too large for the memory here"
        )
    if done.returncode:
        raise RuntimeError(f"{path}: the worker failed:\n{done.stderr}")
    answer: dict[str, Any] = json.loads(done.stdout)
    if "refused" in answer:
        raise InputError(f"{path}: {_why_refused(answer['refused'])}")
    return answer


def _why_refused(reason: str) -> str:
    """What LiteRT's own words come to."""
    lacking = next(iter(_LACKING.findall(reason)), None)
    if lacking is None:
        return f"LiteRT cannot run it ({reason})"
    op = " version ".join(filter(None, lacking))
    return f"LiteRT has no op {op}, so it cannot be measured here; convert it without that op"
