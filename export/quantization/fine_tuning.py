"""Quantization-aware fine-tuning: a network taught to give in int8 what it gives in float.

No labels are needed: the float network itself says what each image should give. Batch norm is part
of the convolutions by then, so that what is trained is what the file holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from export import flatbuffer
from export.quantization import int8
from export.quantization.activation_ranges import ActivationRanges
from export.quantization.biases import own_biases
from export.quantization.box_columns import scale_box_columns
from export.quantization.calibration import Batches
from export.quantization.distillation import Distillation, OutputDifference
from export.quantization.fake_quantized_network import FakeQuantizedNetwork
from export.quantization.int8 import Int8Settings
from export.quantization.pixel_shift import center_pixels
from export.quantization.weight_rounding import round_depthwise_kernels
from ssd.data.example_order import epoch_order
from ssd.errors import InputError

BATCH_SIZE = 8
# The part of a channel's largest weight by which a weight moves in one step; 1/127 is one of int8.
_LEARNING_RATE = 5e-5
_WARMUP_STEPS = 20

OnStep = Callable[[int, float], None]


def fine_tune(
    network: bytes,
    ranges: ActivationRanges,
    images: Batches,
    settings: Int8Settings,
    *,
    gives_logits: bool,
    box_scales: Sequence[float],
    steps: int,
    seed: int = 0,
    on_step: OnStep | None = None,
) -> bytes:
    """Returns the float network with weights that lose less in int8.

    It is to be quantized with the same ranges and settings. Its kernels lie on the steps of int8,
    so that in float it already has the rounding of its weights.

    Args:
      network: float .tflite, as `NetworkGraph` is converted.
      ranges, settings: with which it is quantized.
      images: to learn from; not those that it is judged by.
      gives_logits: whether its `scores` are logits.
      box_scales: of the box coder: y_scale, x_scale, height_scale, width_scale.
      steps: of 8 images each, about half of them mirrored; at least 1.
      seed: of the order and of mirroring; the same gives the same weights on one machine.
      on_step: called after every step with its number from 1 and its loss.

    Raises:
      InputError: the network has an operator that cannot be trained here, or there are no images.
    """
    made = int8.quantize(network, ranges, settings)
    factors = np.array(made.box_factors)
    teacher, student = flatbuffer.unpack(network), flatbuffer.unpack(network)
    for model in (teacher, student):
        scale_box_columns(model, factors)
    own_biases(student)
    round_depthwise_kernels(student, settings.float_tensors)
    center_pixels(student)
    trained = FakeQuantizedNetwork(flatbuffer.pack(student), made.data)
    distillation = Distillation(
        trained,
        FakeQuantizedNetwork(flatbuffer.pack(teacher), made.data),
        OutputDifference(gives_logits, factors * box_scales),
        seed,
    )
    for number, batch in enumerate(_batches(_pixels(images), steps, seed)):
        rate = tf.constant(_learning_rate(number, steps), tf.float32)
        loss = distillation.step(tf.constant(batch), rate)
        if on_step is not None:
            on_step(number + 1, float(loss))
    result = flatbuffer.unpack(trained.to_bytes())
    center_pixels(result, undo=True)
    scale_box_columns(result, 1.0 / factors)
    return flatbuffer.pack(result)


def _pixels(images: Batches) -> np.ndarray:
    """Returns uint8 [N, H, W, 3]: what an int8 file gets, and a quarter of the memory."""
    pixels = [np.rint((image + 1.0) * 127.5).astype(np.uint8) for image in images()]
    if not pixels:
        raise InputError(
            "quantization-aware fine-tuning: 0 images; give --calibration a non-empty file"
        )
    return np.concatenate(pixels)


def _batches(pixels: np.ndarray, steps: int, seed: int) -> Iterator[np.ndarray]:
    """Yields float32 [8, H, W, 3] in [-1, 1], epoch after epoch in another order."""
    epochs, waiting = 0, np.array([], np.int64)
    for _ in range(steps):
        while len(waiting) < BATCH_SIZE:
            waiting = np.concatenate([waiting, epoch_order(len(pixels), seed, epochs)])
            epochs += 1
        chosen, waiting = waiting[:BATCH_SIZE], waiting[BATCH_SIZE:]
        yield pixels[chosen].astype(np.float32) / 127.5 - 1.0


def _learning_rate(number: int, steps: int) -> float:
    """Rises over 20 steps, or a fifth of them, then follows half a cosine to 0."""
    warmup = min(1.0, (number + 1) / min(_WARMUP_STEPS, max(steps // 5, 1)))
    return float(_LEARNING_RATE * warmup * 0.5 * (1.0 + np.cos(np.pi * number / steps)))
