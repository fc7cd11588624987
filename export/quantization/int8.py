"""A float network and what its tensors reach -> the network in int8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.lite.python.convert import mlir_quantize

from export import flatbuffer
from export.converter import native_stderr_held_back
from export.data_flow import require_int8
from export.flatbuffer import schema
from export.quantization.activation_ranges import CLIP_PERCENTILE, ActivationRanges
from export.quantization.box_columns import box_tensors, scale_box_columns
from export.quantization.pixel_shift import center_pixels
from export.quantization.weight_rounding import round_depthwise_kernels

_NO_FACTORS = (1.0, 1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Int8Settings:
    """Choices of the way to int8; see `quantize`."""

    clip_percentile: float = CLIP_PERCENTILE
    float_tensors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Int8Network:
    """A network in int8.

    Attributes:
      data: the .tflite: uint8 `image`, outputs float32 or int8.
      box_factors: what (ty, tx, th, tw) were multiplied by; see `box_columns`.
    """

    data: bytes
    box_factors: tuple[float, ...]


def quantize(
    network: bytes,
    ranges: ActivationRanges,
    settings: Int8Settings,
    *,
    gives_int8: bool = False,
) -> Int8Network:
    """Returns the network in int8, weights by channel, activations by tensor.

    Args:
      network: float .tflite, as `NetworkGraph` is converted; tensors behind those that `ranges`
        knows are scores between 0 and 1.
      ranges: of its tensors.
      settings: clip_percentile, see `ActivationRanges.limits`; float_tensors, names of tensors
        whose operators stay in float.
      gives_int8: outputs are int8 as they are; else float32.

    Raises:
      GateError: convolutions other than those of float_tensors stayed in float.
    """
    model = flatbuffer.unpack(network)
    round_depthwise_kernels(model, settings.float_tensors)
    center_pixels(model)
    both = zip(*ranges.limits(settings.clip_percentile), strict=True)
    limits = dict(zip(ranges.tensors.tolist(), both, strict=True))
    # All pixels have to fit, or the input would not take them as they are.
    limits[int(ranges.tensors[0])] = (-1.0, 1.0)
    factors = np.array(_NO_FACTORS)
    boxes = box_tensors(model)
    if boxes is not None:
        factors = 1.0 / np.maximum(ranges.box_reach.max(axis=0), 1e-3)
        scale_box_columns(model, factors)
        limits |= dict.fromkeys(boxes, (-1.0, 1.0))
    _write_ranges(model, limits)
    with native_stderr_held_back():
        data = mlir_quantize(
            flatbuffer.pack(model),
            input_data_type=tf.uint8,
            output_data_type=tf.int8 if gives_int8 else tf.float32,
            denylisted_nodes=list(settings.float_tensors) or None,
        )
    require_int8(bytes(data), num_float=len(settings.float_tensors))
    return Int8Network(bytes(data), tuple(float(factor) for factor in factors))


def _write_ranges(model: Any, limits: dict[int, tuple[float, float]]) -> None:
    """Writes the ranges to where the quantizer looks for those that calibration found."""
    graph = model.subgraphs[0]
    for number in (int(n) for o in graph.operators for n in o.outputs):
        limits.setdefault(number, (0.0, 1.0))
    for number, (low, high) in limits.items():
        found = schema.QuantizationParametersT()
        found.min, found.max = np.array([low], np.float32), np.array([high], np.float32)
        graph.tensors[number].quantization = found
