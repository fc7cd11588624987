"""Detector -> the bytes of a .tflite with the detection op inside."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import tensorflow as tf

from export import flatbuffer
from export.detection_op import (
    DetectionOpOptions,
    center_size_anchors,
    input_size,
    options_of,
    post_process_function,
)
from export.quantization.calibration import Batches
from export.quantization.weight_rounding import depthwise_kernels_rounded
from ssd.models.detector import Detector
from ssd.standard_fields import PredictionFields
from ssd.tflite_file import DETECTION_OUTPUTS

_SIGNATURE = "serving_default"


def convert(
    detector: Detector,
    *,
    quantize: str = "none",
    calibration: Batches | None = None,
    max_detections: int | None = None,
    use_regular_nms: bool = False,
) -> bytes:
    """Returns a .tflite: image in, boxes, classes, scores and count out (form `nms`).

    Input `image` [1, H, W, 3], RGB: float32 in [-1, 1], or with int8 the uint8 pixels themselves.
    Outputs, all float32, in this order: `boxes` [1, D, 4] yxyx normalized, not clipped; `classes`
    [1, D], class indices; `scores` [1, D], highest first; `count` [1]. Rows from count on are zero.

    Args:
      detector: restored.
      quantize: "none"; "float16" (weights stored in half); "dynamic" (weights int8, computed in
        float); "int8" (everything but the detection op, needs `calibration`).
      calibration: the images that set int8 ranges.
      max_detections: D; None takes the config's max_total_detections.
      use_regular_nms: class by class, as the config's own NMS; else the op's fast NMS.

    Raises:
      GateError: the converter returned a file that cannot be right.
    """
    options = options_of(detector, max_detections=max_detections, use_regular_nms=use_regular_nms)
    with tempfile.TemporaryDirectory() as folder:
        is_int8 = quantize == "int8"
        with depthwise_kernels_rounded(detector) if is_int8 else contextlib.nullcontext():
            _save_graph(detector, options, folder)
        data = _converted(folder, quantize, calibration)
    data = flatbuffer.put_in_order(data, options)
    flatbuffer.check(data, quantize=quantize, num_weights=_num_kernel_weights(detector))
    return data


class _DetectionGraph(tf.Module):
    """The network with the detection op behind it, as a module that can be saved."""

    def __init__(self, detector: Detector, options: DetectionOpOptions) -> None:
        super().__init__()
        # The converter freezes only variables that the module itself holds; those inside a Keras
        # model it leaves as reads of nothing.
        self.tracked = [variable.value for variable in detector.network.variables]
        anchors = center_size_anchors(detector.anchors)
        # Calibration runs the op, and regular NMS takes ten times as long for the same ranges; the
        # options that were asked for are written into the finished file.
        post_process = post_process_function(replace(options, use_regular_nms=False))

        @tf.function(
            input_signature=[
                tf.TensorSpec([1, *input_size(detector), 3], tf.float32, name=flatbuffer.INPUT_NAME)
            ]
        )
        def detect(image: tf.Tensor) -> dict[str, tf.Tensor]:
            predictions = detector.predict(image, training=False)
            logits = predictions[PredictionFields.class_predictions_with_background]
            scores = detector.post_processor.class_scores(logits)
            outputs = post_process(
                predictions[PredictionFields.box_encodings], scores, tf.constant(anchors)
            )
            return dict(zip(DETECTION_OUTPUTS, outputs, strict=True))

        self.detect = detect


def _save_graph(detector: Detector, options: DetectionOpOptions, folder: str) -> None:
    graph = _DetectionGraph(detector, options)
    with _native_stderr_held_back():
        tf.saved_model.save(graph, folder, signatures={_SIGNATURE: graph.detect})


def _converted(folder: str, quantize: str, calibration: Batches | None) -> bytes:
    # From the folder: a graph frozen in memory first loses the detection op without an error.
    converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[_SIGNATURE])
    if quantize != "none":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantize == "int8":
        if calibration is None:
            raise ValueError("int8 needs calibration images")
        converter.representative_dataset = lambda: ([image] for image in calibration())
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        # The detection op gives float32, so outputs stay float32 without being asked to.
        converter.inference_input_type = tf.uint8
    with _native_stderr_held_back():
        return bytes(converter.convert())


def _num_kernel_weights(detector: Detector) -> int:
    kernels = [v for v in detector.network.variables if len(v.shape) == 4]
    return int(sum(np.prod(kernel.shape) for kernel in kernels))


@contextlib.contextmanager
def _native_stderr_held_back() -> Iterator[None]:
    """Keeps the converter's C++ chatter off the screen; shows it when the block fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            aside.seek(0)
            sys.stderr.write(aside.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
