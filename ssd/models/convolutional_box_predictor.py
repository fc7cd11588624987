"""Heads of their own for every feature map (`convolutional_box_predictor`)."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from ssd.models.box_predictor import BOX, CLASS, Columns, dropped_out
from ssd.models.hyperparams import ConvHyperparams


class ConvolutionalBoxPredictor(keras.layers.Layer):
    """Two convolutions per feature map: one to box encodings, one to class logits.

    Args:
      hyperparams: of all convolutions.
      columns: of the predictions.
      num_anchors_per_location: one number per feature map.
      min_depth, max_depth: bounds of the channels of the convolutions in front, which otherwise
        have as many as the feature map; 0 for both: there are none.
      num_layers_before_predictor: 1x1 convolutions in front of both heads.
      kernel_size: of the heads.
      use_depthwise: a head is a depthwise convolution, normalized and activated, and a 1x1 one.
      class_prediction_bias_init: initial bias of every class column; heads with use_depthwise
        begin at 0 all the same, as the original's.
      dropout_rate: share of the class heads' inputs that training sets to 0; None: there is no
        dropout, which counts as a layer in checkpoints even at 0.
      apply_sigmoid_to_scores: class predictions are scores, in training too.
    """

    def __init__(
        self,
        hyperparams: ConvHyperparams,
        columns: Columns,
        *,
        num_anchors_per_location: Sequence[int],
        min_depth: int = 0,
        max_depth: int = 0,
        num_layers_before_predictor: int = 0,
        kernel_size: int = 1,
        use_depthwise: bool = False,
        class_prediction_bias_init: float = 0.0,
        dropout_rate: float | None = None,
        apply_sigmoid_to_scores: bool = False,
        name: str = "box_predictor",
    ) -> None:
        super().__init__(name=name)
        self.hyperparams = hyperparams
        self.columns = columns
        self.min_depth, self.max_depth = min_depth, max_depth
        self.num_layers_before_predictor = num_layers_before_predictor
        self.apply_sigmoid_to_scores = apply_sigmoid_to_scores
        self.dropout_rate = dropout_rate

        self.num_anchors_per_location = tuple(num_anchors_per_location)
        self.kernel_size = kernel_size
        self.use_depthwise = use_depthwise
        self.class_prediction_bias_init = class_prediction_bias_init
        # Per level: the convolution, or depthwise one, normalization and 1x1 one.
        self.box_heads: list[list[keras.layers.Layer]] = []
        self.class_heads: list[list[keras.layers.Layer]] = []
        # Per level: (convolution, normalization) pairs in front of both heads.
        self.shared_layers: list[list[tuple[keras.layers.Layer, keras.layers.Layer]]] = []

    def build(self, input_shape: list[tuple[int | None, ...]]) -> None:
        bias_init = self.class_prediction_bias_init
        shapes = zip(input_shape, self.num_anchors_per_location, strict=True)
        for level, (shape, count) in enumerate(shapes):
            channels = int(shape[-1] or 0)
            depth = max(min(channels, self.max_depth), self.min_depth)
            pairs = self._shared(level, depth) if depth > 0 else []
            self.shared_layers.append(pairs)
            channels = depth if pairs else channels
            boxes, classes = self.columns.box_code_size, self.columns.num_class_columns
            name = f"BoxEncodingPredictor_{level}"
            self.box_heads.append(self._new_head(name, channels, count * boxes, 0.0))
            name = f"ClassPredictor_{level}"
            self.class_heads.append(self._new_head(name, channels, count * classes, bias_init))

    def _shared(
        self, level: int, depth: int
    ) -> list[tuple[keras.layers.Layer, keras.layers.Layer]]:
        numbers = range(self.num_layers_before_predictor)
        names = [f"SharedConvolutions_{level}_Conv2d_{n}_1x1_{depth}" for n in numbers]
        return [
            (
                self.hyperparams.conv(depth, 1, name=name),
                self.hyperparams.normalization(depth, f"{name}_norm"),
            )
            for name in names
        ]

    def _new_head(
        self, name: str, channels: int, total: int, bias_init: float
    ) -> list[keras.layers.Layer]:
        make = self.hyperparams
        if not self.use_depthwise:
            return [
                make.conv(total, self.kernel_size, use_bias=True, bias_init=bias_init, name=name)
            ]
        return [
            make.depthwise_before_1x1(self.kernel_size, name=f"{name}_depthwise"),
            make.normalization(channels, f"{name}_depthwise_batchnorm"),
            make.conv(total, 1, use_bias=True, name=name),
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
            for conv, batch_norm in self.shared_layers[level]:
                x = self.hyperparams.activate(batch_norm(conv(x), training=training))
            boxes.append(self.columns.box_rows(self._head(self.box_heads[level], x, training)))
            if training:
                x = dropped_out(x, self.dropout_rate, seed, level)
            logits = self._head(self.class_heads[level], x, training)
            classes.append(self.columns.class_rows(logits))
        class_predictions = tf.concat(classes, axis=1)
        if self.apply_sigmoid_to_scores:
            class_predictions = tf.sigmoid(class_predictions)
        return {BOX: tf.concat(boxes, axis=1), CLASS: class_predictions}

    def _head(
        self, layers: list[keras.layers.Layer], x: tf.Tensor, training: bool | None
    ) -> tf.Tensor:
        *depthwise_and_norm, last = layers
        if depthwise_and_norm:
            depthwise, batch_norm = depthwise_and_norm
            x = self.hyperparams.activate(batch_norm(depthwise(x), training=training))
        return last(x)

    def checkpoint_layers(self) -> dict[str, keras.layers.Layer]:
        """Layers by their path in checkpoints, below `_box_predictor`."""
        paths: dict[str, keras.layers.Layer] = {}
        first = 0 if self.dropout_rate is None else 1  # Dropout counts as a layer there.
        for what, attribute, heads, begin in (
            (BOX, "_box_encoder_layers", self.box_heads, 0),
            (CLASS, "_class_predictor_layers", self.class_heads, first),
        ):
            for level, layers in enumerate(heads):
                # The activation counts too: depthwise 0, its normalization 1, the 1x1 one 3.
                places = (0, 1, 3) if len(layers) > 1 else (0,)
                for place, layer in zip(places, layers, strict=True):
                    paths[f"_prediction_heads/{what}/{level}/{attribute}/{begin + place}"] = layer
        for level, pairs in enumerate(self.shared_layers):
            for n, pair in enumerate(pairs):
                paths |= {
                    f"_shared_nets/{level}/{3 * n + m}": layer for m, layer in enumerate(pair)
                }
        return paths
