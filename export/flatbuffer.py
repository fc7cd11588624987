"""A converted .tflite put in order: stable names, classic order of outputs, options, checks.

The TFLite converter numbers outputs and tensors as it likes, drops an option of the detection op,
and can lose the op or the weights without an error. Files are rewritten through the schema's object
classes and looked at before anybody gets them.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from export.detection_op import DetectionOpOptions
from ssd.errors import GateError
from ssd.tflite_file import DETECTION_OP, FILE_IDENTIFIER

INPUT_NAME = "image"

# Constants are read in place, by vector instructions on some targets.
_BUFFER_ALIGNMENT = 16
# Variables that were not turned into constants read from these.
_VARIABLE_OPS = {
    schema.BuiltinOperator.VAR_HANDLE: "VAR_HANDLE",
    schema.BuiltinOperator.READ_VARIABLE: "READ_VARIABLE",
}
_WEIGHT_BYTES = {"none": 4, "float16": 2, "dynamic": 1, "int8": 1}
_PIXEL_SCALE, _SCALE_TOLERANCE = 1 / 127.5, 1e-4
_PIXEL_ZERO_POINTS = (127, 128)


class _AlignedBuffer(schema.BufferT):
    """A buffer whose bytes begin at a multiple of 16, which the generated class does not do."""

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802
        if self.data is not None and len(self.data):
            builder.Prep(_BUFFER_ALIGNMENT, len(self.data))
        return int(super().Pack(builder))


def unpack(data: bytes) -> Any:
    """Returns the schema's ModelT of a .tflite file."""
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(data))


def pack(model: Any) -> bytes:
    """Returns the .tflite file of a ModelT, constants aligned."""
    for buffer in model.buffers:
        buffer.__class__ = _AlignedBuffer
    builder = flatbuffers.Builder(sum(len(data) for data in _constants(model)) + 2**16)
    builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
    return bytes(builder.Output())


def code_of(model: Any, operator: Any) -> int:
    """Returns the schema's BuiltinOperator of an operator."""
    code = model.operatorCodes[operator.opcodeIndex]
    # Old files have it in the one field, new ones in the other.
    return int(max(code.builtinCode, code.deprecatedBuiltinCode))


def operators_of(model: Any, *kinds: str) -> list[Any]:
    """Returns the operators of some kinds, such as "CONV_2D", in the order of execution."""
    codes = {getattr(schema.BuiltinOperator, kind) for kind in kinds}
    return [o for o in model.subgraphs[0].operators if code_of(model, o) in codes]


class Constants:
    """float32 constants of a model by tensor number, to read and to replace."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def __getitem__(self, number: int) -> np.ndarray:
        tensor = self._model.subgraphs[0].tensors[number]
        data = self._model.buffers[tensor.buffer].data
        return np.frombuffer(bytes(data), np.float32).reshape(tensor.shape)

    def __setitem__(self, number: int, values: np.ndarray) -> None:
        tensor = self._model.subgraphs[0].tensors[number]
        if list(values.shape) != list(tensor.shape):
            raise ValueError(f"{values.shape} does not fit {list(tensor.shape)}")
        self._model.buffers[tensor.buffer].data = _float_bytes(values)

    def add_like(self, number: int, values: np.ndarray) -> int:
        """Returns the number of a new constant, like that one but for its values."""
        tensors = self._model.subgraphs[0].tensors
        tensor = copy.copy(tensors[number])
        tensor.buffer = len(self._model.buffers)
        self._model.buffers.append(schema.BufferT(data=_float_bytes(values)))
        tensors.append(tensor)
        return len(tensors) - 1


def signature_inputs(model: Any) -> dict[str, int]:
    """Returns name -> tensor number of what the model's signature takes."""
    return _by_name(model.signatureDefs[0].inputs)


def signature_outputs(model: Any) -> dict[str, int]:
    """Returns name -> tensor number of what the model's signature gives; empty without one."""
    return _by_name(model.signatureDefs[0].outputs) if model.signatureDefs else {}


