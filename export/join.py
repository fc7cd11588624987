"""Two .tflite files joined into one: what the first gives is what the second takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from export import flatbuffer

_NO_TENSOR = -1  # an optional input that is left out


def join(first: bytes, second: bytes) -> bytes:
    """Returns one file with the inputs of `first` and the outputs of `second`.

    Outputs of `first` that `second` does not take stay outputs, before the others.

    Args:
      first: a .tflite with one subgraph and one signature.
      second: another, whose signature's inputs have names of outputs of the first's, of the same
        shapes and types.

    Raises:
      ValueError: an input of `second` is no output of `first`, or does not fit it.
    """
    model, added = flatbuffer.unpack(first), flatbuffer.unpack(second)
    graph, graph_added = model.subgraphs[0], added.subgraphs[0]
    numbers = _matched(model, added)  # of `second`'s tensors in the joined graph
    num_buffers, num_codes = len(model.buffers), len(model.operatorCodes)
    for number, tensor in enumerate(graph_added.tensors):
        if number not in numbers:
            # Buffer 0 is the empty one, of all tensors that are no constants.
            tensor.buffer += num_buffers if tensor.buffer else 0
            numbers[number] = len(graph.tensors)
            graph.tensors.append(tensor)
    numbers[_NO_TENSOR] = _NO_TENSOR
    for operator in graph_added.operators:
        operator.opcodeIndex += num_codes
        operator.inputs = _renumbered(operator.inputs, numbers)
        operator.outputs = _renumbered(operator.outputs, numbers)
    model.buffers += added.buffers
    model.operatorCodes += added.operatorCodes
    graph.operators += graph_added.operators
    taken = {numbers[int(number)] for number in graph_added.inputs}
    kept = [int(number) for number in graph.outputs if int(number) not in taken]
    graph.outputs = np.array([*kept, *_renumbered(graph_added.outputs, numbers)], np.int32)
    signature = model.signatureDefs[0]
    signature.outputs = [entry for entry in signature.outputs if entry.tensorIndex in kept]
    for entry in added.signatureDefs[0].outputs:
        entry.tensorIndex = numbers[int(entry.tensorIndex)]
        signature.outputs.append(entry)
    return flatbuffer.pack(model)


def _matched(model: Any, added: Any) -> dict[int, int]:
    """Input tensor of `added` -> output tensor of `model`, by their names in the signatures."""
    given = flatbuffer.signature_outputs(model)
    matched = {}
    for name, taken in flatbuffer.signature_inputs(added).items():
        if name not in given:
            raise ValueError(f"{name} is taken, but only {', '.join(given)} are given")
        there = model.subgraphs[0].tensors[given[name]]
        here = added.subgraphs[0].tensors[taken]
        shapes = [np.asarray(tensor.shape).tolist() for tensor in (there, here)]
        if shapes[0] != shapes[1] or there.type != here.type:
            raise ValueError(
                f"{name}: {shapes[0]} of type {there.type} is given, "
                f"{shapes[1]} of type {here.type} taken"
            )
        matched[taken] = given[name]
    return matched


def _renumbered(tensors: Any, numbers: dict[int, int]) -> np.ndarray:
    return np.array([numbers[int(number)] for number in tensors], np.int32)
