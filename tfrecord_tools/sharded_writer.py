"""Writes the records of one split as shards; a shard has its final name once it is whole."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

from tfrecord_tools.record_file import frame

SHARD_BYTES = 128 << 20
SHARD_NAME = re.compile(r"(?P<split>\w+)-(?P<index>\d{5})-of-(?P<count>\d{5})\.tfrecord")


@dataclass(frozen=True)
class Shard:
    """One finished file: name, records, bytes, and the SHA-256 of its content."""

    file: str
    records: int
    bytes: int
    sha256: str

    def as_json(self) -> dict[str, object]:
        """The fields by name."""
        return asdict(self)


def shard_name(split: str, index: int, count: int) -> str:
    """Returns the file name of shard `index` (from 0) of `count`.

    >>> shard_name("train", 0, 4)
    'train-00000-of-00004.tfrecord'
    """
    return f"{split}-{index:05d}-of-{count:05d}.tfrecord"


def default_shard_count(total_bytes: int) -> int:
    """Returns how many shards of about SHARD_BYTES hold `total_bytes`; 1 at least."""
    return max(1, -(-total_bytes // SHARD_BYTES))


def slices(num_planned: int, num_shards: int) -> list[range]:
    """Returns which of the planned records go into which shard; none is empty, but for 0 records.

    >>> slices(7, 3)
    [range(0, 2), range(2, 4), range(4, 7)]
    """
    num_shards = min(num_shards, max(num_planned, 1))
    ends = [num_planned * index // num_shards for index in range(num_shards + 1)]
    return [range(begin, end) for begin, end in itertools.pairwise(ends)]


def write(
    folder: Path, split: str, records: Iterable[bytes | None], num_planned: int, num_shards: int
) -> list[Shard]:
    """Writes `records` in their order, in slices of equal length, and returns the shards.

    Args:
      folder: exists; gets the files.
      split: first part of the file names.
      records: num_planned items; None where a planned record turned out unusable.
      num_planned: length of `records`.
      num_shards: at least 1. Fewer are written where there are fewer records: no shard is empty.
    """
    items = iter(records)
    return name_parts(
        folder,
        split,
        [
            write_part(folder, split, index, islice(items, len(part)))
            for index, part in enumerate(slices(num_planned, num_shards))
        ],
    )


def write_part(folder: Path, split: str, index: int, records: Iterable[bytes | None]) -> Shard:
    """Writes one shard under a name that is not final yet; it may hold no record."""
    path = folder / f"{split}-{index:05d}.tmp"
    digest = hashlib.sha256()
    count = size = 0
    with path.open("wb") as file:
        for record in records:
            if record is None:
                continue
            framed = frame(record)
            file.write(framed)
            digest.update(framed)
            count += 1
            size += len(framed)
        file.flush()
        os.fsync(file.fileno())
    return Shard(path.name, count, size, digest.hexdigest())


def name_parts(folder: Path, split: str, parts: Sequence[Shard]) -> list[Shard]:
    """Gives the parts of a split their final names, and removes those without a record."""
    filled = [part for part in parts if part.records]
    for part in parts:
        if not part.records:
            (folder / part.file).unlink()
    shards = []
    for index, part in enumerate(filled):
        name = shard_name(split, index, len(filled))
        os.replace(folder / part.file, folder / name)
        shards.append(replace(part, file=name))
    return shards
