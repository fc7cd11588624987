"""One step of training that brings a network's outputs nearer to those of another one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from export.network_graph import BOX_ENCODINGS
from export.quantization.fake_quantized_network import FakeQuantizedNetwork, Weight
from ssd.tflite_file import SCORES

# Anchors of an image whose outputs are compared: those with the highest scores in either network.
_NUM_BEST_ANCHORS = 256
_SCORE_WEIGHT = 10.0
# Of the squared difference of logits: it still tells where scores are next to 0 or 1.
_LOGIT_WEIGHT = 0.05
# Of the squared difference of edges, in anchor sizes.
_BOX_WEIGHT = 100.0
# How much of an anchor with score 1 the box of one without any counts.
_LEAST_WEIGHT = 0.02
_SMALLEST_SCORE = 1e-4
_BETA1, _BETA2, _EPSILON = 0.9, 0.99, 1e-12

Outputs = dict[str, tf.Tensor]


@dataclass(frozen=True)
class OutputDifference:
    """How far the detections of two networks are apart.

    Attributes:
      gives_logits: whether their `scores` are logits.
      box_scales: float [4]: what (ty, tx, th, tw) are divided by when boxes are decoded.
    """

    gives_logits: bool
    box_scales: np.ndarray

    def __call__(self, given: Outputs, wanted: Outputs) -> tf.Tensor:
        """Returns a scalar: over each image's best anchors, 0.0 where the outputs are equal.

        The sum over classes of the Kullback-Leibler divergence of scores, and the squared
        difference of boxes, weighted by score.

        Args:
          given, wanted: `box_encodings` [B, A, 4], `scores` [B, A, C]; the former is trained, and
            boxes wanted beyond [-1, 1] are wanted at its border.
        """
        logits, wanted_logits = self._logits(given[SCORES]), self._logits(wanted[SCORES])
        best = tf.reduce_max(tf.maximum(wanted_logits, tf.stop_gradient(logits)), axis=2)  # [B, A]
        num_anchors = min(_NUM_BEST_ANCHORS, best.shape[1])
        values, anchors = tf.math.top_k(best, num_anchors)
        logits, wanted_logits, boxes, wanted_boxes = (
            tf.gather(rows, anchors, batch_dims=1)
            for rows in (logits, wanted_logits, given[BOX_ENCODINGS], wanted[BOX_ENCODINGS])
        )
        off = tf.clip_by_value(wanted_boxes, -1.0, 1.0) - boxes
        # A change of th moves both edges by half of it.
        off = off / tf.constant(self.box_scales * [1.0, 1.0, 2.0, 2.0], tf.float32)
        weights = tf.sigmoid(values) + _LEAST_WEIGHT
        weights /= tf.reduce_mean(weights)
        return (
            _SCORE_WEIGHT * tf.reduce_mean(_divergence(logits, wanted_logits))
            + _LOGIT_WEIGHT * tf.reduce_mean(tf.square(logits - wanted_logits))
            + _BOX_WEIGHT * tf.reduce_mean(weights * tf.reduce_sum(tf.square(off), axis=2))
        )

    def _logits(self, scores: tf.Tensor) -> tf.Tensor:
        if self.gives_logits:
            return scores
        scores = tf.clip_by_value(scores, _SMALLEST_SCORE, 1.0 - _SMALLEST_SCORE)
        return tf.math.log(scores) - tf.math.log1p(-scores)


def _divergence(logits: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """Returns [B, K]: the divergence of the scores of two logits [B, K, C], summed over classes."""
    scores = tf.sigmoid(wanted)
    cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(scores, logits)
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(scores, wanted)
    return tf.reduce_sum(cross_entropy - entropy, axis=2)


class Distillation(tf.Module):
    """Trains `student`, as its int8 file computes, to give what `teacher` gives in float.

    Args:
      student, teacher: of the same network; the teacher's weights stay.
      difference: what is made smaller.
      seed: of mirroring.
    """

    def __init__(
        self,
        student: FakeQuantizedNetwork,
        teacher: FakeQuantizedNetwork,
        difference: OutputDifference,
        seed: int,
    ) -> None:
        super().__init__()
        self._student, self._teacher, self._difference = student, teacher, difference
        self._seed = seed
        self._optimizer = UnitAdam(student.weights)

    @tf.function(autograph=False)
    def step(self, images: tf.Tensor, learning_rate: tf.Tensor) -> tf.Tensor:
        """Returns the loss before the step, a scalar; about half of the images are mirrored.

        Args:
          images: float32 [B, H, W, 3] in [-1, 1].
          learning_rate: scalar.
        """
        seed = [self._seed, self._optimizer.steps]
        is_mirrored = tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], seed) < 0.5
        images = tf.where(is_mirrored, tf.reverse(images, axis=[2]), images)
        wanted = self._teacher(images, quantized=False)
        variables = [weight.variable for weight in self._student.weights]
        with tf.GradientTape() as tape:
            loss = self._difference(self._student(images, quantized=True), wanted)
        gradients = tape.gradient(loss, variables, unconnected_gradients="zero")
        self._optimizer.apply(gradients, learning_rate)
        return loss


class UnitAdam(tf.Module):
    """Adam (Kingma & Ba 2015) on weights measured by their units.

    A learning rate then means the same for every channel: a part of its largest weight, not a
    number that is much for one layer and nothing for another. Gradients need no units: Adam's
    direction does not depend on their size.
    """

    def __init__(self, weights: list[Weight]) -> None:
        super().__init__()
        self._weights = weights
        self._means = [tf.Variable(tf.zeros_like(w.variable)) for w in weights]
        self._squares = [tf.Variable(tf.zeros_like(w.variable)) for w in weights]
        self.steps = tf.Variable(0)

    def apply(self, gradients: list[tf.Tensor], learning_rate: tf.Tensor) -> None:
        """Moves all weights by about `learning_rate` units."""
        self.steps.assign_add(1)
        steps = tf.cast(self.steps, tf.float32)
        correction = tf.sqrt(1.0 - _BETA2**steps) / (1.0 - _BETA1**steps)
        for weight, gradient, mean, square in zip(
            self._weights, gradients, self._means, self._squares, strict=True
        ):
            mean.assign(_BETA1 * mean + (1.0 - _BETA1) * gradient)
            square.assign(_BETA2 * square + (1.0 - _BETA2) * tf.square(gradient))
            direction = correction * mean / (tf.sqrt(square) + _EPSILON)
            weight.variable.assign_sub(learning_rate * weight.unit * direction)
