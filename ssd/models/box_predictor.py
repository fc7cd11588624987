"""Heads that turn feature maps into box encodings and class logits."""

from __future__ import annotations

import keras
import tensorflow as tf

from ssd.models.hyperparams import ConvHyperparams
from ssd.standard_fields import PredictionFields

_BOX, _CLASS = PredictionFields.box_encodings, PredictionFields.class_predictions_with_background


class WeightSharedBoxPredictor(keras.layers.Layer):
    """One tower and two heads whose kernels all feature maps share; batch norms are per level.

    `weight_shared_convolutional_box_predictor` of pipeline.config.

    Args:
      hyperparams: of the towers, and of plain heads.
      num_levels: number of feature maps.
      num_classes: background not counted.
      num_anchors_per_location: the same on every level.
      depth: channels of the towers; not scaled by depth_multiplier.
      num_layers_before_predictor: convolutions in a tower; may be 0.
      kernel_size: of towers and heads.
      class_prediction_bias_init: initial bias of every class column, background included.
      share_prediction_tower: one tower for both heads, else one each.
      use_depthwise: towers and heads are separable convolutions.
    """

    def __init__(
        self,
        hyperparams: ConvHyperparams,
        *,
        num_levels: int,
        num_classes: int,
        num_anchors_per_location: int,
        depth: int,
        num_layers_before_predictor: int,
        kernel_size: int,
        class_prediction_bias_init: float,
        share_prediction_tower: bool,
        use_depthwise: bool,
        name: str = "box_predictor",
    ) -> None:
        super().__init__(name=name)
        self.num_classes = num_classes
        tower_names = (
            {_BOX: "PredictionTower"}
            if share_prediction_tower
            else {_BOX: "BoxPredictionTower", _CLASS: "ClassPredictionTower"}
        )
        self.tower_names = tower_names
        self.tower_convs = {
            head: [
                hyperparams.conv_or_separable(
                    use_depthwise, depth, kernel_size, name=f"{tower}_{n}"
                )
                for n in range(num_layers_before_predictor)
            ]
            for head, tower in tower_names.items()
        }
        self.tower_batch_norms = {
            head: [
                [hyperparams.batch_norm() for _ in range(num_layers_before_predictor)]
                for _ in range(num_levels)
            ]
            for head in tower_names
        }

        def head(columns: int, bias_init: float, what: str) -> keras.layers.Layer:
            if not use_depthwise:
                return hyperparams.conv(
                    columns, kernel_size, use_bias=True, bias_init=bias_init, name=what
                )
            # The original's separable heads take neither initializer nor regularizer.
            return keras.layers.SeparableConv2D(
                columns,
                kernel_size,
                padding="same",
                name=what,
                bias_initializer=keras.initializers.Constant(bias_init),
            )

        self.box_head = head(num_anchors_per_location * 4, 0.0, "BoxPredictor")
        self.class_head = head(
            num_anchors_per_location * (num_classes + 1),
            class_prediction_bias_init,
            "ClassPredictor",
        )

    def call(
        self, feature_maps: list[tf.Tensor], training: bool | None = None
    ) -> dict[str, tf.Tensor]:
        """Returns box_encodings [B, A, 4] and class_predictions_with_background [B, A, C+1].

        Anchors are ordered by level (finest first), then cell row by row, then anchor in the cell.
        """
        boxes, classes = [], []
        for level, features in enumerate(feature_maps):
            box_features = self._tower(_BOX, level, features, training)
            class_features = box_features
            if _CLASS in self.tower_names:
                class_features = self._tower(_CLASS, level, features, training)
            # [B, H, W, K*n] -> [B, H*W*K, n]
            boxes.append(_rows(self.box_head(box_features), 4))
            classes.append(_rows(self.class_head(class_features), self.num_classes + 1))
        return {_BOX: tf.concat(boxes, axis=1), _CLASS: tf.concat(classes, axis=1)}

    def _tower(self, head: str, level: int, x: tf.Tensor, training: bool | None) -> tf.Tensor:
        layers = zip(self.tower_convs[head], self.tower_batch_norms[head][level], strict=True)
        for conv, batch_norm in layers:
            x = tf.nn.relu6(batch_norm(conv(x), training=training))
        return x

    def checkpoint_layers(self) -> dict[str, keras.layers.Layer]:
        """Layers by their path in checkpoints, below `_box_predictor`."""
        paths = {
            "_box_prediction_head/_box_encoder_layers/0": self.box_head,
            f"_prediction_heads/{_CLASS}/_class_predictor_layers/0": self.class_head,
        }
        for head, tower in self.tower_names.items():
            for n, conv in enumerate(self.tower_convs[head]):
                paths[f"_head_scope_conv_layers/{tower}/{n}"] = conv
            for level, batch_norms in enumerate(self.tower_batch_norms[head]):
                for n, batch_norm in enumerate(batch_norms):
                    # Each convolution counts as three layers: convolution, batch norm, activation.
                    path = f"_base_tower_layers_for_heads/{head}/{level}/{3 * n + 1}"
                    paths[path] = batch_norm
        return paths


def _rows(tensor: tf.Tensor, columns: int) -> tf.Tensor:
    height, width, channels = tensor.shape[1:]
    return tf.reshape(tensor, [-1, height * width * (channels // columns), columns])
