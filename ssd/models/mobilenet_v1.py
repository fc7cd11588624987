"""MobileNetV1 as the detector's backbone, with the original's channel arithmetic."""

from __future__ import annotations

import keras
import tensorflow as tf

from ssd.models.backbone import BackboneFeatures
from ssd.models.hyperparams import ConvHyperparams

_STEM_CHANNELS = 32
# (channels at depth 1.0, stride of the depthwise convolution) of the 13 separable blocks.
_BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1),
    (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip
# The last block of each level.
_BLOCK_OF_LEVEL = {2: 3, 3: 5, 4: 11, 5: 13}


class MobileNetV1(keras.layers.Layer):
    """The convolutional part of MobileNetV1 (Howard et al. 2017, table 1).

    Args:
      hyperparams: of every convolution and batch norm.
      depth_multiplier: scales all channels.
      min_depth: least number of channels of every convolution.
      multiplies_once: True scales every width once, as TF1 does; the original's Keras model scales
        it twice, rounding down each time, which only shows at multipliers other than 1.
      last_block_channels: channels of blocks 12 and 13 where they are others (an FPN with
        use_depthwise has 512 and 256), before the multiplier; scaled once.
      use_explicit_padding: see `ConvHyperparams.conv`.
    """

    def __init__(
        self,
        hyperparams: ConvHyperparams,
        depth_multiplier: float = 1.0,
        min_depth: int = 16,
        *,
        multiplies_once: bool = False,
        last_block_channels: tuple[int, int] | None = None,
        use_explicit_padding: bool = False,
        name: str = "classification_backbone",
    ) -> None:
        super().__init__(name=name)
        self.hyperparams = hyperparams

        def width(channels: int, times: int) -> int:
            for _ in range(times):
                channels = int(channels * depth_multiplier)
            return max(channels, min_depth)

        times = 1 if multiplies_once else 2
        widths = [width(channels, times) for channels, _ in _BLOCKS]
        if last_block_channels:
            widths[-2:] = [width(channels, 1) for channels in last_block_channels]
        stem_channels = width(_STEM_CHANNELS, times)
        self.stem = hyperparams.conv(
            stem_channels,
            3,
            stride=2,
            use_bias=False,
            use_explicit_padding=use_explicit_padding,
            name="conv1",
        )
        self.stem_bn = hyperparams.normalization(stem_channels, "conv1_bn")
        self.blocks = [
            (
                hyperparams.depthwise(
                    3,
                    stride=stride,
                    use_explicit_padding=use_explicit_padding,
                    name=f"conv_dw_{number}",
                ),
                hyperparams.normalization(in_channels, f"conv_dw_{number}_bn"),
                hyperparams.conv(channels, 1, use_bias=False, name=f"conv_pw_{number}"),
                hyperparams.normalization(channels, f"conv_pw_{number}_bn"),
            )
            for number, ((_, stride), in_channels, channels) in enumerate(
                zip(_BLOCKS, (stem_channels, *widths[:-1]), widths, strict=True), start=1
            )
        ]
        # Of BackboneFeatures.ssd_maps.
        self.ssd_channels = (widths[_BLOCK_OF_LEVEL[4] - 1], widths[_BLOCK_OF_LEVEL[5] - 1])

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> BackboneFeatures:
        """Returns the levels of float32 [B, H, W, 3] in [-1, 1], all after the activation."""
        activate = self.hyperparams.activate
        x = activate(self.stem_bn(self.stem(inputs), training=training))
        outputs = {}
        for number, (depthwise, depthwise_bn, pointwise, pointwise_bn) in enumerate(self.blocks, 1):
            x = activate(depthwise_bn(depthwise(x), training=training))
            x = activate(pointwise_bn(pointwise(x), training=training))
            outputs[number] = x
        levels = {level: outputs[block] for level, block in _BLOCK_OF_LEVEL.items()}
        return BackboneFeatures(levels, ssd_maps=(levels[4], levels[5]))

    def layers_in_order(self) -> list[keras.layers.Layer]:
        """Layers with variables in forward order: `layer_with_weights-N` in checkpoints."""
        return [self.stem, self.stem_bn, *(layer for block in self.blocks for layer in block)]
