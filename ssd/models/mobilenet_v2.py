"""MobileNetV2 as the detector's backbone, with the original's channel arithmetic."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import tensorflow as tf

from ssd.models.backbone import BackboneFeatures
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
# The SSD's first map is inside this block.
_SSD_BLOCK = 13


def make_divisible(value: float, divisor: int = 8, minimum: int = 8) -> int:
    """Returns the multiple of `divisor` next to `value` that is at least 0.9 * value.

    Or `minimum`, where that multiple is less.
    """
    rounded = max(minimum, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


class InvertedResidualBlock(keras.layers.Layer):
    """Expand 1x1, depthwise 3x3, project 1x1; each normalized, activation after the first two.

    Args:
      hyperparams: of its convolutions.
      in_channels: of its input.
      expansion: factor of the expanded channels; 1: no expansion.
      channels: of the output, before `min_depth`.
      stride: of the depthwise convolution.
      min_depth: least number of channels of the output.
      compares_actual_widths: the shortcut is there where input and output have equally many
        channels, as under TF1; the original's Keras model compares before `min_depth` applies.
      use_explicit_padding: see `ConvHyperparams.conv`.
    """

    def __init__(
        self,
        hyperparams: ConvHyperparams,
        in_channels: int,
        expansion: int,
        channels: int,
        stride: int,
        min_depth: int,
        *,
        compares_actual_widths: bool = False,
        use_explicit_padding: bool = False,
        name: str,
    ) -> None:
        super().__init__(name=name)
        self.hyperparams = hyperparams
        self.expanded_channels = in_channels * expansion
        self.out_channels = max(channels, min_depth)
        compared = self.out_channels if compares_actual_widths else channels
        self.has_shortcut = stride == 1 and in_channels == compared
        self.expand = None
        if expansion > 1:
            self.expand = hyperparams.conv(
                self.expanded_channels, 1, use_bias=False, name=f"{name}_expand"
            )
            self.expand_bn = hyperparams.normalization(self.expanded_channels, f"{name}_expand_BN")
        self.depthwise = hyperparams.depthwise(
            3, stride=stride, use_explicit_padding=use_explicit_padding, name=f"{name}_depthwise"
        )
        self.depthwise_bn = hyperparams.normalization(
            self.expanded_channels, f"{name}_depthwise_BN"
        )
        self.project = hyperparams.conv(
            self.out_channels, 1, use_bias=False, name=f"{name}_project"
        )
        self.project_bn = hyperparams.normalization(self.out_channels, f"{name}_project_BN")

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns (output, expanded).

        Output is [B, H / stride, W / stride, out_channels], linear; expanded is
        [B, H, W, in_channels * expansion], after the activation.
        """
        activate = self.hyperparams.activate
        expanded = inputs
        if self.expand is not None:
            expanded = activate(self.expand_bn(self.expand(inputs), training=training))
        x = activate(self.depthwise_bn(self.depthwise(expanded), training=training))
        x = self.project_bn(self.project(x), training=training)
        return inputs + x if self.has_shortcut else x, expanded

    def layers_in_order(self) -> Iterator[keras.layers.Layer]:
        if self.expand is not None:
            yield from (self.expand, self.expand_bn)
        yield from (self.depthwise, self.depthwise_bn, self.project, self.project_bn)


class MobileNetV2(keras.layers.Layer):
    """The convolutional part of MobileNetV2 (Sandler et al. 2018, table 2).

    Args:
      hyperparams: of every convolution and batch norm.
      depth_multiplier: scales all channels, rounded to multiples of 8.
      min_depth: least number of channels of every convolution that is not an expansion.
      last_channels: of the last convolution, before the multiplier, which only makes it smaller.
      compares_actual_widths, use_explicit_padding: see InvertedResidualBlock.
    """

    def __init__(
        self,
        hyperparams: ConvHyperparams,
        depth_multiplier: float = 1.0,
        min_depth: int = 16,
        *,
        last_channels: int = 1280,
        compares_actual_widths: bool = False,
        use_explicit_padding: bool = False,
        name: str = "classification_backbone",
    ) -> None:
        super().__init__(name=name)
        self.hyperparams = hyperparams
        # Under TF1 min_depth is the least there, too.
        least = min(8, min_depth) if compares_actual_widths else 8
        channels = max(make_divisible(32 * depth_multiplier, minimum=least), min_depth)
        self.stem = hyperparams.conv(
            channels,
            3,
            stride=2,
            use_bias=False,
            use_explicit_padding=use_explicit_padding,
            name="Conv1",
        )
        self.stem_bn = hyperparams.normalization(channels, "bn_Conv1")
        self.blocks = []
        for number, (expansion, depth, stride) in enumerate(_BLOCKS):
            block = InvertedResidualBlock(
                hyperparams,
                channels,
                expansion,
                make_divisible(int(depth * depth_multiplier), minimum=least),
                stride,
                min_depth,
                compares_actual_widths=compares_actual_widths,
                use_explicit_padding=use_explicit_padding,
                name=f"block_{number}" if number else "expanded_conv",
            )
            self.blocks.append(block)
            channels = block.out_channels
        if depth_multiplier < 1.0:
            last_channels = make_divisible(last_channels * depth_multiplier, minimum=least)
        channels = max(last_channels, min_depth)
        self.last = hyperparams.conv(channels, 1, use_bias=False, name="Conv_1")
        self.last_bn = hyperparams.normalization(channels, "Conv_1_bn")
        # Of BackboneFeatures.ssd_maps.
        self.ssd_channels = (self.blocks[_SSD_BLOCK].expanded_channels, channels)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> BackboneFeatures:
        """Returns the feature maps of float32 [B, H, W, 3] in [-1, 1].

        Levels 2 to 4 are block outputs (linear), level 5 follows the last activation; of the SSD's
        two maps the first is the expansion inside block 13.
        """
        activate = self.hyperparams.activate
        x = activate(self.stem_bn(self.stem(inputs), training=training))
        outputs, expansions = [], []
        for block in self.blocks:
            x, expanded = block(x, training=training)
            outputs.append(x)
            expansions.append(expanded)
        top = activate(self.last_bn(self.last(x), training=training))
        levels = {2: outputs[2], 3: outputs[5], 4: outputs[12], 5: top}
        return BackboneFeatures(levels, ssd_maps=(expansions[_SSD_BLOCK], top))

    def layers_in_order(self) -> list[keras.layers.Layer]:
        """Layers with variables in forward order: `layer_with_weights-N` in checkpoints."""
        blocks = [layer for block in self.blocks for layer in block.layers_in_order()]
        return [self.stem, self.stem_bn, *blocks, self.last, self.last_bn]
