"""What a .tflite file says about itself: its detection op, its metadata, its labels."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

from ssd.errors import InputError
from ssd.tflite_metadata import METADATA_NAME, TensorDescription, describe_tensors

FILE_IDENTIFIER = b"TFL3"
DETECTION_OP = "TFLite_Detection_PostProcess"

# The four outputs of the detection op, in its order.
BOXES, CLASSES, SCORES, COUNT = "boxes", "classes", "scores", "count"
DETECTION_OUTPUTS = (BOXES, CLASSES, SCORES, COUNT)

# What the readers of a FlatBuffer and of a FlexBuffer raise over bytes that are none.
_DAMAGED = (struct.error, IndexError, ValueError, TypeError, AttributeError)


@dataclass(frozen=True)
class TfliteFile:
    """What a file says about itself.

    Attributes:
      detection_outputs: BOXES, CLASSES, SCORES and COUNT -> tensor index; empty unless exactly one
        detection op makes the outputs of the file.
      detection_options: of the one detection op, whatever it makes: max_detections, num_classes,
        nms_iou_threshold, ...; empty without one.
      inputs, outputs: metadata of the tensors, in the order of the file; empty without metadata.
      labels: lines of the label file that the metadata names, or None.
    """

    detection_outputs: dict[str, int] = field(default_factory=dict)
    detection_options: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[TensorDescription, ...] = ()
    outputs: tuple[TensorDescription, ...] = ()
    labels: tuple[str, ...] | None = None


def read(path: str | os.PathLike[str]) -> TfliteFile:
    """Returns what the .tflite at `path` says about itself.

    Raises:
      InputError: no such file, or no .tflite file.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; a .tflite file was expected") from error
    if data[4:8] != FILE_IDENTIFIER:
        raise InputError(
            f"{path}: no .tflite file: bytes 4 to 7 are {data[4:8]!r}, expected "
            f"{FILE_IDENTIFIER!r}; export or copy it again"
        )
    try:
        return parse(data)
    except _DAMAGED as error:
        raise InputError(
            f"{path}: the .tflite file is damaged ({error}); export or copy it again"
        ) from error


def parse(data: bytes) -> TfliteFile:
    """Returns what the bytes of a .tflite file say about themselves."""
    model = schema.Model.GetRootAs(data)
    outputs, options = _detection_op(model)
    metadata = metadata_of(model)
    described = describe_tensors(metadata) if metadata else ((), ())
    files = [tensor.label_file for tensor in described[1] if tensor.label_file]
    return TfliteFile(
        outputs, options, *described, _appended_lines(data, files[0]) if files else None
    )


def metadata_of(model: Any) -> bytes | None:
    """Returns the metadata FlatBuffer inside a model (the schema's `Model`), or None."""
    for n in range(model.MetadataLength()):
        entry = model.Metadata(n)
        if entry.Name() == METADATA_NAME.encode():
            return bytes(np.asarray(model.Buffers(entry.Buffer()).DataAsNumpy(), np.uint8))
    return None


def _detection_op(model: Any) -> tuple[dict[str, int], dict[str, Any]]:
    graph = model.Subgraphs(0)
    operators = [graph.Operators(n) for n in range(graph.OperatorsLength())]
    found = [
        o
        for o in operators
        if model.OperatorCodes(o.OpcodeIndex()).CustomCode() == DETECTION_OP.encode()
    ]
    if len(found) != 1 or found[0].OutputsLength() != len(DETECTION_OUTPUTS):
        return {}, {}
    options = flexbuffers.Loads(bytes(found[0].CustomOptionsAsNumpy()))
    indices = found[0].OutputsAsNumpy().tolist()
    if set(indices) != set(graph.OutputsAsNumpy().tolist()):
        return {}, dict(options)
    return dict(zip(DETECTION_OUTPUTS, indices, strict=True)), dict(options)


def _appended_lines(data: bytes, name: str) -> tuple[str, ...] | None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return tuple(archive.read(name).decode("utf-8").splitlines())
    except (zipfile.BadZipFile, KeyError):
        return None
