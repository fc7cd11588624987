"""Batch-norm statistics that belong to the weights as they are now.

Moving averages with decay 0.997 trail the weights by hundreds of steps; after a short fine-tuning
run they describe a network that no longer exists, and detections collapse although the training
loss is low. Averages over some training batches, weights untouched, are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from ssd.models.detector import Detector
from ssd.models.normalization import FusedBatchNormalization
from ssd.standard_fields import InputFields
from ssd.training.train_step import Batch, compute_losses

Statistics = list[np.ndarray]
LossFunction = Callable[[Batch], tf.Tensor]


@dataclass(frozen=True)
class Estimate:
    """What some training batches say about the current weights.

    Attributes:
      statistics: see `StatisticsEstimator.read`.
      losses: localization + classification of every batch, normalized by its own statistics as in
        training.
    """

    statistics: Statistics
    losses: list[float]


class StatisticsEstimator:
    """Averages batch statistics over training batches, and swaps them in and out.

    Args:
      detector: its network's batch norms are the ones meant.
    """

    def __init__(self, detector: Detector) -> None:
        self._layers = [
            layer
            for layer in detector.checkpoint_layers().values()
            if isinstance(layer, FusedBatchNormalization)
        ]
        self._detector = detector
        self._own: LossFunction | None = None
        self._stored: LossFunction | None = None

    @property
    def is_needed(self) -> bool:
        """False where training itself uses the moving statistics (`freeze_batchnorm`)."""
        return any(not layer.frozen for layer in self._layers)

    def estimate(self, batches: Iterable[Batch]) -> Estimate:
        """Returns the statistics of the current weights; the layers keep their own.

        Means are averaged; variances are averaged and the variance of the batch means is added, so
        that the result is the variance over all images.

        Args:
          batches: as for a training step, augmented and resized; at least one.
        """
        before = self.read()
        losses: list[float] = []
        sums = [np.zeros(value.shape, np.float64) for value in before]
        squares = [np.zeros(mean.shape, np.float64) for mean in before[0::2]]
        try:
            for batch in batches:
                if self._own is None:
                    self._own = self._trace_own(batch)
                losses.append(float(self._own(batch)))
                for total, value in zip(sums, values := self.read(), strict=True):
                    total += value
                for square, mean in zip(squares, values[0::2], strict=True):
                    square += mean.astype(np.float64) ** 2
        finally:  # also when interrupted: what is saved then must be the layers' own
            self.assign(before)
        if not losses:
            raise ValueError("no batches to estimate statistics from")
        statistics: Statistics = []
        for means, variances, square in zip(sums[0::2], sums[1::2], squares, strict=True):
            mean = means / len(losses)
            between = np.maximum(square / len(losses) - mean * mean, 0.0)
            variance = variances / len(losses) + between
            statistics += [mean.astype(np.float32), variance.astype(np.float32)]
        return Estimate(statistics, losses)

    def loss(self, batches: Sequence[Batch]) -> float:
        """Returns the mean localization + classification loss with the layers' own statistics."""
        if self._stored is None:
            self._stored = self._traced(batches[0], training=False)
        return float(np.mean([float(self._stored(batch)) for batch in batches]))

    def read(self) -> Statistics:
        """Returns moving_mean and moving_variance of every layer, in turn."""
        return [
            v.numpy()
            for layer in self._layers
            for v in (layer.moving_mean.value, layer.moving_variance.value)
        ]

    def assign(self, statistics: Statistics) -> None:
        """Sets what `read` or `estimate` returned."""
        values = iter(statistics)
        for layer in self._layers:
            layer.moving_mean.assign(next(values))
            layer.moving_variance.assign(next(values))

    @contextmanager
    def swapped_in(self, statistics: Statistics | None) -> Iterator[None]:
        """The network has `statistics` inside the block (None: its own), its own after it."""
        if statistics is None:
            yield
            return
        before = self.read()
        self.assign(statistics)
        try:
            yield
        finally:
            self.assign(before)

    def _trace_own(self, batch: Batch) -> LossFunction:
        """A training-mode pass after which the moving statistics are those of the batch alone."""
        momenta = [layer.momentum for layer in self._layers]
        try:
            for layer in self._layers:
                layer.momentum = 0.0
            return self._traced(batch, training=True)
        finally:
            for layer, momentum in zip(self._layers, momenta, strict=True):
                layer.momentum = momentum

    def _traced(self, batch: Batch, *, training: bool) -> LossFunction:
        """The loss of batches like this one, of any number of images."""

        @tf.function(autograph=False)
        def loss(batch: Batch) -> tf.Tensor:
            seed = tf.zeros([2], tf.int64)  # random_example_sampler draws the same every time
            losses = compute_losses(self._detector, batch, training=training, seed=seed)
            return losses["localization_loss"] + losses["classification_loss"]

        specs = {
            name: tf.TensorSpec([None, *value.shape[1:]], value.dtype)
            for name, value in batch.items()
        }
        if self._detector.image_size is None:  # the next image has another size
            channels = batch[InputFields.image].shape[-1]
            specs[InputFields.image] = tf.TensorSpec([None, None, None, channels], tf.float32)
        return loss.get_concrete_function(specs)
