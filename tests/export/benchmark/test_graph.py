from __future__ import annotations

import numpy as np
import pytest

from export.benchmark import graph
from export.benchmark.graph import InputTensor
from ssd.errors import InputError


def constant(flat, name: str, shape: list[int], dtype: str = "float32"):
    stored = np.zeros(shape, "uint8" if dtype == "float8_e5m2" else dtype)
    return flat.Tensor(name, shape, dtype, stored)


def only_operator(flat, tensors: list, op) -> graph.Operator:
    return graph.parse(flat.file_bytes(tensors, [op], [], [])).operators[0]


# (op, values, weights, output, multiply-accumulates)
ARITHMETIC = [
    # 3 * 5 * 4 outputs, each from 3 * 3 * 6 inputs
    pytest.param("CONV_2D", [1, 6, 10, 6], [4, 3, 3, 6], [1, 3, 5, 4], 3240, id="convolution"),
    # two groups: each output sees 3 of the 6 channels
    pytest.param("CONV_2D", [1, 6, 10, 6], [4, 3, 3, 3], [1, 3, 5, 4], 1620, id="groups"),
    # 3 * 5 * 12 outputs, each from 3 * 2 inputs
    pytest.param(
        "DEPTHWISE_CONV_2D", [1, 6, 10, 6], [1, 3, 2, 12], [1, 3, 5, 12], 1080, id="depthwise"
    ),
    pytest.param("FULLY_CONNECTED", [2, 7], [5, 7], [2, 5], 70, id="fully connected"),
    pytest.param("ADD", [1, 6, 10, 3], [1, 6, 10, 3], [1, 6, 10, 3], 0, id="not counted"),
    pytest.param("CONV_2D", [1, 6, 10, 6], [4, 3, 3, 6], None, None, id="shape not told"),
]


@pytest.mark.parametrize(("op", "values", "weights", "output", "expected"), ARITHMETIC)
def test_arithmetic_is_counted_from_shapes(flat, op, values, weights, output, expected):
    tensors = [
        flat.Tensor("in", values),
        constant(flat, "weights", weights),
        flat.Tensor("out", output),
    ]
    operator = flat.Op(getattr(flat.OPS, op), ["in", "weights", None], ["out"])
    assert only_operator(flat, tensors, operator).macs == expected


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        pytest.param([-1, 3, 5, 4], 3240, id="a batch of any size counts as the stored one"),
        pytest.param([1, 3, -1, 4], None, id="any width"),
    ],
)
def test_arithmetic_of_shapes_that_may_change(flat, signature, expected):
    tensors = [
        flat.Tensor("in", [1, 6, 10, 6]),
        constant(flat, "weights", [4, 3, 3, 6]),
        flat.Tensor("out", [1, 3, 5, 4], signature=signature),
    ]
    operator = flat.convolution(["in", "weights"], "out")
    assert only_operator(flat, tensors, operator).macs == expected


# (op, inputs: dtype, and "=" in front of it if constant; outputs, dtype of the op, is it int8)
DTYPES = [
    pytest.param("ADD", ["int8", "int8"], ["int8"], "int8", True, id="int8"),
    pytest.param("ADD", ["uint8", "uint8"], ["uint8"], "uint8", True, id="uint8 of older files"),
    pytest.param("ADD", ["float32", "=float32"], ["float32"], "float32", False, id="float"),
    pytest.param("QUANTIZE", ["uint8"], ["int8"], "uint8->int8", True, id="pixels"),
    pytest.param("DEQUANTIZE", ["int8"], ["float32"], "int8->float32", False, id="back to float"),
    pytest.param(
        "DEQUANTIZE", ["=float16"], ["float32"], "float16->float32", False, id="of a constant"
    ),
    pytest.param(
        "CONV_2D",
        ["int8", "=int8", "=int32"],
        ["int8"],
        "int8",
        True,
        id="an int32 bias is no value",
    ),
    pytest.param(
        "CONV_2D",
        ["float32", "=int8", "=float32"],
        ["float32"],
        "float32 (int8 weights)",
        False,
        id="dynamic range",
    ),
    pytest.param("RESHAPE", ["int8", "=int32"], ["int8"], "int8", True, id="a shape is no value"),
    pytest.param("TILE", ["=int8", "int32"], ["int8"], "int8", True, id="a constant tiled"),
    pytest.param("TOPK_V2", ["int8", "=int32"], ["int8", "int32"], "int8", True, id="indices out"),
    pytest.param("SHAPE", ["int8"], ["int32"], "int8->int32", True, id="shape of int8"),
    pytest.param("PACK", ["int32", "=int32"], ["int32"], "int32", False, id="only indices"),
    pytest.param("ADD", ["int16", "int16"], ["int16"], "int16", False, id="int16"),
    pytest.param("SELECT", ["bool", "float32", "int8"], ["int8"], "float32/int8->int8", False),
    pytest.param("CALL_ONCE", [], [], "", False, id="nothing in, nothing out"),
]


