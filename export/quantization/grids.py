"""The steps on which an int8 file keeps each tensor, told by the tensors of its float network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from export.flatbuffer import code_of, schema

_Code = schema.BuiltinOperator
_INT8 = schema.TensorType.INT8
_LOWEST, _HIGHEST = -128, 127
# What the quantizer adds between operators that are quantized and those that are not.
_CONVERSIONS = (_Code.QUANTIZE, _Code.DEQUANTIZE)

_NUMPY_TYPES = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.INT8: np.int8,
}


class Grid(NamedTuple):
    """Values (q - zero_point) * scale for q = -128..127."""

    scale: float
    zero_point: int

    @property
    def low(self) -> float:
        """The smallest value."""
        return (_LOWEST - self.zero_point) * self.scale

    @property
    def high(self) -> float:
        """The largest value."""
        return (_HIGHEST - self.zero_point) * self.scale


@dataclass(frozen=True)
class OperatorPair:
    """An operator of the float network and the same one in the int8 file.

    Attributes:
      float_operator, int8_operator: of the schema's object classes; inputs and outputs of both in
        the same order.
      input_grids: of each input; None where the int8 file has it in float, or by channel.
      output_grid: None where the int8 file computes it in float.
      has_int8_kernel: whether the second input is a kernel quantized by channel.
    """

    float_operator: Any
    int8_operator: Any
    input_grids: tuple[Grid | None, ...]
    output_grid: Grid | None
    has_int8_kernel: bool


def pair_operators(network: Any, int8_network: Any) -> list[OperatorPair]:
    """Returns all operators of a float network with those the quantizer made of them, in order.

    Args:
      network, int8_network: ModelT of the float file and of the int8 file made from it.

    Raises:
      ValueError: the second was not made from the first.
    """
    operators = network.subgraphs[0].operators
    made = [
        operator
        for operator in int8_network.subgraphs[0].operators
        if code_of(int8_network, operator) not in _CONVERSIONS
    ]
    kinds = [code_of(network, operator) for operator in operators]
    if kinds != [code_of(int8_network, operator) for operator in made]:
        raise ValueError(
            f"the int8 file's {len(made)} operators are not the float network's {len(operators)}"
        )
    return [_pair(int8_network, *both) for both in zip(operators, made, strict=True)]


def image_grid(int8_network: Any) -> Grid | None:
    """Returns the grid of the pixels that an int8 file takes; None where it takes float images."""
    graph = int8_network.subgraphs[0]
    tensor = graph.tensors[int(graph.inputs[0])]
    if tensor.type != schema.TensorType.UINT8:
        return None
    scale, zero_point = tensor.quantization.scale[0], tensor.quantization.zeroPoint[0]
    return Grid(float(scale), int(zero_point) + _LOWEST)


def _pair(int8_network: Any, float_operator: Any, int8_operator: Any) -> OperatorPair:
    tensors = int8_network.subgraphs[0].tensors
    kernels = (_Code.CONV_2D, _Code.DEPTHWISE_CONV_2D)
    has_kernel = code_of(int8_network, int8_operator) in kernels
    data = int8_operator.inputs[:1] if has_kernel else int8_operator.inputs
    missing = [None] * (len(int8_operator.inputs) - len(data))
    return OperatorPair(
        float_operator,
        int8_operator,
        (*(_grid(tensors[int(n)]) if n >= 0 else None for n in data), *missing),
        _grid(tensors[int(int8_operator.outputs[0])]),
        has_kernel and tensors[int(int8_operator.inputs[1])].type == _INT8,
    )


def _grid(tensor: Any) -> Grid | None:
    if tensor.type != _INT8:
        return None
    return Grid(float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0]))


def dequantized(int8_network: Any, number: int) -> np.ndarray | None:
    """Returns what a constant of an int8 file stands for, float32; None for what is computed.

    Kernels are int8 and biases int32, with steps by channel; constants in float are as they are.
    """
    tensor = int8_network.subgraphs[0].tensors[number]
    data = int8_network.buffers[tensor.buffer].data
    if data is None or not len(data):
        return None
    values = np.frombuffer(bytes(data), _NUMPY_TYPES[tensor.type]).reshape(tensor.shape)
    if tensor.quantization is None or tensor.quantization.scale is None:
        return values
    shape = [1] * values.ndim
    shape[tensor.quantization.quantizedDimension] = -1
    scale = np.asarray(tensor.quantization.scale, np.float32).reshape(shape)
    zero_point = np.asarray(tensor.quantization.zeroPoint).reshape(shape)
    return ((values.astype(np.float64) - zero_point) * scale).astype(np.float32)
