from __future__ import annotations

from export.targets import file_graph


def test_small_int8_file(made):
    graph = file_graph.read(made["raw", "int8"])
    assert [op.name for op in graph.ops[:3]] == ["QUANTIZE", "CONV_2D", "DEPTHWISE_CONV_2D"]
    assert [op.number for op in graph.ops] == list(range(len(graph.ops)))
    image = graph.tensors[graph.inputs[0]]
    assert (image.name, image.dtype, image.shape) == ("image", "uint8", (1, 64, 96, 3))
    assert (image.num_bytes, image.is_fixed, image.is_constant) == (64 * 96 * 3, True, False)
    assert [graph.tensors[n].name for n in graph.outputs] == ["box_encodings", "scores"]
    stem = graph.ops[1]
    # 3x3x3 weights for each of 12 channels, at 16 x 24 places.
    assert stem.macs == 27 * 12 * 16 * 24
    assert stem.is_int8
    assert (stem.settings.strideH, stem.settings.strideW) == (4, 4)
    kernel = graph.tensors[stem.inputs[1]]
    assert (kernel.shape, kernel.is_constant) == ((12, 3, 3, 3), True)
    assert str(stem).startswith("CONV_2D (op 1, makes '")
    assert ";" not in str(stem)
    assert graph.num_bytes == len(made["raw", "int8"])


def test_regular_nms_is_noticed(made):
    assert file_graph.read(made["nms", "regular"]).has_regular_nms
    assert not file_graph.read(made["nms", "none"]).has_regular_nms
