"""Paths and patterns, as people and pipeline.config files write them -> TFRecord files."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from ssd.errors import InputError

PLACEHOLDER = "PATH_TO_BE_CONFIGURED"

_SHARD_NAME = re.compile(r"^(?P<stem>.*)-(?P<shard>\d{5})-of-(?P<total>\d{5})(?P<extension>.*)$")


def expand(input_path: str | Sequence[str], place: str = "records") -> list[str]:
    """Returns the files that `input_path` names, in its order.

    Raises:
      InputError: nothing matches, a folder does, or a pattern takes a part of a numbered set, or
        shards of two. It begins with `place`, where `input_path` was written.
    """
    patterns = [input_path] if isinstance(input_path, str) else list(input_path)
    if not patterns:
        raise InputError(f"{place}: empty; expected at least one TFRecord file or pattern")
    return [file for pattern in patterns for file in _expand_one(pattern, place)]


def matches(pattern: str) -> list[str]:
    """Returns the files and folders that a path or pattern names, sorted; none where none is."""
    # A name with brackets in it is a file first and a pattern second.
    return [pattern] if os.path.exists(pattern) else sorted(glob.glob(pattern, recursive=True))


def takes(pattern: str, file: str) -> bool:
    """Whether `pattern` names `file`, were it there; its folder is known to be a named one."""
    name, asked = os.path.basename(file), os.path.basename(pattern)
    return name == asked or (not os.path.exists(pattern) and fnmatchcase(name, asked))


def shard_set(file: str) -> tuple[str, str] | None:
    """Returns (stem, number of shards) of a name such as train-00003-of-00010, else None."""
    name = _SHARD_NAME.match(file)
    return (name["stem"], name["total"]) if name else None


def _expand_one(pattern: str, place: str) -> list[str]:
    if PLACEHOLDER in pattern:
        raise InputError(
            f"{place} still says {PLACEHOLDER} ({pattern}); give the path of your TFRecord files"
        )
    files = matches(pattern)
    if not files:
        raise InputError(
            f"{place}: {pattern!r} matches no file; expected a TFRecord file or a pattern such as "
            f"'data/train-?????-of-00010.tfrecord', seen from {os.getcwd()}"
        )
    for file in files:
        if os.path.isdir(file):
            raise InputError(
                f"{place}: {file!r} is a folder; expected TFRecord files: give a pattern such as "
                f"{os.path.join(file, '*.tfrecord')!r}"
            )
    _require_whole_sets(pattern, files, place)
    return files


def _require_whole_sets(pattern: str, files: Sequence[str], place: str) -> None:
    """Raises where a numbered set lacks a shard that the pattern would take, or has a twin."""
    sets: dict[tuple[str, str], dict[str, set[int]]] = {}
    for name in filter(None, map(_SHARD_NAME.match, files)):
        totals = sets.setdefault((name["stem"], name["extension"]), {})
        totals.setdefault(name["total"], set()).add(int(name["shard"]))
    for (stem, extension), totals in sets.items():
        if len(totals) > 1:
            raise InputError(
                f"{place}: {pattern!r} matches shards of {len(totals)} conversions, "
                f"{' and '.join(f'*-of-{total}' for total in totals)}; remove the older ones, or "
                f"give one set, such as '{stem}-?????-of-{next(iter(totals))}{extension}'"
            )
        for total, there in totals.items():
            missing = (number for number in range(int(total)) if number not in there)
            named = (n for n in missing if takes(pattern, f"{stem}-{n:05d}-of-{total}{extension}"))
            first = next(named, None)
            if first is not None:
                raise InputError(
                    f"{place}: {pattern!r} matches {len(there)} of {int(total)} shards; the first "
                    f"missing one is number {first:05d}; copy it here or write the records again"
                )
