"""Batch-norm statistics that belong to the weights as they are now.

Moving averages with decay 0.997 trail the weights by hundreds of steps; after a short fine-tuning
run they describe a network that no longer exists, and detections collapse although the training
loss is low. Averages over some training batches, weights untouched, are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import tensorflow as tf

from ssd.models.detector import Detector
from ssd.models.normalization import FusedBatchNormalization

Statistics = list[np.ndarray]


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
        self._forward = self._trace(detector)

    @property
    def is_needed(self) -> bool:
        """False where training itself uses the moving statistics (`freeze_batchnorm`)."""
        return any(not layer.frozen for layer in self._layers)

    def estimate(self, batches: Iterable[tf.Tensor]) -> Statistics:
        """Returns the statistics of the current weights; the layers keep their own.

        Means are averaged; variances are averaged and the variance of the batch means is added, so
        that the result is the variance over all images.

        Args:
          batches: float32 [B, H, W, 3], 0..255, augmented and resized as for training.
        """
        before = self.read()
        count, sums, squares = 0, None, None
        try:
            for images in batches:
                self._forward(images)
                values = [value.astype(np.float64) for value in self.read()]
                sums = (
                    values if sums is None else [a + b for a, b in zip(sums, values, strict=True)]
                )
                means = values[0::2]
                squares = (
                    [m * m for m in means]
                    if squares is None
                    else [a + m * m for a, m in zip(squares, means, strict=True)]
                )
                count += 1
        finally:  # also when interrupted: what is saved then must be the layers' own
            self.assign(before)
        if sums is None or squares is None:
            raise ValueError("no batches to estimate statistics from")
        result: Statistics = []
        for mean_sum, variance_sum, square_sum in zip(sums[0::2], sums[1::2], squares, strict=True):
            mean = mean_sum / count
            between = np.maximum(square_sum / count - mean * mean, 0.0)
            result += [mean.astype(np.float32), (variance_sum / count + between).astype(np.float32)]
        return result

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

    def _trace(self, detector: Detector) -> Callable[[tf.Tensor], None]:
        """A training-mode pass after which the moving statistics are those of the batch alone."""

        size, channels = detector.image_size or (None, None), detector.image_resizer.channels
        spec = tf.TensorSpec([None, *size, channels], tf.float32)

        @tf.function(input_signature=[spec], autograph=False)
        def forward(images: tf.Tensor) -> None:
            detector.predict(detector.preprocess(images), training=True)

        momenta = [layer.momentum for layer in self._layers]
        try:
            for layer in self._layers:
                layer.momentum = 0.0
            forward.get_concrete_function()
        finally:
            for layer, momentum in zip(self._layers, momenta, strict=True):
                layer.momentum = momentum
        return forward
