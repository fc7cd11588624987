"""The annotation formats by name, and which one a path holds."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssd.errors import InputError
from tfrecord_tools.annotations import AnnotationSet, ProblemLog
from tfrecord_tools.readers.image_index import ImageIndex, extensions_below, files_below
from tfrecord_tools.worker_pool import WorkerPool

# Kind -> the module whose `read_annotations` reads it.
READERS = {
    "voc": "tfrecord_tools.readers.voc",
    "coco": "tfrecord_tools.readers.coco",
    "csv": "tfrecord_tools.readers.csv_boxes",
    "yolo": "tfrecord_tools.readers.yolo",
}
# Which settings each of them has, and the flags of these.
_SETTINGS = {"voc": {"one_based"}, "csv": {"layout", "names"}, "yolo": {"names"}, "coco": set()}
_FLAGS = {"one_based": "--voc-one-based", "layout": "--layout", "names": "--names"}
_A_FILE_PER_PICTURE = ("voc", "yolo")
_KIND_OF_FILE = {".json": "coco", ".csv": "csv", ".tsv": "csv"}


def read(
    kind: str,
    path: Path,
    index: ImageIndex,
    log: ProblemLog,
    settings: Mapping[str, object],
    pool: WorkerPool | None = None,
) -> AnnotationSet:
    """Returns what the reader of `kind` finds.

    Args:
      kind: a key of READERS.
      settings: keyword arguments of that reader alone; those that are None are left out.
      pool: parses many files at a time, where every picture has its own.

    Raises:
      InputError: a setting of another reader, or what that reader refuses.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    if unknown := given.keys() - _SETTINGS[kind]:
        raise InputError(
            f"{path}: {_FLAGS[min(unknown)]} is not for {kind} annotations; leave it out"
        )
    if pool is not None and kind in _A_FILE_PER_PICTURE:
        given["mapper"] = pool.map
    # Imported here: what one format needs (pandas, lxml) is no other's start-up time.
    reader: Any = importlib.import_module(READERS[kind])
    found: AnnotationSet = reader.read_annotations(path, index, log, **given)
    return found


def kind_of(path: Path) -> str:
    """Returns the format of an annotation file or folder, by what it is and holds.

    Raises:
      InputError: nothing there, or nothing of a known kind.
    """
    if path.is_file() and path.suffix.lower() in _KIND_OF_FILE:
        return _KIND_OF_FILE[path.suffix.lower()]
    if path.is_dir():
        if files_below(path, frozenset({".xml"})):
            return "voc"
        if files_below(path, frozenset({".txt"})):
            return "yolo"
        raise InputError(
            f"{path}: no .xml or .txt annotations below it, but {extensions_below(path)}"
        )
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    raise InputError(
        f"{path}: neither records nor annotations; expected .tfrecord, .record, .json, .csv, or a "
        "folder of .xml or YOLO .txt files"
    )
