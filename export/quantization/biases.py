"""A bias of its own for every convolution.

The converter keeps equal constants once, above all biases of zeros: what is changed for one layer
would be changed for others. An int8 file has them apart anyway, for each is rounded to the steps of
its own layer.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from export.flatbuffer import Constants, operators_of

_BIAS = 2  # place among the inputs of a convolution


def own_bias(model: Any, operator: Any) -> int | None:
    """Returns the tensor number of a convolution's bias, which no other operator reads any more.

    None where it has no bias.

    Args:
      model: ModelT of a float .tflite, changed in place where the bias was shared.
      operator: a convolution of it.
    """
    if len(operator.inputs) <= _BIAS or operator.inputs[_BIAS] < 0:
        return None
    graph, number = model.subgraphs[0], int(operator.inputs[_BIAS])
    tensor = graph.tensors[number]
    reading = [int(n) for o in graph.operators for n in o.inputs if n >= 0]
    if sum(graph.tensors[n].buffer == tensor.buffer for n in reading) == 1:
        return number
    constants = Constants(model)
    own_number = constants.add_like(number, constants[number])
    operator.inputs = np.array([*operator.inputs[:_BIAS], own_number], np.int32)
    return own_number


def own_biases(model: Any) -> None:
    """Gives every convolution of a model a bias that no other operator reads."""
    for operator in operators_of(model, "CONV_2D", "DEPTHWISE_CONV_2D"):
        own_bias(model, operator)
