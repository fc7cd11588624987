"""Arm's Vela on raw int8 files, through --target ethos-u."""

from __future__ import annotations

import pytest

from export import targets
from export.targets import vela
from ssd import tflite_file


@pytest.fixture(scope="module")
def command() -> str:
    found = vela.command()
    if found is None:
        pytest.skip("vela is not installed: pip install -r requirements/deploy.txt")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("model", ["tiny", "coco"])
def test_every_op_runs_on_the_npu(command, request, model):
    data = request.getfixturevalue(model).path("raw", "int8").read_bytes()
    found = targets.check("ethos-u", data, "raw", "int8")
    assert found.problems == ()
    summary = found.facts["vela"]
    assert (summary["cpu_ops"], summary["accelerator"]) == (0, "ethos-u55-128")
    assert summary["npu_ops"] > 100
    # The clock ties cycles to time.
    assert summary["ms"] == pytest.approx(summary["cycles"] / summary["mhz"] / 1e3, rel=1e-3)
    compiled = found.files["vela.tflite"]
    assert compiled[4:8] == tflite_file.FILE_IDENTIFIER
    assert b"ethos-u" in compiled


def test_what_vela_leaves_the_rules_find(command, small):
    """The small detector has a depthwise convolution with a stride of 4."""
    data = small.path("raw", "int8").read_bytes()
    assert vela.compile_file(data, command).cpu_ops == 1
    (problem,) = targets.check("ethos-u", data, "raw", "int8").problems
    assert "DEPTHWISE_CONV_2D (op " in problem
    assert "strides are (4, 4); the Ethos-U55 has up to 3" in problem


def test_vela_puts_the_rest_on_the_cpu(command, small):
    """Why the target takes the form raw: what decodes boxes does not run there."""
    compiled = vela.compile_file(small.path("nms", "int8").read_bytes(), command)
    assert compiled.cpu_ops > 10
    assert compiled.npu_ops >= 4


def test_what_vela_refuses(command):
    with pytest.raises(vela.VelaError):
        vela.compile_file(b"no model", command)
