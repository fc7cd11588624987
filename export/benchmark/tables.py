"""The figures of a benchmark as plain text for a screen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_MIB, _MILLION = 2**20, 1e6
_NONE = "n/a"
_DIGITS = 3
_IDLE_CPUS = 0.25  # what a machine does by itself
_NEEDS_ONE_THREAD = "needs 1 thread"

Rows = list[list[str]]


def text(report: dict[str, Any]) -> str:
    """Returns the tables of what `figures.report` gives."""
    names = _labels([facts["file"] for facts in report["files"]])
    parts = [
        _heading(report),
        *(_latency(report, names, number) for number in map(str, report["threads"])),
        _sizes(report, names),
        _arithmetic(report, names),
        _operators(report, names),
        _tensors(report, names),
        *_notes(report),
    ]
    return "\n\n".join(parts)


def aligned(rows: Rows, left: int = 1) -> str:
    """Returns rows as lines, columns under one another, the first `left` of them to the left."""
    width = max(len(row) for row in rows)
    rows = [row + [""] * (width - len(row)) for row in rows]
    widths = [max(len(row[n]) for row in rows) for n in range(width)]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if n < left else cell.rjust(w)
            for n, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _heading(report: dict[str, Any]) -> str:
    files, rounds = _count(len(report["files"]), "file"), _count(report["rounds"], "round")
    picture, others = report["picture"] or "built in", report["other_cpus"]
    busy = "" if others is None else f", {others:.1f} busy with other work"
    return (
        f"{files}, {rounds}: in each every file once, in a new process; "
        f"{_count(report['runs'], 'timed run')} of each.\n"
        f"ai-edge-litert {report['litert']}, {_count(report['cpus'], 'CPU')}{busy}; "
        f"picture: {picture}.\n"
        "Ratios are to [1]; those of times are medians over the rounds, with their middle half."
    )


def _latency(report: dict[str, Any], names: Sequence[str], number: str) -> str:
    rows = [
        [
            f"ms with {_count(int(number), 'thread')}",
            *("median", "ratio", "middle half", "p90", "ratio", "medians of rounds"),
        ]
    ]
    for name, facts in zip(names, report["files"], strict=True):
        times, ratios = facts["latency"][number], facts["ratios"]["latency"][number]
        if times is None:
            rows.append([name, *[_NONE] * 5, _NEEDS_ONE_THREAD])
            continue
        medians = times["round_medians_ms"]
        rows.append(
            [
                name,
                _figure(times["median_ms"]),
                _ratio(ratios and ratios["median"]),
                "..".join(f"{q:.2f}" for q in ratios["quartiles"]) if ratios else _NONE,
                _figure(times["p90_ms"]),
                _ratio(ratios and ratios["p90"]),
                f"{_figure(min(medians))}..{_figure(max(medians))}",
            ]
        )
    return aligned(rows)


def _sizes(report: dict[str, Any], names: Sequence[str]) -> str:
    rows = [["size", "bytes", "ratio", "peak memory", "ratio", "arena", "ratio"]]
    for name, facts in zip(names, report["files"], strict=True):
        ratios = facts["ratios"]
        rows.append([name, f"{facts['bytes']:,}", _ratio(ratios["bytes"])])
        for key in ("peak_bytes", "arena_bytes"):
            rows[-1] += [_scaled(facts[key], _MIB, " MB"), _ratio(ratios[key])]
    return aligned(rows)


def _arithmetic(report: dict[str, Any], names: Sequence[str]) -> str:
    rows = [
        ["arithmetic", "ops", "ratio", "in int8", "million MACs", "ratio", "in int8", "custom ops"]
    ]
    for name, facts in zip(names, report["files"], strict=True):
        ratios = facts["ratios"]
        custom = ", ".join(f"{n} {op}" for op, n in facts["custom_ops"].items())
        rows.append(
            [
                name,
                str(facts["num_ops"]),
                _ratio(ratios["num_ops"]),
                _percent(facts["int8_op_share"]),
                _scaled(facts["macs"], _MILLION, ""),
                _ratio(ratios["macs"]),
                _percent(facts["int8_mac_share"]),
                custom or "none",
            ]
        )
    return aligned(rows)


def _operators(report: dict[str, Any], names: Sequence[str]) -> str:
    counts = [
        {(op, dtype): n for op, by_dtype in facts["ops"].items() for dtype, n in by_dtype.items()}
        for facts in report["files"]
    ]
    rows = [["ops by type", "dtype", *(f"[{n}]" for n in range(1, len(names) + 1))]]
    for op, dtype in sorted(set().union(*counts)):
        rows.append([op, dtype, *(str(found.get((op, dtype), 0)) for found in counts)])
    return aligned(rows, left=2)


def _tensors(report: dict[str, Any], names: Sequence[str]) -> str:
    rows = [["inputs and outputs", "", "name", "dtype", "shape"]]
    for name, facts in zip(names, report["files"], strict=True):
        for side in ("inputs", "outputs"):
            for tensor in facts[side]:
                rows.append(
                    [name, side[:-1], tensor["name"], tensor["dtype"], str(tensor["shape"])]
                )
                name = ""
    return aligned(rows, left=5)


def _notes(report: dict[str, Any]) -> list[str]:
    """What must be known of the figures above; nothing where all is plain."""
    notes = []
    slow = [n for n, facts in enumerate(report["files"], 1) if None in facts["latency"].values()]
    if slow:
        listed = ", ".join(f"[{n}]" for n in slow)
        notes.append(
            f"{listed}: needs num_threads=1. With n threads regular NMS never finds class n, "
            "counted from 0\n(tensorflow/tensorflow#56058)."
        )
    threads, cpus, others = max(report["threads"]), report["cpus"], report["other_cpus"] or 0.0
    if threads > cpus:
        notes.append(f"{threads} threads share {_count(cpus, 'CPU')} here.")
    if threads + others > cpus + _IDLE_CPUS and others > _IDLE_CPUS:
        notes.append(
            f"Other work kept {others:.1f} of {cpus} CPUs busy: times are longer than on a quiet\n"
            "machine, and ratios less certain. Come back later, or give more --runs."
        )
    return notes


def _labels(paths: Sequence[str]) -> list[str]:
    """Numbered names, short where that leaves them apart."""
    short = [Path(path).name for path in paths]
    are_apart = len(set(short)) == len(set(paths))
    return [f"[{n}] {name}" for n, name in enumerate(short if are_apart else paths, 1)]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _ratio(value: float | None) -> str:
    return _NONE if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return _NONE if value is None else f"{100 * value:.1f}%"


def _scaled(value: float | None, unit: float, suffix: str) -> str:
    return _NONE if value is None else _figure(value / unit) + suffix


def _figure(value: float) -> str:
    """Three digits that count."""
    decimals = _DIGITS - 1 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{value:.{max(decimals, 0)}f}"
