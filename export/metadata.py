"""TFLite metadata of a detection file: what its tensors mean, and the labels, inside the .tflite.

MediaPipe Tasks and the TFLite Task Library refuse a detector without it. They find the four outputs
by the names written here, feed pixels as the normalization says, and show the labels.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from export import flatbuffer
from ssd.label_map import LabelMap
from ssd.tflite_metadata import (
    BOUNDING_BOX_BOUNDARIES,
    BOUNDING_BOX_PROPERTIES,
    COLOR_SPACE_RGB,
    COORDINATE_RATIO,
    FEATURE_PROPERTIES,
    IMAGE_PROPERTIES,
    METADATA_IDENTIFIER,
    METADATA_NAME,
    NORMALIZATION_OPTIONS,
    TENSOR_VALUE_LABELS,
    Slots,
)

LABELS_FILE = "labels.txt"
# Line of a class id that no class has; a class list with gaps keeps its numbers.
GAP = "???"

# The names by which consumers look the outputs up, in the order of the file.
OUTPUT_NAMES = ("location", "category", "score", "number of detections")
_GROUP = "detection_result"
_OUTPUT_TEXTS = (
    "Corners of each box, between 0 and 1: top, left, bottom, right.",
    "Class of each box: a line of the labels, counted from 0.",
    "Score of each box, between 0 and 1.",
    "How many rows of the other outputs are detections.",
)
# Where left, top, right, bottom stand in a box of the location output.
_LEFT_TOP_RIGHT_BOTTOM = (1, 0, 3, 2)
_MEAN = _STD = 127.5
# Groups of outputs came with version 1.2.0 of the schema; nothing here is newer.
_MIN_PARSER_VERSION = "1.2.0"
# Zip entries carry a date; a fixed one keeps the same model the same file.
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Description:
    """What a person reads about the model.

    Attributes:
      name, description, version, author, license: free text; empty ones are left out.
    """

    name: str
    description: str
    version: str = ""
    author: str = ""
    license: str = ""


def label_lines(label_map: LabelMap, num_classes: int) -> list[str]:
    """Returns the class names by class index, `num_classes` lines, `???` where an id is unused."""
    names = label_map.display_names
    return [(names[n] if n < len(names) else "") or GAP for n in range(num_classes)]


def attach(data: bytes, description: Description, labels: Sequence[str]) -> bytes:
    """Returns the .tflite with metadata inside and labels.txt appended.

    Args:
      data: a .tflite as `flatbuffer.put_in_order` leaves it.
      description: of the model.
      labels: class names by class index.
    """
    model = flatbuffer.unpack(data)
    is_float = model.subgraphs[0].tensors[int(model.subgraphs[0].inputs[0])].type == (
        schema.TensorType.FLOAT32)
    metadata = build(description, is_float=is_float)
    kept = [m for m in model.metadata or [] if m.name != METADATA_NAME.encode()]
    model.metadata = [*kept, schema.MetadataT(name=METADATA_NAME, buffer=len(model.buffers))]
    model.buffers.append(schema.BufferT(data=np.frombuffer(metadata, np.uint8)))
    return _append(flatbuffer.pack(model), LABELS_FILE, "".join(f"{line}\n" for line in labels))


def build(description: Description, *, is_float: bool) -> bytes:
    """Returns the metadata FlatBuffer of a detection file.

    Args:
      description: of the model.
      is_float: whether the input is float32 in [-1, 1]; else it is uint8 pixels.
    """
    return _Writer().finish(description, is_float)


def _append(data: bytes, name: str, text: str) -> bytes:
    """Returns `data` with a zip behind it that holds one text file, uncompressed."""
    stream = io.BytesIO(data)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr(zipfile.ZipInfo(name, _ZIP_DATE), text)
    return stream.getvalue()


class _Writer:
    """Builds the metadata's tables; children first, as FlatBuffers ask for it."""

    def __init__(self) -> None:
        self._builder = flatbuffers.Builder(1024)

    def finish(self, description: Description, is_float: bool) -> bytes:
        subgraph = self._table(
            Slots.subgraph,
            inputs=self._vector([self._input(is_float)]),
            outputs=self._vector([self._output(n) for n in range(len(OUTPUT_NAMES))]),
            output_groups=self._vector([self._output_group()]),
        )
        texts = {name: self._text(value) for name, value in vars(description).items() if value}
        model = self._table(
            Slots.model, subgraphs=self._vector([subgraph]),
            min_parser_version=self._text(_MIN_PARSER_VERSION), **texts)
        self._builder.Finish(model, METADATA_IDENTIFIER)
        return bytes(self._builder.Output())

    def _input(self, is_float: bool) -> int:
        image = self._table(Slots.image, int8={"color_space": COLOR_SPACE_RGB})
        normalization = self._table(
            Slots.normalization, mean=self._floats([_MEAN]), std=self._floats([_STD]))
        unit = self._table(
            Slots.process_unit, int8={"options_type": NORMALIZATION_OPTIONS}, options=normalization)
        lowest, highest = (-1.0, 1.0) if is_float else (0.0, 255.0)
        return self._tensor(
            "image", "RGB image, resized to the input without keeping its aspect ratio; "
            + ("(pixel - 127.5) / 127.5." if is_float else "pixels as they are."),
            IMAGE_PROPERTIES, image, process_units=self._vector([unit]),
            stats=self._table(
                Slots.stats, max=self._floats([highest]), min=self._floats([lowest])))

    def _output(self, number: int) -> int:
        """Metadata of output `number` of OUTPUT_NAMES; rows of one detection are one value range."""
        name, more = OUTPUT_NAMES[number], {}
        kind, properties = FEATURE_PROPERTIES, 0
        if name == "location":
            kind, properties = BOUNDING_BOX_PROPERTIES, self._table(
                Slots.bounding_box, index=self._uint32s(_LEFT_TOP_RIGHT_BOTTOM),
                int8={"type": BOUNDING_BOX_BOUNDARIES, "coordinate_type": COORDINATE_RATIO})
        else:
            properties = self._table({})
        if name == "category":
            labels = self._table(
                Slots.file, name=self._text(LABELS_FILE),
                description=self._text("Class names, one a line, from class 0 on."),
                int8={"type": TENSOR_VALUE_LABELS})
            more["files"] = self._vector([labels])
        # The dimension that counts detections: 2 is the last of them in [1, D] and [1, D, 4].
        value_range = None if name == "number of detections" else self._table(
            Slots.value_range, int32={"min": 2, "max": 2})
        return self._tensor(
            name, _OUTPUT_TEXTS[number], kind, properties, value_range=value_range, **more)

    def _output_group(self) -> int:
        names = self._vector([self._text(name) for name in OUTPUT_NAMES])
        return self._table(Slots.group, name=self._text(_GROUP), tensor_names=names)

    def _tensor(
        self, name: str, text: str, kind: int, properties: int, *, value_range: int | None = None,
        **fields: int,
    ) -> int:
        ranged = {} if value_range is None else {"range": value_range}
        content = self._table(
            Slots.content, int8={"properties_type": kind}, properties=properties, **ranged)
        return self._table(
            Slots.tensor, name=self._text(name), description=self._text(text), content=content,
            **fields)

    def _table(
        self, slots: dict[str, int], *, int8: dict[str, int] | None = None,
        int32: dict[str, int] | None = None, **offsets: int,
    ) -> int:
        self._builder.StartObject(max(slots.values(), default=-1) + 1)
        for name, offset in offsets.items():
            self._builder.PrependUOffsetTRelativeSlot(slots[name], offset, 0)
        for name, value in (int32 or {}).items():
            self._builder.PrependInt32Slot(slots[name], value, 0)
        for name, value in (int8 or {}).items():
            self._builder.PrependInt8Slot(slots[name], value, 0)
        return int(self._builder.EndObject())

    def _text(self, text: str) -> int:
        return int(self._builder.CreateString(text))

    def _floats(self, values: Sequence[float]) -> int:
        return int(self._builder.CreateNumpyVector(np.array(values, np.float32)))

    def _uint32s(self, values: Sequence[int]) -> int:
        return int(self._builder.CreateNumpyVector(np.array(values, np.uint32)))

    def _vector(self, offsets: Sequence[int]) -> int:
        size = flatbuffers.number_types.UOffsetTFlags.bytewidth
        self._builder.StartVector(size, len(offsets), size)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return int(self._builder.EndVector())
