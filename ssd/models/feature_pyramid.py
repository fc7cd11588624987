"""Feature maps of the detector: a feature pyramid on top of the backbone's levels."""

from __future__ import annotations

import keras
import tensorflow as tf

from ssd.models.backbone import backbone_paths
from ssd.models.hyperparams import ConvHyperparams
from ssd.models.padding import pad_to_multiple, spatial_size

# The backbone ends at this level (stride 32); coarser levels are convolutions of the pyramid's top.
_BACKBONE_TOP_LEVEL = 5


class FpnFeatureExtractor(keras.layers.Layer):
    """Backbone levels min_level..5 merged top-down, then stride-2 convolutions up to max_level.

    Differs from the FPN paper as the original does: the coarsest merged level is its projection
    alone (no smoothing, no activation), and what is upsampled into the next finer level is the
    already smoothed map (under TF1, the sum before smoothing).

    Args:
      backbone: MobileNetV1 or MobileNetV2.
      hyperparams: of the pyramid's convolutions.
      min_level, max_level: levels of the feature maps, finest first; level l has stride 2^l.
      depth: channels of every feature map.
      passes_smoothed: False: the sum is what is upsampled, as under TF1.
      first_coarse_number: in the name of the first convolution above the backbone.
      use_depthwise: 3x3 convolutions are separable ("FPNLite").
      use_explicit_padding: see `ConvHyperparams.conv`; a doubled map is then cut to the size of the
        one that it is added to, so that sizes need not halve exactly.
      pad_to_multiple: images are padded to multiples of this.
    """

    def __init__(
        self,
        backbone: keras.layers.Layer,
        hyperparams: ConvHyperparams,
        *,
        min_level: int,
        max_level: int,
        depth: int,
        first_coarse_number: int,
        use_depthwise: bool,
        passes_smoothed: bool = True,
        use_explicit_padding: bool = False,
        pad_to_multiple: int = 1,
        name: str = "feature_extractor",
    ) -> None:
        super().__init__(name=name)
        self.backbone = backbone
        self.hyperparams = hyperparams
        self.passes_smoothed = passes_smoothed
        self.use_explicit_padding = use_explicit_padding
        self.pad_to_multiple = pad_to_multiple
        top_level = min(max_level, _BACKBONE_TOP_LEVEL)
        self.merged_levels = range(top_level, min_level - 1, -1)  # coarsest first

        def conv_with_bn(stride: int, what: str) -> list[keras.layers.Layer]:
            suffix = "_depthwise_conv" if use_depthwise else "_conv"
            conv = hyperparams.conv_or_separable(
                use_depthwise,
                depth,
                3,
                stride=stride,
                use_explicit_padding=use_explicit_padding,
                name=what + suffix,
            )
            return [conv, hyperparams.normalization(depth, f"{what}_batchnorm")]

        # Index 0 is the coarsest level, as in checkpoints; names count from the finest.
        numbers = range(len(self.merged_levels), 0, -1)
        projections = [
            hyperparams.conv(depth, 1, use_bias=True, name=f"projection_{number}")
            for number in numbers
        ]
        self.top_projection, self.residual_projections = projections[0], projections[1:]
        self.smoothings = [conv_with_bn(1, f"smoothing_{number}") for number in numbers[1:]]
        self.coarse_layers = [
            conv_with_bn(2, f"bottom_up_Conv2d_{first_coarse_number + n}")
            for n in range(max_level - top_level)
        ]
        self.feature_map_channels = (depth,) * (max_level - min_level + 1)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> list[tf.Tensor]:
        """Returns the feature maps, finest first.

        Args:
          inputs: float32 [B, H, W, 3] in [-1, 1]; H and W multiples of the merged levels' strides,
            unless use_explicit_padding.
          training: whether batch norms use the statistics of this batch.
        """
        padded = pad_to_multiple(inputs, self.pad_to_multiple)
        levels = self.backbone(padded, training=training).levels
        activate = self.hyperparams.activate
        x = self.top_projection(levels[self.merged_levels[0]])
        feature_maps = [x]
        merges = zip(
            self.merged_levels[1:], self.residual_projections, self.smoothings, strict=True
        )
        for level, projection, (conv, batch_norm) in merges:
            residual, doubled = projection(levels[level]), upsample_nearest_2x(x)
            if self.use_explicit_padding:
                height, width = spatial_size(residual)
                doubled = doubled[:, :height, :width]
            merged = doubled + residual
            feature_maps.insert(0, activate(batch_norm(conv(merged), training=training)))
            x = feature_maps[0] if self.passes_smoothed else merged
        x = feature_maps[-1]
        for conv, batch_norm in self.coarse_layers:
            x = activate(batch_norm(conv(x), training=training))
            feature_maps.append(x)
        return feature_maps

    def checkpoint_layers(self) -> dict[str, keras.layers.Layer]:
        """Layers by their path in checkpoints, below `_feature_extractor`."""
        paths = backbone_paths(self.backbone)
        pyramid = "_fpn_features_generator"
        paths[f"{pyramid}/top_layers/0"] = self.top_projection
        for n, layer in enumerate(self.residual_projections):
            paths[f"{pyramid}/residual_blocks/{n}/0"] = layer
        # Explicit padding is a layer of its own there, in front of the convolution.
        first = 1 if self.use_explicit_padding else 0
        for folder, pairs in (
            (f"{pyramid}/conv_layers", self.smoothings),
            ("_coarse_feature_layers", self.coarse_layers),
        ):
            for n, pair in enumerate(pairs):
                paths |= {f"{folder}/{n}/{first + m}": layer for m, layer in enumerate(pair)}
        return paths


def upsample_nearest_2x(images: tf.Tensor) -> tf.Tensor:
    """Returns [B, 2H, 2W, C], every pixel of [B, H, W, C] repeated twice both ways."""
    height, width = spatial_size(images)
    return tf.raw_ops.ResizeNearestNeighbor(images=images, size=[2 * height, 2 * width])
