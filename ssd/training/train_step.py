"""One optimizer update as one TensorFlow function."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from ssd.core import replicas
from ssd.models.detector import Detector
from ssd.models.normalization import FusedBatchNormalization
from ssd.optimizers.moving_average import MovingAverages
from ssd.optimizers.slot_optimizer import SlotOptimizer
from ssd.standard_fields import InputFields
from ssd.training.devices import ONE_DEVICE, Devices
from ssd.training.loss_scale import LossScale, all_finite
from ssd.training.precision import FLOAT32, computing_in

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
    precision: str = FLOAT32,
    loss_scale: LossScale | None = None,
    seed: int = 0,
    devices: Devices = ONE_DEVICE,
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
      precision: of the network; see `precision.computing_in`.
      loss_scale: of gradients in float16; None: they are what they are.
      seed: of the run; with the number of a step it decides what is drawn in there: what dropout
        drops and random_example_sampler takes. Of several replicas each draws on its own, other
        than one replica would with the same batch.
      devices: whose replicas share a batch; all that is said here is then about the global batch.

    Returns:
      batch (InputFields keys; the rows of this worker) -> float32 scalars localization_loss,
      classification_loss, regularization_loss, total_loss, learning_rate (the one used in this
      step); boxes and matched_anchors, the number of boxes in the batch and of anchors that learn
      one; with a loss_scale what `LossScale.update_if` returns.
    """
    variables = detector.network.trainable_variables if trained is None else list(trained)
    statistics = [v.value for v in detector.network.non_trainable_weights]

    def replica_step(batch: Batch) -> dict[str, tf.Tensor]:
        # What is drawn in a step follows from its number, so that a resumed run draws the same.
        step_seed = tf.stack([tf.cast(optimizer.iterations.value, tf.int64), seed])
        if replicas.index():
            step_seed = tf.random.fold_in(step_seed, replicas.index())
        before = [tf.identity(value) for value in statistics] if loss_scale else []
        with tf.GradientTape() as tape:
            losses, counts = _losses_and_counts(detector, batch, step_seed)
            total = losses["localization_loss"] + losses["classification_loss"]
            if add_regularization_loss:
                total += losses["regularization_loss"]
            minimized = loss_scale.scaled(total) if loss_scale else total
        gradients = tape.gradient(minimized, [v.value for v in variables])
        results, gradients = _of_all_replicas(
            detector, {**losses, **counts, "total_loss": total}, gradients
        )
        if loss_scale:
            gradients = loss_scale.unscaled(gradients)
        if bias_grad_multiplier:
            gradients = [
                bias_grad_multiplier * gradient
                if variable.name == "bias" and gradient is not None
                else gradient
                for gradient, variable in zip(gradients, variables, strict=True)
            ]
        if gradient_clipping_by_norm > 0:
            gradients, _ = tf.clip_by_global_norm(gradients, gradient_clipping_by_norm)
        learning_rate = tf.convert_to_tensor(optimizer.learning_rate)
        results["learning_rate"] = learning_rate

        def update() -> None:
            optimizer.apply(gradients, variables)
            if averages:
                averages.update(optimizer.iterations.value)

        def skip() -> None:
            for variable, value in zip(statistics, before, strict=True):
                variable.assign(value)
            optimizer.count_step()

        if loss_scale is None:
            update()
            return results
        is_finite = all_finite(results["total_loss"], gradients)
        scaling = loss_scale.update_if(is_finite, update=update, skip=skip)
        return {**results, **scaling}

    @tf.function(reduce_retracing=True, autograph=False)
    def train_step(batch: Batch) -> dict[str, tf.Tensor]:
        # Around all replicas: they are traced in turns, and policies belong to the shared layers.
        with computing_in(precision, detector.network):
            return devices.run(replica_step, batch)

    return train_step


def _of_all_replicas(
    detector: Detector, scalars: dict[str, tf.Tensor], gradients: list[tf.Tensor | None]
) -> tuple[dict[str, tf.Tensor], list[tf.Tensor | None]]:
    """Sums scalars and gradients over the replicas, and makes moving statistics equal on all."""
    if replicas.count() == 1:
        return scalars, gradients
    moving = [
        statistic.value
        for layer in detector.checkpoint_layers().values()
        if isinstance(layer, FusedBatchNormalization) and not layer.frozen
        for statistic in (layer.moving_mean, layer.moving_variance)
    ]
    own = [tf.convert_to_tensor(variable) for variable in moving]
    present = [gradient for gradient in gradients if gradient is not None]
    # One exchange for all: many small ones would cost more than the arithmetic.
    sums = iter(replicas.all_summed([*own, *scalars.values(), *present]))
    for variable in moving:
        variable.assign(next(sums) / replicas.count())
    totals = {name: next(sums) for name in scalars}
    return totals, [None if gradient is None else next(sums) for gradient in gradients]


def compute_losses(
    detector: Detector, batch: Batch, *, training: bool, seed: tf.Tensor | None = None
) -> dict[str, tf.Tensor]:
    """Returns localization_loss, classification_loss and regularization_loss of one batch.

    `seed` (int [2]) decides what dropout drops and which anchors a random_example_sampler takes.
    """
    predictions = _predictions(detector, batch, training=training, seed=seed)
    losses = detector.loss(predictions, batch, seed)
    return {**losses, "regularization_loss": detector.regularization_loss()}


def _losses_and_counts(
    detector: Detector, batch: Batch, seed: tf.Tensor
) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
    """Returns what `compute_losses` does in training, and how much there is to learn from."""
    predictions = _predictions(detector, batch, training=True, seed=seed)
    targets = detector.assign_targets(batch, detector.anchors_of(predictions))
    losses = detector.loss(predictions, batch, seed, targets=targets)
    counts = {
        "boxes": _number_above_zero(batch[InputFields.groundtruth_weights]),
        "matched_anchors": _number_above_zero(targets.reg_weights),
    }
    return {**losses, "regularization_loss": detector.regularization_loss()}, counts


def _predictions(
    detector: Detector, batch: Batch, *, training: bool, seed: tf.Tensor | None
) -> dict[str, tf.Tensor]:
    preprocessed = detector.preprocess(batch[InputFields.image])
    return detector.predict(preprocessed, training=training, seed=seed)


def _number_above_zero(weights: tf.Tensor) -> tf.Tensor:
    return tf.math.count_nonzero(weights > 0.0, dtype=tf.float32)
