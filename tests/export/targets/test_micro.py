from __future__ import annotations

from export.targets import arena, file_graph, micro


def test_small_file(made):
    data = made["raw", "int8"]
    found = micro.check(data, "micro")
    assert found.problems == ()
    assert found.facts["int8_share"] == 1.0
    assert found.facts["file_bytes"] == len(data)
    needed = arena.estimate(file_graph.read(data))
    assert found.facts["arena_bytes_estimated"] == needed.num_bytes
    assert found.facts["resolver_ops"][:3] == ["CONV_2D", "DEPTHWISE_CONV_2D", "LOGISTIC"]
    assert f"arena about {needed.num_bytes / 1024:.0f} KiB" in found.lines[1]
    assert "estimate" in found.lines[1]
    assert found.lines[2].startswith("op resolver: CONV_2D, DEPTHWISE_CONV_2D, LOGISTIC")


def test_other_files(made):
    problems = micro.check(made["nms", "int8"], "micro").problems
    assert any("is no op that TensorFlow Lite Micro has" in p and "TOPK_V2" in p for p in problems)
    assert any("works in int8->float32" in p for p in problems)
    assert "output 'boxes' is not int8; export --form raw --quantize int8" in problems
