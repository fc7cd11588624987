"""The messages of pipeline.config and label_map.pbtxt as protobuf classes.

`pipeline_schema.json` holds the facts; descriptors are built from it when this module is imported,
in a descriptor pool of our own. So there is no generated code that a newer protobuf refuses, no
protoc on a person's machine, and no clash with an installed package of the same message names.

How the schema is written: `messages` -> message -> field -> [number, kind, default], where kind is

    optional TYPE          a field that may be set once
    repeated TYPE          a list
    oneof NAME TYPE        one of the alternatives NAME; setting it clears the others
    map KEY VALUE          a dictionary
    deprecated ...         read, but no longer used by the TF Object Detection API

TYPE is a scalar, an enum or another message. A default is written only where the schema gives one.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SCHEMA_PATH = Path(__file__).with_name("pipeline_schema.json")

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "bool": _Field.TYPE_BOOL,
    "float": _Field.TYPE_FLOAT,
    "int32": _Field.TYPE_INT32,
    "string": _Field.TYPE_STRING,
    "uint32": _Field.TYPE_UINT32,
}


def read_schema() -> dict[str, Any]:
    """Returns the schema file as it lies on disk: package, enums, messages."""
    schema: dict[str, Any] = json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))
    return schema


def message_class(name: str) -> type[Any]:
    """Returns the class of one message, such as `"Ssd"` or `"CenterNet.ObjectDetection"`."""
    descriptor = _POOL.FindMessageTypeByName(f"{_SCHEMA['package']}.{name}")
    message: type[Any] = message_factory.GetMessageClass(descriptor)
    return message


def _build_file(schema: dict[str, Any]) -> Any:
    """Returns one FileDescriptorProto with every enum and message of the schema."""
    file = descriptor_pb2.FileDescriptorProto(
        name="pipeline_schema.proto", package=schema["package"], syntax="proto2"
    )
    protos: dict[str, Any] = {}
    # Shorter names first: the message around a nested one must exist before it.
    for name in sorted(schema["messages"], key=lambda name: name.count(".")):
        protos[name] = _parent(protos, name, file.message_type, "nested_type").add(
            name=name.rpartition(".")[2]
        )
    for name, values in schema["enums"].items():
        enum = _parent(protos, name, file.enum_type, "enum_type").add(name=name.rpartition(".")[2])
        for value_name, number in values.items():
            enum.value.add(name=value_name, number=number)
    for name, fields in schema["messages"].items():
        oneofs: list[str] = []
        for field_name, entry in fields.items():
            _add_field(schema, protos[name], name, oneofs, field_name, entry)
        for oneof in oneofs:
            protos[name].oneof_decl.add(name=oneof)
    return file


def _parent(protos: dict[str, Any], name: str, top_level: Any, nested: str) -> Any:
    """Returns the list that a dotted name belongs to: the file's, or that of the outer message."""
    outer = name.rpartition(".")[0]
    return getattr(protos[outer], nested) if outer else top_level


def _add_field(
    schema: dict[str, Any], proto: Any, owner: str, oneofs: list[str], name: str, entry: list[Any]
) -> None:
    number, kind, *default = entry
    words = kind.split()
    field = proto.field.add(name=name, number=number, label=_Field.LABEL_OPTIONAL)
    if words[0] == "deprecated":
        field.options.deprecated = True
        words = words[1:]
    if words[0] == "repeated":
        field.label = _Field.LABEL_REPEATED
    elif words[0] == "oneof":
        if words[1] not in oneofs:
            oneofs.append(words[1])
        field.oneof_index = oneofs.index(words[1])
    elif words[0] == "map":
        field.label = _Field.LABEL_REPEATED
        entry_name = _add_map_entry(schema, proto, name, words[1:])
        words = [f"{owner}.{entry_name}"]
    _set_type(schema, field, words[-1])
    for value in default:
        field.default_value = _default_text(value)


def _default_text(value: Any) -> str:
    """Returns a default as descriptors want it.

    Floats are rounded to the 32 bits they are kept in: protobuf's pure Python implementation would
    give the default back in 64 bits, unequal to the same number read from a file.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(struct.unpack("f", struct.pack("f", value))[0])
    return str(value)


def _add_map_entry(schema: dict[str, Any], proto: Any, name: str, types: list[str]) -> str:
    """Adds the message that protobuf keeps a map's rows in; returns its name."""
    entry_name = "".join(word.capitalize() for word in name.split("_")) + "Entry"
    entry = proto.nested_type.add(name=entry_name)
    entry.options.map_entry = True
    for number, (field_name, type_name) in enumerate(zip(("key", "value"), types, strict=True), 1):
        field = entry.field.add(name=field_name, number=number, label=_Field.LABEL_OPTIONAL)
        _set_type(schema, field, type_name)
    return entry_name


def _set_type(schema: dict[str, Any], field: Any, type_name: str) -> None:
    if type_name in _SCALARS:
        field.type = _SCALARS[type_name]
        return
    field.type = _Field.TYPE_ENUM if type_name in schema["enums"] else _Field.TYPE_MESSAGE
    field.type_name = f".{schema['package']}.{type_name}"


def _build_pool(schema: dict[str, Any]) -> Any:
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(_build_file(schema).SerializeToString())
    return pool


def is_message(field: Any) -> bool:
    """Returns whether a FieldDescriptor holds messages; maps count as lists of messages."""
    return field.message_type is not None


def is_repeated(field: Any) -> bool:
    """Returns whether a FieldDescriptor is a list; maps count."""
    # protobuf 7 drops `label`, protobuf 5 does not have `is_repeated` yet.
    if hasattr(type(field), "is_repeated"):
        return bool(field.is_repeated)
    return bool(field.label == field.LABEL_REPEATED)


def is_map(field: Any) -> bool:
    """Returns whether a FieldDescriptor is a map."""
    return is_message(field) and bool(field.message_type.GetOptions().map_entry)


def fields_by_path(
    descriptor: Any, prefix: str = "", seen: tuple[str, ...] = ()
) -> Iterator[tuple[str, Any]]:
    """Yields every dotted path below a message with its FieldDescriptor, outer fields first.

    A message that would hold itself is not entered a second time. Of a map of messages, the fields
    are those of its values.
    """
    for field in descriptor.fields:
        path = f"{prefix}.{field.name}" if prefix else field.name
        yield path, field
        inner = field.message_type
        if is_map(field):
            inner = inner.fields_by_name["value"].message_type or inner
        if inner is not None and inner.full_name not in seen:
            yield from fields_by_path(inner, path, (*seen, inner.full_name))


_SCHEMA = read_schema()
_POOL = _build_pool(_SCHEMA)

TrainEvalPipelineConfig: type[Any] = message_class("TrainEvalPipelineConfig")
StringIntLabelMap: type[Any] = message_class("StringIntLabelMap")
