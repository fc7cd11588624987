"""ImageAnnotation <-> tf.train.Example, without TensorFlow.

The message classes are built here from their field facts, in a pool of their own: no generated
code that ties the kit to one protobuf release, no clash with TensorFlow's descriptors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from ssd.label_map import LabelMap
from ssd.standard_fields import LABEL_ID_OFFSET
from ssd.standard_fields import TfExampleFields as F
from tfrecord_tools.annotations import ImageAnnotation

_FEATURE_LISTS = 2  # number of that field in a SequenceExample
_Field = descriptor_pb2.FieldDescriptorProto


@lru_cache(maxsize=1)
def example_class() -> Any:
    """Returns the message class of tf.train.Example."""
    file = descriptor_pb2.FileDescriptorProto(
        name="tfrecord_tools/example.proto", package="tensorflow", syntax="proto3"
    )
    kinds = {"bytes": _Field.TYPE_BYTES, "float": _Field.TYPE_FLOAT, "int64": _Field.TYPE_INT64}
    feature = descriptor_pb2.DescriptorProto(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, (kind, field_type) in enumerate(kinds.items(), 1):
        values = file.message_type.add(name=f"{kind.capitalize()}List")
        _add_field(values, "value", 1, field_type, is_repeated=True)
        _add_field(feature, f"{kind}_list", number, _Field.TYPE_MESSAGE, values.name)
        feature.field[-1].oneof_index = 0
    file.message_type.append(feature)
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    _add_field(entry, "key", 1, _Field.TYPE_STRING)
    _add_field(entry, "value", 2, _Field.TYPE_MESSAGE, "Feature")
    _add_field(
        features, "feature", 1, _Field.TYPE_MESSAGE, "Features.FeatureEntry", is_repeated=True
    )
    example = file.message_type.add(name="Example")
    _add_field(example, "features", 1, _Field.TYPE_MESSAGE, "Features")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))


def _add_field(
    message: descriptor_pb2.DescriptorProto,
    name: str,
    number: int,
    field_type: Any,
    type_name: str = "",
    is_repeated: bool = False,
) -> None:
    label = _Field.LABEL_REPEATED if is_repeated else _Field.LABEL_OPTIONAL
    field = message.field.add(name=name, number=number, type=field_type, label=label)
    if type_name:
        field.type_name = f".tensorflow.{type_name}"


def encode(
    annotation: ImageAnnotation, encoded_image: bytes, image_format: str, label_map: LabelMap
) -> bytes:
    """Returns one serialized tf.train.Example with the keys of the TF Object Detection API.

    The same input gives the same bytes. Per-box features are written for N = 0 too, empty.

    Args:
      annotation: as validated.
      encoded_image: the picture's bytes, stored unchanged.
      image_format: "jpeg" or "png", what those bytes are.
      label_map: gives each class name its id 1..C; the record holds the map's own spelling.
    """
    class_ids = [label_map.id_of[name] for name in annotation.class_names]
    ymin, xmin, ymax, xmax = annotation.boxes.T
    height, width = annotation.image_size
    name = annotation.filename.encode("utf-8", "surrogateescape")
    example = example_class()()
    features = example.features.feature
    for key, text in (
        (F.image_encoded, encoded_image),
        (F.image_format, image_format.encode()),
        (F.filename, name),
        (F.key_sha256, hashlib.sha256(encoded_image).hexdigest().encode()),
        (F.source_id, annotation.source_id.encode("utf-8", "surrogateescape")),
    ):
        features[key].bytes_list.value.append(text)
    features[F.height].int64_list.value.append(height)
    features[F.width].int64_list.value.append(width)
    for key, floats in (
        (F.object_bbox_ymin, ymin),
        (F.object_bbox_xmin, xmin),
        (F.object_bbox_ymax, ymax),
        (F.object_bbox_xmax, xmax),
        (F.object_area, annotation.area),
        (F.object_weight, annotation.weights),
    ):
        if floats is not None:
            _extend(features[key].float_list, floats.tolist())
    for key, integers in (
        (F.object_class_label, np.array(class_ids, np.int64)),
        (F.object_is_crowd, annotation.is_crowd),
        (F.object_difficult, annotation.difficult),
        (F.object_truncated, annotation.truncated),
        (F.object_group_of, annotation.group_of),
    ):
        if integers is not None:
            _extend(features[key].int64_list, integers.astype(int).tolist())
    texts = [label_map.names[class_id - LABEL_ID_OFFSET].encode() for class_id in class_ids]
    _extend(features[F.object_class_text].bytes_list, texts)
    return example.SerializeToString(deterministic=True)


def _extend(values: Any, items: Sequence[Any]) -> None:
    values.SetInParent()  # An empty list keeps its kind, so that parsers know the feature.
    values.value.extend(items)


def _why_no_picture(record: bytes, features: dict[str, list[Any]]) -> str:
    example = example_class()()
    example.ParseFromString(record)
    # Both messages begin with a Features field, so a SequenceExample parses as an Example.
    if any(field.field_number == _FEATURE_LISTS for field in UnknownFieldSet(example)):
        return (
            "a tf.train.SequenceExample (video or context frames); one tf.train.Example per image"
        )
    names = ", ".join(sorted(features)[:6]) or "none"
    return f"no {F.image_encoded}; its features are: {names}"


def parse_features(record: bytes) -> dict[str, list[Any]]:
    """Returns every feature of a serialized tf.train.Example: key -> list of values.

    Raises:
      ValueError: the bytes are no tf.train.Example.
    """
    example = example_class()()
    try:
        example.ParseFromString(record)
    except DecodeError:
        raise ValueError("not a tf.train.Example") from None
    found = {}
    for key, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        found[key] = list(getattr(feature, kind).value) if kind else []
    return found


def decode(record: bytes) -> tuple[ImageAnnotation, bytes, str, tuple[int, ...]]:
    """Returns annotation, picture bytes, picture format, class ids of a record; undoes `encode`.

    Reads other converters' records too: absent per-box features are zeros, an absent area is that
    of the box, an absent class text is "".

    Raises:
      ValueError: no tf.train.Example, no picture, or per-box features of different lengths.
    """
    features = parse_features(record)
    encoded_image = _first(features, F.image_encoded, b"")
    if not encoded_image:
        raise ValueError(_why_no_picture(record, features))
    corners = (F.object_bbox_ymin, F.object_bbox_xmin, F.object_bbox_ymax, F.object_bbox_xmax)
    n = len(features.get(corners[0], []))
    columns = [_column(features, key, n, np.float32) for key in corners]
    boxes = np.stack(columns, axis=-1)
    size = (int(_first(features, F.height, 0)), int(_first(features, F.width, 0)))
    class_ids = _column(features, F.object_class_label, n, np.int64)
    sides = boxes[:, 2:] - boxes[:, :2]
    box_area = sides[:, 0] * np.float32(size[0]) * (sides[:, 1] * np.float32(size[1]))
    has_area = bool(features.get(F.object_area))
    annotation = ImageAnnotation(
        source_id=_text(_first(features, F.source_id, b"")),
        filename=_text(_first(features, F.filename, b"")),
        image_size=size,
        boxes=boxes,
        class_names=tuple(_texts(features, n)),
        difficult=_column(features, F.object_difficult, n, bool),
        truncated=_column(features, F.object_truncated, n, bool),
        is_crowd=_column(features, F.object_is_crowd, n, bool),
        area=_column(features, F.object_area, n, np.float32) if has_area else box_area,
        group_of=_optional(features, F.object_group_of, n, bool),
        weights=_optional(features, F.object_weight, n, np.float32),
    )
    image_format = _text(_first(features, F.image_format, b"jpeg"))
    return annotation, encoded_image, image_format, tuple(class_ids.tolist())


def _first(features: dict[str, list[Any]], key: str, default: Any) -> Any:
    return next(iter(features.get(key, [])), default)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _texts(features: dict[str, list[Any]], n: int) -> Iterable[str]:
    values = features.get(F.object_class_text) or [b""] * n
    if len(values) != n:
        raise ValueError(f"{F.object_class_text} has {len(values)} values for {n} boxes")
    return (_text(value) for value in values)


def _column(features: dict[str, list[Any]], key: str, n: int, dtype: Any) -> np.ndarray:
    values = features.get(key) or [0] * n
    if len(values) != n:
        raise ValueError(f"{key} has {len(values)} values for {n} boxes")
    return np.array(values, dtype)


def _optional(features: dict[str, list[Any]], key: str, n: int, dtype: Any) -> np.ndarray | None:
    return _column(features, key, n, dtype) if key in features else None
