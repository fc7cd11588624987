"""The metadata FlatBuffer of a raw file, with what MediaPipe Tasks needs to decode its outputs.

MediaPipe's ObjectDetector takes a file with two float outputs if the metadata names them `location`
and `score` and holds a DETECTOR_METADATA: the anchors and the scales of the box encodings. The
numbers of its fields are those of the public schema object_detector_metadata_schema.fbs 1.0.0.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import flatbuffers
import numpy as np

from export.metadata_writer import Description
from ssd.tflite_metadata import (
    BOUNDING_BOX_BOUNDARIES,
    BOUNDING_BOX_PROPERTIES,
    COLOR_SPACE_RGB,
    COORDINATE_RATIO,
    FEATURE_PROPERTIES,
    IMAGE_PROPERTIES,
    METADATA_IDENTIFIER,
    NORMALIZATION_OPTIONS,
    Slots,
)
from ssd.tflite_raw.ssd_decode import Decoding

OUTPUT_NAMES = ("location", "score")
DECODER_NAME, DECODER_IDENTIFIER = "DETECTOR_METADATA", b"V001"

_AXIS_LABELS = 2  # AssociatedFileType: names of the entries of the last dimension
# Custom metadata came with version 1.5.0 of the schema.
_MIN_PARSER_VERSION = "1.5.0"
_MEAN = _STD = 127.5
_TEXTS = (
    "Box encodings ty, tx, th, tw of every anchor; decoding.json says how to decode them.",
    "Score of every anchor for every class, between 0 and 1, before suppression.",
)
_ALIGNMENT = 16


def _numbered(names: str) -> dict[str, int]:
    return {name: number for number, name in enumerate(names.split())}


_SUBGRAPH = {**Slots.subgraph, "custom_metadata": len(Slots.subgraph)}
_CUSTOM = _numbered("name data")
_OPTIONS = _numbered("min_parser_version ssd_anchors_options tensors_decoding_options")
_ANCHOR = _numbered("x_center y_center width height")
_TENSORS = _numbered(
    "num_classes num_boxes num_coords keypoint_coord_offset num_keypoints num_values_per_keypoint "
    "x_scale y_scale w_scale h_scale apply_exponential_on_box_size sigmoid_score"
)
_ONLY = {"value": 0}  # tables of one field


class _Table(NamedTuple):
    """A table to be written: NumPy scalars and arrays, texts, bytes, tables and lists of these."""

    slots: dict[str, int]
    fields: dict[str, Any]


def build(
    description: Description, decoding: Decoding, *, label_file: str, is_float_input: bool
) -> bytes:
    """Returns the metadata FlatBuffer of a raw file.

    Args:
      description: of the model.
      decoding: of the file; where its outputs are float, MediaPipe's decoding options go in.
      label_file: name of the appended file with the class names.
      is_float_input: whether the input is float32 in [-1, 1]; else it is uint8 pixels.
    """
    labels = {"name": label_file, "type": np.int8(_AXIS_LABELS)}
    fields: dict[str, Any] = {
        "inputs": [_image(is_float_input)],
        "outputs": [
            _output(0, _Table(Slots.content, _location())),
            _output(1, _Table(Slots.content, _features()), [_Table(Slots.file, labels)]),
        ],
    }
    if decoding.box_quantization is None:
        options = _bytes(_decoder(decoding), DECODER_IDENTIFIER)
        fields["custom_metadata"] = [_Table(_CUSTOM, {"name": DECODER_NAME, "data": options})]
    texts = {name: text for name, text in dataclasses.asdict(description).items() if text}
    model = {
        **texts,
        "subgraphs": [_Table(_SUBGRAPH, fields)],
        "min_parser_version": _MIN_PARSER_VERSION,
    }
    return _bytes(_Table(Slots.model, model), METADATA_IDENTIFIER)


def _image(is_float: bool) -> _Table:
    normalization = {"mean": np.array([_MEAN], np.float32), "std": np.array([_STD], np.float32)}
    unit = {
        "options_type": np.int8(NORMALIZATION_OPTIONS),
        "options": _Table(Slots.normalization, normalization),
    }
    content = {
        "properties_type": np.int8(IMAGE_PROPERTIES),
        "properties": _Table(Slots.image, {"color_space": np.int8(COLOR_SPACE_RGB)}),
    }
    lowest, highest = (-1.0, 1.0) if is_float else (0.0, 255.0)
    text = "(pixel - 127.5) / 127.5." if is_float else "pixels as they are."
    fields = {
        "name": "image",
        "description": "RGB image, resized to the input without keeping its aspect ratio; " + text,
        "content": _Table(Slots.content, content),
        "process_units": [_Table(Slots.process_unit, unit)],
        "stats": _Table(
            Slots.stats,
            {"min": np.array([lowest], np.float32), "max": np.array([highest], np.float32)},
        ),
    }
    return _Table(Slots.tensor, fields)


def _location() -> dict[str, Any]:
    """Consumers ask for a bounding box; the order is that of the box after decoding."""
    box = {
        "index": np.array([0, 1, 2, 3], np.uint32),
        "type": np.int8(BOUNDING_BOX_BOUNDARIES),
        "coordinate_type": np.int8(COORDINATE_RATIO),
    }
    return {
        "properties_type": np.int8(BOUNDING_BOX_PROPERTIES),
        "properties": _Table(Slots.bounding_box, box),
    }


def _features() -> dict[str, Any]:
    return {
        "properties_type": np.int8(FEATURE_PROPERTIES),
        "properties": _Table(Slots.nothing, {}),
    }


def _output(number: int, content: _Table, files: list[_Table] | None = None) -> _Table:
    fields = {"name": OUTPUT_NAMES[number], "description": _TEXTS[number], "content": content}
    return _Table(Slots.tensor, {**fields, **({"files": files} if files else {})})


def _decoder(decoding: Decoding) -> _Table:
    """MediaPipe's ObjectDetectorOptions."""
    y_scale, x_scale, h_scale, w_scale = np.array(decoding.scale_factors, np.float32)
    anchors = [
        _Table(_ANCHOR, {"x_center": x, "y_center": y, "width": width, "height": height})
        for y, x, height, width in decoding.anchors
    ]
    tensors = {
        "num_classes": np.int32(decoding.num_classes),
        "num_boxes": np.int32(len(decoding.anchors)),
        "num_coords": np.int32(4),
        # There are none, yet with another number than 2 MediaPipe ends the process.
        "num_values_per_keypoint": np.int32(2),
        "x_scale": x_scale,
        "y_scale": y_scale,
        "w_scale": w_scale,
        "h_scale": h_scale,
        "apply_exponential_on_box_size": np.bool_(True),
    }
    fields = {
        "ssd_anchors_options": _Table(_ONLY, {"value": _Table(_ONLY, {"value": anchors})}),
        "tensors_decoding_options": _Table(_TENSORS, tensors),
    }
    return _Table(_OPTIONS, fields)


