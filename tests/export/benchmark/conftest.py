"""Small .tflite files, written op by op, so that every figure can be counted by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

from ssd.tflite_file import DETECTION_OP, FILE_IDENTIFIER

OPS, TYPES = schema.BuiltinOperator, schema.TensorType


@dataclass(frozen=True)
class Tensor:
    """A tensor of a file to write; with `values` a constant."""

    name: str
    shape: Sequence[int] | None
    dtype: str = "float32"
    values: np.ndarray | None = None
    signature: Sequence[int] | None = None
    scale: float = 0.0
    zero_point: int = 0


@dataclass(frozen=True)
class Op:
    """An op of a file to write: tensors by name, None for an input that is left out."""

    code: int | str
    inputs: Sequence[str | None]
    outputs: Sequence[str]
    options_type: int = 0
    options: Any = None
    custom_options: bytes | None = None
    version: int = 1


def file_bytes(
    tensors: Sequence[Tensor], ops: Sequence[Op], inputs: Sequence[str], outputs: Sequence[str]
) -> bytes:
    """Returns a .tflite of one subgraph."""
    buffers, packed, index = [schema.BufferT()], [], {}
    for number, tensor in enumerate(tensors):
        index[tensor.name] = number
        packed.append(_packed(tensor, len(buffers) if tensor.values is not None else 0))
        if tensor.values is not None:
            values = np.frombuffer(tensor.values.tobytes(), np.uint8)
            buffers.append(schema.BufferT(data=values))
    graph = schema.SubGraphT()
    graph.tensors, graph.operators = packed, []
    graph.inputs = np.array([index[name] for name in inputs], np.int32)
    graph.outputs = np.array([index[name] for name in outputs], np.int32)
    codes = []
    for number, op in enumerate(ops):
        codes.append(_code(op))
        operator = schema.OperatorT()
        operator.opcodeIndex = number
        operator.inputs = np.array([-1 if n is None else index[n] for n in op.inputs], np.int32)
        operator.outputs = np.array([index[n] for n in op.outputs], np.int32)
        operator.builtinOptionsType, operator.builtinOptions = op.options_type, op.options
        if op.custom_options is not None:
            operator.customOptions = np.frombuffer(op.custom_options, np.uint8)
        graph.operators.append(operator)
    model = schema.ModelT()
    model.version, model.subgraphs = 3, [graph]
    model.operatorCodes, model.buffers = codes, buffers
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
    return bytes(builder.Output())


def _packed(tensor: Tensor, buffer: int) -> schema.TensorT:
    packed = schema.TensorT()
    packed.name, packed.buffer = tensor.name.encode(), buffer
    packed.type = getattr(TYPES, tensor.dtype.upper())
    packed.shape = None if tensor.shape is None else np.array(tensor.shape, np.int32)
    if tensor.signature is not None:
        packed.shapeSignature = np.array(tensor.signature, np.int32)
    if tensor.scale:
        packed.quantization = schema.QuantizationParametersT()
        packed.quantization.scale = np.array([tensor.scale], np.float32)
        packed.quantization.zeroPoint = np.array([tensor.zero_point], np.int64)
    return packed


def _code(op: Op) -> schema.OperatorCodeT:
    code = schema.OperatorCodeT()
    code.version = op.version
    code.builtinCode = OPS.CUSTOM if isinstance(op.code, str) else op.code
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.customCode = op.code.encode() if isinstance(op.code, str) else None
    return code


def convolution(inputs: Sequence[str], output: str) -> Op:
    """CONV_2D, stride 2, SAME."""
    options = schema.Conv2DOptionsT()
    options.strideH = options.strideW = 2
    options.dilationHFactor = options.dilationWFactor = 1
    kind = schema.BuiltinOptions.Conv2DOptions
    return Op(OPS.CONV_2D, inputs, [output], kind, options)


def fully_connected(inputs: Sequence[str | None], output: str) -> Op:
    kind = schema.BuiltinOptions.FullyConnectedOptions
    return Op(OPS.FULLY_CONNECTED, inputs, [output], kind, schema.FullyConnectedOptionsT())


def detection_op(*, regular: bool) -> Op:
    options = bytes(flexbuffers.Dumps({"use_regular_nms": regular, "num_classes": 3}))
    return Op(DETECTION_OP, ["encodings"], ["boxes"], custom_options=options)


def small_convolution(scale: float = 1.0) -> bytes:
    """float32 `image` [1, 6, 10, 3] -> `map` [1, 3, 5, 4], a 3 x 3 convolution with stride 2.

    4 * 3 * 3 * 3 weights, all `scale`.
    """
    weights = np.full((4, 3, 3, 3), scale, np.float32)
    return file_bytes(
        [
            Tensor("image", [1, 6, 10, 3]),
            Tensor("weights", [4, 3, 3, 3], values=weights),
            Tensor("bias", [4], values=np.zeros(4, np.float32)),
            Tensor("map", [1, 3, 5, 4]),
        ],
        [convolution(["image", "weights", "bias"], "map")],
        ["image"],
        ["map"],
    )


@pytest.fixture(scope="session")
def flat() -> SimpleNamespace:
    """What writes files: Tensor, Op, OPS and the functions of this module."""
    parts = (Tensor, Op, file_bytes, convolution, fully_connected)
    parts += (detection_op, small_convolution)
    return SimpleNamespace(OPS=OPS, **{part.__name__: part for part in parts})


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., str]:
    """Writes bytes, by default of `small_convolution`, to a file; returns its path."""

    def write(name: str = "small.tflite", data: bytes | None = None) -> str:
        path = tmp_path / name
        path.write_bytes(small_convolution() if data is None else data)
        return str(path)

    return write
