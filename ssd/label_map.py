"""label_map.pbtxt: which class id has which name. Ids are 1..C; 0 is the background."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from google.protobuf import text_encoding

from ssd.config import text_reader
from ssd.config.messages import StringIntLabelMap
from ssd.config.text_source import Source, read_text, write_text
from ssd.errors import InputError
from ssd.standard_fields import LABEL_ID_OFFSET

_BACKGROUND_ID = 0
_BACKGROUND_NAMES = ("background", "__background__")
_KIND = "a label_map.pbtxt"
_EXAMPLE = 'item { id: 1 name: "cat" }'


@dataclass(frozen=True)
class LabelMapItem:
    """One class.

    Attributes:
      id: class id, 1 or more.
      name: as it stands in the records' class text, such as "cat" or "/m/01yrx".
      display_name: for people, such as "Cat" for "/m/01yrx"; empty where there is none.
    """

    id: int
    name: str
    display_name: str = ""


@dataclass(frozen=True)
class LabelMap:
    """The classes of a data set.

    Attributes:
      items: sorted by id, ids and names unique. Ids may have gaps, as COCO's 1..90 has.
    """

    items: tuple[LabelMapItem, ...]

    @property
    def num_classes(self) -> int:
        """C: the largest id, so that every id has its class index id - 1."""
        return max(item.id for item in self.items) if self.items else 0

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names by class index 0..C-1; "" where no item has the id."""
        by_id = {item.id: item.name for item in self.items}
        ids = range(LABEL_ID_OFFSET, self.num_classes + LABEL_ID_OFFSET)
        return tuple(by_id.get(class_id, "") for class_id in ids)

    @cached_property
    def id_of(self) -> dict[str, int]:
        """Name -> id; display names too, where they are no item's name and belong to one item."""
        ids = {item.name: item.id for item in self.items}
        shown: dict[str, list[int]] = {}
        for item in self.items:
            if item.display_name:
                shown.setdefault(item.display_name, []).append(item.id)
        return {name: one[0] for name, one in shown.items() if len(one) == 1} | ids

    @cached_property
    def display_names(self) -> tuple[str, ...]:
        """What people call the classes, by class index: display name, else name, else ""."""
        by_id = {item.id: item.display_name or item.name for item in self.items}
        ids = range(LABEL_ID_OFFSET, self.num_classes + LABEL_ID_OFFSET)
        return tuple(by_id.get(class_id, "") for class_id in ids)

    def name_of(self, class_id: int) -> str:
        """Returns what people call the class; the id itself where no item has it."""
        index = class_id - LABEL_ID_OFFSET
        known = self.display_names[index] if 0 <= index < self.num_classes else ""
        return known or str(class_id)


def from_names(names: Iterable[str]) -> LabelMap:
    """Returns the label map that gives the names the ids 1..C in that order.

    Raises:
      InputError: a name is empty, holds a line break, or comes twice; or there is none.
    """
    items = [LabelMapItem(number, name) for number, name in enumerate(names, LABEL_ID_OFFSET)]
    for number, item in enumerate(items):
        _check_name(item.name, f"class name {number + 1}")
        for other in items[:number]:
            if other.name == item.name:
                raise InputError(f"class names: {item.name!r} comes twice; names must be unique.")
    if not items:
        raise InputError("class names: there are none; a label map needs at least one class.")
    return LabelMap(tuple(items))


def load(path: str | os.PathLike[str]) -> LabelMap:
    """Returns the label map of a file.

    An item that is there twice in the same words counts once. An item with a display name but no
    name is called by its display name. Id 0 is accepted for the background only, and left out.

    Raises:
      InputError: no such file, no label map in text form, no class in it, an id below 1, two
        classes of one id or of one name. The message begins with `file:line`.
    """
    text = read_text(path, _KIND)
    message = StringIntLabelMap()
    if not text.strip():
        raise InputError(f"{path}: the file is empty; expected items such as {_EXAMPLE}.")
    _refuse_plain_list(text, path)
    source = Source(str(path))
    positions = text_reader.parse(text, message, source)
    by_id: dict[int, LabelMapItem] = {}
    for index, (item, line) in enumerate(_items(message, positions, source)):
        _keep(item, by_id, f"{path}:{line}: item[{index}]")
    if not by_id:
        raise InputError(f"{path}: no class in it; expected items such as {_EXAMPLE}.")
    return LabelMap(tuple(by_id[class_id] for class_id in sorted(by_id)))


def save(label_map: LabelMap, path: str | os.PathLike[str]) -> None:
    """Writes label_map.pbtxt, one item per class in the order of ids; whole or absent."""
    lines: list[str] = []
    for item in label_map.items:
        _check_name(item.name, f"class {item.id}")
        lines += ["item {", f"  id: {item.id}", f"  name: {_quoted(item.name)}"]
        if item.display_name:
            lines.append(f"  display_name: {_quoted(item.display_name)}")
        lines.append("}")
    write_text("".join(f"{line}\n" for line in lines), path)


def _quoted(name: str) -> str:
    return f'"{text_encoding.CEscape(name.encode("utf-8"), as_utf8=True)}"'


def _items(
    message: Any, positions: text_reader.Positions, source: Source
) -> Iterator[tuple[LabelMapItem, int]]:
    """Yields the classes of a parsed file, the background left out, with the line of each."""
    for index, item in enumerate(message.item):
        path = f"item[{index}]"
        line = positions[path]
        if not item.HasField("id"):
            raise source.error(line, path, "has no id; give every class an id from 1 on.")
        line = positions.get(f"{path}.id", line)
        name = item.name or item.display_name
        if item.id == _BACKGROUND_ID and name in _BACKGROUND_NAMES:
            continue
        if item.id < LABEL_ID_OFFSET:
            said = f" ({name})" if name else ""
            what = f"id {item.id}{said}; ids start at 1, 0 is the background."
            if item.id == _BACKGROUND_ID:
                what += " Add 1 to every id, here and in the records."
            raise source.error(line, path, what)
        if not name:
            raise source.error(line, path, f"id {item.id} has no name.")
        display_name = "" if item.display_name == name else item.display_name
        yield LabelMapItem(item.id, name, display_name), line


def _keep(item: LabelMapItem, by_id: dict[int, LabelMapItem], where: str) -> None:
    """Adds a class unless it contradicts one that is there."""
    _check_name(item.name, where)
    known = by_id.setdefault(item.id, item)
    if known.name != item.name:
        raise InputError(
            f"{where}: id {item.id} is {known.name!r} already, now it is {item.name!r}; "
            "give every class an id of its own."
        )
    for other in by_id.values():
        if other.name == item.name and other.id != item.id:
            raise InputError(
                f"{where}: the name {item.name!r} has id {other.id} already, now it has id "
                f"{item.id}; names must be unique."
            )


def _check_name(name: str, where: str) -> None:
    if not name.strip():
        raise InputError(f"{where}: the name is empty.")
    if any(ord(character) < ord(" ") for character in name):
        raise InputError(f"{where}: the name {name!r} holds a line break or a tab.")


def _refuse_plain_list(text: str, path: str | os.PathLike[str]) -> None:
    """Raises where the file is a labelmap.txt: one class name a line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if any(character in text for character in "{}<:") or not lines:
        return
    shown = ", ".join(lines[:3]) + (", ..." if len(lines) > 3 else "")
    if all(line.startswith("#") for line in lines):
        return
    raise InputError(
        f"{path}: a plain list of names ({shown}); expected items such as {_EXAMPLE}. "
        "Write one item per class, ids from 1 on."
    )
