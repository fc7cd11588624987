from __future__ import annotations

import pytest

from export.benchmark import tables


def latency(median: float) -> dict:
    return {"median_ms": median, "p90_ms": 1.5 * median, "round_medians_ms": [1.25, median, 60.0]}


def latency_ratio(median: float) -> dict:
    return {"median": median, "p90": 1.25, "quartiles": [0.5, 0.75], "rounds": []}


def facts(name: str, **changes) -> dict:
    ratios = dict.fromkeys(("bytes", "peak_bytes", "arena_bytes", "num_ops", "macs"), 1.0)
    return {
        "file": name,
        "bytes": 4178307,
        "peak_bytes": 26 * 2**20,
        "arena_bytes": 2**16,
        "inputs": [{"name": "image", "shape": [1, 6, 10, 3], "dtype": "uint8"}],
        "outputs": [{"name": "boxes", "shape": [1, 5, 4], "dtype": "float32"}],
        "num_ops": 5,
        "int8_op_share": 0.4,
        "macs": 254_016_768,
        "int8_mac_share": 0.999,
        "custom_ops": {"Mine": 2},
        "ops": {"CONV_2D": {"int8": 2}},
        "latency": {"1": latency(8.421), "2": latency(123.4)},
        "ratios": ratios | {"latency": {"1": latency_ratio(1.0), "2": latency_ratio(0.654)}},
    } | changes


SLOW = facts(
    "exports/slow.tflite",
    peak_bytes=None,
    arena_bytes=None,
    custom_ops={},
    macs=None,
    int8_mac_share=None,
    ops={"ADD": {"int8": 1}, "CONV_2D": {"float32": 1, "int8": 3}},
    latency={"1": latency(0.00432), "2": None},
    ratios={
        **dict.fromkeys(("bytes", "peak_bytes", "arena_bytes", "num_ops", "macs")),
        "latency": {"1": latency_ratio(0.654), "2": None},
    },
)


def report(*files: dict, **changes) -> dict:
    return {
        "litert": "2.3.0",
        "cpus": 2,
        "other_cpus": 0.1,
        "picture": None,
        "threads": [1, 2],
        "rounds": 10,
        "runs": 100,
        "warm_up": 3,
        "files": list(files),
    } | changes


EXPECTED = """\
2 files, 10 rounds: in each every file once, in a new process; 100 timed runs of each.
ai-edge-litert 2.3.0, 2 CPUs, 0.1 busy with other work; picture: built in.
Ratios are to [1]; those of times are medians over the rounds, with their middle half.

ms with 1 thread   median  ratio  middle half      p90  ratio  medians of rounds
[1] fast.tflite      8.42   1.00   0.50..0.75     12.6   1.25         1.25..60.0
[2] slow.tflite   0.00432   0.65   0.50..0.75  0.00648   1.25      0.00432..60.0

ms with 2 threads  median  ratio  middle half  p90  ratio  medians of rounds
[1] fast.tflite       123   0.65   0.50..0.75  185   1.25          1.25..123
[2] slow.tflite       n/a    n/a          n/a  n/a    n/a     needs 1 thread

size                 bytes  ratio  peak memory  ratio      arena  ratio
[1] fast.tflite  4,178,307   1.00      26.0 MB   1.00  0.0625 MB   1.00
[2] slow.tflite  4,178,307    n/a          n/a    n/a        n/a    n/a

arithmetic       ops  ratio  in int8  million MACs  ratio  in int8  custom ops
[1] fast.tflite    5   1.00    40.0%           254   1.00    99.9%      2 Mine
[2] slow.tflite    5    n/a    40.0%           n/a    n/a      n/a        none

ops by type  dtype    [1]  [2]
ADD          int8       0    1
CONV_2D      float32    0    1
CONV_2D      int8       2    3

inputs and outputs          name   dtype    shape
[1] fast.tflite     input   image  uint8    [1, 6, 10, 3]
                    output  boxes  float32  [1, 5, 4]
[2] slow.tflite     input   image  uint8    [1, 6, 10, 3]
                    output  boxes  float32  [1, 5, 4]

[2]: needs num_threads=1. With n threads regular NMS never finds class n, counted from 0
(tensorflow/tensorflow#56058)."""


def test_the_whole_text():
    fast = facts("exports/fast.tflite", latency={"1": latency(8.421), "2": latency(123.4)})
    fast["latency"]["2"]["round_medians_ms"] = [1.25, 123.4]
    assert tables.text(report(fast, SLOW)) == EXPECTED


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, None),
        ({"other_cpus": None}, None),
        ({"other_cpus": 0.9}, "Other work kept 0.9 of 2 CPUs busy: times are longer"),
        ({"other_cpus": 0.9, "cpus": 8}, None),
        ({"cpus": 1, "other_cpus": 0.0}, "2 threads share 1 CPU here."),
    ],
)
def test_notes(changes, message):
    text = tables.text(report(facts("a.tflite"), **changes))
    last = text.split("\n\n")[-1]
    assert last.startswith("inputs and outputs" if message is None else message)
    assert ("busy" in text.splitlines()[1]) == (changes.get("other_cpus", 0.0) is not None)


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["x/a.tflite", "y/b.tflite"], ["[1] a.tflite", "[2] b.tflite"]),
        (["x/a.tflite", "y/a.tflite"], ["[1] x/a.tflite", "[2] y/a.tflite"]),
        (["x/a.tflite", "x/a.tflite"], ["[1] a.tflite", "[2] a.tflite"]),
    ],
)
def test_names_are_short_where_that_leaves_them_apart(paths, expected):
    lines = tables.text(report(*(facts(path) for path in paths))).splitlines()
    start = lines.index(next(line for line in lines if line.startswith("ms with 1")))
    assert [" ".join(line.split()[:2]) for line in lines[start + 1 : start + 3]] == expected


def test_a_file_without_ops_or_tensors():
    text = tables.text(report(facts("a.tflite", ops={}, inputs=[], outputs=[])))
    assert "\nops by type  dtype  [1]\n" in text
    assert text.endswith("inputs and outputs    name  dtype  shape")
