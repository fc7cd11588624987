"""The network of a detector as a graph that can be converted: image in, raw predictions out."""

from __future__ import annotations

import tensorflow as tf

from export.detection_op import input_size
from export.flatbuffer import INPUT_NAME
from ssd.models.detector import Detector
from ssd.standard_fields import PredictionFields
from ssd.tflite_file import SCORES

BOX_ENCODINGS = PredictionFields.box_encodings
NETWORK_OUTPUTS = (BOX_ENCODINGS, SCORES)


class NetworkGraph(tf.Module):
    """`image` float32 [1, H, W, 3] in [-1, 1] -> `box_encodings` [1, A, 4], `scores` [1, A, C].

    Scores have no column for the background.

    Args:
      detector: restored.
      gives_logits: `scores` are the logits.
    """

    def __init__(self, detector: Detector, *, gives_logits: bool) -> None:
        super().__init__()
        # The converter freezes only variables that the module itself holds; those inside a Keras
        # model it leaves as reads of nothing.
        self.tracked = [variable.value for variable in detector.network.variables]
        post_processor = detector.post_processor
        shape = [1, *input_size(detector), 3]

        @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name=INPUT_NAME)])
        def predict(image: tf.Tensor) -> dict[str, tf.Tensor]:
            predictions = detector.predict(image, training=False)
            logits = predictions[PredictionFields.class_predictions_with_background]
            scores = (
                post_processor.without_background(logits)
                if gives_logits
                else post_processor.class_scores(logits)
            )
            return {BOX_ENCODINGS: predictions[BOX_ENCODINGS], SCORES: scores}

        self.run = predict
