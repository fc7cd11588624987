"""The operators of a float .tflite as TensorFlow computes them, for batches of any size.

Options and layouts are those of the TFLite schema; kernels come as the file holds them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from export.flatbuffer import code_of, schema
from ssd.errors import InputError

Inputs = Sequence[Any]  # tf.Tensor, np.ndarray for constants that shape the result, None
Operation = Callable[[Inputs, Any], tf.Tensor]

_Code = schema.BuiltinOperator
_Function = schema.ActivationFunctionType
_ACTIVATIONS: dict[int, Callable[[tf.Tensor], tf.Tensor]] = {
    _Function.NONE: tf.identity,
    _Function.RELU: tf.nn.relu,
    _Function.RELU6: tf.nn.relu6,
}
_PADDINGS = {schema.Padding.SAME: "SAME", schema.Padding.VALID: "VALID"}
_NUMPY_TYPES = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.INT64: np.int64,
}
_ONLY_BATCH = 1  # bit of the first axis in the masks of STRIDED_SLICE


def operation_of(model: Any, operator: Any) -> Operation:
    """Returns what computes an operator: (inputs, its builtinOptions) -> its one output.

    Raises:
      InputError: no such operator is known here, or it has an option that is not.
    """
    code = code_of(model, operator)
    options = operator.builtinOptions
    function = getattr(options, "fusedActivationFunction", _Function.NONE)
    if code not in OPERATIONS or function not in _ACTIVATIONS or len(operator.outputs) != 1:
        name = _name_of(_Code, code)
        with_function = f" with {_name_of(_Function, function)}" if function else ""
        known = ", ".join(sorted(_name_of(_Code, known) for known in OPERATIONS))
        raise InputError(
            f"int8: the network has a {name}{with_function}, which can be neither diagnosed nor "
            f"fine-tuned here, only {known}; give --max-map-drop what this model loses"
        )
    operation, activation = OPERATIONS[code], _ACTIVATIONS[function]
    return lambda inputs, options: activation(operation(inputs, options))


def _name_of(names: Any, value: int) -> str:
    return next(name for name, number in vars(names).items() if number == value)


def _convolution(inputs: Inputs, options: Any) -> tf.Tensor:
    image, kernel, *bias = inputs  # kernel [out, height, width, in]
    made = tf.nn.conv2d(
        image,
        tf.transpose(kernel, [1, 2, 3, 0]),
        strides=[options.strideH, options.strideW],
        padding=_PADDINGS[options.padding],
        dilations=[options.dilationHFactor, options.dilationWFactor],
    )
    return _with_bias(made, bias)


def _depthwise_convolution(inputs: Inputs, options: Any) -> tf.Tensor:
    image, kernel, *bias = inputs  # kernel [1, height, width, C * M]
    height, width, channels = kernel.shape[1:]
    multiplier = channels // image.shape[-1]
    made = tf.nn.depthwise_conv2d(
        image,
        tf.reshape(kernel, [height, width, channels // multiplier, multiplier]),
        strides=[1, options.strideH, options.strideW, 1],
        padding=_PADDINGS[options.padding],
        dilations=[options.dilationHFactor, options.dilationWFactor],
    )
    return _with_bias(made, bias)


def _with_bias(made: tf.Tensor, bias: Inputs) -> tf.Tensor:
    return tf.nn.bias_add(made, bias[0]) if bias and bias[0] is not None else made


def _reshape(inputs: Inputs, options: Any) -> tf.Tensor:
    shape = inputs[1] if len(inputs) > 1 else options.newShape
    return tf.reshape(inputs[0], [tf.shape(inputs[0])[0], *(int(size) for size in shape[1:])])


def _strided_slice(inputs: Inputs, options: Any) -> tf.Tensor:
    values, begin, end, strides = inputs
    return tf.strided_slice(
        values,
        begin,
        end,
        strides,
        begin_mask=options.beginMask | _ONLY_BATCH,
        end_mask=options.endMask | _ONLY_BATCH,
        ellipsis_mask=options.ellipsisMask,
        new_axis_mask=options.newAxisMask,
        shrink_axis_mask=options.shrinkAxisMask,
    )


def _resize(method: str) -> Operation:
    raw = {
        "nearest": tf.raw_ops.ResizeNearestNeighbor,
        "bilinear": tf.raw_ops.ResizeBilinear,
    }[method]

    def resize(inputs: Inputs, options: Any) -> tf.Tensor:
        return raw(
            images=inputs[0],
            size=inputs[1],
            align_corners=options.alignCorners,
            half_pixel_centers=options.halfPixelCenters,
        )

    return resize


def _pool(kind: str) -> Operation:
    def pool(inputs: Inputs, options: Any) -> tf.Tensor:
        return tf.nn.pool(
            inputs[0],
            [options.filterHeight, options.filterWidth],
            kind,
            strides=[options.strideH, options.strideW],
            padding=_PADDINGS[options.padding],
        )

    return pool


def _softmax(inputs: Inputs, options: Any) -> tf.Tensor:
    return tf.nn.softmax(options.beta * inputs[0])


OPERATIONS: dict[int, Operation] = {
    _Code.CONV_2D: _convolution,
    _Code.DEPTHWISE_CONV_2D: _depthwise_convolution,
    _Code.ADD: lambda inputs, _: inputs[0] + inputs[1],
    _Code.SUB: lambda inputs, _: inputs[0] - inputs[1],
    _Code.MUL: lambda inputs, _: inputs[0] * inputs[1],
    _Code.RESHAPE: _reshape,
    _Code.CONCATENATION: lambda inputs, options: tf.concat(inputs, options.axis),
    _Code.STRIDED_SLICE: _strided_slice,
    _Code.RESIZE_NEAREST_NEIGHBOR: _resize("nearest"),
    _Code.RESIZE_BILINEAR: _resize("bilinear"),
    _Code.PAD: lambda inputs, _: tf.pad(inputs[0], inputs[1]),
    _Code.MAX_POOL_2D: _pool("MAX"),
    _Code.AVERAGE_POOL_2D: _pool("AVG"),
    _Code.RELU: lambda inputs, _: tf.nn.relu(inputs[0]),
    _Code.RELU6: lambda inputs, _: tf.nn.relu6(inputs[0]),
    _Code.LOGISTIC: lambda inputs, _: tf.sigmoid(inputs[0]),
    _Code.SOFTMAX: _softmax,
}


def constant_of(model: Any, number: int) -> np.ndarray | None:
    """Returns a constant tensor of a model as an array; None for what is computed or left out."""
    if number < 0:
        return None
    tensor = model.subgraphs[0].tensors[number]
    data = model.buffers[tensor.buffer].data
    if data is None or not len(data):
        return None
    shape = [] if tensor.shape is None else tensor.shape
    return np.frombuffer(bytes(data), _NUMPY_TYPES[tensor.type]).reshape(shape)
