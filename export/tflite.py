"""Detector -> .tflite files: one network, converted once, in all precisions and with both ends."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import tensorflow as tf

from export import flatbuffer
from export.converter import convert_graph
from export.detection_graph import DetectionGraph
from export.detection_op import DetectionOpOptions, options_of
from export.join import join
from export.late_dequantize import dequantize_late
from export.network_graph import NETWORK_OUTPUTS, NetworkGraph
from export.options import CLASS_WISE, FAST, REGULAR
from export.quantization import activation_ranges, int8
from export.quantization.activation_ranges import ActivationRanges
from export.quantization.calibration import Batches
from export.quantization.int8 import Int8Network, Int8Settings
from ssd.models.detector import Detector
from ssd.tflite_file import DETECTION_OUTPUTS, SCORES

_NO_FACTORS = (1.0, 1.0, 1.0, 1.0)


@dataclass(frozen=True)
class TfliteModel:
    """A finished file.

    Attributes:
      data: the .tflite.
      box_factors: what the file's (ty, tx, th, tw) are multiplied by; whoever decodes the boxes of
        a raw file multiplies the box coder's scale factors by them.
    """

    data: bytes
    box_factors: tuple[float, ...] = _NO_FACTORS


class TfliteConverter:
    """Makes the .tflite files of one detector.

    Args:
      detector: restored; its variables must not change while files are made.
      calibration: the images that set int8 ranges; None where no int8 file is made.
      until_converged: no more of them than it takes until the ranges hardly move.

    Attributes:
      gives_logits: whether the `scores` of `float_network` are logits.
      settings: of int8 files; see `with_settings`.
    """

    def __init__(
        self,
        detector: Detector,
        calibration: Batches | None = None,
        *,
        until_converged: bool = False,
    ) -> None:
        self._detector = detector
        self._calibration = calibration
        self._until_converged = until_converged
        self.settings = Int8Settings()
        self._fine_tuned: bytes | None = None
        self.gives_logits = detector.post_processor.keeps_order
        kernels = [v for v in detector.network.variables if len(v.shape) == 4]
        self._num_weights = int(sum(np.prod(kernel.shape) for kernel in kernels))

    def nms(
        self,
        quantize: str = "none",
        *,
        kind: str = CLASS_WISE,
        max_detections: int | None = None,
        max_classes_per_detection: int = 1,
    ) -> TfliteModel:
        """Returns a file of form `nms`: image in, boxes, classes, scores and count out.

        Input `image` [1, H, W, 3], RGB: float32 in [-1, 1], or with int8 the uint8 pixels
        themselves. Outputs, all float32, in this order: `boxes` [1, D, 4] yxyx normalized,
        clipped to the image; `classes` [1, D], class indices; `scores` [1, D], highest first;
        `count` [1]. Rows from count on are zero.

        Args:
          quantize: "none"; "float16" (weights stored in half); "dynamic" (weights int8, computed in
            float); "int8" (all of the network).
          kind: how overlaps are removed, see `detection_graph`: CLASS_WISE; FAST or REGULAR, the
            op's own ways over all anchors.
          max_detections: D; None takes the config's max_total_detections.
          max_classes_per_detection: of FAST.

        Raises:
          InputError: the config's box coder or image sizes are not for .tflite files.
          GateError: the converter returned a file that cannot be right.
        """
        is_class_wise = kind == CLASS_WISE and not self._ignores_classes
        options = replace(
            options_of(
                self._detector,
                max_detections=max_detections,
                use_regular_nms=kind == REGULAR,
            ),
            max_classes_per_detection=max_classes_per_detection if kind == FAST else 1,
        )
        network = self._network(quantize, gives_scores=not is_class_wise)
        options = _rescaled(options, network.box_factors)
        graph = DetectionGraph(self._detector, options, is_class_wise=is_class_wise)
        model = flatbuffer.unpack(join(network.data, convert_graph(graph)))
        dequantize_late(model)
        data = flatbuffer.put_in_order(flatbuffer.pack(model), DETECTION_OUTPUTS, options)
        return TfliteModel(self._checked(data, quantize, has_detection_op=True))

    def with_settings(self, settings: Int8Settings) -> TfliteConverter:
        """Returns a converter that makes int8 files in another way, of the same network."""
        other = copy.copy(self)
        other.settings = settings
        return other

    def with_calibration(self, calibration: Batches) -> TfliteConverter:
        """Returns a converter that takes all of these images for the ranges."""
        other = copy.copy(self)
        other.__dict__.pop("ranges", None)
        other._calibration, other._until_converged = calibration, False
        return other

    def with_network(self, network: bytes) -> TfliteConverter:
        """Returns a converter that makes int8 files of another float network of the same graph.

        Ranges stay those of this one's. Files of other kinds are still made of the detector.
        """
        other = copy.copy(self)
        other._fine_tuned = network
        return other

    def int8_network(self) -> Int8Network:
        """Returns the network alone in int8, with float32 outputs."""
        network = self._fine_tuned or self.float_network
        return int8.quantize(network, self.ranges, self.settings)

    def raw(self, quantize: str = "none") -> TfliteModel:
        """Returns a file of form `raw`: image in, `box_encodings` and `scores` out, no custom op.

        Outputs, in this order: `box_encodings` [1, A, 4] (ty, tx, th, tw), `scores` [1, A, C] in
        [0, 1]; float32, or int8 with int8.
        """
        network = self._network(quantize, gives_scores=True, gives_int8=quantize == "int8")
        data = flatbuffer.put_in_order(network.data, NETWORK_OUTPUTS)
        return replace(network, data=self._checked(data, quantize, has_detection_op=False))

    @property
    def box_scales(self) -> tuple[float, ...]:
        """The box coder's (y_scale, x_scale, height_scale, width_scale)."""
        op = options_of(self._detector)
        return op.y_scale, op.x_scale, op.h_scale, op.w_scale

    @property
    def _ignores_classes(self) -> bool:
        """Whether the config's own NMS lets boxes of different classes suppress each other."""
        return self._detector.post_processor.nms.use_class_agnostic_nms

    def _network(
        self, quantize: str, *, gives_scores: bool, gives_int8: bool = False
    ) -> TfliteModel:
        """Returns the network alone; its `scores` are logits where they may be, unless told."""
        finish = self._with_scores if gives_scores else bytes
        if quantize == "int8":
            # Scores are computed in int8 too.
            network = finish(self._fine_tuned or self.float_network)
            made = int8.quantize(network, self.ranges, self.settings, gives_int8=gives_int8)
            return TfliteModel(made.data, made.box_factors)
        if quantize == "none":
            return TfliteModel(finish(self.float_network))
        return TfliteModel(finish(convert_graph(self._network_graph, quantize)))

    def _with_scores(self, network: bytes) -> bytes:
        return join(network, self._score_graph) if self.gives_logits else network

    @cached_property
    def _network_graph(self) -> tf.Module:
        return NetworkGraph(self._detector, gives_logits=self.gives_logits)

    @cached_property
    def float_network(self) -> bytes:
        """The network alone in float32, as int8 files are made from it."""
        return convert_graph(self._network_graph)

    @cached_property
    def _score_graph(self) -> bytes:
        return convert_graph(_ScoreGraph(self._detector))

    def images(self) -> Iterator[np.ndarray]:
        """Returns one pass over the calibration images, float32 [1, H, W, 3] in [-1, 1]."""
        if self._calibration is None:
            raise ValueError("int8 needs calibration images")
        return self._calibration()

    @cached_property
    def ranges(self) -> ActivationRanges:
        """What its tensors reach on the calibration images."""
        return activation_ranges.observe(
            self.float_network, self.images, until_converged=self._until_converged
        )

    def _checked(self, data: bytes, quantize: str, *, has_detection_op: bool) -> bytes:
        flatbuffer.check(
            data,
            quantize=quantize,
            num_weights=self._num_weights,
            has_detection_op=has_detection_op,
        )
        return data


class _ScoreGraph(tf.Module):
    """Logits `scores` [1, A, C] -> scores."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        to_scores = detector.post_processor.scores
        shape = [1, len(detector.anchors), detector.num_classes]

        @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name=SCORES)])
        def run(scores: tf.Tensor) -> dict[str, tf.Tensor]:
            return {SCORES: to_scores(scores)}

        self.run = run


def _rescaled(options: DetectionOpOptions, factors: tuple[float, ...]) -> DetectionOpOptions:
    y_scale, x_scale, h_scale, w_scale = (
        scale * factor
        for scale, factor in zip(
            (options.y_scale, options.x_scale, options.h_scale, options.w_scale),
            factors,
            strict=True,
        )
    )
    return replace(options, y_scale=y_scale, x_scale=x_scale, h_scale=h_scale, w_scale=w_scale)
