"""TFLite metadata: the facts of its schema, and what a file's metadata says.

Metadata is a FlatBuffer of its own inside a .tflite, in the buffer named TFLITE_METADATA. The
numbers here are those of the public schema metadata_schema.fbs, version 1.5.0. Files that it names,
such as labels, are appended to the .tflite as a zip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import flatbuffers
from flatbuffers import encode, number_types, packer

METADATA_NAME = "TFLITE_METADATA"
METADATA_IDENTIFIER = b"M001"

# Members of the schema's enums and unions.
TENSOR_VALUE_LABELS = 3  # AssociatedFileType
NORMALIZATION_OPTIONS = 1  # ProcessUnitOptions
FEATURE_PROPERTIES, IMAGE_PROPERTIES, BOUNDING_BOX_PROPERTIES = 1, 2, 3  # ContentProperties
COLOR_SPACE_RGB = 1  # ColorSpaceType
BOUNDING_BOX_BOUNDARIES = 1  # BoundingBoxType: left, top, right, bottom, found through `index`
COORDINATE_RATIO = 0  # CoordinateType

_FIRST_SLOT = 4  # a table's list of fields begins with two uint16 sizes


def _numbered(names: str) -> dict[str, int]:
    return {name: number for number, name in enumerate(names.split())}


class Slots:
    """Field numbers of each table; a union takes two, its type and its value."""

    model: ClassVar = _numbered(
        "name description version subgraphs author license files min_parser_version"
    )
    subgraph: ClassVar = _numbered(
        "name description inputs outputs files input_units output_units input_groups output_groups"
    )
    tensor: ClassVar = _numbered(
        "name description dimension_names content process_units stats files"
    )
    content: ClassVar = _numbered("properties_type properties range")
    image: ClassVar = _numbered("color_space default_size")
    bounding_box: ClassVar = _numbered("index type coordinate_type")
    value_range: ClassVar = _numbered("min max")
    process_unit: ClassVar = _numbered("options_type options")
    normalization: ClassVar = _numbered("mean std")
    stats: ClassVar = _numbered("max min")
    file: ClassVar = _numbered("name description type")
    group: ClassVar = _numbered("name tensor_names")
    nothing: ClassVar = _numbered("")


@dataclass(frozen=True)
class TensorDescription:
    """Metadata of one input or output.

    Attributes:
      name: such as "location" or "category".
      mean, std: real input value = (pixel - mean) / std; None where nothing is said.
      label_file: name of the appended file with one class name a line; "" if none.
    """

    name: str
    mean: float | None = None
    std: float | None = None
    label_file: str = ""


def describe_tensors(
    metadata: bytes,
) -> tuple[tuple[TensorDescription, ...], tuple[TensorDescription, ...]]:
    """Returns the descriptions of the inputs and of the outputs, in the order of the file."""
    subgraphs = Table.root(metadata).tables(Slots.model["subgraphs"])
    if not subgraphs:
        return (), ()
    inputs, outputs = (
        tuple(_description(tensor) for tensor in subgraphs[0].tables(Slots.subgraph[side]))
        for side in ("inputs", "outputs")
    )
    return inputs, outputs


def _description(tensor: Table) -> TensorDescription:
    mean = std = None
    for unit in tensor.tables(Slots.tensor["process_units"]):
        options = unit.table(Slots.process_unit["options"])
        is_normalization = unit.int8(Slots.process_unit["options_type"]) == NORMALIZATION_OPTIONS
        if is_normalization and options is not None:
            mean = next(iter(options.floats(Slots.normalization["mean"])), None)
            std = next(iter(options.floats(Slots.normalization["std"])), None)
    labels = [
        file.text(Slots.file["name"])
        for file in tensor.tables(Slots.tensor["files"])
        if file.int8(Slots.file["type"]) == TENSOR_VALUE_LABELS
    ]
    return TensorDescription(
        tensor.text(Slots.tensor["name"]), mean, std, labels[0] if labels else ""
    )


class Table:
    """A FlatBuffer table, its fields read by slot number; an absent field is empty or 0."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._table = flatbuffers.table.Table(data, position)

    @classmethod
    def root(cls, data: bytes) -> Table:
        """The outermost table of a FlatBuffer."""
        return cls(data, encode.Get(packer.uoffset, data, 0))

    def text(self, slot: int) -> str:
        """The string there, or ""."""
        at = self._at(slot)
        return self._table.String(at).decode("utf-8") if at else ""

    def int8(self, slot: int) -> int:
        """The int8 there (enums, types of unions), or 0."""
        at = self._at(slot)
        return int(self._table.Get(number_types.Int8Flags, at)) if at else 0

    def int32(self, slot: int) -> int:
        """The int32 there, or 0."""
        at = self._at(slot)
        return int(self._table.Get(number_types.Int32Flags, at)) if at else 0

    def table(self, slot: int) -> Table | None:
        """The table there, also that of a union, or None."""
        at = self._at(slot)
        return Table(self._data, self._table.Indirect(at)) if at else None

    def tables(self, slot: int) -> list[Table]:
        """The tables of the vector there."""
        return [
            Table(self._data, self._table.Indirect(at))
            for at in self._elements(slot, number_types.UOffsetTFlags.bytewidth)
        ]

    def texts(self, slot: int) -> list[str]:
        """The strings of the vector there."""
        return [
            self._table.String(at).decode("utf-8")
            for at in self._elements(slot, number_types.UOffsetTFlags.bytewidth)
        ]

    def floats(self, slot: int) -> list[float]:
        """The float32 vector there."""
        flags = number_types.Float32Flags
        return [float(self._table.Get(flags, at)) for at in self._elements(slot, flags.bytewidth)]

    def int32s(self, slot: int) -> list[int]:
        """The int32 vector there."""
        flags = number_types.Int32Flags
        return [int(self._table.Get(flags, at)) for at in self._elements(slot, flags.bytewidth)]

    def _offset(self, slot: int) -> int:
        return int(self._table.Offset(_FIRST_SLOT + 2 * slot))

    def _at(self, slot: int) -> int:
        """Position of the field, 0 where it is absent."""
        offset = self._offset(slot)
        return offset + self._table.Pos if offset else 0

    def _elements(self, slot: int, size: int) -> list[int]:
        """Positions of a vector's elements."""
        offset = self._offset(slot)
        if not offset:
            return []
        first = self._table.Vector(offset)
        return [first + n * size for n in range(self._table.VectorLen(offset))]
