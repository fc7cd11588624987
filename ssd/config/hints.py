"""Guesses of what a person meant by a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from ssd.config.messages import fields_by_path

_FIELDS_LISTED = 8
_OTHER_MODELS = ("model.faster_rcnn", "model.center_net", "model.experimental_model")


def closest(name: str, candidates: Iterable[str]) -> str:
    """Returns the candidate most like `name`, case aside, or an empty string."""
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    found = difflib.get_close_matches(name.lower(), list(by_lower), n=1, cutoff=0.65)
    return by_lower[found[0]] if found else ""


def unknown_field(name: str, descriptor: Any, root: Any, in_file: bool = True) -> str:
    """Returns the sentence about a field that `descriptor` does not have.

    Args:
      name: what the person wrote.
      descriptor: of the message in which it was written.
      root: descriptor of the whole file's message, to find where the name belongs.
      in_file: whether a brace of the person may be missing; not so in a dotted path.
    """
    if in_file and descriptor is not root and name in root.fields_by_name:
        return f"unknown field. {name} stands at the top level: is a }} missing above this line?"
    meant = closest(name, [field.name for field in descriptor.fields])
    if meant:
        return f"unknown field. Did you mean {meant}?"
    homes = _homes(name, root)
    if homes:
        return f"unknown field here. It belongs in {' or '.join(homes)}."
    names = [field.name for field in descriptor.fields]
    if not names:
        return "unknown field; this section takes no settings."
    more = f" and {len(names) - _FIELDS_LISTED} more" if len(names) > _FIELDS_LISTED else ""
    return f"unknown field. Known here: {', '.join(names[:_FIELDS_LISTED])}{more}."


def _homes(name: str, root: Any) -> list[str]:
    """Returns up to two dotted paths of messages that do have a field `name`, shortest first."""
    homes = {path.rpartition(".")[0] for path, field in fields_by_path(root) if field.name == name}
    return sorted(homes - {""}, key=lambda path: (path.count("."), path))[:2]
