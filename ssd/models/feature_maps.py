"""Feature maps of the detector: a feature pyramid on top of the backbone's levels."""

from __future__ import annotations

import keras
import tensorflow as tf

from ssd.models.hyperparams import ConvHyperparams
from ssd.models.mobilenet import MobileNetV2

# The backbone ends at this level (stride 32); coarser levels are convolutions of the pyramid's top.
_BACKBONE_TOP_LEVEL = 5


class FpnFeatureExtractor(keras.layers.Layer):
    """MobileNet levels min_level..5 merged top-down, then stride-2 convolutions up to max_level.

    Differs from the FPN paper as the original does: the coarsest merged level is its projection
    alone (no smoothing, no activation), and what is upsampled into the next finer level is the
    already smoothed map.

    Args:
      backbone: yields {level: feature map}.
      hyperparams: of the pyramid's convolutions.
      min_level, max_level: levels of the feature maps, finest first; level l has stride 2^l.
      depth: channels of every feature map.
      use_depthwise: 3x3 convolutions are separable ("FPNLite").
    """

    def __init__(
        self,
        backbone: MobileNetV2,
        hyperparams: ConvHyperparams,
        *,
        min_level: int,
        max_level: int,
        depth: int,
        use_depthwise: bool,
        name: str = "feature_extractor",
    ) -> None:
        super().__init__(name=name)
        self.backbone = backbone
        self.min_level = min_level
        top_level = min(max_level, _BACKBONE_TOP_LEVEL)
        self.merged_levels = range(top_level, min_level - 1, -1)  # coarsest first

        def conv_with_bn(stride: int, what: str) -> list[keras.layers.Layer]:
            conv = hyperparams.conv_or_separable(use_depthwise, depth, 3, stride=stride, name=what)
            return [conv, hyperparams.batch_norm(f"{what}_batchnorm")]

        # Index 0 of the lists is the coarsest level, as in checkpoints.
        projections = [
            hyperparams.conv(depth, 1, use_bias=True, name=f"projection_{level}")
            for level in self.merged_levels
        ]
        self.top_projection, self.residual_projections = projections[0], projections[1:]
        self.smoothings = [
            conv_with_bn(1, f"smoothing_{level}") for level in self.merged_levels[1:]
        ]
        self.coarse_layers = [
            conv_with_bn(2, f"bottom_up_{level}") for level in range(top_level + 1, max_level + 1)
        ]

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> list[tf.Tensor]:
        """Returns the feature maps, finest first.

        Args:
          inputs: float32 [B, H, W, 3] in [-1, 1]; H and W multiples of the merged levels' strides.
          training: whether batch norms use the statistics of this batch.
        """
        levels = self.backbone(inputs, training=training)
        x = self.top_projection(levels[self.merged_levels[0]])
        feature_maps = [x]
        merges = zip(
            self.merged_levels[1:], self.residual_projections, self.smoothings, strict=True
        )
        for level, projection, (conv, batch_norm) in merges:
            x = upsample_nearest_2x(x) + projection(levels[level])
            x = tf.nn.relu6(batch_norm(conv(x), training=training))
            feature_maps.insert(0, x)
        x = feature_maps[-1]
        for conv, batch_norm in self.coarse_layers:
            x = tf.nn.relu6(batch_norm(conv(x), training=training))
            feature_maps.append(x)
        return feature_maps

    def checkpoint_layers(self) -> dict[str, keras.layers.Layer]:
        """Layers by their path in checkpoints, below `_feature_extractor`."""
        paths = {
            f"classification_backbone/layer_with_weights-{n}": layer
            for n, layer in enumerate(self.backbone.layers_in_order())
        }
        pyramid = "_fpn_features_generator"
        paths[f"{pyramid}/top_layers/0"] = self.top_projection
        for n, layer in enumerate(self.residual_projections):
            paths[f"{pyramid}/residual_blocks/{n}/0"] = layer
        for folder, pairs in (
            (f"{pyramid}/conv_layers", self.smoothings),
            ("_coarse_feature_layers", self.coarse_layers),
        ):
            for n, pair in enumerate(pairs):
                paths |= {f"{folder}/{n}/{m}": layer for m, layer in enumerate(pair)}
        return paths


def upsample_nearest_2x(images: tf.Tensor) -> tf.Tensor:
    """Returns [B, 2H, 2W, C], every pixel of [B, H, W, C] repeated twice both ways."""
    height, width = images.shape[1:3]
    return tf.raw_ops.ResizeNearestNeighbor(images=images, size=[2 * height, 2 * width])
