"""Depthwise kernels rounded to int8 so that the rounding errors of a channel cancel.

The converter rounds each weight to the nearest of 255 steps. The nine errors of a depthwise kernel
then add up to something, and where the image is smooth that sum works like a wrong bias: channels
that look for edges, whose weights cancel, suffer most, above all the first depthwise layer. Weights
that already lie on the steps are not rounded again, so choosing them here decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np

from ssd.models.detector import Detector

_LARGEST = 127  # int8 weights are symmetric: -127..127 times the step of their channel


@contextmanager
def depthwise_kernels_rounded(detector: Detector) -> Iterator[None]:
    """Inside the block every depthwise kernel of the detector lies on the steps of int8."""
    variables = _depthwise_kernels(detector.network)
    before = [np.array(variable) for variable in variables]
    try:
        for variable, kernel in zip(variables, before, strict=True):
            variable.assign(round_kernel(kernel))
        yield
    finally:
        for variable, kernel in zip(variables, before, strict=True):
            variable.assign(kernel)


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


def _depthwise_kernels(network: keras.Model) -> list[keras.Variable]:
    kernels = []
    for layer in network._flatten_layers():
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            kernels.append(layer.kernel)
        elif isinstance(layer, keras.layers.SeparableConv2D):
            kernels.append(layer.depthwise_kernel)
    return kernels