@pytest.mark.parametrize(("op", "inputs", "outputs", "dtype", "is_int8"), DTYPES)
def test_dtype_of_an_op(flat, op, inputs, outputs, dtype, is_int8):
    shape = [1, 2, 3, 4]
    tensors = [
        constant(flat, f"in{n}", shape, kind[1:])
        if kind[0] == "="
        else flat.Tensor(f"in{n}", shape, kind)
        for n, kind in enumerate(inputs)
    ]
    tensors += [flat.Tensor(f"out{n}", shape, kind) for n, kind in enumerate(outputs)]
    names = [tensor.name for tensor in tensors]
    found = only_operator(
        flat,
        tensors,
        flat.Op(getattr(flat.OPS, op), names[: len(inputs)], names[len(inputs) :]),
    )
    assert (found.name, found.dtype, found.is_int8, found.is_custom) == (op, dtype, is_int8, False)


def test_ops_that_the_schema_does_not_know(flat):
    tensors = [flat.Tensor("in", [2, 3]), flat.Tensor("out", [2, 3])]
    ops = [flat.Op(999, ["in"], ["out"]), flat.Op("Whatever", ["in"], ["out"])]
    found = graph.parse(flat.file_bytes(tensors, ops, ["in"], ["out"])).operators
    assert [(o.name, o.is_custom) for o in found] == [("BUILTIN_999", False), ("Whatever", True)]


@pytest.mark.parametrize("regular", [False, True])
def test_regular_nms_is_an_option_of_the_detection_op(flat, regular):
    tensors = [flat.Tensor("encodings", [1, 7, 4]), flat.Tensor("boxes", [1, 5, 4])]
    data = flat.file_bytes(tensors, [flat.detection_op(regular=regular)], ["encodings"], ["boxes"])
    assert graph.parse(data).has_regular_nms is regular


def test_a_detection_op_without_options_has_fast_nms(flat):
    op = flat.Op("TFLite_Detection_PostProcess", ["encodings"], ["boxes"])
    tensors = [flat.Tensor("encodings", [1, 7, 4]), flat.Tensor("boxes", [1, 5, 4])]
    assert graph.parse(flat.file_bytes(tensors, [op], [], [])).has_regular_nms is False


def test_inputs_and_constants(flat):
    tensors = [
        constant(flat, "weights", [2, 3]),
        flat.Tensor("image", [1, 6, 10, 3], "uint8", scale=0.5, zero_point=127),
        flat.Tensor("threshold", []),
        flat.Tensor("frames", [1, 9, 2], "int16", signature=[-1, 9, 2]),
        constant(flat, "bias", [3], "int32"),
    ]
    found = graph.parse(flat.file_bytes(tensors, [], ["frames", "image", "threshold"], []))
    assert found.inputs == (
        InputTensor("frames", (1, 9, 2), "int16"),
        InputTensor("image", (1, 6, 10, 3), "uint8", 0.5, 127),
        InputTensor("threshold", (), "float32"),
    )
    assert found.constants == (0, 4)
    assert found.operators == ()


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        pytest.param(
            {"shape": [1, 1, 1, 3], "signature": [-1, -1, -1, 3]},
            r"m\.tflite: input image has shape \[1, -1, -1, 3\].*fixed shape was expected; convert",
            id="any size",
        ),
        pytest.param(
            {"shape": [1, 0, 9, 3]}, r"input image has shape \[1, 0, 9, 3\]", id="no rows"
        ),
        pytest.param(
            {"shape": [1], "dtype": "string"},
            r"m\.tflite: input image is string; bool, fl",
            id="text",
        ),
    ],
)
def test_inputs_that_cannot_be_measured(flat, written, tensor, message):
    data = flat.file_bytes([flat.Tensor("image", **tensor)], [], ["image"], [])
    with pytest.raises(InputError, match=message):
        graph.read(written("m.tflite", data))


@pytest.mark.parametrize("size", [9, 40, 400, 800])
def test_a_cut_file(written, flat, size):
    path = written("cut.tflite", flat.small_convolution()[:size])
    with pytest.raises(InputError, match=r"cut\.tflite: the \.tflite file is damaged .* again"):
        graph.read(path)


@pytest.mark.parametrize(
    ("name", "num_ops", "int8_ops", "convolutions"),
    [
        # as many as tf.lite.experimental.Analyzer lists
        ("nuvoton_ssd_mobilenet_v2_fpnlite_0.5_224_int8", 159, 156, {"int8": 72}),
        ("nuvoton_ssd_mobilenet_v2_fpnlite_0.5_224_f16", 332, 0, {"float32": 72}),
        ("st_ssd_mobilenet_v2_fpnlite_100_256_int8", 219, 181, {"int8": 72}),
    ],
)
def test_files_of_other_makers(shared, name, num_ops, int8_ops, convolutions):
    found = graph.read(str(shared / f"data/tflite_coco/{name}.tflite"))
    assert len(found.operators) == num_ops
    assert sum(o.is_int8 for o in found.operators) == int8_ops
    dtypes = [o.dtype for o in found.operators if o.name == "CONV_2D"]
    assert {dtype: dtypes.count(dtype) for dtype in dtypes} == convolutions


def test_the_same_network_has_the_same_arithmetic_in_int8_and_float(shared):
    folder = shared / "data/tflite_coco"
    macs = [
        sum(o.macs for o in graph.read(str(path)).operators)
        for path in sorted(folder.glob("nuvoton*.tflite"))
    ]
    # ethos-u-vela 5.2.0 counts for the int8 file: Conv2D 234,234,624, DepthwiseConv2D 19,782,144.
    assert macs == [254_016_768, 254_016_768]
