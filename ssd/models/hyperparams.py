"""How the convolutions of one part of the detector are made (`conv_hyperparams`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from ssd.models.normalization import FusedBatchNormalization, group_normalization
from ssd.models.padding import PaddedConv2D, PaddedDepthwiseConv2D, PaddedSeparableConv2D

# `activation` of pipeline.config -> what it does to a tensor.
ACTIVATIONS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "NONE": tf.identity,
    "RELU": tf.nn.relu,
    "RELU_6": tf.nn.relu6,
    "SWISH": tf.nn.swish,
}


@dataclass(frozen=True)
class BatchNorm:
    """`batch_norm` or `sync_batch_norm`; see FusedBatchNormalization for the arguments."""

    decay: float = 0.999
    epsilon: float = 1e-3
    center: bool = True
    scale: bool = True
    is_synchronized: bool = False


@dataclass(frozen=True)
class GroupNorm:
    """`group_norm`; see `group_normalization`."""


@dataclass(frozen=True)
class ConvHyperparams:
    """What `conv_hyperparams` says, and the layers it makes.

    Attributes:
      initializer: Keras configuration (class name and arguments, or a name) of the initializer of
        kernels; None for Keras' own, glorot_uniform.
      regularizer: Keras configuration of the regularizer of kernels; None for none.
      activation: a key of ACTIVATIONS.
      normalizer: what follows a convolution; None: nothing, and the convolution has a bias.
      force_use_bias: convolutions have a bias beside a normalizer too.
      freeze_batchnorm: moving statistics are used and kept in training.
      reaches_every_kernel: whether both halves of separable convolutions, and depthwise
        convolutions in front of a 1x1 one, follow too. Under TF1 they do. The Keras models of the
        TF Object Detection API leave the ones named in `separable` and `depthwise_before_1x1` to
        Keras' defaults.
      regularize_depthwise: whether depthwise kernels that do not follow are regularized all the
        same.
      regularizes_backbone_depthwise: whether those of the backbone are.
    """

    initializer: dict[str, Any] | str | None = None
    regularizer: dict[str, Any] | None = None
    activation: str = "RELU_6"
    normalizer: BatchNorm | GroupNorm | None = None
    force_use_bias: bool = False
    freeze_batchnorm: bool = False
    reaches_every_kernel: bool = False
    regularize_depthwise: bool = False
    regularizes_backbone_depthwise: bool = True

    @property
    def use_bias(self) -> bool:
        """Whether convolutions have a bias: they do where no normalizer has an offset."""
        has_offset = self.normalizer is not None
        if isinstance(self.normalizer, BatchNorm):
            has_offset = self.normalizer.center
        return self.force_use_bias or not has_offset

    def activate(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the activation of `x`, same shape."""
        return ACTIVATIONS[self.activation](x)

    def conv(
        self,
        filters: int,
        kernel_size: int,
        *,
        stride: int = 1,
        use_bias: bool | None = None,
        bias_init: float = 0.0,
        use_explicit_padding: bool = False,
        name: str | None = None,
    ) -> keras.layers.Conv2D:
        """Returns a convolution without activation; it has a bias as `use_bias` of this says.

        `use_explicit_padding` pads alike on both sides, else padding is SAME.
        """
        make = PaddedConv2D if use_explicit_padding and kernel_size > 1 else keras.layers.Conv2D
        return make(
            filters,
            kernel_size,
            strides=stride,
            padding="valid" if make is PaddedConv2D else "same",
            use_bias=self.use_bias if use_bias is None else use_bias,
            bias_initializer=keras.initializers.Constant(bias_init),
            kernel_initializer=self._initializer(),
            kernel_regularizer=self._regularizer(),
            name=name,
        )

    def depthwise(
        self,
        kernel_size: int,
        *,
        stride: int = 1,
        use_explicit_padding: bool = False,
        name: str | None = None,
    ) -> keras.layers.DepthwiseConv2D:
        """Returns a depthwise convolution of the backbone; without bias, as all there."""
        return self._depthwise(
            kernel_size,
            stride,
            use_explicit_padding,
            name,
            initializer=self._initializer(),
            regularizer=self._regularizer() if self.regularizes_backbone_depthwise else None,
            use_bias=False,
        )

    def depthwise_before_1x1(
        self,
        kernel_size: int,
        *,
        stride: int = 1,
        use_explicit_padding: bool = False,
        name: str | None = None,
    ) -> keras.layers.DepthwiseConv2D:
        """Returns the depthwise half of an "SSDLite" convolution: extra levels, per-level heads.

        Its kernel has Keras' glorot_uniform and no regularizer unless `reaches_every_kernel`.
        """
        follows = self.reaches_every_kernel
        return self._depthwise(
            kernel_size,
            stride,
            use_explicit_padding,
            name,
            initializer=self._initializer() if follows else "glorot_uniform",
            regularizer=self._depthwise_regularizer(follows),
            use_bias=self.use_bias,
        )

    def separable(
        self,
        filters: int,
        kernel_size: int,
        *,
        stride: int = 1,
        use_bias: bool | None = None,
        bias_init: float = 0.0,
        use_explicit_padding: bool = False,
        depthwise_follows: bool = True,
        pointwise_follows: bool = False,
        name: str | None = None,
    ) -> keras.layers.SeparableConv2D:
        """Returns a separable convolution, nothing between its two halves.

        A half that does not follow has Keras' glorot_uniform and no regularizer;
        `reaches_every_kernel` makes both follow.
        """
        does_depthwise = depthwise_follows or self.reaches_every_kernel
        does_pointwise = pointwise_follows or self.reaches_every_kernel
        make = PaddedSeparableConv2D if use_explicit_padding else keras.layers.SeparableConv2D
        return make(
            filters,
            kernel_size,
            strides=stride,
            padding="valid" if use_explicit_padding else "same",
            use_bias=self.use_bias if use_bias is None else use_bias,
            bias_initializer=keras.initializers.Constant(bias_init),
            depthwise_initializer=self._initializer() if does_depthwise else "glorot_uniform",
            depthwise_regularizer=self._depthwise_regularizer(does_depthwise),
            pointwise_initializer=self._initializer() if does_pointwise else "glorot_uniform",
            pointwise_regularizer=self._regularizer() if does_pointwise else None,
            name=name,
        )

    def conv_or_separable(
        self,
        use_depthwise: bool,
        filters: int,
        kernel_size: int,
        *,
        stride: int = 1,
        use_bias: bool | None = None,
        use_explicit_padding: bool = False,
        name: str | None = None,
    ) -> keras.layers.Layer:
        """Returns `separable` if `use_depthwise`, else `conv`."""
        make = self.separable if use_depthwise else self.conv
        return make(
            filters,
            kernel_size,
            stride=stride,
            use_bias=use_bias,
            use_explicit_padding=use_explicit_padding,
            name=name,
        )

    def normalization(self, channels: int, name: str | None = None) -> keras.layers.Layer:
        """Returns what follows a convolution to `channels`; an identity if nothing does.

        Raises:
          InputError: the channels do not divide into the groups of `group_norm`.
        """
        match self.normalizer:
            case BatchNorm() as norm:
                return FusedBatchNormalization(
                    momentum=norm.decay,
                    epsilon=norm.epsilon,
                    center=norm.center,
                    scale=norm.scale,
                    is_synchronized=norm.is_synchronized,
                    frozen=self.freeze_batchnorm,
                    name=name,
                )
            case GroupNorm():
                return group_normalization(channels, name)
        return keras.layers.Identity(name=name)

    def _depthwise(
        self,
        kernel_size: int,
        stride: int,
        use_explicit_padding: bool,
        name: str | None,
        *,
        initializer: Any,
        regularizer: Any,
        use_bias: bool,
    ) -> keras.layers.DepthwiseConv2D:
        make = PaddedDepthwiseConv2D if use_explicit_padding else keras.layers.DepthwiseConv2D
        return make(
            kernel_size,
            strides=stride,
            padding="valid" if use_explicit_padding else "same",
            use_bias=use_bias,
            depthwise_initializer=initializer,
            depthwise_regularizer=regularizer,
            name=name,
        )

    def _depthwise_regularizer(self, follows: bool) -> keras.regularizers.Regularizer | None:
        return self._regularizer() if follows or self.regularize_depthwise else None

    def _regularizer(self) -> keras.regularizers.Regularizer | None:
        # Keras' L1 holds a tensor, which must outlive the graph that a predictor is built in.
        with tf.init_scope():
            return keras.regularizers.get(self.regularizer)

    def _initializer(self) -> keras.initializers.Initializer:
        # A fresh object per layer: Keras 3 initializers without a seed repeat their draw.
        return keras.initializers.get(self.initializer or "glorot_uniform")


# Of a backbone that does not follow `conv_hyperparams`
# (`override_base_feature_extractor_hyperparams: false`).
BACKBONE_DEFAULTS = ConvHyperparams(
    initializer={"class_name": "TruncatedNormal", "config": {"mean": 0.0, "stddev": 0.09}},
    regularizer={"class_name": "L2", "config": {"l2": 0.5 * 4e-5}},
    normalizer=BatchNorm(decay=0.9997, epsilon=1e-3),
)
