"""What decoding needs to know of a detector and its file, and decoding.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from export import flatbuffer
from export.detection_op import center_size_anchors, options_of
from export.raw.anchor_levels import find_levels
from ssd.errors import GateError, InputError
from ssd.models.detector import Detector
from ssd.tflite_raw.outputs import BOX_ENCODINGS, SCORES
from ssd.tflite_raw.ssd_decode import FORMAT, VERSION, Decoding, Quantization

# Settings of batch_non_max_suppression that suppress otherwise than class by class.
_OTHER_SUPPRESSION = ("use_class_agnostic_nms", "soft_nms_sigma", "use_combined_nms")


def decoding_of(
    detector: Detector,
    data: bytes,
    labels: Sequence[str],
    *,
    box_factors: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
    max_detections: int | None = None,
) -> Decoding:
    """Returns the Decoding of a raw file.

    Args:
      detector: that it was made of.
      data: the .tflite, its outputs named.
      labels: class names by class index, one for each class.
      box_factors: what the file's (ty, tx, th, tw) are multiplied by; the decoders divide by them.
      max_detections: of an image; None takes the config's max_total_detections.

    Raises:
      InputError: the config suppresses in a way that the decoders do not, or has another box coder
        than they know.
      GateError: the file has other outputs than a raw file.
    """
    nms = detector.post_processor.nms
    for name in _OTHER_SUPPRESSION:
        if getattr(nms, name):
            raise InputError(
                f"model.ssd.post_processing.batch_non_max_suppression.{name} is "
                f"{getattr(nms, name)}: raw files are decoded class by class with hard "
                "suppression; remove it, or export the form nms"
            )
    op = options_of(detector, max_detections=max_detections)
    anchors = center_size_anchors(detector.anchors)
    tensors = _outputs(data, len(anchors), detector.num_classes)
    return Decoding(
        anchors=anchors,
        scale_factors=_scaled((op.y_scale, op.x_scale, op.h_scale, op.w_scale), box_factors),
        num_classes=detector.num_classes,
        score_threshold=nms.score_threshold,
        iou_threshold=nms.iou_threshold,
        max_detections_per_class=nms.max_detections_per_class,
        max_total_detections=op.max_detections,
        labels=tuple(labels),
        box_quantization=_quantization(tensors[BOX_ENCODINGS]),
        score_quantization=_quantization(tensors[SCORES]),
        levels=find_levels(anchors),
    )


def to_json(decoding: Decoding, *, anchors_file: str) -> str:
    """Returns the text of decoding.json, which `ssd_decode.parse` reads.

    Args:
      decoding: of the file.
      anchors_file: name of the file of the anchors; it is needed where they have no levels.
    """
    levels = [level._asdict() for level in decoding.levels]
    facts = {
        "format": FORMAT,
        "version": VERSION,
        "num_classes": decoding.num_classes,
        "num_anchors": len(decoding.anchors),
        "score_threshold": _short(decoding.score_threshold),
        "iou_threshold": _short(decoding.iou_threshold),
        "max_detections_per_class": decoding.max_detections_per_class,
        "max_total_detections": decoding.max_total_detections,
        BOX_ENCODINGS: {
            "values": ["ty", "tx", "th", "tw"],
            "scale_factors": list(decoding.scale_factors),
            **_quantized(decoding.box_quantization),
        },
        SCORES: _quantized(decoding.score_quantization),
        "anchors": {
            "values": ["ycenter", "xcenter", "height", "width"],
            **({"levels": levels} if levels else {"file": anchors_file}),
        },
        "labels": list(decoding.labels),
    }
    return json.dumps(facts, ensure_ascii=False, indent=1) + "\n"


def _scaled(
    scales: tuple[float, float, float, float], factors: Sequence[float]
) -> tuple[float, float, float, float]:
    y, x, h, w = (_short(scale * factor) for scale, factor in zip(scales, factors, strict=True))
    return y, x, h, w


def _outputs(data: bytes, num_anchors: int, num_classes: int) -> dict[str, Any]:
    """The tensors of the two outputs by name."""
    graph = flatbuffer.unpack(data).subgraphs[0]
    tensors = {graph.tensors[n].name.decode(): graph.tensors[n] for n in graph.outputs.tolist()}
    expected = {BOX_ENCODINGS: [1, num_anchors, 4], SCORES: [1, num_anchors, num_classes]}
    found = {name: tensor.shape.tolist() for name, tensor in tensors.items()}
    if found != expected:
        raise GateError(f"conversion: outputs are {found}, a raw file has {expected}")
    return tensors


def _quantization(tensor: Any) -> Quantization | None:
    if tensor.type == schema.TensorType.FLOAT32:
        return None
    details = tensor.quantization
    return Quantization(_short(details.scale[0]), int(details.zeroPoint[0]))


def _quantized(quantization: Quantization | None) -> dict[str, float]:
    return dict(quantization._asdict()) if quantization else {}


def _short(value: float) -> float:
    """The float32 nearest to `value`, as a decimal of nine digits, which comes back to it."""
    return float(f"{float(np.float32(value)):.9g}")
