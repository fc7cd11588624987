from __future__ import annotations

import json

import pytest

from export.benchmark import figures
from export.benchmark.graph import Graph, Operator
from export.benchmark.measurement import Measured, Measurement

FLOAT = Graph(
    inputs=(),
    operators=(
        Operator("CONV_2D", "float32", macs=300),
        Operator("CONV_2D", "float32", macs=100),
        Operator("Mine", "float32", is_custom=True),
    ),
)
INT8 = Graph(
    inputs=(),
    operators=(
        Operator("QUANTIZE", "uint8->int8", is_int8=True),
        Operator("CONV_2D", "int8", is_int8=True, macs=300),
        Operator("CONV_2D", "float32", macs=100),
        Operator("DEQUANTIZE", "int8->float32"),
        Operator("Mine", "float32", is_custom=True),
    ),
    has_regular_nms=True,
)
# Two rounds of three runs: medians 4 and 10.
FLOAT_ROUNDS = [[4.0, 3.0, 8.0], [10.0, 9.0, 50.0]]
# Medians 2 and 8.
INT8_ROUNDS = [[2.0, 1.0, 3.0], [8.0, 7.0, 9.0]]
IMAGE = {"name": "image", "shape": [1, 6, 10, 3], "dtype": "uint8"}


def memory(peak: int | None, arena: int | None) -> dict:
    return {"peak_bytes": peak, "arena_bytes": arena, "inputs": [IMAGE], "outputs": []}


@pytest.fixture
def report() -> dict:
    files = (
        Measured("a.tflite", 4000, FLOAT, memory(800, 60), {1: FLOAT_ROUNDS, 2: FLOAT_ROUNDS}),
        Measured("b.tflite", 1000, INT8, memory(200, None), {1: INT8_ROUNDS}),
    )
    return figures.report(Measurement(files, 0.5), threads=[1, 2], picture="room.jpg")


def test_what_is_said_of_the_run(report):
    files = report.pop("files")
    assert report.pop("cpus") >= 1
    assert report.pop("litert")[0].isdigit()
    assert report == {
        "other_cpus": 0.5,
        "picture": "room.jpg",
        "threads": [1, 2],
        "rounds": 2,
        "runs": 6,
        "warm_up": 3,
    }
    assert [facts["file"] for facts in files] == ["a.tflite", "b.tflite"]


def test_it_is_json(report):
    assert json.loads(json.dumps(report)) == report


def test_figures_of_a_file(report):
    facts = report["files"][1]
    assert facts.pop("ratios")
    assert facts.pop("latency")
    assert facts == {
        "file": "b.tflite",
        "bytes": 1000,
        "peak_bytes": 200,
        "arena_bytes": None,
        "inputs": [IMAGE],
        "outputs": [],
        "num_ops": 5,
        "int8_op_share": 0.4,
        "macs": 400,
        "int8_mac_share": 0.75,
        "custom_ops": {"Mine": 1},
        "ops": {
            "CONV_2D": {"float32": 1, "int8": 1},
            "DEQUANTIZE": {"int8->float32": 1},
            "Mine": {"float32": 1},
            "QUANTIZE": {"uint8->int8": 1},
        },
        "regular_nms": True,
    }


def test_latency_of_all_runs_together(report):
    first, second = (facts["latency"] for facts in report["files"])
    # 3 4 8 9 10 50: the median is 8.5; 90% lie below 10 + 0.5 * 40.
    assert first["1"].pop("round_medians_ms") == first["2"].pop("round_medians_ms") == [4.0, 10.0]
    assert first["1"] == pytest.approx({"median_ms": 8.5, "p90_ms": 30.0})
    assert first["2"] == first["1"]
    # 1 2 3 7 8 9
    assert second["1"].pop("round_medians_ms") == [2.0, 8.0]
    assert second["1"] == pytest.approx({"median_ms": 5.0, "p90_ms": 8.5})
    assert second["2"] is None


def test_ratios_of_times_are_taken_round_by_round(report):
    ratios = report["files"][1]["ratios"]["latency"]
    # 2 / 4 and 8 / 10; the ratio of the medians of all would be 5 / 8.5.
    assert ratios["1"]["rounds"] == pytest.approx([0.5, 0.8])
    assert ratios["1"]["median"] == pytest.approx(0.65)
    assert ratios["1"]["quartiles"] == pytest.approx([0.575, 0.725])
    # p90 of three runs a < b < c is b + 0.8 * (c - b): 2.8 / 7.2 and 8.8 / 42
    assert ratios["1"]["p90"] == pytest.approx((2.8 / 7.2 + 8.8 / 42) / 2)
    assert ratios["2"] is None


def test_a_slow_round_slows_both_and_changes_no_ratio():
    rounds, reference = [[2.0], [20.0], [2.2]], [[4.0], [40.0], [4.4]]
    found = figures.latency_ratio(rounds, reference)
    assert found["rounds"] == pytest.approx([0.5, 0.5, 0.5])
    assert found["quartiles"] == pytest.approx([0.5, 0.5])


def test_other_ratios(report):
    ratios = [facts["ratios"] for facts in report["files"]]
    assert ratios[0].pop("latency")["2"]["median"] == 1.0
    assert ratios[1].pop("latency")
    assert ratios[0] == {
        "bytes": 1.0,
        "peak_bytes": 1.0,
        "arena_bytes": 1.0,
        "num_ops": 1.0,
        "int8_op_share": None,  # over nothing
        "macs": 1.0,
        "int8_mac_share": None,
    }
    assert ratios[1] == {
        "bytes": 0.25,
        "peak_bytes": 0.25,
        "arena_bytes": None,
        "num_ops": pytest.approx(5 / 3),
        "int8_op_share": None,
        "macs": 1.0,
        "int8_mac_share": None,
    }


def test_the_first_file_with_one_thread_only_has_no_ratios_with_two():
    files = (
        Measured("b.tflite", 1000, INT8, memory(1, 1), {1: INT8_ROUNDS}),
        Measured("a.tflite", 4000, FLOAT, memory(1, 1), {1: FLOAT_ROUNDS, 2: FLOAT_ROUNDS}),
    )
    report = figures.report(Measurement(files), threads=[1, 2], picture=None)
    assert report["files"][1]["ratios"]["latency"]["2"] is None
    assert report["files"][1]["latency"]["2"]["median_ms"] == 8.5


@pytest.mark.parametrize(
    ("operators", "macs", "share"),
    [
        pytest.param((), 0, None, id="no op"),
        pytest.param((Operator("ADD", "int8", is_int8=True),), 0, None, id="no arithmetic"),
        pytest.param(
            (Operator("CONV_2D", "int8", is_int8=True, macs=None), Operator("CONV_2D", "", macs=5)),
            None,
            None,
            id="a shape is not told",
        ),
    ],
)
def test_nothing_to_share(operators, macs, share):
    files = (Measured("a.tflite", 1, Graph((), operators), memory(1, 1), {1: [[1.0]]}),)
    (facts,) = figures.report(Measurement(files), threads=[1], picture=None)["files"]
    assert (facts["macs"], facts["int8_mac_share"]) == (macs, share)
    assert (facts["int8_op_share"] is None) == (not operators)
