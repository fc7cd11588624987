"""A .tflite as a list of ops on named tensors, in the order of execution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from export import flatbuffer
from export.benchmark import graph as op_types

# Bytes of a value; other types hold no numbers.
_NUM_BYTES = {
    "float32": 4,
    "float16": 2,
    "int32": 4,
    "uint32": 4,
    "int64": 8,
    "int16": 2,
    "int8": 1,
    "uint8": 1,
    "bool": 1,
}
_TYPES = {v: name.lower() for name, v in vars(schema.TensorType).items() if isinstance(v, int)}


@dataclass(frozen=True)
class Tensor:
    """One tensor.

    Attributes:
      name, dtype: dtype of NumPy, lower case.
      shape: as stored.
      is_fixed: whether it always has that shape, its batch included.
      is_constant: its values are in the file.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    is_fixed: bool
    is_constant: bool

    @property
    def num_bytes(self) -> int:
        """Of its values."""
        return math.prod(self.shape) * _NUM_BYTES.get(self.dtype, 0)


@dataclass(frozen=True)
class Op:
    """One op.

    Attributes:
      number: in the order of execution, from 0.
      name, dtype, is_int8, is_custom, macs: as `export.benchmark.graph.Operator` has them.
      version: of the op's definition.
      inputs, outputs: numbers of tensors; inputs that are left out are not among them.
      output_name: name of the first output.
      settings: the schema's builtinOptions; None where the op has none.
    """

    number: int
    name: str
    dtype: str
    is_int8: bool
    is_custom: bool
    macs: int
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    output_name: str
    settings: Any

    def __str__(self) -> str:
        # The converter joins the names of all that it folded into one op.
        return f"{self.name} (op {self.number}, makes {self.output_name.split(';')[0]!r})"


@dataclass(frozen=True)
class FileGraph:
    """What a file computes.

    Attributes:
      tensors, ops: of the first subgraph.
      inputs, outputs: numbers of tensors.
      num_subgraphs: 1, but for files with loops or branches.
      has_regular_nms: a detection op removes overlaps class by class.
      num_bytes: of the file.
    """

    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    num_subgraphs: int
    has_regular_nms: bool
    num_bytes: int


def read(data: bytes) -> FileGraph:
    """Returns what the bytes of a .tflite compute."""
    model, described = flatbuffer.unpack(data), op_types.parse(data)
    graph = model.subgraphs[0]
    constants = frozenset(described.constants)
    tensors = tuple(_tensor(t, n in constants) for n, t in enumerate(graph.tensors))
    ops = tuple(
        _op(number, operator, model, what, tensors)
        for number, (operator, what) in enumerate(
            zip(graph.operators, described.operators, strict=False)
        )
    )
    return FileGraph(
        tensors,
        ops,
        tuple(int(n) for n in graph.inputs),
        tuple(int(n) for n in graph.outputs),
        len(model.subgraphs),
        described.has_regular_nms,
        len(data),
    )


def _tensor(tensor: Any, is_constant: bool) -> Tensor:
    shape = () if tensor.shape is None else tuple(int(n) for n in tensor.shape)
    signature = tensor.shapeSignature
    is_fixed = min(shape, default=1) > 0 and (signature is None or min(signature, default=1) > 0)
    return Tensor(
        tensor.name.decode() if tensor.name else "",
        _TYPES.get(tensor.type, f"type_{tensor.type}"),
        shape,
        bool(is_fixed),
        is_constant,
    )


def _op(
    number: int, operator: Any, model: Any, what: op_types.Operator, tensors: tuple[Tensor, ...]
) -> Op:
    outputs = _listed(operator.outputs)
    return Op(
        number,
        what.name,
        what.dtype,
        what.is_int8,
        what.is_custom,
        what.macs or 0,
        int(model.operatorCodes[operator.opcodeIndex].version),
        _listed(operator.inputs),
        outputs,
        tensors[outputs[0]].name if outputs else "",
        operator.builtinOptions,
    )


def _listed(numbers: np.ndarray | None) -> tuple[int, ...]:
    return () if numbers is None else tuple(int(n) for n in numbers if n >= 0)
