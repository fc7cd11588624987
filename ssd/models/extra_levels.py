"""Feature maps of the detector: the backbone's last two, then ever coarser extra levels."""

from __future__ import annotations

import keras
import tensorflow as tf

from ssd.models.backbone import backbone_paths
from ssd.models.hyperparams import ConvHyperparams
from ssd.models.padding import pad_to_multiple

# Channels of the extra levels at depth 1.0; the 1x1 convolution in front has half of them.
_EXTRA_DEPTHS = (512, 256, 256, 128)
_BACKBONE_MAPS = 2


class SsdFeatureExtractor(keras.layers.Layer):
    """Two maps of the backbone and up to four extra ones (Liu et al. 2016, section 2.1).

    Each extra level is a 1x1 convolution and a 3x3 one of stride 2 on the level before.

    Args:
      backbone: MobileNetV1 or MobileNetV2.
      hyperparams: of the extra levels' convolutions.
      depth_multiplier, min_depth: channels are max(int(depth * multiplier), min_depth).
      num_layers: feature maps in all, 1 to 6.
      base_name: in the names of the extra layers: the backbone's last layer.
      checkpoint_name: attribute path of the extra levels in checkpoints.
      use_depthwise: the 3x3 convolution is a depthwise one, normalized and activated, and a 1x1
        one ("SSDLite").
      use_explicit_padding: see `ConvHyperparams.conv`.
      pad_to_multiple: images are padded to multiples of this.
    """

    def __init__(
        self,
        backbone: keras.layers.Layer,
        hyperparams: ConvHyperparams,
        *,
        depth_multiplier: float,
        min_depth: int,
        num_layers: int,
        base_name: str,
        checkpoint_name: str,
        use_depthwise: bool,
        use_explicit_padding: bool = False,
        pad_to_multiple: int = 1,
        name: str = "feature_extractor",
    ) -> None:
        super().__init__(name=name)
        self.backbone = backbone
        self.hyperparams = hyperparams
        self.num_layers = num_layers
        self.checkpoint_name = checkpoint_name
        self.use_explicit_padding = use_explicit_padding
        self.pad_to_multiple = pad_to_multiple

        def depth(nominal: int) -> int:
            return max(int(nominal * depth_multiplier), min_depth)

        def level(number: int, nominal: int) -> list[tuple[keras.layers.Layer, keras.layers.Layer]]:
            """(convolution, normalization) pairs of one level; an activation follows each."""
            inner, outer = depth(nominal // 2), depth(nominal)
            first = f"{base_name}_1_Conv2d_{number}_1x1_{inner}"
            second = f"{base_name}_2_Conv2d_{number}_3x3_s2_{outer}"
            conv = hyperparams.conv(inner, 1, name=f"{first}_conv")
            pairs = [(conv, hyperparams.normalization(inner, f"{first}_batchnorm"))]
            if use_depthwise:
                name = f"{second}_depthwise"
                conv = hyperparams.depthwise_before_1x1(
                    3, stride=2, use_explicit_padding=use_explicit_padding, name=f"{name}_conv"
                )
                pairs.append((conv, hyperparams.normalization(inner, f"{name}_batchnorm")))
                conv = hyperparams.conv(outer, 1, name=f"{second}_conv")
            else:
                conv = hyperparams.conv(
                    outer,
                    3,
                    stride=2,
                    use_explicit_padding=use_explicit_padding,
                    name=f"{second}_conv",
                )
            pairs.append((conv, hyperparams.normalization(outer, f"{second}_batchnorm")))
            return pairs

        numbers = range(_BACKBONE_MAPS, num_layers)
        self.extra_levels = [
            level(number, _EXTRA_DEPTHS[number - _BACKBONE_MAPS]) for number in numbers
        ]
        channels = (*backbone.ssd_channels, *(depth(nominal) for nominal in _EXTRA_DEPTHS))
        self.feature_map_channels = channels[:num_layers]

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> list[tf.Tensor]:
        """Returns the feature maps, finest first.

        Args:
          inputs: float32 [B, H, W, 3] in [-1, 1].
          training: whether batch norms use the statistics of this batch.
        """
        padded = pad_to_multiple(inputs, self.pad_to_multiple)
        feature_maps = list(self.backbone(padded, training=training).ssd_maps)[: self.num_layers]
        for pairs in self.extra_levels:
            x = feature_maps[-1]
            for conv, batch_norm in pairs:
                x = self.hyperparams.activate(batch_norm(conv(x), training=training))
            feature_maps.append(x)
        return feature_maps

    def checkpoint_layers(self) -> dict[str, keras.layers.Layer]:
        """Layers by their path in checkpoints, below `_feature_extractor`."""
        paths = backbone_paths(self.backbone)
        for level, pairs in enumerate(self.extra_levels, start=_BACKBONE_MAPS):
            place = 0
            for number, (conv, batch_norm) in enumerate(pairs):
                if number == 1 and self.use_explicit_padding:
                    place += 1  # Explicit padding is a layer of its own there.
                folder = f"{self.checkpoint_name}/convolutions/{level}"
                paths |= {f"{folder}/{place}": conv, f"{folder}/{place + 1}": batch_norm}
                place += 3  # The activation counts as a layer.
        return paths
