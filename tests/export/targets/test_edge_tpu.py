from __future__ import annotations

import pytest

from export.targets import edge_tpu


def test_ours_run_there(made):
    raw = edge_tpu.check(made["raw", "int8"], "edgetpu")
    assert (raw.facts["cpu_ops"], raw.facts["first_cpu_op"]) == (0, None)
    nms = edge_tpu.check(made["nms", "int8"], "edgetpu")
    assert nms.problems == ()
    # Whose top scores the end of the file looks for, before it makes them float.
    assert nms.facts["first_cpu_op"].startswith("TOPK_V2 (op ")
    assert nms.facts["edge_tpu_ops"] + nms.facts["cpu_ops"] == nms.facts["ops"]
    assert f"{nms.facts['cpu_ops']} on the CPU (from TOPK_V2" in nms.lines[1]


def test_float_file(made):
    (problem,) = edge_tpu.check(made["nms", "none"], "edgetpu").problems
    assert problem.startswith("CONV_2D (op 0, makes '")
    assert "works in float32; the Edge TPU works in int8" in problem
    assert "4 convolutions among them, would run on the CPU; export --quantize int8" in problem


@pytest.mark.parametrize(
    ("names", "changes", "message"),
    [
        pytest.param(("CONV_2D", "HARD_SWISH", "CONV_2D"), {}, "is no op that", id="unknown"),
        pytest.param(
            ("RESIZE_NEAREST_NEIGHBOR", "CONV_2D"),
            {"halfPixelCenters": True},
            "wants no half_pixel_centers",
            id="resize",
        ),
        pytest.param(
            ("CONCATENATION", "CONV_2D"),
            {"fusedActivationFunction": 1},
            "wants no fused activation",
            id="activation",
        ),
        pytest.param(
            ("CONV_2D",),
            {"dilationHFactor": 2},
            "wants the same dilation in x and y",
            id="dilation",
        ),
        pytest.param(
            ("STRIDED_SLICE", "CONV_2D"), {"newAxisMask": 1}, "no new axes", id="strided slice"
        ),
        pytest.param(("PACK", "CONV_2D"), {"axis": 0}, "no packing in the batch", id="pack"),
    ],
)
def test_limits(reads, ops_in_a_row, op_settings, names, changes, message):
    graph = ops_in_a_row(*names, settings=[op_settings(**changes)] * len(names))
    (problem,) = edge_tpu.check(reads(edge_tpu, graph), "edgetpu").problems
    assert message in problem
    assert " makes 't" in problem
    assert "would run on the CPU" in problem


def test_four_dimensions(reads, ops_in_a_row):
    graph = ops_in_a_row("RESHAPE", "CONV_2D", shapes=[(1, 4, 6, 8), (2, 2, 6, 8)])
    (problem,) = edge_tpu.check(reads(edge_tpu, graph), "edgetpu").problems
    assert "tensor 't1' is [2, 2, 6, 8], but the Edge TPU has three dimensions" in problem


def test_sizes_that_change(reads, ops_in_a_row):
    graph = ops_in_a_row("CONV_2D", is_fixed=False)
    (problem,) = edge_tpu.check(reads(edge_tpu, graph), "edgetpu").problems
    assert "tensor 't0' is of no fixed size" in problem


def test_what_follows_the_network_may_run_on_the_cpu(reads, ops_in_a_row):
    graph = ops_in_a_row(
        "CONV_2D", "DEQUANTIZE", "TOPK_V2", dtypes=["int8", "int8", "float32", "float32"]
    )
    found = edge_tpu.check(reads(edge_tpu, graph), "edgetpu")
    assert found.problems == ()
    assert (found.facts["edge_tpu_ops"], found.facts["cpu_ops"]) == (1, 2)
