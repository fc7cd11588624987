"""The class names of YOLO labels: data.yaml, classes.txt, obj.names or darknet's obj.data."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssd.errors import InputError

# Looked for in this order, in the labels folder and in two above it.
_USUAL_NAMES = (
    "data.yaml",
    "data.yml",
    "dataset.yaml",
    "dataset.yml",
    "classes.txt",
    "obj.names",
    "obj.data",
)
_FOLDERS_ABOVE = 2
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class ClassNames:
    """What a file of class names says.

    Attributes:
      file: where they come from.
      name_of: class index to name, in the order of the indices, which may have gaps.
      keypoint_numbers: numbers that follow the box in a row of a pose data set; 0 for others.
    """

    file: Path
    name_of: dict[int, str]
    keypoint_numbers: int = 0

    def allowed(self) -> str:
        """Returns which indices there are, for messages: '0..3', or '0, 2, 5' with gaps."""
        indices = list(self.name_of)
        if indices == list(range(len(indices))):
            return f"0..{len(indices) - 1}" if len(indices) > 1 else "0"
        return ", ".join(map(str, indices[:8])) + (", ..." if len(indices) > 8 else "")


def find_names(folder: Path) -> ClassNames:
    """Returns the class names that lie with the labels in `folder`, or up to two folders above it.

    Raises:
      InputError: none there, or several files that contradict each other.
    """
    places = [Path(os.path.normpath(folder / ("../" * up))) for up in range(_FOLDERS_ABOVE + 1)]
    files = [place / name for place in places for name in _USUAL_NAMES if (place / name).is_file()]
    if not files:
        raise InputError(
            f"{folder}: no data.yaml, classes.txt or obj.names in it or in the two folders above; "
            "give --names FILE"
        )
    first, *others = (load_names(file) for file in files)
    for other in others:
        if other.name_of != first.name_of:
            raise InputError(
                f"{first.file} and {other.file} name the classes differently; give --names FILE"
            )
    return first


def load_names(file: Path) -> ClassNames:
    """Returns the class names of one file, by its extension: .yaml, .yml, .data, else one a line.

    Raises:
      InputError: no such file, no text, or no usable names in it.
    """
    text = _text(file)
    if file.suffix.lower() in (".yaml", ".yml"):
        return _from_yaml(file, text)
    if file.suffix.lower() == ".data":
        return load_names(_names_file_of(file, text))
    lines = [line.strip() for line in text.rstrip().splitlines()]
    return _checked(file, dict(enumerate(lines)))


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise InputError(f"{file}: {file.stat().st_size} bytes; a list of class names is short")
        content = file.read_bytes()
    except OSError as error:
        raise InputError(
            f"{file}: {error.strerror}; --names takes data.yaml or a file with one name a line"
        ) from None
    try:
        is_wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
        return content.decode("utf-16" if is_wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: byte {error.start}: not UTF-8 text") from None


def _names_file_of(file: Path, text: str) -> Path:
    """Returns the list that darknet's obj.data names, which it does seen from darknet's folder."""
    pairs = (line.partition("=") for line in text.splitlines())
    values = {key.strip(): value.strip() for key, _, value in pairs}
    named = values.get("names")
    if not named:
        raise InputError(f"{file}: has no line 'names = FILE'")
    tried = [base / named for base in (file.parent, *file.parents[1:3])]
    tried.append(file.parent / Path(named).name)
    for path in tried:
        if path.is_file() and path.suffix.lower() != ".data":
            return path
    raise InputError(f"{file}: names = {named}: no such file; give --names FILE")


def _from_yaml(file: Path, text: str) -> ClassNames:
    # Imported here: only YOLO data sets with such a file need it.
    import yaml

    try:
        # Every scalar stays text: a class may be called no, on or 1e3.
        content = yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise InputError(f"{file}: not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise InputError(f"{file}: not YAML of class names: nested too deeply") from None
    names = content.get("names") if isinstance(content, dict) else None
    if not isinstance(names, (list, dict)):
        raise InputError(
            f"{file}: no list 'names'; expected names: [cat, dog], or 0: cat and so on"
        )
    if isinstance(names, list):
        name_of = _checked(file, dict(enumerate(names))).name_of
    else:
        name_of = _checked(file, {_index(file, key): name for key, name in names.items()}).name_of
    count = content.get("nc")
    if count is not None and str(count).strip() != str(len(name_of)):
        raise InputError(f"{file}: nc is {count}, but names has {len(name_of)}")
    return ClassNames(file, name_of, _keypoint_numbers(file, content.get("kpt_shape")))


def _index(file: Path, key: str) -> int:
    try:
        index = int(key)
    except ValueError:
        index = -1
    if index < 0:
        raise InputError(f"{file}: names has the key {key!r}; expected class indices from 0")
    return index


def _keypoint_numbers(file: Path, shape: Any) -> int:
    if shape is None:
        return 0
    try:
        points, numbers = (int(value) for value in (shape if isinstance(shape, list) else ()))
    except (TypeError, ValueError):
        raise InputError(f"{file}: kpt_shape is {shape}; expected two numbers") from None
    return points * numbers


def _checked(file: Path, name_of: dict[int, Any]) -> ClassNames:
    """Returns the names without spaces around them, by rising index.

    Raises:
      InputError: none, one that is empty or no text, or one name twice.
    """
    names: dict[int, str] = {}
    for index, name in sorted(name_of.items()):
        if not isinstance(name, str) or not name.strip():
            what = "is empty" if isinstance(name, str) else f"is {name}, not a name"
            raise InputError(f"{file}: the name of class {index} {what}")
        names[index] = name.strip()
    if not names:
        raise InputError(f"{file}: no class name in it")
    return ClassNames(file, names)
