"""Single values: what a field expects, and what is wrong with the text it got."""

from __future__ import annotations

import math
import re
from typing import Any

from google.protobuf import text_encoding

from ssd.config import hints

_WHOLE_NUMBER = re.compile(r"[+-]?(?:0[xX][0-9A-Fa-f]+|[0-9]+)\Z")
_LEADING_ZERO = re.compile(r"[+-]?0[0-9]")
_TRUE = ("true", "True", "t", "1")
_FALSE = ("false", "False", "f", "0")
_LARGEST_FLOAT32 = 3.4028234663852886e38
_RANGES = {"int32": (-(2**31), 2**31 - 1), "uint32": (0, 2**32 - 1)}


def type_name(field: Any) -> str:
    """Returns "float", "int32", "uint32", "bool", "string" or "enum" of a scalar field."""
    names = {
        field.TYPE_BOOL: "bool",
        field.TYPE_ENUM: "enum",
        field.TYPE_FLOAT: "float",
        field.TYPE_INT32: "int32",
        field.TYPE_STRING: "string",
        field.TYPE_UINT32: "uint32",
    }
    return names[field.type]


def expected(field: Any) -> str:
    """Returns what the field takes, in words: "a whole number", "true or false" ..."""
    kind = type_name(field)
    if kind == "enum":
        return "one of " + ", ".join(value.name for value in field.enum_type.values)
    words = {
        "bool": "true or false",
        "float": "a number",
        "int32": "a whole number",
        "string": "text in quotes",
        "uint32": "a whole number of at least 0",
    }
    return words[kind]


def problem(field: Any, kind: str, text: str) -> str:
    """Returns what is wrong with a value, or an empty string.

    Args:
      field: FieldDescriptor of a scalar or of a list of scalars.
      kind: kind of the token: "name", "number", "string", "symbol" or "end".
      text: the token as it stands in the file.
    """
    checks = {
        "bool": _bool_problem,
        "enum": _enum_problem,
        "float": _float_problem,
        "int32": _integer_problem,
        "string": _string_problem,
        "uint32": _integer_problem,
    }
    return checks[type_name(field)](field, kind, text)


def _mismatch(field: Any, kind: str, text: str) -> str:
    got = "the end of the text" if kind == "end" else text
    what = {"string": f"got the text {got}", "symbol": f"got {got}"}.get(kind, f"got {got}")
    return f"{what}; expected {expected(field)}."


def _bool_problem(field: Any, kind: str, text: str) -> str:
    if kind in ("name", "number") and text in _TRUE + _FALSE:
        return ""
    return _mismatch(field, kind, text)


def _enum_problem(field: Any, kind: str, text: str) -> str:
    values = field.enum_type.values
    if kind == "name" and text in (value.name for value in values):
        return ""
    if kind == "number" and text in (str(value.number) for value in values):
        return ""
    meant = hints.closest(text.strip("\"'"), [value.name for value in values])
    advice = f" Did you mean {meant}?" if meant else ""
    if kind == "string" and meant == text[1:-1]:
        advice = f" Write {meant} without quotes."
    return _mismatch(field, kind, text) + advice


def _float_problem(field: Any, kind: str, text: str) -> str:
    if kind != "number" or "_" in text:
        return _mismatch(field, kind, text)
    if _LEADING_ZERO.match(text):
        return f"got {text}; a number does not start with 0 and another digit."
    try:
        # C's `1.0f` is legal in text format.
        number = float(text.rstrip("fF"))
    except ValueError:
        return _mismatch(field, kind, text)
    if not math.isfinite(number):
        return _mismatch(field, kind, text)
    if abs(number) > _LARGEST_FLOAT32:
        return f"got {text}, which a 32-bit float cannot hold."
    return ""


def _integer_problem(field: Any, kind: str, text: str) -> str:
    if kind != "number" or not _WHOLE_NUMBER.match(text):
        return _mismatch(field, kind, text)
    low, high = _RANGES[type_name(field)]
    try:
        number = _whole_number(text)
    except ValueError:
        return _mismatch(field, kind, text)
    if number < 0 and low == 0:
        return _mismatch(field, kind, text)
    if not low <= number <= high:
        return f"got {text}; expected a whole number from {low} to {high}."
    return ""


def _string_problem(field: Any, kind: str, text: str) -> str:
    if kind == "string":
        return ""
    advice = f' Write "{text}".' if kind in ("name", "number") else ""
    return _mismatch(field, kind, text) + advice


def value(field: Any, text: str) -> Any:
    """Returns the Python value of a token in which `problem` found nothing wrong."""
    kind = type_name(field)
    if kind == "bool":
        return text in _TRUE
    if kind == "enum":
        by_name = field.enum_type.values_by_name
        return by_name[text].number if text in by_name else int(text)
    if kind == "float":
        return float(text.rstrip("fF"))
    if kind == "string":
        return text_encoding.CUnescape(text[1:-1]).decode("utf-8")
    return _whole_number(text)


def _whole_number(text: str) -> int:
    # A leading 0 means octal in text format, as in C.
    return int(text, 8 if re.match(r"[+-]?0[0-7]+\Z", text) else 0)
