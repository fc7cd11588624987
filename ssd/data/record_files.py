"""Paths and patterns, as people and pipeline.config files write them -> TFRecord files."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence

from ssd.errors import InputError

PLACEHOLDER = "PATH_TO_BE_CONFIGURED"

_SHARD_NAME = re.compile(r"^(?P<stem>.*)-(?P<shard>\d{5})-of-(?P<total>\d{5})")
_SHARD_PATTERN = re.compile(r"-\?{5}-of-(?P<total>\d{5})")


def expand(input_path: str | Sequence[str], place: str = "records") -> list[str]:
    """Returns the files that `input_path` names, in its order.

    Raises:
      InputError: nothing matches, a folder does, or shards of a numbered set are missing. It begins
        with `place`, where `input_path` was written.
    """
    patterns = [input_path] if isinstance(input_path, str) else list(input_path)
    if not patterns:
        raise InputError(f"{place}: empty; expected at least one TFRecord file or pattern")
    return [file for pattern in patterns for file in _expand_one(pattern, place)]


def shard_set(file: str) -> tuple[str, str] | None:
    """Returns (stem, number of shards) of a name such as train-00003-of-00010, else None."""
    name = _SHARD_NAME.match(file)
    return (name["stem"], name["total"]) if name else None


def _expand_one(pattern: str, place: str) -> list[str]:
    if PLACEHOLDER in pattern:
        raise InputError(
            f"{place} still says {PLACEHOLDER} ({pattern}); give the path of your TFRecord files"
        )
    # A name with brackets in it is a file first and a pattern second.
    files = [pattern] if os.path.exists(pattern) else sorted(glob.glob(pattern, recursive=True))
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
    _require_all_shards(pattern, files, place)
    return files


def _require_all_shards(pattern: str, files: Sequence[str], place: str) -> None:
    asked = _SHARD_PATTERN.search(os.path.basename(pattern))
    if asked is None:
        return
    total = int(asked["total"])
    names = (_SHARD_NAME.match(os.path.basename(file)) for file in files)
    there = {int(name["shard"]) for name in names if name}
    missing = sorted(set(range(total)) - there)
    if missing:
        raise InputError(
            f"{place}: {pattern!r} matches {len(there)} of {total} shards; the first missing one "
            f"is number {missing[0]:05d}; copy it here or write the records again"
        )
