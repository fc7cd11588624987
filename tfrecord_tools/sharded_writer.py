"""Writes the records of one split as shards; a shard has its final name once it is whole."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
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
    num_shards = min(num_shards, max(num_planned, 1))
    written: list[tuple[Path, Shard]] = []
    items = iter(records)
    done = 0
    for index in range(num_shards):
        end = num_planned * (index + 1) // num_shards
        part = folder / f"{split}-{index:05d}.tmp"
        shard = _write_part(part, islice(items, end - done))
        done = end
        if shard.records:
            written.append((part, shard))
        else:
            part.unlink()
    shards = []
    for index, (part, shard) in enumerate(written):
        name = shard_name(split, index, len(written))
        os.replace(part, folder / name)
        shards.append(Shard(name, shard.records, shard.bytes, shard.sha256))
    return shards


def _write_part(path: Path, records: Iterable[bytes | None]) -> Shard:
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
