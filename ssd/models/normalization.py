"""Batch normalization through the fused kernel, with the original's statistics; group norm."""

from __future__ import annotations

import keras
import tensorflow as tf

from ssd.core import replicas
from ssd.errors import InputError

# tf_slim's values, which the schema's empty `group_norm {}` stands for.
_NORM_GROUPS, _GROUP_NORM_EPSILON = 32, 1e-6


class FusedBatchNormalization(keras.layers.Layer):
    """Batch normalization over [B, H, W, C] that calls FusedBatchNormV3.

    In training the batch is normalized with its own biased variance, and the moving variance
    follows the unbiased (N - 1) one, as in the TF Object Detection API. Keras 3's own layer is not
    fused on TensorFlow (a training step takes 1.6 times as long) and tracks the biased variance.

    Args:
      momentum: share of the old moving statistics that one training step keeps; `decay` in
        pipeline.config.
      epsilon: added to the variance.
      center, scale: whether there is a beta, and a gamma.
      is_synchronized: `sync_batch_norm`: where several replicas train, the batch is that of all of
        them together, otherwise each replica's own; and the moving variance follows the biased
        variance, as the original's synchronized layer has it.
      frozen: the moving statistics normalize in training too and stay as they are; gamma and beta
        are trained all the same (`freeze_batchnorm`).
    """

    def __init__(
        self,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        is_synchronized: bool = False,
        frozen: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.momentum = momentum
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        self.is_synchronized = is_synchronized
        self.frozen = frozen

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        shape = (input_shape[-1],)
        # Statistics stay float32 under mixed precision; the kernel takes half-precision images.
        weight = {"shape": shape, "dtype": "float32", "autocast": False}
        if self.scale:
            self.gamma = self.add_weight(name="gamma", initializer="ones", **weight)
        if self.center:
            self.beta = self.add_weight(name="beta", initializer="zeros", **weight)
        self.moving_mean = self.add_weight(
            name="moving_mean", initializer="zeros", trainable=False, **weight
        )
        self.moving_variance = self.add_weight(
            name="moving_variance", initializer="ones", trainable=False, **weight
        )

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Returns the normalized [B, H, W, C]; updates the moving statistics if `training`.

        Of several replicas each updates its own copy of the statistics. Where the layer is not
        synchronized they differ then, until the training step replaces them by their mean.
        """
        is_training = bool(training) and not self.frozen
        if is_training and self.is_synchronized and replicas.count() > 1:
            return self._over_all_replicas(inputs)
        channels = inputs.shape[-1]
        outputs = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=tf.convert_to_tensor(self.gamma) if self.scale else tf.ones([channels]),
            offset=tf.convert_to_tensor(self.beta) if self.center else tf.zeros([channels]),
            mean=tf.convert_to_tensor(self.moving_mean),
            variance=tf.convert_to_tensor(self.moving_variance),
            epsilon=self.epsilon,
            # The kernel returns old * (1 - factor) + batch * factor.
            exponential_avg_factor=1.0 - self.momentum if is_training else 1.0,
            is_training=is_training,
        )
        if is_training:
            variance = outputs.batch_variance
            if self.is_synchronized:
                variance = self._with_biased_batch(variance, tf.size(inputs) // channels)
            self.moving_mean.assign(outputs.batch_mean)
            self.moving_variance.assign(variance)
        return outputs.y

    def _over_all_replicas(self, inputs: tf.Tensor) -> tf.Tensor:
        """The same in training, with the statistics of the batches of all replicas together."""
        values = tf.cast(inputs, tf.float32)
        # From here means are counted: squares of large means would swallow small variances.
        origin = tf.stop_gradient(tf.convert_to_tensor(self.moving_mean))
        mean, variance = tf.nn.moments(values, axes=[0, 1, 2])
        offset = mean - origin
        # All replicas have as many images; one exchange gives E[x] and E[x^2] around the origin.
        packed = replicas.summed(tf.stack([offset, variance + tf.square(offset)]))
        offset, square = tf.unstack(packed / replicas.count())
        mean, variance = origin + offset, square - tf.square(offset)
        outputs = tf.nn.batch_normalization(
            values,
            mean,
            variance,
            offset=tf.convert_to_tensor(self.beta) if self.center else None,
            scale=tf.convert_to_tensor(self.gamma) if self.scale else None,
            variance_epsilon=self.epsilon,
        )
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(self.momentum * moving + (1.0 - self.momentum) * tf.stop_gradient(batch))
        return tf.cast(outputs, inputs.dtype)

    def _with_biased_batch(self, updated: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        """The updated variance as if the batch's part of it had been divided by N, not N - 1."""
        batch_part = updated - self.momentum * tf.convert_to_tensor(self.moving_variance)
        return updated - batch_part / tf.cast(count, tf.float32)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape


def group_normalization(channels: int, name: str | None = None) -> keras.layers.GroupNormalization:
    """Returns the normalization of `group_norm`: 32 groups, epsilon 1e-6 (Wu and He 2018).

    Its variance is the biased one, as in TF1; gamma and beta are both there.

    Raises:
      InputError: the channels do not divide into 32 groups.
    """
    if channels % _NORM_GROUPS:
        raise InputError(
            f"conv_hyperparams.group_norm: {name or 'a layer'} has {channels} channels, which do "
            f"not divide into {_NORM_GROUPS} groups; give batch_norm, or a depth_multiplier and "
            f"depths that make multiples of {_NORM_GROUPS}"
        )
    return keras.layers.GroupNormalization(
        groups=_NORM_GROUPS, epsilon=_GROUP_NORM_EPSILON, name=name
    )
