"""conversion_report.json, the manifest that a conversion writes beside its records.

It has every shard with its bytes and SHA-256, the boxes of each class, and the label map. Records
by other tools have none.
"""

from __future__ import annotations

import glob
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from ssd.data.record_files import matches, takes
from ssd.errors import InputError
from ssd.label_map import LabelMap

REPORT_NAME = "conversion_report.json"
_MOST_NAMES = 8


class Shard(msgspec.Struct):
    """One record file: its name, its size, the SHA-256 of its bytes in hex."""

    file: str
    bytes: int
    sha256: str


class Split(msgspec.Struct):
    """One split: how many images, class name -> boxes, and its files."""

    images: int
    classes: dict[str, int]
    shards: list[Shard]


class LabelMapFile(msgspec.Struct):
    """The label map's name, and the SHA-256 of its bytes in hex."""

    file: str
    sha256: str


class Manifest(msgspec.Struct):
    """What a conversion_report.json says about files; `classes` come in the order of their ids."""

    classes: dict[str, int]
    splits: dict[str, Split]
    label_map: LabelMapFile


@dataclass(frozen=True)
class Request:
    """What one pattern asks of one folder that has a manifest.

    Attributes:
      pattern: of record files.
      folder: one that the pattern names; "" is the current one.
      manifest: of that folder.
      listed: path -> shard of those in the manifest that the pattern names, in its order.
      splits: whose shards these are.
      present: paths of the files there that the pattern names.
    """

    pattern: str
    folder: str
    manifest: Manifest
    listed: dict[str, Shard]
    splits: frozenset[str]
    present: tuple[str, ...]


def requests(patterns: Sequence[str]) -> list[Request]:
    """Returns one for every pattern and every folder with a manifest in which it may name files.

    Raises:
      InputError: a manifest is damaged, or a file of another layout.
    """
    found: list[Request] = []
    manifests: dict[str, Manifest | None] = {}
    for pattern in patterns:
        files = _files(pattern)
        folders = [os.path.dirname(file) for file in files]
        if not glob.has_magic(os.path.dirname(pattern)):
            folders.append(os.path.dirname(pattern))
        for folder in dict.fromkeys(folders):
            if folder not in manifests:
                manifests[folder] = load(os.path.join(folder, REPORT_NAME))
            manifest = manifests[folder]
            if manifest is None:
                continue
            asked = [e for e in _shards(folder, manifest) if takes(pattern, e[1])]
            listed = {path: shard for _, path, shard in asked}
            splits = frozenset(split for split, _, _ in asked)
            present = tuple(file for file in files if os.path.dirname(file) == folder)
            found.append(Request(pattern, folder, manifest, listed, splits, present))
    return found


def lists(pattern: str) -> bool:
    """Whether a manifest in the folder of `pattern` lists shards of such names, here or not."""
    return any(request.listed for request in requests([pattern]))


def without_boxes(patterns: Sequence[str], label_map: LabelMap) -> list[str]:
    """Returns a line about classes that no box of these records has; none where all have some.

    A split counts as a whole. Nothing is said where any of the files is in no manifest.
    """
    asked = requests(patterns)
    listed = {path for request in asked for path in request.listed}
    splits = {(r.folder, name): r.manifest.splits[name] for r in asked for name in r.splits}
    if not splits or not listed.issuperset(file for p in patterns for file in _files(p)):
        return []
    boxes: Counter[str] = Counter()
    for split in splits.values():
        boxes.update(split.classes)
    empty = [item.name for item in label_map.items if not boxes[item.name]]
    if not empty:
        return []
    shown = ", ".join(empty[:_MOST_NAMES]) + (", ..." if len(empty) > _MOST_NAMES else "")
    words = f"class {shown} has" if len(empty) == 1 else f"{len(empty)} classes ({shown}) have"
    return [f"{words} no boxes in {', '.join(sorted({name for _, name in splits}))}"]


def load(path: str) -> Manifest | None:
    """Returns the manifest in a file, None where there is no such file.

    Raises:
      InputError: it cannot be read, is no JSON, or another JSON; begins with the path.
    """
    remedy = "convert again, or remove it to read the records unverified"
    try:
        with open(path, encoding="utf-8-sig") as file:
            return msgspec.convert(json.load(file), Manifest)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; {remedy}") from None
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}:{error.lineno}: damaged JSON: {error.msg} at column {error.colno}; {remedy}"
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start}: not UTF-8, so no JSON; {remedy}") from None
    except msgspec.ValidationError as error:
        raise InputError(
            f"{path}: not a report that `convert` of this kit writes: {error}; {remedy}"
        ) from None


def _files(pattern: str) -> list[str]:
    """Returns what a pattern names as folder and name joined: `data//a` is `data/a`."""
    return [os.path.join(os.path.dirname(f), os.path.basename(f)) for f in matches(pattern)]


def _shards(folder: str, manifest: Manifest) -> Iterator[tuple[str, str, Shard]]:
    """Yields (split, path, shard) of every shard."""
    for name, split in manifest.splits.items():
        for shard in split.shards:
            yield name, os.path.join(folder, shard.file), shard
