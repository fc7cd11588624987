"""Box encodings brought to one range, so that int8 has as many steps for ty as for th.

An int8 tensor has one step for all it holds. The encodings of sizes reach three times as far as
those of centers, and those of anchors that see nothing further still, so centers would get a third
of the steps and boxes would jitter. Here each of the four is divided by how far it reaches in
anchors that can become detections, and what lies beyond is cut off. Whoever decodes the boxes
divides by so much smaller scales; in the network it costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from export.flatbuffer import Constants, code_of, schema, signature_outputs
from export.network_graph import BOX_ENCODINGS

_BOX_CODE_SIZE = 4
# Between the convolutions and the output: what only moves values around.
_MOVES = {
    schema.BuiltinOperator.RESHAPE,
    schema.BuiltinOperator.CONCATENATION,
    schema.BuiltinOperator.PACK,
    schema.BuiltinOperator.STRIDED_SLICE,
}


def box_tensors(model: Any) -> list[int] | None:
    """Returns the tensors from the box heads' convolutions to the output `box_encodings`.

    None where something else than moving values lies between, clipping for example, or where one
    of them is used otherwise, too.
    """
    made_by = _producers(model)
    found, waiting = [], [signature_outputs(model)[BOX_ENCODINGS]]
    while waiting:
        number = waiting.pop()
        found.append(number)
        operator = made_by[number]
        code = code_of(model, operator)
        if code in _MOVES:
            waiting += [int(n) for n in operator.inputs if int(n) in made_by]
        elif code != schema.BuiltinOperator.CONV_2D:
            return None
    makers = [made_by[number] for number in found]
    others = [o for o in model.subgraphs[0].operators if not any(o is maker for maker in makers)]
    used_otherwise = {int(number) for operator in others for number in operator.inputs}
    return None if used_otherwise & set(found) else found


def scale_box_columns(model: Any, factors: np.ndarray) -> None:
    """Multiplies the columns of `box_encodings` of a float .tflite model.

    Args:
      model: a ModelT whose `box_tensors` are known, changed in place.
      factors: float [4], of (ty, tx, th, tw).
    """
    constants = Constants(model)
    scaled: dict[int, int] = {}  # constant -> its copy; levels may share a head
    for operator in _box_convolutions(model):
        numbers = operator.inputs.copy()
        for place in (1, 2):
            number = int(numbers[place])
            if number not in scaled:
                values = constants[number]  # [K * 4, ...]
                columns = np.tile(factors, len(values) // _BOX_CODE_SIZE)
                # A copy: the converter gives equal constants, two biases of zeros, one tensor.
                scaled[number] = constants.add_like(
                    number, values * columns.reshape(-1, *[1] * (values.ndim - 1))
                )
            numbers[place] = scaled[number]
        operator.inputs = numbers


def _box_convolutions(model: Any) -> Iterator[Any]:
    made_by = _producers(model)
    for number in box_tensors(model) or ():
        if code_of(model, made_by[number]) == schema.BuiltinOperator.CONV_2D:
            yield made_by[number]


def _producers(model: Any) -> dict[int, Any]:
    return {int(number): o for o in model.subgraphs[0].operators for number in o.outputs}
