"""Heads that all feature maps share (`weight_shared_convolutional_box_predictor`)."""

from __future__ import annotations

import keras
import tensorflow as tf

from ssd.models.box_predictor import BOX, CLASS, Columns, dropped_out
from ssd.models.hyperparams import ConvHyperparams


class WeightSharedBoxPredictor(keras.layers.Layer):
    """One tower and two heads whose kernels all feature maps share; batch norms are per level.

    Feature maps of different channel counts are first projected to the most frequent count.

    Args:
      hyperparams: of the towers, and of plain heads.
      columns: of the predictions.
      num_levels: number of feature maps.
      num_anchors_per_location: the same on every level.
      depth: channels of the towers; not scaled by depth_multiplier.
      num_layers_before_predictor: convolutions in a tower; may be 0.
      kernel_size: of towers and heads.
      class_prediction_bias_init: initial bias of every class column, background included.
      share_prediction_tower: one tower for both heads, else one each.
      use_depthwise: towers and heads are separable convolutions.
      has_normalized_towers: the normalizer of the hyperparameters follows each tower convolution,
        which then has no bias of its own.
      dropout_rate: share of the class head's inputs that training sets to 0; None: there is no
        dropout, which counts as a layer in checkpoints even at 0.
      apply_conv_hyperparams_to_heads, apply_conv_hyperparams_pointwise: separable heads, and the
        pointwise halves of separable towers, follow the hyperparameters too.
      converts_to_sigmoid: outside of training the class predictions are scores already.
    """

    def __init__(
        self,
        hyperparams: ConvHyperparams,
        columns: Columns,
        *,
        num_levels: int,
        num_anchors_per_location: int,
        depth: int,
        num_layers_before_predictor: int,
        kernel_size: int,
        class_prediction_bias_init: float,
        share_prediction_tower: bool,
        use_depthwise: bool,
        has_normalized_towers: bool = True,
        dropout_rate: float | None = None,
        apply_conv_hyperparams_to_heads: bool = False,
        apply_conv_hyperparams_pointwise: bool = False,
        converts_to_sigmoid: bool = False,
        name: str = "box_predictor",
    ) -> None:
        super().__init__(name=name)
        self.hyperparams = hyperparams
        self.columns = columns
        self.has_normalized_towers = has_normalized_towers
        self.converts_to_sigmoid = converts_to_sigmoid
        self.use_tower_bias = not has_normalized_towers or hyperparams.force_use_bias
        self.tower_names = (
            {BOX: "PredictionTower"}
            if share_prediction_tower
            else {BOX: "BoxPredictionTower", CLASS: "ClassPredictionTower"}
        )

        def tower_conv(name: str) -> keras.layers.Layer:
            if not use_depthwise:
                return hyperparams.conv(depth, kernel_size, use_bias=self.use_tower_bias, name=name)
            return hyperparams.separable(
                depth,
                kernel_size,
                use_bias=self.use_tower_bias,
                pointwise_follows=apply_conv_hyperparams_pointwise,
                name=name,
            )

        self.tower_convs = {
            head: [tower_conv(f"{tower}_conv2d_{n}") for n in range(num_layers_before_predictor)]
            for head, tower in self.tower_names.items()
        }
        self.tower_batch_norms = {
            head: [
                [self._tower_normalization(depth, f"{tower}_norm") for _ in convs]
                for _ in range(num_levels)
            ]
            for (head, tower), convs in zip(
                self.tower_names.items(), self.tower_convs.values(), strict=True
            )
        }

        def head(total_columns: int, bias_init: float, what: str) -> keras.layers.Layer:
            if not use_depthwise:
                return hyperparams.conv(
                    total_columns, kernel_size, use_bias=True, bias_init=bias_init, name=what
                )
            return hyperparams.separable(
                total_columns,
                kernel_size,
                use_bias=True,
                bias_init=bias_init,
                depthwise_follows=apply_conv_hyperparams_to_heads,
                pointwise_follows=apply_conv_hyperparams_to_heads,
                name=what,
            )

        anchors = num_anchors_per_location
        self.box_head = head(anchors * columns.box_code_size, 0.0, "BoxPredictor")
        self.class_head = head(
            anchors * columns.num_class_columns, class_prediction_bias_init, "ClassPredictor"
        )
        self.dropout_rate = dropout_rate
        # Per level: nothing, or a 1x1 convolution and its normalization.
        self.projections: list[list[keras.layers.Layer]] = [[] for _ in range(num_levels)]

    def build(self, input_shape: list[tuple[int | None, ...]]) -> None:
        channels = [int(shape[-1] or 0) for shape in input_shape]
        if len(set(channels)) > 1:
            # On ties whichever a Python set yields first, as the original has it.
            target = max(set(channels), key=channels.count)
            self.projections = [
                [
                    self.hyperparams.conv(
                        target, 1, use_bias=self.use_tower_bias, name=f"ProjectionLayer_conv2d_{n}"
                    ),
                    self._tower_normalization(target, f"ProjectionLayer_norm_{n}"),
                ]
                for n in range(len(channels))
            ]

    def call(
        self,
        feature_maps: list[tf.Tensor],
        training: bool | None = None,
        seed: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Returns box_encodings [B, A, 4] and class_predictions_with_background [B, A, C+1].

        Anchors are ordered by level (finest first), then cell row by row, then anchor in the cell.
        `seed` (int [2]) decides what dropout drops in training.
        """
        boxes, classes = [], []
        for level, features in enumerate(feature_maps):
            x = features
            if self.projections[level]:
                conv, batch_norm = self.projections[level]
                x = batch_norm(conv(x), training=training)
            box_features = self._tower(BOX, level, x, training)
            class_features = box_features
            if CLASS in self.tower_names:
                class_features = self._tower(CLASS, level, x, training)
            if training:
                class_features = dropped_out(class_features, self.dropout_rate, seed, level)
            boxes.append(self.columns.box_rows(self.box_head(box_features)))
            classes.append(self.columns.class_rows(self.class_head(class_features)))
        class_predictions = tf.concat(classes, axis=1)
        if self.converts_to_sigmoid and not training:
            class_predictions = tf.sigmoid(class_predictions)
        return {BOX: tf.concat(boxes, axis=1), CLASS: class_predictions}

    def _tower_normalization(self, channels: int, name: str) -> keras.layers.Layer:
        if not self.has_normalized_towers:
            return keras.layers.Identity()
        return self.hyperparams.normalization(channels, name)

    def _tower(self, head: str, level: int, x: tf.Tensor, training: bool | None) -> tf.Tensor:
        layers = zip(self.tower_convs[head], self.tower_batch_norms[head][level], strict=True)
        for conv, batch_norm in layers:
            x = self.hyperparams.activate(batch_norm(conv(x), training=training))
        return x

    def checkpoint_layers(self) -> dict[str, keras.layers.Layer]:
        """Layers by their path in checkpoints, below `_box_predictor`."""
        # Layers without variables count there too: dropout, normalization if any, activation.
        first = 0 if self.dropout_rate is None else 1
        per_conv = 3 if self.has_normalized_towers else 2
        paths = {
            "_box_prediction_head/_box_encoder_layers/0": self.box_head,
            f"_prediction_heads/{CLASS}/_class_predictor_layers/{first}": self.class_head,
        }
        for head, tower in self.tower_names.items():
            for n, conv in enumerate(self.tower_convs[head]):
                paths[f"_head_scope_conv_layers/{tower}/{n}"] = conv
            for level, batch_norms in enumerate(self.tower_batch_norms[head]):
                for n, batch_norm in enumerate(batch_norms):
                    path = f"_base_tower_layers_for_heads/{head}/{level}/{per_conv * n + 1}"
                    paths[path] = batch_norm
        for level, layers in enumerate(self.projections):
            for n, layer in enumerate(layers):
                paths[f"_additional_projection_layers/{level}/{n}"] = layer
        return paths
