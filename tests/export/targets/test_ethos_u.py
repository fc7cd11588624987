from __future__ import annotations

import pytest

from export.targets import ethos_u, vela


@pytest.fixture(autouse=True)
def no_vela(monkeypatch):
    monkeypatch.setattr(vela, "command", lambda: None)


def test_without_vela_the_op_list_is_checked(reads, ops_in_a_row):
    found = ethos_u.check(reads(ethos_u, ops_in_a_row("CONV_2D", "LOGISTIC")), "ethos-u")
    assert found.problems == ()
    assert found.facts["vela"] is None
    assert "pip install -r requirements/deploy.txt" in found.lines[1]
    assert found.files == {}


@pytest.mark.parametrize(
    ("names", "shapes", "changes", "message"),
    [
        pytest.param(
            ("DEPTHWISE_CONV_2D",), [], {"strideW": 4}, "strides are (1, 4); the Ethos-U55 has up",
            id="stride",
        ),
        pytest.param(
            ("RESIZE_NEAREST_NEIGHBOR",), [(1, 4, 6, 8), (1, 12, 18, 8)], {},
            "resizes 4x6 to 12x18; the Ethos-U55 does by 2, 4 or 8", id="by three",
        ),
        pytest.param(
            ("RESIZE_NEAREST_NEIGHBOR",), [(1, 4, 6, 8), (1, 8, 24, 8)], {},
            "resizes 4x6 to 8x24", id="unequal",
        ),
        pytest.param(("TOPK_V2",), [], {}, "TOPK_V2 (op 0, makes 't1') is no op", id="unknown"),
    ],
)  # fmt: skip
def test_limits(reads, ops_in_a_row, op_settings, names, shapes, changes, message):
    graph = ops_in_a_row(*names, shapes=shapes, settings=[op_settings(**changes)])
    (problem,) = ethos_u.check(reads(ethos_u, graph), "ethos-u").problems
    assert message in problem
    assert "it would run on the CPU" in problem


@pytest.mark.parametrize("shape", [(1, 8, 12, 8), (1, 16, 24, 8), (1, 32, 48, 8)])
def test_upsampling_that_it_has(reads, ops_in_a_row, shape):
    graph = ops_in_a_row("RESIZE_NEAREST_NEIGHBOR", shapes=[(1, 4, 6, 8), shape])
    assert ethos_u.check(reads(ethos_u, graph), "ethos-u").problems == ()


def test_float_outputs(made):
    problems = ethos_u.check(made["nms", "int8"], "ethos-u").problems
    assert "output 'boxes' is not int8; export --form raw --quantize int8" in problems


def test_what_vela_says(monkeypatch, reads, ops_in_a_row):
    compiled = vela.Compiled(b"compiled", 8, 0, 6_886_992, 13.774, 500.0, 1473.53)
    monkeypatch.setattr(vela, "command", lambda: "vela")
    monkeypatch.setattr(vela, "compile_file", lambda data, command: compiled)
    data = reads(ethos_u, ops_in_a_row("CONV_2D"))
    found = ethos_u.check(data, "ethos-u")
    assert found.lines[1] == (
        "vela, ethos-u55-128: 8 of 8 ops on the NPU, 6.89 M cycles, 13.8 ms at 500 MHz, "
        "1474 KiB of SRAM (its estimate)"
    )
    assert found.files == {"vela.tflite": b"compiled"}
    monkeypatch.setattr(
        vela, "compile_file", lambda data, command: vela.Compiled(b"", 6, 2, 1, 1.0, 500.0, 1.0)
    )
    assert "vela leaves 2 ops on the CPU" in ethos_u.check(data, "ethos-u").problems[0]


def test_vela_fails(monkeypatch, reads, ops_in_a_row):
    def fail(data, command):
        raise vela.VelaError("ValueError: no")

    monkeypatch.setattr(vela, "command", lambda: "vela")
    monkeypatch.setattr(vela, "compile_file", fail)
    (problem,) = ethos_u.check(reads(ethos_u, ops_in_a_row("CONV_2D")), "ethos-u").problems
    assert problem == "vela does not compile the file (ValueError: no); report it with the file"
