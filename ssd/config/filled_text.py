"""A config as text with every default filled in."""

from __future__ import annotations

import io
from typing import Any

from google.protobuf import text_format

from ssd.config.messages import is_map, is_message, is_repeated

_MARK = "  # default"
# The original asks of these whether they are given at all, whatever their value.
_ASKED_FOR_PRESENCE = (
    "EvalConfig.use_moving_averages",
    "SsdFeatureExtractor.num_layers",
    "SsdFeatureExtractor.replace_preprocessor_with_placeholder",
)


def to_filled_text(message: Any) -> str:
    """Returns text form with the settings that are left to their default, each marked so.

    Only defaults that the schema states are filled in, and only in sections that are there: a
    section or an alternative that appears could mean something that its absence does not. So
    the text stands for the same config.
    """
    out = io.StringIO()
    _write(message, out, indent=0)
    return out.getvalue()


def _write(message: Any, out: io.StringIO, indent: int) -> None:
    given = {field.name for field, _ in message.ListFields()}
    for field in message.DESCRIPTOR.fields:
        if field.name in given and is_map(field):
            out.write(_map_text(message, field, indent))
        elif field.name in given:
            value = getattr(message, field.name)
            for item in value if is_repeated(field) else [value]:
                _write_item(field, item, out, indent)
        elif _is_worth_filling(field):
            line = _line(field, field.default_value, indent)
            out.write(f"{line}{_MARK}\n")


def _write_item(field: Any, value: Any, out: io.StringIO, indent: int) -> None:
    if is_message(field):
        out.write(f"{' ' * indent}{field.name} {{\n")
        _write(value, out, indent + 2)
        out.write(f"{' ' * indent}}}\n")
    else:
        out.write(_line(field, value, indent) + "\n")


def _map_text(message: Any, field: Any, indent: int) -> str:
    alone = type(message)()
    getattr(alone, field.name).MergeFrom(getattr(message, field.name))
    return str(text_format.MessageToString(alone, indent=indent, as_utf8=True))


def _line(field: Any, value: Any, indent: int) -> str:
    out = io.StringIO()
    text_format.PrintField(field, value, out, indent=indent, as_utf8=True)
    return out.getvalue().rstrip("\n")


def _is_worth_filling(field: Any) -> bool:
    return (
        field.has_default_value
        and not field.GetOptions().deprecated
        and field.full_name.split(".", 2)[2] not in _ASKED_FOR_PRESENCE
    )
