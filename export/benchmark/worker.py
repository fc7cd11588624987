"""Runs one .tflite in a process of its own: JSON of the job comes in, JSON of the answer goes out.

Imports LiteRT and NumPy only, so that memory and start are those of an app that runs the file.
"""

from __future__ import annotations

import gc
import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

_STATUS = Path("/proc/self/status")
_KIB = 1024
_MILLISECONDS = 1e3


def latencies(
    path: str, inputs: Sequence[str], threads: int, warm_up: int, runs: int
) -> dict[str, Any]:
    """Returns {"ms": one figure for each run}, the runs of the warm-up left out.

    Args:
      path: of the .tflite.
      inputs: .npy files, one for each input.
      threads: of the interpreter.
      warm_up: runs before the first that counts.
      runs: that count.
    """
    interpreter = _interpreter(path, _loaded(inputs), threads)
    for _ in range(warm_up):
        interpreter.invoke()
    gc.disable()
    milliseconds = []
    for _ in range(runs):
        begin = time.perf_counter()
        interpreter.invoke()
        milliseconds.append((time.perf_counter() - begin) * _MILLISECONDS)
    return {"ms": milliseconds}


def memory(
    path: str, inputs: Sequence[str], warm_up: int, constants: Sequence[int]
) -> dict[str, Any]:
    """Returns what the file takes with one thread, and its inputs and outputs once it has run.

    `peak_bytes`: what the process grew by at most over what it was before the file; None where
    the system does not say. `arena_bytes`: of all tensors that are no constants, as LiteRT places
    them without XNNPACK; None where it cannot.

    Args:
      path, inputs, warm_up: as for `latencies`.
      constants: indices of tensors whose values are in the file.
    """
    values = _loaded(inputs)
    before = _resident()
    interpreter = _interpreter(path, values, 1)
    for _ in range(max(warm_up, 1)):
        interpreter.invoke()
    after = _resident()
    described = {
        side: [
            {"name": d["name"], "shape": d["shape"].tolist(), "dtype": np.dtype(d["dtype"]).name}
            for d in details
        ]
        for side, details in (
            ("inputs", interpreter.get_input_details()),
            ("outputs", interpreter.get_output_details()),
        )
    }
    del interpreter
    return {
        "peak_bytes": growth(before, after),
        "arena_bytes": _arena(path, values, frozenset(constants)),
        **described,
    }


def growth(before: tuple[int, int] | None, after: tuple[int, int] | None) -> int | None:
    """Returns by how many bytes the process grew at most.

    Args:
      before, after: (bytes now, bytes at the peak since it began). A peak that is still the one of
        the imports says nothing; then what is there now counts.

    Example: 100 now and 110 once; a peak of 140, then none above 110.
      >>> growth((100, 110), (130, 140)), growth((100, 110), (105, 110))
      (40, 5)
    """
    if before is None or after is None:
        return None
    return (after[1] if after[1] > before[1] else after[0]) - before[0]


def covered(intervals: Sequence[tuple[int, int]]) -> int:
    """Returns how many bytes lie in any of the (begin, end).

    Example: 10 to 20 in two overlapping pieces, and 30 to 34.
      >>> covered([(30, 34), (10, 16), (12, 20), (13, 14)])
      14
    """
    total = reached = 0
    for begin, end in sorted(intervals):
        total += max(end - max(begin, reached), 0)
        reached = max(reached, end)
    return total


def _resident() -> tuple[int, int] | None:
    try:
        found = dict(re.findall(r"(VmRSS|VmHWM):\s+(\d+) kB", _STATUS.read_text()))
    except OSError:
        return None
    return (int(found["VmRSS"]) * _KIB, int(found["VmHWM"]) * _KIB) if len(found) == 2 else None


def _arena(path: str, values: Sequence[np.ndarray], constants: frozenset[int]) -> int | None:
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        interpreter = _interpreter(path, values, 1, experimental_op_resolver_type=plain)
        interpreter.invoke()
    except (ValueError, RuntimeError):
        return None
    intervals = []
    # Those of the file, and behind them what kernels ask for themselves.
    for detail in interpreter.get_tensor_details():
        if detail["index"] not in constants:
            try:
                tensor = interpreter.tensor(detail["index"])()
            except ValueError:  # has no place: nothing reads it
                continue
            # A single number comes as a copy, from where says nothing.
            if isinstance(tensor, np.ndarray):
                begin = tensor.__array_interface__["data"][0]
                intervals.append((begin, begin + tensor.nbytes))
    return covered(intervals)


def _interpreter(
    path: str, values: Sequence[np.ndarray], threads: int, **options: Any
) -> Interpreter:
    interpreter = Interpreter(model_path=path, num_threads=threads, **options)
    interpreter.allocate_tensors()
    for detail, value in zip(interpreter.get_input_details(), values, strict=True):
        interpreter.set_tensor(detail["index"], value)
    return interpreter


def _loaded(inputs: Sequence[str]) -> list[np.ndarray]:
    return [np.load(path) for path in inputs]


_TASKS: dict[str, Callable[..., dict[str, Any]]] = {"latencies": latencies, "memory": memory}


def main() -> None:
    """Prints the answer, or {"refused": why} where LiteRT does not run the file."""
    job = json.load(sys.stdin)
    try:
        answer = _TASKS[job.pop("task")](**job)
    except (ValueError, RuntimeError) as error:
        answer = {"refused": " ".join(str(error).split())}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
