"""What the graph of a converted file says about it: its outputs come from its inputs, in int8."""

from __future__ import annotations

from typing import Any

from ai_edge_litert import schema_py_generated as schema

from export import flatbuffer
from ssd.errors import GateError

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")
_INT8 = (schema.TensorType.INT8, schema.TensorType.UINT8)


def require_dependence(data: bytes) -> None:
    """Returns if every output of a .tflite is computed from its inputs.

    Raises:
      GateError: names an output that is the same for every image: what a graph becomes whose parts
        were folded away before the converter saw them.
    """
    model = flatbuffer.unpack(data)
    graph = model.subgraphs[0]
    reached = {int(number) for number in graph.inputs}
    for operator in graph.operators:
        if reached.intersection(int(number) for number in operator.inputs):
            reached.update(int(number) for number in operator.outputs)
    signature = flatbuffer.signature_outputs(model) if model.signatureDefs else {}
    names = {number: name for name, number in signature.items()}
    for number in (int(n) for n in graph.outputs):
        if number not in reached:
            name = names.get(number) or graph.tensors[number].name.decode()
            raise GateError(
                f"conversion: output {name} does not depend on the input; the network is not in "
                "the file"
            )


def require_int8(data: bytes, *, num_float: int = 0) -> None:
    """Returns if the convolutions of a quantized .tflite compute in int8.

    Args:
      data: as the quantizer returned it.
      num_float: how many of them were left in float on purpose.

    Raises:
      GateError: more of them compute in float.
    """
    model = flatbuffer.unpack(data)
    found = flatbuffer.operators_of(model, *_CONVOLUTIONS)
    in_float = [operator for operator in found if not _is_int8(model, operator)]
    if len(in_float) > num_float:
        name = model.subgraphs[0].tensors[int(in_float[0].outputs[0])].name.decode()
        raise GateError(
            f"conversion: {len(in_float)} of {len(found)} convolutions of the int8 file compute in "
            f"float, {name.split(';')[0]} first; {num_float} should"
        )


def _is_int8(model: Any, operator: Any) -> bool:
    tensors = model.subgraphs[0].tensors
    numbers = (operator.inputs[0], operator.inputs[1], operator.outputs[0])
    return all(tensors[int(number)].type in _INT8 for number in numbers)
