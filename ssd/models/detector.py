"""The detector: one object from images to losses or detections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ssd.core import replicas, target_assigner
from ssd.core.anchor_generators import AnchorGenerator, Size
from ssd.core.box_coder import BoxCoder
from ssd.core.image_resizer import ImageResizer
from ssd.models.box_predictor_builder import BoxPredictor
from ssd.models.feature_extractor_builder import FeatureExtractor
from ssd.models.padding import spatial_size
from ssd.models.post_processor import PostProcessor
from ssd.models.ssd_loss import SsdLoss
from ssd.models.target_builder import AssignTargets
from ssd.standard_fields import InputFields, PredictionFields


class SsdNetwork(keras.Model):
    """Feature extractor and box predictor: everything that holds variables."""

    def __init__(self, feature_extractor: FeatureExtractor, box_predictor: BoxPredictor) -> None:
        super().__init__(name="ssd")
        self.feature_extractor = feature_extractor
        self.box_predictor = box_predictor

    def call(
        self,
        inputs: tf.Tensor,
        training: bool | None = None,
        seed: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor | list[tf.Tensor]]:
        """Returns predictions (PredictionFields) of float32 [B, H, W, 3] in [-1, 1].

        Whatever the layers compute in, what leaves the network is float32.
        """
        feature_maps = self.feature_extractor(inputs, training=training)
        predictions = self.box_predictor(feature_maps, training=training, seed=seed)
        maps = [tf.cast(feature_map, tf.float32) for feature_map in feature_maps]
        return {**predictions, PredictionFields.feature_maps: maps}


class Detector:
    """An SSD model with its anchors, losses and post-processing; no state but the variables.

    Args:
      network: built.
      anchor_generator: makes the anchors of the network's feature maps.
      num_classes: background not counted.
      image_resizer: gives images the form that the network takes.
      box_coder: of the box encodings.
      assign_targets: groundtruth -> what the heads should output.
      unmatched_class_label: the class target of an anchor without a box.
      loss, post_processor: of these stages.
      feature_map_shapes: (rows, columns) of the maps where every image has the same size.
    """

    def __init__(
        self,
        network: SsdNetwork,
        *,
        anchor_generator: AnchorGenerator,
        num_classes: int,
        image_resizer: ImageResizer,
        box_coder: BoxCoder,
        assign_targets: AssignTargets,
        unmatched_class_label: Sequence[float],
        loss: SsdLoss,
        post_processor: PostProcessor,
        feature_map_shapes: Sequence[tuple[int, int]] | None,
    ) -> None:
        self.network = network
        self.anchor_generator = anchor_generator
        self.num_classes = num_classes
        self.image_resizer = image_resizer
        self.box_coder = box_coder
        self.assigner = assign_targets
        self.unmatched_class_label = unmatched_class_label
        self.losses = loss
        self.post_processor = post_processor
        self._anchors: np.ndarray | None = None
        if self.image_size is not None and feature_map_shapes is not None:
            self._anchors = anchor_generator.generate(feature_map_shapes, self.image_size)

    @property
    def image_size(self) -> tuple[int, int] | None:
        """(H, W) of the network's input; None where it differs from image to image."""
        return self.image_resizer.output_size

    @property
    def anchors(self) -> np.ndarray:
        """float32 [A, 4], yxyx normalized, in the order of the predictions; of one image size."""
        if self._anchors is None:
            raise ValueError("the anchors depend on the image; see `anchors_of`")
        return self._anchors

    def anchors_of(self, predictions: dict[str, Any]) -> np.ndarray | tf.Tensor:
        """Returns float32 [A, 4], the anchors of the images that these predictions are of."""
        if self._anchors is not None:
            return self._anchors
        shapes: list[Size] = [
            spatial_size(feature_map) for feature_map in predictions[PredictionFields.feature_maps]
        ]
        return self.anchor_generator.generate(
            shapes, tf.unstack(predictions[PredictionFields.image_size])
        )

    def preprocess(self, images: tf.Tensor) -> tf.Tensor:
        """Returns float32 [B, H, W, 3] in [-1, 1] of images [B, h, w, 3] with values 0..255.

        Images that already have the network's size are only scaled, and so are all where the size
        may vary: those went through `image_resizer`.
        """
        size = self.image_size
        if size is not None and tuple(images.shape[1:3]) != size:
            resized = [self.image_resizer(image)[0] for image in tf.unstack(images)]
            images = tf.stack(resized)
        return (2.0 / 255.0) * tf.cast(images, tf.float32) - 1.0

    def detect(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the detections of one image, B = 1; see `postprocess`.

        Args:
          image: uint8 or float32 [h, w, 3] of any size, 0..255.
        """
        resized, true_image_shape = self.image_resizer(image)
        predictions = self.predict(self.preprocess(resized[tf.newaxis]))
        is_padded = self.image_resizer.has_padding
        return self.postprocess(predictions, true_image_shape[tf.newaxis] if is_padded else None)

    def predict(
        self, preprocessed: tf.Tensor, training: bool = False, seed: tf.Tensor | None = None
    ) -> dict:
        """Returns box_encodings [B, A, 4], class_predictions_with_background [B, A, C+1], maps.

        Args:
          preprocessed: of `preprocess`.
          training: batch norms take the statistics of the batch.
          seed: int [2], of the draw of dropout; needed in training where the config asks for it.
        """
        predictions = self.network(preprocessed, training=training, seed=seed)
        if self._anchors is None:
            predictions[PredictionFields.image_size] = tf.shape(preprocessed)[1:3]
        return predictions

    def assign_targets(
        self, groundtruth: dict[str, tf.Tensor], anchors: np.ndarray | tf.Tensor | None = None
    ) -> target_assigner.Targets:
        """Returns what the heads should output for a training batch (InputFields keys)."""
        return self.assigner(
            self.anchors if anchors is None else anchors,
            groundtruth[InputFields.groundtruth_boxes],
            groundtruth[InputFields.groundtruth_classes_one_hot],
            groundtruth[InputFields.groundtruth_weights],
        )

    def loss(
        self,
        predictions: dict[str, tf.Tensor],
        groundtruth: dict[str, tf.Tensor],
        seed: tf.Tensor | None = None,
        targets: target_assigner.Targets | None = None,
    ) -> dict[str, tf.Tensor]:
        """Returns the named scalars whose sum is minimized.

        Args:
          predictions: of `predict`.
          groundtruth: groundtruth_boxes [B, G, 4], groundtruth_classes_one_hot [B, G, C],
            groundtruth_weights [B, G] (0 in padded rows).
          seed: int [2], of the draw of random_example_sampler.
          targets: of `assign_targets`, where they are known already.

        Returns:
          float32 scalars localization_loss and classification_loss; see SsdLoss. Of several
          replicas each returns what its images add to the loss of the global batch. Regularization
          is not in them: see `regularization_loss`.
        """
        anchors = self.anchors_of(predictions)
        return self.losses(
            predictions[PredictionFields.box_encodings],
            predictions[PredictionFields.class_predictions_with_background],
            self.assign_targets(groundtruth, anchors) if targets is None else targets,
            unmatched_class_label=self.unmatched_class_label,
            decode=lambda encodings: self.box_coder.decode(encodings, anchors),
            seed=seed,
        )

    def regularization_loss(self) -> tf.Tensor:
        """Returns the float32 scalar sum of all kernels' regularizers; of n replicas, 1/n of it."""
        terms = self.network.losses
        # Not add_n: the order in which that adds depends on when memory gets free.
        total = tf.reduce_sum(tf.stack(terms)) if terms else tf.constant(0.0)
        return total if replicas.count() == 1 else total / replicas.count()

    def postprocess(
        self, predictions: dict[str, tf.Tensor], true_image_shapes: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Returns detections by DetectionFields, classes as float32 class indices.

        Args:
          predictions: of `predict`.
          true_image_shapes: int32 [B, 3], the parts of the images that are not padding; boxes are
            then relative to these (`change_coordinate_frame`). None: images are not padded.

        Returns:
          detection_boxes [B, D, 4] clipped to the image, detection_scores, detection_classes,
          detection_anchor_indices [B, D], detection_multiclass_scores [B, D, C+1],
          num_detections [B]; raw_detection_boxes [B, A, 4], raw_detection_scores [B, A, C+1].
          Rows beyond num_detections are zero, unless use_static_shapes.
        """
        raw_boxes = self.box_coder.decode(
            predictions[PredictionFields.box_encodings], self.anchors_of(predictions)
        )
        raw_scores = self.post_processor.scores(
            predictions[PredictionFields.class_predictions_with_background]
        )
        windows = None
        if true_image_shapes is not None:
            size = self.image_size or predictions[PredictionFields.image_size]
            shares = tf.cast(true_image_shapes[:, :2], tf.float32) / tf.cast(size, tf.float32)
            windows = tf.concat([tf.zeros_like(shares), shares], axis=1)
        return self.post_processor.detections(raw_boxes, raw_scores, windows)

    def checkpoint_layers(self) -> dict[str, keras.layers.Layer]:
        """All layers that hold variables, by their path below `model/` in checkpoints."""
        parts = {
            "_feature_extractor": self.network.feature_extractor.checkpoint_layers(),
            "_box_predictor": self.network.box_predictor.checkpoint_layers(),
        }
        return {
            f"{part}/{path}": layer
            for part, layers in parts.items()
            for path, layer in layers.items()
        }

    def checkpoint_variables(self) -> dict[str, tf.Variable]:
        """All variables by their path below `model/` in checkpoints."""
        return {
            f"{path}/{leaf}": variable
            for path, layer in self.checkpoint_layers().items()
            for leaf, variable in _layer_variables(layer).items()
        }


def _layer_variables(layer: keras.layers.Layer) -> dict[str, tf.Variable]:
    # Keras names a variable by its role in the layer, checkpoints by the layer too.
    is_depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    renamed = {"kernel": "depthwise_kernel"} if is_depthwise else {}
    return {renamed.get(v.name, v.name): v.value for v in layer.variables}
