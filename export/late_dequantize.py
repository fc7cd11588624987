"""int8 values chosen first and made float32 afterwards, in a joined .tflite.

The end of a detection file takes float32, so an int8 network's outputs are dequantized in front of
it: half a million scores, of which a few hundred are used. Choosing does not change values, and
dequantizing does not change their order; the other way round both give the same, and it takes less
time and a quarter of the memory.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from export.flatbuffer import code_of, operators_of, schema

_Code = schema.BuiltinOperator
# What gives some of its first input's values, as its first output.
_CHOOSING = {_Code.GATHER, _Code.REDUCE_MAX, _Code.RESHAPE, _Code.TOPK_V2}


def dequantize_late(model: Any) -> None:
    """Moves every DEQUANTIZE of int8 values behind the operators that only choose among them.

    Args:
      model: ModelT of a .tflite with one subgraph, changed in place.
    """
    waiting = [o for o in operators_of(model, "DEQUANTIZE") if _is_int8(model, o)]
    while waiting:
        operator = waiting.pop()
        number = int(operator.outputs[0])
        if number in model.subgraphs[0].outputs:
            continue  # what the file gives stays float32
        readers = [o for o in model.subgraphs[0].operators if number in o.inputs]
        if all(_only_chooses(model, reader, number) for reader in readers):
            waiting += [_swap(model, operator, reader) for reader in readers]
            _remove(model, operator)  # also where nobody reads: of TOPK_V2 only the places


def _is_int8(model: Any, operator: Any) -> bool:
    tensor = model.subgraphs[0].tensors[int(operator.inputs[0])]
    return bool(tensor.type == schema.TensorType.INT8)


def _only_chooses(model: Any, operator: Any, number: int) -> bool:
    is_first = [int(n) for n in operator.inputs].index(number) == 0
    return is_first and code_of(model, operator) in _CHOOSING


def _swap(model: Any, dequantize: Any, reader: Any) -> Any:
    """Lets `reader` read int8, and returns a DEQUANTIZE of what it gives."""
    graph = model.subgraphs[0]
    source = int(dequantize.inputs[0])
    reader.inputs = np.array([source, *reader.inputs[1:]], np.int32)
    given = int(reader.outputs[0])  # stays the float tensor that others read
    chosen = copy.copy(graph.tensors[given])
    chosen.type = schema.TensorType.INT8
    chosen.quantization = graph.tensors[source].quantization
    chosen.name = graph.tensors[given].name + b"/int8"
    graph.tensors.append(chosen)
    reader.outputs = np.array([len(graph.tensors) - 1, *reader.outputs[1:]], np.int32)
    late = copy.copy(dequantize)
    late.inputs = np.array([len(graph.tensors) - 1], np.int32)
    late.outputs = np.array([given], np.int32)
    place = next(n for n, o in enumerate(graph.operators) if o is reader)
    graph.operators.insert(place + 1, late)
    return late


def _remove(model: Any, operator: Any) -> None:
    operators = model.subgraphs[0].operators
    del operators[next(n for n, o in enumerate(operators) if o is operator)]
