"""One optimizer update as one TensorFlow function."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from ssd.models.detector import Detector
from ssd.optimizers.moving_average import MovingAverages
from ssd.optimizers.slot_optimizer import SlotOptimizer
from ssd.standard_fields import InputFields

Batch = dict[str, tf.Tensor]


def make_train_step(
    detector: Detector,
    optimizer: SlotOptimizer,
    *,
    trained: Sequence[keras.Variable] | None = None,
    averages: MovingAverages | None = None,
    gradient_clipping_by_norm: float = 0.0,
    bias_grad_multiplier: float = 0.0,
    add_regularization_loss: bool = True,
) -> Callable[[Batch], dict[str, tf.Tensor]]:
    """Returns a function that updates the variables with one batch and returns its losses.

    Args:
      detector: its moving statistics are updated, too.
      optimizer: built for the network's trainable variables; its iterations count the steps.
      trained: the variables to update; None: all trainable ones. The others take no part in the
        norm of the gradients, but in the regularization loss.
      averages: of the weights; updated after them.
      gradient_clipping_by_norm: limit of the global norm; 0 leaves gradients alone.
      bias_grad_multiplier: of the gradients of convolutions' biases, before the clipping; 0 leaves
        them alone.
      add_regularization_loss: whether it is part of what is minimized.

    Returns:
      batch (InputFields keys) -> float32 scalars localization_loss, classification_loss,
      regularization_loss, total_loss, learning_rate (the one used in this step).
    """
    variables = detector.network.trainable_variables if trained is None else list(trained)

    @tf.function(reduce_retracing=True, autograph=False)
    def train_step(batch: Batch) -> dict[str, tf.Tensor]:
        # What is drawn in a step follows from its number, so that a resumed run draws the same.
        seed = tf.stack([tf.cast(optimizer.iterations.value, tf.int64), 0])
        with tf.GradientTape() as tape:
            losses = compute_losses(detector, batch, training=True, seed=seed)
            total = losses["localization_loss"] + losses["classification_loss"]
            if add_regularization_loss:
                total += losses["regularization_loss"]
        gradients = tape.gradient(total, [v.value for v in variables])
        if bias_grad_multiplier:
            gradients = [
                bias_grad_multiplier * gradient if variable.name == "bias" else gradient
                for gradient, variable in zip(gradients, variables, strict=True)
            ]
        if gradient_clipping_by_norm > 0:
            gradients, _ = tf.clip_by_global_norm(gradients, gradient_clipping_by_norm)
        learning_rate = tf.convert_to_tensor(optimizer.learning_rate)
        optimizer.apply(gradients, variables)
        if averages:
            averages.update(optimizer.iterations.value)
        return {**losses, "total_loss": total, "learning_rate": learning_rate}

    return train_step


def compute_losses(
    detector: Detector, batch: Batch, *, training: bool, seed: tf.Tensor | None = None
) -> dict[str, tf.Tensor]:
    """Returns localization_loss, classification_loss and regularization_loss of one batch.

    `seed` (int [2]) decides which anchors a random_example_sampler draws.
    """
    preprocessed = detector.preprocess(batch[InputFields.image])
    predictions = detector.predict(preprocessed, training=training)
    losses = detector.loss(predictions, batch, seed)
    return {**losses, "regularization_loss": detector.regularization_loss()}
