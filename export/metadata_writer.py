"""The metadata FlatBuffer of a detection file, table by table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import flatbuffers
import numpy as np

from ssd.tflite_metadata import (
    BOUNDING_BOX_BOUNDARIES,
    BOUNDING_BOX_PROPERTIES,
    COLOR_SPACE_RGB,
    COORDINATE_RATIO,
    FEATURE_PROPERTIES,
    IMAGE_PROPERTIES,
    METADATA_IDENTIFIER,
    NORMALIZATION_OPTIONS,
    TENSOR_VALUE_LABELS,
    Slots,
)

# The names by which consumers look the outputs up, in the order of the file.
OUTPUT_NAMES = ("location", "category", "score", "number of detections")
_GROUP = "detection_result"
_OUTPUT_TEXTS = (
    "Corners of each box, between 0 and 1: top, left, bottom, right.",
    "Class of each box: a line of the labels, counted from 0.",
    "Score of each box, between 0 and 1.",
    "How many rows of the other outputs are detections.",
)
_INPUT_TEXT = "RGB image, resized to the input without keeping its aspect ratio; "
# Where left, top, right, bottom stand in a box of the location output.
_LEFT_TOP_RIGHT_BOTTOM = (1, 0, 3, 2)
_MEAN = _STD = 127.5
# The dimension whose entries are the detections; consumers expect it said like this.
_DETECTIONS_DIMENSION = np.int32(2)
# Groups of outputs came with version 1.2.0 of the schema; nothing here is newer.
_MIN_PARSER_VERSION = "1.2.0"


@dataclass(frozen=True)
class Description:
    """What a person reads about the model; empty texts are left out.

    Attributes:
      name, description, version, author, license: free text.
    """

    name: str
    description: str
    version: str = ""
    author: str = ""
    license: str = ""


def build(description: Description, *, label_file: str, is_float: bool) -> bytes:
    """Returns the metadata FlatBuffer of a detection file.

    Args:
      description: of the model.
      label_file: name of the appended file with the class names.
      is_float: whether the input is float32 in [-1, 1]; else it is uint8 pixels.
    """
    return _Writer().build(description, label_file, is_float)


class _Writer:
    """Builds the tables; children first, as FlatBuffers ask for it."""

    def __init__(self) -> None:
        self._builder = flatbuffers.Builder(1024)

    def build(self, description: Description, label_file: str, is_float: bool) -> bytes:
        outputs = (
            self._location(),
            self._category(label_file),
            self._tensor(2, self._features(), range=self._detections_range()),
            self._tensor(3, self._features()),
        )
        subgraph = self._table(
            Slots.subgraph,
            inputs=self._vector([self._image(is_float)]),
            outputs=self._vector(outputs),
            output_groups=self._vector([self._output_group()]),
        )
        texts = {name: self._text(value) for name, value in vars(description).items() if value}
        model = self._table(
            Slots.model,
            subgraphs=self._vector([subgraph]),
            min_parser_version=self._text(_MIN_PARSER_VERSION),
            **texts,
        )
        self._builder.Finish(model, METADATA_IDENTIFIER)
        return bytes(self._builder.Output())

    def _image(self, is_float: bool) -> int:
        content = self._table(
            Slots.content,
            properties_type=np.int8(IMAGE_PROPERTIES),
            properties=self._table(Slots.image, color_space=np.int8(COLOR_SPACE_RGB)),
        )
        unit = self._table(
            Slots.process_unit,
            options_type=np.int8(NORMALIZATION_OPTIONS),
            options=self._table(
                Slots.normalization, mean=self._floats(_MEAN), std=self._floats(_STD)
            ),
        )
        lowest, highest = (-1.0, 1.0) if is_float else (0.0, 255.0)
        text = "(pixel - 127.5) / 127.5." if is_float else "pixels as they are."
        return self._table(
            Slots.tensor,
            name=self._text("image"),
            description=self._text(_INPUT_TEXT + text),
            content=content,
            process_units=self._vector([unit]),
            stats=self._table(Slots.stats, max=self._floats(highest), min=self._floats(lowest)),
        )

    def _location(self) -> int:
        box = self._table(
            Slots.bounding_box,
            index=self._numbers(np.array(_LEFT_TOP_RIGHT_BOTTOM, np.uint32)),
            type=np.int8(BOUNDING_BOX_BOUNDARIES),
            coordinate_type=np.int8(COORDINATE_RATIO),
        )
        properties: dict[str, int | np.int8] = {
            "properties_type": np.int8(BOUNDING_BOX_PROPERTIES),
            "properties": box,
        }
        return self._tensor(0, properties, range=self._detections_range())

    def _category(self, label_file: str) -> int:
        labels = self._table(
            Slots.file,
            name=self._text(label_file),
            description=self._text("Class names, one a line, from class 0 on."),
            type=np.int8(TENSOR_VALUE_LABELS),
        )
        files = self._vector([labels])
        return self._tensor(1, self._features(), files=files, range=self._detections_range())

    def _tensor(
        self, number: int, properties: dict[str, int | np.int8], files: int = 0, range: int = 0
    ) -> int:
        """The metadata of output `number`."""
        return self._table(
            Slots.tensor,
            name=self._text(OUTPUT_NAMES[number]),
            description=self._text(_OUTPUT_TEXTS[number]),
            content=self._table(Slots.content, **properties, range=range),
            files=files,
        )

    def _features(self) -> dict[str, int | np.int8]:
        """Content without properties of its own."""
        return {
            "properties_type": np.int8(FEATURE_PROPERTIES),
            "properties": self._table(Slots.nothing),
        }

    def _detections_range(self) -> int:
        return self._table(Slots.value_range, min=_DETECTIONS_DIMENSION, max=_DETECTIONS_DIMENSION)

    def _output_group(self) -> int:
        names = self._vector([self._text(name) for name in OUTPUT_NAMES])
        return self._table(Slots.group, name=self._text(_GROUP), tensor_names=names)

    def _table(self, slots: dict[str, int], **fields: int | np.int8 | np.int32) -> int:
        """A table; NumPy numbers are its own, plain ints are offsets (0: absent)."""
        self._builder.StartObject(len(slots))
        for name, value in fields.items():
            if isinstance(value, np.int8):
                self._builder.PrependInt8Slot(slots[name], int(value), 0)
            elif isinstance(value, np.int32):
                self._builder.PrependInt32Slot(slots[name], int(value), 0)
            else:
                self._builder.PrependUOffsetTRelativeSlot(slots[name], value, 0)
        return int(self._builder.EndObject())

    def _text(self, text: str) -> int:
        return int(self._builder.CreateString(text))

    def _floats(self, value: float) -> int:
        return self._numbers(np.array([value], np.float32))

    def _numbers(self, values: np.ndarray) -> int:
        return int(self._builder.CreateNumpyVector(values))

    def _vector(self, offsets: Sequence[int]) -> int:
        size = flatbuffers.number_types.UOffsetTFlags.bytewidth
        self._builder.StartVector(size, len(offsets), size)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return int(self._builder.EndVector())
