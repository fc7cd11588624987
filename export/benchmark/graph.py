"""What the FlatBuffer of a .tflite says: inputs, ops by type and dtype, arithmetic."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

from ssd.errors import InputError
from ssd.tflite_file import DETECTION_OP

# Numbers that say where or whether, beside the values that an op works on.
_INDEX_TYPES = frozenset({"int32", "int64", "uint32", "bool"})
_INT8_TYPES = frozenset({"int8", "uint8"})
_INPUT_TYPES = frozenset(
    {"float16", "float32", "int8", "uint8", "int16", "int32", "uint32", "int64", "bool"}
)
# What the schema's classes raise over bytes that are no model.
_DAMAGED = (struct.error, IndexError, ValueError, TypeError, AttributeError, OverflowError)


def _names(enum: type) -> dict[int, str]:
    return {value: name for name, value in vars(enum).items() if isinstance(value, int)}


_OPS, _TYPES = _names(schema.BuiltinOperator), _names(schema.TensorType)


@dataclass(frozen=True)
class InputTensor:
    """One input.

    Attributes:
      name: in the graph.
      shape: as stored; a batch of any size is stored as 1.
      dtype: of NumPy, lower case.
      scale, zero_point: real value = (value - zero_point) * scale; scale 0 without quantization.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float = 0.0
    zero_point: int = 0


@dataclass(frozen=True)
class Operator:
    """One op.

    Attributes:
      name: such as CONV_2D; that of a custom op is its own.
      dtype: of the values it takes and gives, constants and indices aside: "int8",
        "int8->float32", or "float32 (int8 weights)" where weights differ from values.
      is_int8: takes and gives int8, or uint8 as older files have it.
      is_custom: LiteRT or the app must bring it along.
      macs: multiply-accumulates of a convolution or fully connected op; 0 for other ops, None
        where the file does not tell the shapes.
    """

    name: str
    dtype: str
    is_int8: bool = False
    is_custom: bool = False
    macs: int | None = 0


@dataclass(frozen=True)
class Graph:
    """What a file says.

    Attributes:
      inputs: of the first subgraph, as all of the following but operators.
      operators: of every subgraph; one inside a loop counts once.
      constants: indices of tensors whose values are in the file.
      has_regular_nms: a detection op removes overlaps class by class.
    """

    inputs: tuple[InputTensor, ...]
    operators: tuple[Operator, ...]
    constants: tuple[int, ...] = ()
    has_regular_nms: bool = False


def read(path: str) -> Graph:
    """Returns what the .tflite at `path` says.

    Raises:
      InputError: damaged, or an input is of no fixed size (a batch apart) or holds no numbers.
    """
    try:
        graph = parse(Path(path).read_bytes())
    except _DAMAGED as error:
        raise InputError(
            f"{path}: the .tflite file is damaged ({error}); export or copy it again"
        ) from error
    for tensor in graph.inputs:
        if min(tensor.shape, default=1) < 1:
            raise InputError(
                f"{path}: input {tensor.name} has shape {list(tensor.shape)}, where -1 is any "
                "size; a fixed shape was expected; convert it for one size"
            )
        if tensor.dtype not in _INPUT_TYPES:
            raise InputError(
                f"{path}: input {tensor.name} is {tensor.dtype}; "
                f"{', '.join(sorted(_INPUT_TYPES))} can be measured"
            )
    return graph


def parse(data: bytes) -> Graph:
    """Returns what the bytes of a .tflite say."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data))
    has_values = [buffer.data is not None and len(buffer.data) > 0 for buffer in model.buffers]
    parts = [
        (graph, frozenset(n for n, t in enumerate(graph.tensors) if has_values[t.buffer]))
        for graph in model.subgraphs
    ]
    main, constants = parts[0]
    return Graph(
        inputs=tuple(_input(main.tensors[n]) for n in main.inputs),
        operators=tuple(
            _operator(operator, model.operatorCodes[operator.opcodeIndex], graph.tensors, fixed)
            for graph, fixed in parts
            for operator in graph.operators
        ),
        constants=tuple(sorted(constants)),
        has_regular_nms=any(
            _is_regular_nms(operator, model.operatorCodes[operator.opcodeIndex])
            for operator in main.operators
        ),
    )


def _input(tensor: Any) -> InputTensor:
    shape = [int(n) for n in tensor.shape]
    if tensor.shapeSignature is not None and len(tensor.shapeSignature) == len(shape):
        # The first is the batch: LiteRT runs it as stored.
        shape[1:] = [int(n) for n in tensor.shapeSignature[1:]]
    scale, zero_point = 0.0, 0
    quantization = tensor.quantization
    if quantization is not None and quantization.scale is not None:
        scale, zero_point = float(quantization.scale[0]), int(quantization.zeroPoint[0])
    return InputTensor(tensor.name.decode(), tuple(shape), _dtype(tensor), scale, zero_point)


def _operator(operator: Any, code: Any, tensors: list[Any], constants: frozenset[int]) -> Operator:
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    is_custom = number == schema.BuiltinOperator.CUSTOM
    name = code.customCode.decode() if is_custom else _OPS.get(number, f"BUILTIN_{number}")
    inputs, outputs = (
        [int(n) for n in side if n >= 0]
        for side in (_listed(operator.inputs), _listed(operator.outputs))
    )
    # Constants tell only where nothing else does: float values may meet int8 weights.
    taken = _value_types(tensors, [n for n in inputs if n not in constants], inputs)
    given = _value_types(tensors, outputs)
    sides = ["/".join(types) for types in (taken, given) if types]
    dtype = "->".join(dict.fromkeys(sides))
    macs: int | None = 0
    if name in _MACS and len(inputs) > 1:
        weights, output = tensors[inputs[1]], tensors[outputs[0]]
        macs = _MACS[name](weights, output) if _is_known(output) else None
        if _dtype(weights) not in taken:
            dtype += f" ({_dtype(weights)} weights)"
    values = {*taken, *given} - _INDEX_TYPES
    return Operator(name, dtype, bool(values) and values <= _INT8_TYPES, is_custom, macs)


def _value_types(tensors: list[Any], *groups: list[int]) -> list[str]:
    """Distinct dtypes of the first group of tensors that holds values, else of the first."""
    found = [sorted({_dtype(tensors[n]) for n in group}) for group in groups]
    values = [[t for t in types if t not in _INDEX_TYPES] for types in found]
    return next((types for types in values if types), found[0])


def _convolution(weights: Any, output: Any) -> int:
    # weights [O, kh, kw, I / groups], output [B, h, w, O]
    return math.prod(_listed(output.shape)) * math.prod(_listed(weights.shape)[1:])


def _depthwise(weights: Any, output: Any) -> int:
    # weights [1, kh, kw, O], output [B, h, w, O]
    return math.prod(_listed(output.shape)) * math.prod(_listed(weights.shape)[1:3])


_MACS = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _convolution,  # weights [O, I], output [..., O]
}


def _is_known(tensor: Any) -> bool:
    """Whether the file tells the shape, a batch apart."""
    return len(_listed(tensor.shape)) > 0 and min(_listed(tensor.shapeSignature)[1:], default=1) > 0


def _is_regular_nms(operator: Any, code: Any) -> bool:
    if code.customCode != DETECTION_OP.encode() or operator.customOptions is None:
        return False
    options = flexbuffers.Loads(bytes(operator.customOptions))
    return bool(options.get("use_regular_nms"))


def _dtype(tensor: Any) -> str:
    return _TYPES.get(tensor.type, f"type_{tensor.type}").lower()


def _listed(values: Any) -> list[int]:
    return [] if values is None else [int(n) for n in values]