def put_in_order(
    data: bytes, outputs: Sequence[str], options: DetectionOpOptions | None = None
) -> bytes:
    """Returns the file with stable names and order, and with all options of the detection op.

    The input is named `image`; the outputs come in the given order under the given names, as
    tensors and in the signature.

    Args:
      data: a .tflite whose signature gives these outputs.
      outputs: all of them.
      options: of the detection op; None where there is none in the file.

    Raises:
      GateError: an output is missing or double, or the detection op is not there exactly once.
    """
    model = unpack(data)
    graph = model.subgraphs[0]
    given = signature_outputs(model)
    if sorted(given) != sorted(outputs) or len(set(given.values())) != len(outputs):
        raise GateError(f"conversion: the file gives {given}, expected {', '.join(outputs)}")
    if options is not None:
        operator = _detection_operator(model)
        operator.customOptions = np.frombuffer(options.to_flexbuffer(), np.uint8)
    named = {INPUT_NAME: int(graph.inputs[0]), **{name: given[name] for name in outputs}}
    for name, index in named.items():
        graph.tensors[index].name = name.encode()
    graph.outputs = np.array([named[name] for name in outputs], np.int32)
    for signature in model.signatureDefs:
        signature.inputs = [_tensor_map(INPUT_NAME, named[INPUT_NAME])]
        signature.outputs = [_tensor_map(name, named[name]) for name in outputs]
    return pack(model)


def check(data: bytes, *, quantize: str, num_weights: int, has_detection_op: bool) -> None:
    """Returns if the file can be what it should be.

    Args:
      data: of a .tflite.
      quantize: none, float16, dynamic or int8.
      num_weights: values in all convolution kernels of the network.
      has_detection_op: whether the detection op belongs into it.

    Raises:
      GateError: one of the ways a conversion "succeeds" without a usable file: the detection op or
        the weights are gone, variables were not made constants, or an int8 file does not take
        pixels.
    """
    model = unpack(data)
    if has_detection_op:
        _detection_operator(model)
    codes = {max(c.builtinCode, c.deprecatedBuiltinCode) for c in model.operatorCodes}
    unfrozen = sorted(name for code, name in _VARIABLE_OPS.items() if code in codes)
    if unfrozen:
        raise GateError(
            f"conversion: the file reads variables ({', '.join(unfrozen)}) instead of constants"
        )
    constants = sum(len(buffer) for buffer in _constants(model))
    expected = num_weights * _WEIGHT_BYTES[quantize]
    if constants < expected:
        raise GateError(
            f"conversion: {constants} bytes of constants, but the kernels alone need "
            f"{expected}; the network is not in the file"
        )
    if quantize == "int8":
        _check_pixel_input(model)


def _check_pixel_input(model: Any) -> None:
    graph = model.subgraphs[0]
    tensor = graph.tensors[int(graph.inputs[0])]
    if tensor.type != schema.TensorType.UINT8:
        raise GateError("conversion: the int8 file does not take uint8")
    scale, zero_point = float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0])
    is_pixel = abs(scale / _PIXEL_SCALE - 1) < _SCALE_TOLERANCE and zero_point in _PIXEL_ZERO_POINTS
    if not is_pixel:
        raise GateError(
            f"conversion: the int8 file's input has scale {scale:.6f}, zero point {zero_point}; "
            f"pixels need {_PIXEL_SCALE:.6f} and 127 or 128, that is calibration images in "
            "[-1, 1]"
        )


def _detection_operator(model: Any) -> Any:
    code = DETECTION_OP.encode()
    found = [
        o
        for o in model.subgraphs[0].operators
        if model.operatorCodes[o.opcodeIndex].customCode == code
    ]
    if len(found) != 1 or len(model.subgraphs) != 1:
        raise GateError(
            f"conversion: {len(found)} {DETECTION_OP} ops in {len(model.subgraphs)} "
            "subgraphs, expected 1 in 1"
        )
    return found[0]


def _by_name(maps: Any) -> dict[str, int]:
    return {_text(entry.name): int(entry.tensorIndex) for entry in maps}


def _float_bytes(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, np.float32).view(np.uint8).ravel()


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _tensor_map(name: str, index: int) -> Any:
    return schema.TensorMapT(name=name, tensorIndex=index)


def _constants(model: Any) -> list[Any]:
    return [buffer.data for buffer in model.buffers if buffer.data is not None]
