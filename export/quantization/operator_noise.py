"""What each operator adds to the noise of an int8 file, and how much of it arrives at detections.

An operator gets what the float network gives it, but has the kernel of the int8 file, and its
output is rounded as there: the difference is its own error. Gradients tell what that does to the
scores and boxes of an image's best anchors: gradients of their sum with random signs, so that the
squared product of error and gradient is on average the sum of the squared errors that arrive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from export import flatbuffer
from export.flatbuffer import code_of
from export.network_graph import BOX_ENCODINGS
from export.quantization.box_columns import box_tensors
from export.quantization.calibration import Batches
from export.quantization.fake_quantized_network import MOVES, as_pixels, on_grid
from export.quantization.grids import OperatorPair, dequantized, image_grid, pair_operators
from export.quantization.operators import Operation, constant_of, operation_of
from ssd.tflite_file import SCORES

_NUM_BEST_ANCHORS = 100
# Sums with other signs, of each image.
_NUM_SUMS = 4

Activations = dict[int, tf.Tensor]


@dataclass(frozen=True)
class OperatorNoise:
    """Of every operator in order, summed over images.

    Attributes:
      signal: float64 [operators], squared values that it gives in float; of box encodings only
        those in [-1, 1], which the int8 file does not cut off.
      error: float64 [operators], squared own errors of the same.
      arriving: float64 [operators], squared error of scores and box encodings.
    """

    signal: np.ndarray
    error: np.ndarray
    arriving: np.ndarray


def operator_noise(
    network: Any, int8_network: Any, images: Batches, *, gives_logits: bool
) -> OperatorNoise:
    """Returns the noise of all operators.

    Args:
      network: ModelT of the float file, its box encodings scaled as in the int8 file.
      int8_network: ModelT of the int8 file made from it.
      images: at least one.
      gives_logits: whether `scores` are logits.

    Raises:
      InputError: the network has an operator that is not known here.
    """
    walk = _Walk(network, int8_network)

    @tf.function(autograph=False)
    def sums(image: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        images = tf.tile(image, [_NUM_SUMS, 1, 1, 1])
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs, values, errors = walk(images)
            total = _signed_sum(outputs, gives_logits, number)
        gradients = tape.gradient(total, values, unconnected_gradients="zero")
        rows = zip(values, errors, gradients, walk.counted(values), strict=True)
        return tf.stack([_sums(*row) for row in rows])

    rows = np.array([sums(tf.constant(i), tf.constant(n)) for n, i in enumerate(images())])
    totals = rows.astype(np.float64).sum(axis=0)  # [operators, 3]
    return OperatorNoise(totals[:, 0], totals[:, 1], totals[:, 2])


class _Walk:
    """Images -> outputs, and of each operator in order its values and its own error."""

    def __init__(self, network: Any, int8_network: Any) -> None:
        self._network, self._int8_network = network, int8_network
        self._pairs = pair_operators(network, int8_network)
        self._operations = [operation_of(network, pair.float_operator) for pair in self._pairs]
        self._image_number = int(network.subgraphs[0].inputs[0])
        self._image_grid = image_grid(int8_network)
        self._boxes = set(box_tensors(network) or ())

    def __call__(
        self, images: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], list[tf.Tensor], list[tf.Tensor]]:
        activations, errors = {self._image_number: images}, []
        for pair, operation in zip(self._pairs, self._operations, strict=True):
            options = pair.float_operator.builtinOptions
            made = operation(self._inputs(pair, activations), options)
            errors.append(tf.stop_gradient(self._rounded(pair, operation, activations) - made))
            activations[int(pair.float_operator.outputs[0])] = made
        numbers = flatbuffer.signature_outputs(self._network)
        outputs = {name: activations[number] for name, number in numbers.items()}
        values = [activations[int(pair.float_operator.outputs[0])] for pair in self._pairs]
        return outputs, values, errors

    def counted(self, values: list[tf.Tensor]) -> list[tf.Tensor]:
        """Returns, as booleans, which values have their error counted: boxes only within reach."""
        made = (int(pair.float_operator.outputs[0]) for pair in self._pairs)
        return [
            tf.abs(one) <= (1.0 if number in self._boxes else np.inf)
            for one, number in zip(values, made, strict=True)
        ]

    def _inputs(self, pair: OperatorPair, activations: Activations) -> list[Any]:
        return [
            activations[int(n)] if int(n) in activations else constant_of(self._network, int(n))
            for n in pair.float_operator.inputs
        ]

    def _rounded(
        self, pair: OperatorPair, operation: Operation, activations: Activations
    ) -> tf.Tensor:
        inputs = self._inputs(pair, activations)
        for place, number in enumerate(int(n) for n in pair.float_operator.inputs):
            if number == self._image_number and self._image_grid is not None:
                inputs[place] = as_pixels(inputs[place], self._image_grid)
            elif number not in activations:
                inputs[place] = dequantized(self._int8_network, pair.int8_operator.inputs[place])
        made = operation(inputs, pair.float_operator.builtinOptions)
        is_exact = code_of(self._network, pair.float_operator) in MOVES
        return made if is_exact or pair.output_grid is None else on_grid(made, pair.output_grid)


def _signed_sum(outputs: dict[str, tf.Tensor], gives_logits: bool, number: tf.Tensor) -> tf.Tensor:
    """Returns the sum of highest scores and box encodings of the best anchors, signs random."""
    best = tf.reduce_max(outputs[SCORES], axis=2)  # [B, A]
    values, anchors = tf.math.top_k(best, min(_NUM_BEST_ANCHORS, best.shape[1]))
    scores = tf.sigmoid(values) if gives_logits else values
    boxes = tf.gather(outputs[BOX_ENCODINGS], anchors, batch_dims=1)
    counted = tf.concat([scores[..., tf.newaxis], boxes], axis=2)  # [B, K, 5]
    signs = tf.sign(tf.random.stateless_uniform(tf.shape(counted), [0, number]) - 0.5)
    return tf.reduce_sum(signs * counted)


def _sums(
    values: tf.Tensor, error: tf.Tensor, gradient: tf.Tensor, counted: tf.Tensor
) -> tf.Tensor:
    axes = list(range(1, len(values.shape)))
    arriving = tf.square(tf.reduce_sum(error * gradient, axes))
    squares = [tf.reduce_sum(tf.square(tf.where(counted, one, 0.0)[0])) for one in (values, error)]
    return tf.stack([*squares, tf.reduce_mean(arriving)])
