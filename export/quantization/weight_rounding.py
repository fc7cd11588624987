"""Depthwise kernels rounded to int8 so that the rounding errors of a channel cancel.

The converter rounds each weight to the nearest of 255 steps. The nine errors of a depthwise kernel
then add up to something, and where the image is smooth that sum works like a wrong bias: channels
that look for edges, whose weights cancel, suffer most, above all the first depthwise layer. Weights
that already lie on the steps are not rounded again, so choosing them here decides.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from export.flatbuffer import Constants, operators_of

_LARGEST = 127  # int8 weights are symmetric: -127..127 times the step of their channel


def round_depthwise_kernels(model: Any, float_tensors: Collection[str] = ()) -> None:
    """Puts every float32 depthwise kernel of a .tflite model on the steps of int8.

    Args:
      model: a ModelT, changed in place.
      float_tensors: names of outputs whose operators stay in float, and need no rounding.
    """
    constants = Constants(model)
    tensors = model.subgraphs[0].tensors
    # Levels of a shared head read the same kernel, which rounding again would not change.
    for operator in operators_of(model, "DEPTHWISE_CONV_2D"):
        if tensors[int(operator.outputs[0])].name.decode() in float_tensors:
            continue
        kernel = constants[operator.inputs[1]]  # [1, height, width, C * M]
        constants[operator.inputs[1]] = round_kernel(kernel[0][..., np.newaxis])[np.newaxis, ..., 0]


def round_kernel(kernel: np.ndarray) -> np.ndarray:
    """Returns a depthwise kernel on the steps of int8, the sum of each channel kept.

    The step of a channel is its largest weight / 127. Every weight goes to the nearest step, except
    that as many as needed, those nearest to the middle between two steps first, go to the other
    one, until the sum is within half a step of what it was.

    Args:
      kernel: float32 [height, width, C, M].

    Returns:
      float32 of the same shape; a channel of zeros stays so.

    Example: 1 and -1 are the largest; the others are 0.4 steps above 31 and would all go down, and
    the sum with them by 1.2 steps. One goes up, and the sum is off by 0.2 steps.
      >>> steps = np.array([127, -127, 31.4, 31.4, 31.4]).reshape(5, 1, 1, 1)
      >>> np.rint(round_kernel(steps / 127)[:, 0, 0, 0] * 127).astype(int).tolist()
      [127, -127, 32, 31, 31]
    """
    columns = kernel.reshape(kernel.shape[0] * kernel.shape[1], -1).astype(np.float64)
    largest = np.abs(columns).max(axis=0)
    step = np.where(largest > 0, largest, 1.0) / _LARGEST
    exact = columns / step
    rounded = np.rint(exact)
    for channel in range(columns.shape[1]):
        error = rounded[:, channel] - exact[:, channel]
        excess = int(np.rint(error.sum()))
        direction = np.sign(excess)
        # The largest weight fixes the step and has no error; it is never among those moved.
        farthest_first = np.argsort(-direction * error, kind="stable")[: abs(excess)]
        rounded[farthest_first, channel] -= direction
    return (rounded * step).astype(np.float32).reshape(kernel.shape)
