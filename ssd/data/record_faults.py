"""What is wrong with a record, in words: which file, which record, which box, what to do.

The input pipeline's graph only finds out that a record is unusable. This file looks at the same
bytes again, once, outside the graph, and says why.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import tensorflow as tf
from google.protobuf.message import DecodeError

from ssd.data import decoder
from ssd.standard_fields import LABEL_ID_OFFSET, TfExampleFields

if TYPE_CHECKING:
    from ssd.label_map import LabelMap

_F = TfExampleFields
# Boxes may lie a bit outside of their image; what lies further out is none in fractions of it.
BOX_LIMITS = (-1.0, 2.0)
_MOST_NAMES = 8
_KINDS = {tf.string: "bytes_list", tf.int64: "int64_list", tf.float32: "float_list"}
_SIDES = {
    "ymin": _F.object_bbox_ymin,
    "xmin": _F.object_bbox_xmin,
    "ymax": _F.object_bbox_ymax,
    "xmax": _F.object_bbox_xmax,
}
_OPTIONAL_PER_BOX = (
    _F.object_weight,
    _F.object_area,
    _F.object_is_crowd,
    _F.object_difficult,
    _F.object_group_of,
)


def find(serialized: bytes, decode: decoder.Decoder, num_classes: int) -> str | None:
    """Returns what makes a record unusable, or None.

    Args:
      serialized: the bytes of the record.
      decode: the decoder in use; its label map decides which class ids the boxes have.
      num_classes: C; class ids above it are a fault.

    Returns:
      "source_id 'a.jpg': what came; what was expected; what to do", to be put after the place.
    """
    try:
        features = tf.train.Example.FromString(serialized).features.feature
    except DecodeError:
        return (
            "no tf.train.Example; expected records written by `convert` or by a TF Object "
            "Detection API tool"
        )
    fault = (
        _missing_image(serialized, features)
        or _wrong_kind(features)
        or _unequal_lists(features, decode)
        or _undecodable_image(features)
        or _bad_box(serialized, decode, num_classes)
    )
    return f"source_id {_text(features, _F.source_id)!r}: {fault}" if fault else None


def num_boxes(serialized: bytes) -> int:
    """Returns how many boxes a usable record has."""
    features = tf.train.Example.FromString(serialized).features.feature
    return len(_values(features, _F.object_bbox_ymin))


def feature_names(serialized: bytes) -> str:
    """Returns the keys of a tf.train.Example for a message, "none" where it has none."""
    names = sorted(tf.train.Example.FromString(serialized).features.feature)
    return ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "") or "none"


def _missing_image(serialized: bytes, features: Any) -> str | None:
    if _values(features, _F.image_encoded):
        return None
    # Both messages begin with a Features field, so a SequenceExample parses as an Example.
    if tf.train.SequenceExample.FromString(serialized).feature_lists.feature_list:
        return (
            "a tf.train.SequenceExample (video or context frames); this kit reads "
            "tf.train.Example: write one record per image"
        )
    names = feature_names(serialized)
    return f"holds no image: {_F.image_encoded} is empty or absent; its features are: {names}"


def _wrong_kind(features: Any) -> str | None:
    for key, feature in features.items():
        spec = decoder.PARSE_SPEC.get(key)
        kind = feature.WhichOneof("kind")
        if spec is not None and kind is not None and kind != _KINDS[spec.dtype]:
            return f"{key} is a {kind}; expected {_KINDS[spec.dtype]}"
    for key, spec in decoder.PARSE_SPEC.items():
        is_single = isinstance(spec, tf.io.FixedLenFeature) and key in features
        if is_single and features[key].WhichOneof("kind") and len(_values(features, key)) != 1:
            return f"{key} holds {len(_values(features, key))} values; expected one"
    return None


def _unequal_lists(features: Any, decode: decoder.Decoder) -> str | None:
    count = len(_values(features, _F.object_bbox_ymin))
    texts = _values(features, _F.object_class_text)
    classes = (
        _F.object_class_text if texts and decode.label_map is not None else _F.object_class_label
    )
    required = [*_SIDES.values(), classes]
    for key in (*required, *_OPTIONAL_PER_BOX):
        length = len(_values(features, key))
        if length == count or (length == 0 and key not in required):
            continue
        hint = ""
        if key == _F.object_class_label and texts and length == 0:
            hint = "; the record names its classes by class/text only: give a label map"
        return f"{key} has {length} values for {count} boxes{hint}"
    return None


def _undecodable_image(features: Any) -> str | None:
    encoded = _values(features, _F.image_encoded)[0]
    try:
        tf.io.decode_image(encoded, channels=3, expand_animations=False)
    except tf.errors.OpError as error:
        reason = re.sub(r"\{\{.*?\}\}\s*|\s*\[Op:.*", "", error.message.splitlines()[0]).rstrip(".")
        return (
            f"{_F.image_encoded} does not decode: {len(encoded)} bytes beginning "
            f"{encoded[:8]!r}: {reason}; expected a whole JPEG or PNG"
        )
    return None


def _bad_box(serialized: bytes, decode: decoder.Decoder, num_classes: int) -> str | None:
    features = tf.io.parse_single_example(serialized, decoder.PARSE_SPEC)
    rows = zip(*(features[key].numpy().tolist() for key in _SIDES.values()), strict=True)
    class_ids = decode.class_ids(features).numpy().tolist()
    texts = features[_F.object_class_text].numpy().tolist() if decode.label_map is not None else []
    texts = texts or [b""] * len(class_ids)
    for number, (box, class_id, text) in enumerate(zip(rows, class_ids, texts, strict=True)):
        # Those are dropped and counted, whatever else is wrong with them.
        if any(map(math.isnan, box)):
            continue
        fault = _fault_of_box(box)
        if num_classes != decoder.ANY_NUMBER_OF_CLASSES:
            fault = fault or _fault_of_class(class_id, text, decode.label_map, num_classes)
        if fault:
            return f"box {number}: {fault}"
    return None


def _fault_of_box(box: Sequence[float]) -> str | None:
    ymin, xmin, ymax, xmax = box
    for side, value in zip(_SIDES, box, strict=True):
        if math.isinf(value):
            return f"{side} is {value}; expected a number, 0 to 1 of the image"
        if not BOX_LIMITS[0] <= value <= BOX_LIMITS[1]:
            return f"{side} is {value:g}; expected 0 to 1 of the image: pixels are to be divided"
    for axis, low, high in (("y", ymin, ymax), ("x", xmin, xmax)):
        if high < low:
            return f"{axis}max {high:g} < {axis}min {low:g}; swap them in the annotation"
    return None


def _fault_of_class(
    class_id: int, text: bytes, label_map: LabelMap | None, num_classes: int
) -> str | None:
    if LABEL_ID_OFFSET <= class_id < num_classes + LABEL_ID_OFFSET:
        return None
    if class_id == decoder.UNKNOWN_CLASS_ID and text and label_map is not None:
        return _unknown_text(text.decode("utf-8", "replace"), list(label_map.id_of))
    background = " (0 is the background)" if class_id == 0 else ""
    return (
        f"class id {class_id}{background}; num_classes is {num_classes}, so 1..{num_classes} are "
        f"allowed: correct num_classes, the label map or the records"
    )


def _unknown_text(text: str, names: list[str]) -> str:
    same = [name for name in names if name.strip().lower() == text.strip().lower()]
    near = same or difflib.get_close_matches(text, names, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    shown = ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
    return (
        f"class text {text!r} is not in the label map ({shown}); {hint}add it there, or give the "
        "label map of these records"
    )


def _values(features: Any, key: str) -> Sequence[Any]:
    if key not in features:
        return ()
    kind = features[key].WhichOneof("kind")
    return getattr(features[key], kind).value if kind else ()


def _text(features: Any, key: str) -> str:
    values = _values(features, key)
    is_text = bool(values) and isinstance(values[0], bytes)
    return values[0].decode("utf-8", "replace") if is_text else ""
