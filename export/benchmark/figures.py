"""Medians, p90, shares, and ratios to the first file: the object that `--json` prints."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from export.benchmark.graph import Operator
from export.benchmark.measurement import WARM_UP, Measured, Measurement

_P90 = 0.9
_QUARTILES = (0.25, 0.75)
# Figures of a file that are compared with the first file's.
_COMPARED = (
    *("bytes", "peak_bytes", "arena_bytes", "num_ops", "int8_op_share"),
    *("macs", "int8_mac_share"),
)


def report(
    measurement: Measurement, *, threads: Sequence[int], picture: str | None
) -> dict[str, Any]:
    """Returns the figures of all files, for JSON.

    Times are milliseconds, shares 0..1. None stands where there is nothing to tell: shares of
    nothing, times with threads that a file must not be run with, ratios to nothing.

    Args:
      measurement: of one run; ratios are to its first file.
      threads: that were asked for.
      picture: path of the picture that was the input, None for the built-in one.
    """
    files = measurement.files
    described = [_described(file, threads) for file in files]
    for file, facts in zip(files, described, strict=True):
        facts["ratios"] = {name: ratio(facts[name], described[0][name]) for name in _COMPARED} | {
            "latency": _latency_ratios(file, files[0], threads)
        }
    return {
        "litert": version("ai-edge-litert"),
        "cpus": os.cpu_count() or 1,
        "other_cpus": measurement.other_cpus,
        "picture": picture,
        "threads": list(threads),
        "rounds": len(files[0].rounds[1]),
        "runs": sum(len(part) for part in files[0].rounds[1]),
        "warm_up": WARM_UP,
        "files": described,
    }


def ratio(value: float | None, reference: float | None) -> float | None:
    """Returns value / reference; None without either, or over 0."""
    return value / reference if value is not None and reference else None


def _described(file: Measured, threads: Sequence[int]) -> dict[str, Any]:
    operators = file.graph.operators
    return {
        "file": file.path,
        "bytes": file.num_bytes,
        "peak_bytes": file.memory["peak_bytes"],
        "arena_bytes": file.memory["arena_bytes"],
        "inputs": file.memory["inputs"],
        "outputs": file.memory["outputs"],
        "num_ops": len(operators),
        "int8_op_share": ratio(sum(o.is_int8 for o in operators), len(operators)),
        **_arithmetic(operators),
        "custom_ops": dict(Counter(o.name for o in operators if o.is_custom)),
        "ops": op_counts(operators),
        "regular_nms": file.graph.has_regular_nms,
        "latency": {
            str(number): latency(file.rounds[number]) if number in file.rounds else None
            for number in threads
        },
    }


def op_counts(operators: Sequence[Operator]) -> dict[str, dict[str, int]]:
    """Returns op -> dtype -> how many, in the order of the alphabet."""
    counts = Counter((o.name, o.dtype) for o in operators)
    return {
        name: {dtype: counts[name, dtype] for _, dtype in sorted(k for k in counts if k[0] == name)}
        for name in sorted({o.name for o in operators})
    }


def latency(rounds: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Returns median and p90 of all runs, and the median of each round."""
    runs = np.concatenate([np.asarray(part) for part in rounds])
    return {
        "median_ms": float(np.median(runs)),
        "p90_ms": float(np.quantile(runs, _P90)),
        "round_medians_ms": [float(np.median(part)) for part in rounds],
    }


def latency_ratio(
    rounds: Sequence[Sequence[float]], reference: Sequence[Sequence[float]]
) -> dict[str, Any]:
    """Returns ratios of two files that were measured round by round.

    `median` and `p90` are medians, over the rounds, of the ratio of the two medians or p90 in one
    round; `quartiles` hold the middle half of the rounds' ratios of medians.
    """
    pairs = list(zip(rounds, reference, strict=True))
    medians = [float(np.median(part) / np.median(other)) for part, other in pairs]
    p90 = [float(np.quantile(part, _P90) / np.quantile(other, _P90)) for part, other in pairs]
    return {
        "median": float(np.median(medians)),
        "quartiles": [float(q) for q in np.quantile(medians, _QUARTILES)],
        "p90": float(np.median(p90)),
        "rounds": medians,
    }


def _latency_ratios(
    file: Measured, first: Measured, threads: Sequence[int]
) -> dict[str, dict[str, Any] | None]:
    return {
        str(number): latency_ratio(file.rounds[number], first.rounds[number])
        if number in file.rounds and number in first.rounds
        else None
        for number in threads
    }


def _arithmetic(operators: Sequence[Operator]) -> dict[str, Any]:
    """Multiply-accumulates in all, and the share of those in int8."""
    counts = [o.macs for o in operators]
    if None in counts:
        return {"macs": None, "int8_mac_share": None}
    total = sum(n or 0 for n in counts)
    return {
        "macs": total,
        "int8_mac_share": ratio(sum(o.macs or 0 for o in operators if o.is_int8), total),
    }
