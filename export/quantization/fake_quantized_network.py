"""A float .tflite network that can be trained as its int8 file computes.

Kernels lie on 255 steps per output channel, activations on the 256 of their tensor in the int8
file; gradients pass through the rounding as if it were not there, and stop where values are cut off
(Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-
Only Inference").
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from export import flatbuffer
from export.flatbuffer import Constants, code_of, schema
from export.quantization.grids import Grid, OperatorPair, image_grid, pair_operators
from export.quantization.operators import constant_of, operation_of

_LARGEST = 127  # int8 kernels are symmetric: -127..127 times the step of their channel
_KERNEL = 1  # place among the inputs of a convolution
_Code = schema.BuiltinOperator
# What only moves values: on the same grid there is nothing to round.
MOVES = (
    _Code.RESHAPE,
    _Code.CONCATENATION,
    _Code.STRIDED_SLICE,
    _Code.RESIZE_NEAREST_NEIGHBOR,
    _Code.MAX_POOL_2D,
)


@dataclass(frozen=True)
class Weight:
    """A float32 constant of the network, of all operators that share it.

    Attributes:
      variable: in the layout of the file.
      unit: broadcasts with it: what its values are to be measured by; of a kernel the largest of
        each output channel, else (of biases) the reach of the output.
      channel_axis: of the output channels of a kernel that int8 has; None of all else.
    """

    variable: tf.Variable
    unit: np.ndarray
    channel_axis: int | None


class FakeQuantizedNetwork(tf.Module):
    """Images float32 [B, H, W, 3] in [-1, 1] -> outputs by their names in the signature, B first.

    Args:
      network: a float .tflite for batches of one.
      int8_network: what the quantizer made of it, whose steps are taken.

    Raises:
      InputError: the network has an operator that is not known here.
    """

    def __init__(self, network: bytes, int8_network: bytes) -> None:
        super().__init__()
        self._model = flatbuffer.unpack(network)
        int8_model = flatbuffer.unpack(int8_network)
        self._pairs = pair_operators(self._model, int8_model)
        self._image_grid = image_grid(int8_model)
        self._operations = [operation_of(self._model, p.float_operator) for p in self._pairs]
        self._weights: dict[int, Weight] = {}  # by buffer
        self._shapes: dict[int, np.ndarray] = {}  # by tensor
        for pair in self._pairs:
            self._add_constants(pair)

    @property
    def weights(self) -> list[Weight]:
        """All of them, each once."""
        return list(self._weights.values())

    def __call__(self, images: tf.Tensor, *, quantized: bool) -> dict[str, tf.Tensor]:
        """Returns the outputs as the int8 file computes them, or as the float network does."""
        image = _Activation(images)
        if quantized and self._image_grid is not None:
            image = _Activation(as_pixels(images, self._image_grid), self._image_grid)
        activations = {int(self._model.subgraphs[0].inputs[0]): image}
        for pair, operation in zip(self._pairs, self._operations, strict=True):
            inputs = self._inputs(pair, activations, quantized)
            made = _Activation(operation(inputs, pair.float_operator.builtinOptions))
            if quantized:
                made = self._rounded(pair, made)
            activations[int(pair.float_operator.outputs[0])] = made
        outputs = flatbuffer.signature_outputs(self._model)
        return {name: activations[number].tensor for name, number in outputs.items()}

    def to_bytes(self) -> bytes:
        """Returns the float network with the weights as they are now, kernels on their steps."""
        constants = Constants(self._model)
        for operator in self._model.subgraphs[0].operators:
            for number in (int(n) for n in operator.inputs):
                weight = self._weights.get(self._buffer(number)) if number >= 0 else None
                if weight is None:
                    continue
                values = tf.convert_to_tensor(weight.variable)
                if weight.channel_axis is not None:
                    values = on_channel_steps(values, weight.channel_axis)
                constants[number] = values.numpy()
        return flatbuffer.pack(self._model)

    def _buffer(self, number: int) -> int:
        return int(self._model.subgraphs[0].tensors[int(number)].buffer)

    def _add_constants(self, pair: OperatorPair) -> None:
        for place, number in enumerate(int(n) for n in pair.float_operator.inputs):
            values = constant_of(self._model, number)
            if values is None:
                continue
            if values.dtype != np.float32:
                self._shapes[number] = values
                continue
            axis = self._channel_axis(pair) if place == _KERNEL else None
            unit = _largest(values, axis) if axis is not None else _reach(pair, values)
            weight = Weight(tf.Variable(values), unit, axis)
            self._weights.setdefault(self._buffer(number), weight)

    def _channel_axis(self, pair: OperatorPair) -> int | None:
        if not pair.has_int8_kernel:
            return None
        is_depthwise = code_of(self._model, pair.float_operator) == _Code.DEPTHWISE_CONV_2D
        return 3 if is_depthwise else 0

    def _inputs(
        self, pair: OperatorPair, activations: dict[int, _Activation], quantized: bool
    ) -> list[Any]:
        inputs: list[Any] = []
        for place, number in enumerate(int(n) for n in pair.float_operator.inputs):
            grid = pair.input_grids[place] if quantized else None
            if number in activations:
                inputs.append(activations[number].on(grid))
            elif number < 0 or number in self._shapes:
                inputs.append(self._shapes.get(number))
            else:
                weight = self._weights[self._buffer(number)]
                values = tf.convert_to_tensor(weight.variable)
                if quantized and weight.channel_axis is not None:
                    values = on_channel_steps(values, weight.channel_axis)
                inputs.append(_Activation(values).on(grid))
        return inputs

    def _rounded(self, pair: OperatorPair, made: _Activation) -> _Activation:
        is_move = code_of(self._model, pair.float_operator) in MOVES
        if is_move and set(pair.input_grids) - {None} == {pair.output_grid}:
            return _Activation(made.tensor, pair.output_grid)
        return _Activation(made.on(pair.output_grid), pair.output_grid)


@dataclass
class _Activation:
    """A computed tensor and the grid it is on; on another one where an operator reads it so."""

    tensor: tf.Tensor
    grid: Grid | None = None
    others: dict[Grid, tf.Tensor] = field(default_factory=dict)

    def on(self, grid: Grid | None) -> tf.Tensor:
        if grid is None or grid == self.grid:
            return self.tensor
        if grid not in self.others:
            self.others[grid] = on_grid(self.tensor, grid)
        return self.others[grid]


def on_grid(values: tf.Tensor, grid: Grid) -> tf.Tensor:
    """Returns values rounded to a grid and cut off at its ends, where gradients stop."""
    return tf.quantization.fake_quant_with_min_max_args(values, grid.low, grid.high)


def as_pixels(images: tf.Tensor, grid: Grid) -> tf.Tensor:
    """Returns images in [-1, 1] as an int8 file reads their pixels; see `pixel_shift`."""
    return grid.low + grid.scale * tf.round((images + 1.0) * 127.5)


def on_channel_steps(kernel: tf.Tensor, channel_axis: int) -> tf.Tensor:
    """Returns a kernel rounded to the steps of int8; gradients pass to it as they are.

    The step of a channel is its largest weight / 127; a channel of zeros stays so.
    """
    axes = [axis for axis in range(len(kernel.shape)) if axis != channel_axis]
    largest = tf.reduce_max(tf.abs(kernel), axes, keepdims=True)
    step = tf.where(largest > 0, largest, 1.0) / _LARGEST
    return kernel + tf.stop_gradient(tf.round(kernel / step) * step - kernel)


def _largest(kernel: np.ndarray, channel_axis: int) -> np.ndarray:
    axes = tuple(axis for axis in range(kernel.ndim) if axis != channel_axis)
    return np.abs(kernel).max(axis=axes, keepdims=True)


def _reach(pair: OperatorPair, values: np.ndarray) -> np.ndarray:
    grid = pair.output_grid
    reach = np.abs(values).max() if grid is None else max(-grid.low, grid.high)
    return np.array(reach, np.float32)
