"""label_map arguments in all their forms -> a label map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssd import label_map as label_maps
from ssd.errors import InputError
from ssd.label_map import LabelMap, LabelMapItem

_EXPECTED = "{1: 'cat', 2: 'dog'}, ['cat', 'dog'], or a .yaml, .txt or .pbtxt file was expected"
_BACKGROUND = "background"

# What `from_pascal_voc` and `DataLoader` take.
LabelMapArgument = Mapping[int, str] | Sequence[str] | str | Path | LabelMap


def read(label_map: LabelMapArgument) -> LabelMap:
    """Returns the label map that an argument means.

    Args:
      label_map: {id: name} with ids from 1 (0 may be the background); names in the order of their
        ids; or a file: .yaml with `1: name` lines, .txt with one name a line, .pbtxt.

    Raises:
      InputError: another form, an id below 1, a name that is empty or comes twice.
    """
    if isinstance(label_map, LabelMap):
        return label_map
    if isinstance(label_map, Mapping):
        return _of_mapping(label_map, "label_map")
    if isinstance(label_map, (str, Path)):
        return _of_file(Path(label_map))
    try:
        names = list(label_map)
    except TypeError:
        raise InputError(f"label_map={label_map!r}: {_EXPECTED}") from None
    return label_maps.from_names(names)


def as_dict(labels: LabelMap) -> dict[int, str]:
    """Returns {id: name}, as Model Maker keeps it."""
    return {item.id: item.name for item in labels.items}


def _of_file(path: Path) -> LabelMap:
    if not path.is_file():
        raise InputError(f"label_map={str(path)!r}: no such file; {_EXPECTED}")
    if path.suffix == ".pbtxt":
        return label_maps.load(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text: {error}") from None
    if path.suffix not in (".yaml", ".yml"):
        return label_maps.from_names(filter(None, map(str.strip, text.splitlines())))
    import yaml  # late: only such a file needs it

    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if isinstance(content, list):
        return label_maps.from_names(map(str, content))
    if not isinstance(content, dict):
        raise InputError(f"{path}: lines such as `1: cat` were expected")
    return _of_mapping(content, str(path))


def _of_mapping(names: Mapping[Any, Any], place: str) -> LabelMap:
    items = []
    for class_id, name in names.items():
        if not isinstance(class_id, int):
            raise InputError(f"{place}: {class_id!r}: {name!r}: ids are keys, {_EXPECTED}")
        if class_id == 0 and name == _BACKGROUND:
            continue
        if class_id < 1:
            raise InputError(
                f"{place}: id {class_id} ({name}): ids begin at 1; 0 is the background"
            )
        items.append(LabelMapItem(class_id, str(name)))
    label_maps.from_names(item.name for item in items)  # names are there, and unique
    return LabelMap(tuple(sorted(items, key=lambda item: item.id)))
