"""`--set section.field=value`: one setting of a config changed from the command line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ssd.config import hints, scalars, text_reader
from ssd.config.messages import is_map, is_message, is_repeated
from ssd.config.text_source import Source, override_source
from ssd.config.tokens import tokenize
from ssd.errors import InputError

_LIST_ITEM = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^,]+)\s*(?:,|\Z)""")
_STEP = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:\[([0-9]+)\])?\Z")


@dataclass(frozen=True)
class _Target:
    """The field that an override names: `message.field`, or one item of it."""

    message: Any
    field: Any
    index: int | None
    path: str


def apply(message: Any, override: str) -> str:
    """Changes one setting of `message`; returns its dotted path, list index included.

    `path=value`, where value is what would stand behind the colon in a pipeline.config. Text needs
    no quotes; a list is `a,b` or `[a, b]` and replaces the list that was there; a section is
    `{ ... }` and replaces the section. Setting one alternative clears the other.

    Raises:
      InputError: no `=`, no such field, no such list item, or a value that does not fit.
    """
    path, equals, value = override.partition("=")
    path = path.strip()
    if not equals or not path:
        raise InputError(
            f"--set {override}: expected section.field=value, such as train_config.batch_size=8."
        )
    source = override_source(override, own_path=path)
    target = _find(message, path, source)
    if is_message(target.field):
        _set_messages(target, value.strip(), source)
    else:
        _set_scalars(target, value, source)
    return target.path


def _find(message: Any, path: str, source: Source) -> _Target:
    """Returns the field behind a dotted path; list items on the way are appended when missing."""
    root = message.DESCRIPTOR
    steps = path.split(".")
    walked: list[str] = []
    for place, step in enumerate(steps):
        match = _STEP.match(step)
        if match is None:
            raise source.error(1, path, f"{step!r} is not a field name; write name or name[0].")
        name, index = match.group(1), match.group(2)
        field = message.DESCRIPTOR.fields_by_name.get(name)
        if field is None:
            what = hints.unknown_field(name, message.DESCRIPTOR, root, in_file=False)
            raise source.error(1, path, what)
        if index is not None and (not is_repeated(field) or is_map(field)):
            raise source.error(1, path, f"{name} is no list; write it without [{index}].")
        is_last = place == len(steps) - 1
        if is_last:
            number = None if index is None else int(index)
            own_path = ".".join([*walked, step])
            return _Target(message, field, number, own_path)
        message, step = _enter(message, field, index, source, path)
        walked.append(step)
    raise AssertionError("a dotted path has at least one step")


def _enter(
    message: Any, field: Any, index: str | None, source: Source, path: str
) -> tuple[Any, str]:
    """Returns the message inside `field` and how that step is written in full."""
    if not is_message(field) or is_map(field):
        raise source.error(1, path, f"{field.name} is no section; nothing can be set inside it.")
    inside = getattr(message, field.name)
    if not is_repeated(field):
        return inside, field.name
    if index is None and len(inside) != 1:
        raise source.error(
            1,
            path,
            f"{field.name} is a list of {len(inside)}; write {field.name}[0] for the first.",
        )
    number = int(index or 0)
    if number > len(inside):
        raise source.error(1, path, _no_item(field, number, len(inside)))
    return inside.add() if number == len(inside) else inside[number], f"{field.name}[{number}]"


def _no_item(field: Any, index: int, length: int) -> str:
    return (
        f"there is no {field.name}[{index}]; the list has {length} items, "
        f"so [0] to [{length}] can be set (the last one appends)."
    )


def _set_messages(target: _Target, value: str, source: Source) -> None:
    field = target.field
    if not value.startswith(("{", "[")):
        got = value or "nothing"
        raise source.error(
            1, target.path, f"got {got}; expected a section in braces, {field.name}={{ ... }}."
        )
    # Parsed into an empty message of the same kind: in place it would add to what is there.
    scratch = type(target.message)()
    parent = target.path.rpartition(".")[0]
    text_reader.parse(f"{field.name} {value}", scratch, source, parent)
    new = getattr(scratch, field.name)
    old = getattr(target.message, field.name)
    if not is_repeated(field):
        old.CopyFrom(new)
        # An empty section counts as given, as it does in a file.
        old.SetInParent()
    elif target.index is None:
        target.message.ClearField(field.name)
        getattr(target.message, field.name).MergeFrom(new)
    elif len(new) != 1 or target.index > len(old):
        what = f"got {len(new)} sections for one item of a list."
        if target.index > len(old):
            what = _no_item(field, target.index, len(old))
        raise source.error(1, target.path, what)
    else:
        (old.add() if target.index == len(old) else old[target.index]).CopyFrom(new[0])


def _set_scalars(target: _Target, value: str, source: Source) -> None:
    field = target.field
    if not is_repeated(field):
        setattr(target.message, field.name, _scalar(field, value, target.path, source))
        return
    values = getattr(target.message, field.name)
    if target.index is None:
        new = [_scalar(field, item, target.path, source) for item in _split_list(value)]
        del values[:]
        values.extend(new)
        return
    if target.index > len(values):
        raise source.error(1, target.path, _no_item(field, target.index, len(values)))
    item = _scalar(field, value, target.path, source)
    if target.index == len(values):
        values.append(item)
    else:
        values[target.index] = item


def _split_list(value: str) -> list[str]:
    value = value.strip()
    if value.startswith("[") and value.endswith("]"):
        value = value[1:-1].strip()
    # A comma inside quotes belongs to the text.
    return [item.strip() for item in _LIST_ITEM.findall(value)]


def _scalar(field: Any, value: str, path: str, source: Source) -> Any:
    """Returns the Python value of one item; text may come with or without quotes."""
    kind = scalars.type_name(field)
    text = value.strip()
    if kind == "string" and not _is_quoted(text):
        return value
    tokens = tokenize(text, source)
    first = tokens[0]
    if len(tokens) > 2:
        raise source.error(1, path, f"got {text}; expected {scalars.expected(field)}.")
    problem = scalars.problem(field, first.kind, first.text)
    if problem:
        raise source.error(1, path, problem.replace("the end of the text", "nothing"))
    return scalars.value(field, first.text)


def _is_quoted(text: str) -> bool:
    return len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'"
