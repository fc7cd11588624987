"""TFLite_Detection_PostProcess, the op that decodes boxes and removes overlaps inside a .tflite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import tensorflow as tf
from flatbuffers import flexbuffers
from google.protobuf import text_format
from tensorflow.core.framework import attr_value_pb2

from ssd.core.box_coder import FasterRcnnBoxCoder
from ssd.errors import InputError
from ssd.models.detector import Detector
from ssd.tflite_file import DETECTION_OP

PostProcess = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, ...]]


@dataclass(frozen=True)
class DetectionOpOptions:
    """The options that the op reads; names and types are its own.

    Attributes:
      max_detections: rows of the outputs.
      detections_per_class: kept per class by regular NMS; fast NMS does not look at it.
      use_regular_nms: class by class; otherwise one pass over every anchor's best class, where
        boxes of different classes suppress each other.
      nms_score_threshold, nms_iou_threshold: a box stays with a score of at least the first, and
        suppresses those that overlap it by more than the second.
      num_classes: background not counted.
      y_scale, x_scale, h_scale, w_scale: divide the box encodings.
      max_classes_per_detection: of fast NMS.
    """

    max_detections: int
    detections_per_class: int
    use_regular_nms: bool
    nms_score_threshold: float
    nms_iou_threshold: float
    num_classes: int
    y_scale: float
    x_scale: float
    h_scale: float
    w_scale: float
    max_classes_per_detection: int = 1

    def to_flexbuffer(self) -> bytes:
        """Returns the form in which a .tflite stores them."""
        return bytes(flexbuffers.Dumps(asdict(self)))


def options_of(
    detector: Detector, *, max_detections: int | None = None, use_regular_nms: bool = False
) -> DetectionOpOptions:
    """Returns the op's options for a detector.

    Args:
      detector: thresholds, counts and scales are those of its config.
      max_detections: None takes the config's max_total_detections.
      use_regular_nms: as the config's own NMS works; slow in this op.

    Raises:
      InputError: the op does not know the detector's box coder.
    """
    settings = detector.post_processor.nms
    y_scale, x_scale, h_scale, w_scale = (float(s) for s in _box_code_scales(detector))
    return DetectionOpOptions(
        max_detections=max_detections or settings.max_total_detections,
        detections_per_class=settings.max_detections_per_class,
        use_regular_nms=use_regular_nms,
        nms_score_threshold=settings.score_threshold,
        nms_iou_threshold=settings.iou_threshold,
        num_classes=detector.num_classes,
        y_scale=y_scale,
        x_scale=x_scale,
        h_scale=h_scale,
        w_scale=w_scale,
    )


def input_size(detector: Detector) -> tuple[int, int]:
    """Returns (H, W) of the file's input.

    Raises:
      InputError: images have no fixed size, or are padded, or gray: runtimes only stretch them.
    """
    size = detector.image_size
    if detector.image_resizer.channels != 3:
        raise InputError(
            "model.ssd.image_resizer: convert_to_grayscale: a .tflite file takes RGB images; "
            "export-saved-model takes every resizer"
        )
    if size is None or detector.image_resizer.has_padding:
        raise InputError(
            "model.ssd.image_resizer: a .tflite file takes images of one size, stretched to it; "
            "only fixed_shape_resizer can be exported so. export-saved-model takes every resizer"
        )
    return size


def _box_code_scales(detector: Detector) -> tuple[float, ...]:
    coder = detector.box_coder
    if not isinstance(coder, FasterRcnnBoxCoder):
        raise InputError(
            f"model.ssd.box_coder: the detection op of .tflite files decodes only "
            f"faster_rcnn_box_coder, not {type(coder).__name__}; export-saved-model takes every one"
        )
    return coder.scale_factors


def center_size_anchors(anchors: np.ndarray) -> np.ndarray:
    """Returns float32 [A, 4] (ycenter, xcenter, height, width), the op's form of yxyx anchors."""
    corners = np.asarray(anchors, np.float64)
    sizes = corners[:, 2:] - corners[:, :2]
    return np.concatenate([corners[:, :2] + sizes / 2, sizes], axis=1).astype(np.float32)


def post_process_function(options: DetectionOpOptions) -> PostProcess:
    """Returns a stand-in for the op: called in a graph, the TFLite converter makes the op of it.

    It takes box_encodings [1, A, 4], scores [1, A, C] and anchors [A, 4] (center_size_anchors), and
    returns boxes [1, D, 4], classes [1, D], scores [1, D], count [1]. In TensorFlow itself it
    returns zeros. The converter knows it by its attributes and must meet it as a function: a graph
    that was frozen or inlined before loses it.
    """
    rows = options.max_detections * options.max_classes_per_detection

    @tf.function(experimental_implements=_implements(options))
    def post_process(
        box_encodings: tf.Tensor, scores: tf.Tensor, anchors: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        return tf.zeros([1, rows, 4]), tf.zeros([1, rows]), tf.zeros([1, rows]), tf.zeros([1])

    return post_process


def _implements(options: DetectionOpOptions) -> str:
    """The op's name and options as the text of a NameAttrList message."""
    message = attr_value_pb2.NameAttrList(name=DETECTION_OP)
    for name, value in asdict(options).items():
        attribute = message.attr[name]
        if isinstance(value, bool):
            attribute.b = value
        elif isinstance(value, int):
            attribute.i = value
        else:
            attribute.f = value
    return str(text_format.MessageToString(message, as_one_line=True))
