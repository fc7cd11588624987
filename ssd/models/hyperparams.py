"""How the convolutions of one part of the detector are made (`conv_hyperparams`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from ssd.models.batch_norm import FusedBatchNormalization


@dataclass(frozen=True)
class ConvHyperparams:
    """What `conv_hyperparams` says, and the layers it makes.

    Attributes:
      l2_weight: `l2_regularizer.weight`; the loss is l2_weight / 2 * sum(w^2) per kernel.
      initializer: Keras initializer configuration (class name and arguments) of kernels.
      batch_norm_decay, batch_norm_epsilon: see FusedBatchNormalization.
      freeze_batchnorm: moving statistics are used and kept in training.
    """

    l2_weight: float
    initializer: dict[str, Any]
    batch_norm_decay: float
    batch_norm_epsilon: float
    freeze_batchnorm: bool = False

    def conv(
        self,
        filters: int,
        kernel_size: int,
        *,
        stride: int = 1,
        use_bias: bool = False,
        bias_init: float = 0.0,
        name: str | None = None,
    ) -> keras.layers.Conv2D:
        """Returns a regularized convolution with SAME padding and no activation."""
        return keras.layers.Conv2D(
            filters,
            kernel_size,
            strides=stride,
            padding="same",
            use_bias=use_bias,
            bias_initializer=keras.initializers.Constant(bias_init),
            kernel_initializer=self._initializer(),
            kernel_regularizer=self._regularizer(),
            name=name,
        )

    def depthwise(
        self, kernel_size: int, *, stride: int = 1, name: str | None = None
    ) -> keras.layers.DepthwiseConv2D:
        """Returns a regularized depthwise convolution with SAME padding, no bias."""
        return keras.layers.DepthwiseConv2D(
            kernel_size,
            strides=stride,
            padding="same",
            use_bias=False,
            depthwise_initializer=self._initializer(),
            depthwise_regularizer=self._regularizer(),
            name=name,
        )

    def separable(
        self, filters: int, kernel_size: int, *, stride: int = 1, name: str | None = None
    ) -> keras.layers.SeparableConv2D:
        """Returns a separable convolution, no bias, nothing between its two halves.

        Only the depthwise half follows the hyperparameters; the pointwise half keeps Keras'
        glorot_uniform and no regularizer, as the original's layers of this kind do.
        """
        return keras.layers.SeparableConv2D(
            filters,
            kernel_size,
            strides=stride,
            padding="same",
            use_bias=False,
            depthwise_initializer=self._initializer(),
            depthwise_regularizer=self._regularizer(),
            name=name,
        )

    def conv_or_separable(
        self,
        use_depthwise: bool,
        filters: int,
        kernel_size: int,
        *,
        stride: int = 1,
        name: str | None = None,
    ) -> keras.layers.Layer:
        """Returns `separable` if `use_depthwise`, else `conv`; both without bias."""
        make = self.separable if use_depthwise else self.conv
        return make(filters, kernel_size, stride=stride, name=name)

    def batch_norm(self, name: str | None = None) -> FusedBatchNormalization:
        """Returns the batch norm that follows a convolution of this part."""
        return FusedBatchNormalization(
            momentum=self.batch_norm_decay,
            epsilon=self.batch_norm_epsilon,
            frozen=self.freeze_batchnorm,
            name=name,
        )

    def _regularizer(self) -> keras.regularizers.Regularizer | None:
        return keras.regularizers.L2(0.5 * self.l2_weight) if self.l2_weight else None

    def _initializer(self) -> keras.initializers.Initializer:
        # A fresh object per layer: Keras 3 initializers without a seed repeat their draw.
        return keras.initializers.deserialize(dict(self.initializer))