def _bytes(table: _Table, identifier: bytes) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(_write(builder, table), identifier)
    return bytes(builder.Output())


def _write(builder: flatbuffers.Builder, value: Any) -> int:
    """Writes what is referred to, children first; returns its offset."""
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, bytes):
        # Consumers read the numbers inside in place.
        builder.Prep(_ALIGNMENT, len(value))
        return int(builder.CreateByteVector(value))
    if isinstance(value, np.ndarray):
        return int(builder.CreateNumpyVector(value))
    if isinstance(value, list):
        offsets = [_write(builder, item) for item in value]
        size = flatbuffers.number_types.UOffsetTFlags.bytewidth
        builder.StartVector(size, len(offsets), size)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return int(builder.EndVector())
    return _write_table(builder, value)


def _write_table(builder: flatbuffers.Builder, table: _Table) -> int:
    fields = {
        name: value if isinstance(value, np.generic) else _write(builder, value)
        for name, value in table.fields.items()
    }
    prepend = {
        np.bool_: builder.PrependBoolSlot,
        np.int8: builder.PrependInt8Slot,
        np.int32: builder.PrependInt32Slot,
        np.float32: builder.PrependFloat32Slot,
    }
    builder.StartObject(len(table.slots))
    for name, value in fields.items():
        if isinstance(value, np.generic):
            prepend[type(value)](table.slots[name], value.item(), 0)
        else:
            builder.PrependUOffsetTRelativeSlot(table.slots[name], value, 0)
    return int(builder.EndObject())
