"""MobileNetV2 as the detector's backbone, with the original's channel arithmetic."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import tensorflow as tf

from ssd.models.hyperparams import ConvHyperparams

# (expansion, channels at depth 1.0, stride) of the 17 inverted residual blocks.
_BLOCKS = (
    (1, 16, 1),
    (6, 24, 2), (6, 24, 1),
    (6, 32, 2), (6, 32, 1), (6, 32, 1),
    (6, 64, 2), (6, 64, 1), (6, 64, 1), (6, 64, 1),
    (6, 96, 1), (6, 96, 1), (6, 96, 1),
    (6, 160, 2), (6, 160, 1), (6, 160, 1),
    (6, 320, 1),
)  # fmt: skip


def make_divisible(value: float, divisor: int = 8) -> int:
    """Returns the multiple of `divisor` next to `value` that is at least 0.9 * value."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


class InvertedResidualBlock(keras.layers.Layer):
    """Expand 1x1, depthwise 3x3, project 1x1; each with batch norm, ReLU6 after the first two."""

    def __init__(
        self,
        hyperparams: ConvHyperparams,
        in_channels: int,
        expansion: int,
        channels: int,
        stride: int,
        min_depth: int,
        name: str,
    ) -> None:
        super().__init__(name=name)
        # `min_depth` widens the projection but is not seen by the test for the shortcut.
        self.out_channels = max(channels, min_depth)
        self.has_shortcut = stride == 1 and in_channels == channels
        self.expand = None
        if expansion > 1:
            self.expand = hyperparams.conv(in_channels * expansion, 1, name=f"{name}_expand")
            self.expand_bn = hyperparams.batch_norm(f"{name}_expand_BN")
        self.depthwise = hyperparams.depthwise(3, stride=stride, name=f"{name}_depthwise")
        self.depthwise_bn = hyperparams.batch_norm(f"{name}_depthwise_BN")
        self.project = hyperparams.conv(self.out_channels, 1, name=f"{name}_project")
        self.project_bn = hyperparams.batch_norm(f"{name}_project_BN")

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Returns [B, H / stride, W / stride, out_channels]; linear, no activation at the end."""
        x = inputs
        if self.expand is not None:
            x = tf.nn.relu6(self.expand_bn(self.expand(x), training=training))
        x = tf.nn.relu6(self.depthwise_bn(self.depthwise(x), training=training))
        x = self.project_bn(self.project(x), training=training)
        return inputs + x if self.has_shortcut else x

    def layers_in_order(self) -> Iterator[keras.layers.Layer]:
        if self.expand is not None:
            yield from (self.expand, self.expand_bn)
        yield from (self.depthwise, self.depthwise_bn, self.project, self.project_bn)


class MobileNetV2(keras.layers.Layer):
    """The convolutional part of MobileNetV2 (Sandler et al. 2018, table 2), SAME padding.

    Args:
      hyperparams: of every convolution and batch norm.
      depth_multiplier: scales all channels, rounded to multiples of 8.
      min_depth: least number of channels of every convolution that is not an expansion.
    """

    def __init__(
        self,
        hyperparams: ConvHyperparams,
        depth_multiplier: float = 1.0,
        min_depth: int = 16,
        name: str = "classification_backbone",
    ) -> None:
        super().__init__(name=name)
        channels = max(make_divisible(32 * depth_multiplier), min_depth)
        self.stem = hyperparams.conv(channels, 3, stride=2, name="Conv1")
        self.stem_bn = hyperparams.batch_norm("bn_Conv1")
        self.blocks = []
        for number, (expansion, depth, stride) in enumerate(_BLOCKS):
            block = InvertedResidualBlock(
                hyperparams,
                channels,
                expansion,
                make_divisible(int(depth * depth_multiplier)),
                stride,
                min_depth,
                name=f"block_{number}" if number else "expanded_conv",
            )
            self.blocks.append(block)
            channels = block.out_channels
        last = 1280 if depth_multiplier >= 1.0 else make_divisible(1280 * depth_multiplier)
        self.last = hyperparams.conv(max(last, min_depth), 1, name="Conv_1")
        self.last_bn = hyperparams.batch_norm("Conv_1_bn")

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> dict[int, tf.Tensor]:
        """Returns the last feature map of each level.

        Args:
          inputs: float32 [B, H, W, 3] in [-1, 1].
          training: whether batch norms use the statistics of this batch.

        Returns:
          {level: [B, H / 2^level, W / 2^level, C]} for levels 2..5; sizes round up. Levels 2 to 4
          are block outputs (linear), level 5 follows the last ReLU6.
        """
        x = tf.nn.relu6(self.stem_bn(self.stem(inputs), training=training))
        outputs = []
        for block in self.blocks:
            x = block(x, training=training)
            outputs.append(x)
        top = tf.nn.relu6(self.last_bn(self.last(x), training=training))
        return {2: outputs[2], 3: outputs[5], 4: outputs[12], 5: top}

    def layers_in_order(self) -> list[keras.layers.Layer]:
        """Layers with variables in forward order: `layer_with_weights-N` in checkpoints."""
        blocks = [layer for block in self.blocks for layer in block.layers_in_order()]
        return [self.stem, self.stem_bn, *blocks, self.last, self.last_bn]
