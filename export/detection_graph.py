"""The end of a .tflite as a graph of its own: raw predictions in, detections out.

TFLite_Detection_PostProcess has two ways of removing overlaps. Its regular NMS works class by
class, as the checkpoint does, but sorts every class of every anchor, takes twenty times as long as
the network, and with n threads skips class index n (tensorflow/tensorflow#56058). Its fast NMS
makes one pass over each anchor's best class, so that a rider suppresses the horse.

Class-wise NMS gives the result of the first at less than the cost of the second. The pairs of
anchor and class with the highest scores are chosen first, among the anchors with the highest
scores. Each pair is an anchor of its own to the op, with the score of its class only, and moved
aside by its class, so that boxes of different classes never meet; what is left is moved back.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from export.detection_op import DetectionOpOptions, center_size_anchors, post_process_function
from export.network_graph import BOX_ENCODINGS
from ssd.models.detector import Detector
from ssd.tflite_file import DETECTION_OUTPUTS, SCORES

# What class-wise NMS looks at: at most and at least so many anchors, in between as many as have so
# many scores, and of these so many pairs.
MOST_ANCHORS, FEWEST_ANCHORS, NUM_SCORES = 512, 256, 20_480
NUM_PAIRS = 512
# Between neighbours in the grid of classes, in images: more than a decoded box reaches beyond its
# own, so little that float32 still places a box to 1/100,000 of the image.
_CLASS_SPACING = 4.0

Detect = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, ...]]


class DetectionGraph(tf.Module):
    """`box_encodings` [1, A, 4], `scores` [1, A, C] -> boxes, classes, scores, count.

    Rows from count on are zero; the op itself leaves there what was in memory.

    Args:
      detector: whose anchors and scores these are.
      options: of the detection op.
      is_class_wise: class-wise NMS; `scores` are logits then if the detector's order allows it
        (`takes_logits`). Else the op gets all anchors and does what the options say.
    """

    def __init__(
        self, detector: Detector, options: DetectionOpOptions, *, is_class_wise: bool
    ) -> None:
        super().__init__()
        anchors = center_size_anchors(detector.anchors)
        detect = (_class_wise if is_class_wise else _all_anchors)(detector, options, anchors)
        moves = tf.constant(np.tile(class_moves(options.num_classes), 2))  # [C, 4]
        rows = options.max_detections * options.max_classes_per_detection
        boxes_spec = tf.TensorSpec([1, len(anchors), 4], tf.float32, name=BOX_ENCODINGS)
        scores_spec = tf.TensorSpec([1, len(anchors), options.num_classes], tf.float32, name=SCORES)

        @tf.function(input_signature=[boxes_spec, scores_spec])
        def run(box_encodings: tf.Tensor, scores: tf.Tensor) -> dict[str, tf.Tensor]:
            boxes, classes, scores, count = detect(box_encodings, scores)
            # The op counts boxes, not rows.
            count *= float(options.max_classes_per_detection)
            is_detection = tf.range(rows, dtype=tf.float32) < tf.reshape(count, [1, 1])
            classes = tf.where(is_detection, classes, 0.0)
            scores = tf.where(is_detection, scores, 0.0)
            if is_class_wise:
                boxes -= tf.gather(moves, tf.cast(classes, tf.int32))
            # Whoever draws them clips them; MediaPipe moves the corner and keeps the size.
            boxes = tf.clip_by_value(boxes, 0.0, 1.0)
            boxes = tf.where(tf.reshape(is_detection, [1, rows, 1]), boxes, 0.0)
            return dict(zip(DETECTION_OUTPUTS, (boxes, classes, scores, count), strict=True))

        self.run = run


def takes_logits(detector: Detector, *, is_class_wise: bool) -> bool:
    """Whether DetectionGraph wants logits for scores, to convert only those of the pairs."""
    return is_class_wise and detector.post_processor.keeps_order


def _all_anchors(detector: Detector, options: DetectionOpOptions, anchors: np.ndarray) -> Detect:
    post_process = post_process_function(options)
    return lambda box_encodings, scores: post_process(box_encodings, scores, tf.constant(anchors))


def _class_wise(detector: Detector, options: DetectionOpOptions, anchors: np.ndarray) -> Detect:
    post_process = post_process_function(options)
    num_classes = options.num_classes
    wanted = max(FEWEST_ANCHORS, min(MOST_ANCHORS, NUM_SCORES // num_classes))
    num_anchors = min(wanted, len(anchors))
    num_pairs = min(NUM_PAIRS, num_anchors * num_classes)
    moves = class_moves(num_classes)
    moves = np.concatenate([moves, np.zeros_like(moves)], axis=1)  # of centers, not of sizes
    are_logits = takes_logits(detector, is_class_wise=True)

    def detect(box_encodings: tf.Tensor, scores: tf.Tensor) -> tuple[tf.Tensor, ...]:
        best = tf.reduce_max(scores, axis=2)  # [1, A]
        chosen = tf.reshape(tf.math.top_k(best, num_anchors).indices, [num_anchors])
        candidates = tf.reshape(tf.gather(scores, chosen, axis=1), [num_anchors * num_classes])
        pair_scores, pairs = tf.math.top_k(candidates, num_pairs)
        if are_logits:
            pair_scores = detector.post_processor.scores(pair_scores)
        numbers, classes = tf.gather(chosen, pairs // num_classes), pairs % num_classes
        moved = tf.gather(tf.constant(anchors), numbers) + tf.gather(moves, classes)
        only_own = tf.reshape(pair_scores, [num_pairs, 1]) * tf.one_hot(classes, num_classes)
        return post_process(tf.gather(box_encodings, numbers, axis=1), only_own[tf.newaxis], moved)

    return detect


def class_moves(num_classes: int) -> np.ndarray:
    """Returns float32 [C, 2]: how far class-wise NMS moves each class down and to the right.

    Classes lie in a square grid: at 90 of them no box is moved by more than 36 images.
    """
    side = int(np.ceil(np.sqrt(num_classes)))
    numbers = np.arange(num_classes)
    places = np.stack([numbers // side, numbers % side], axis=1)
    return (_CLASS_SPACING * places).astype(np.float32)
