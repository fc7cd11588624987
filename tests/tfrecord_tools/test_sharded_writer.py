"""Names, slices and checksums of shards."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tfrecord_tools import sharded_writer
from tfrecord_tools.record_file import read_records


def test_records_are_cut_into_slices_in_their_order(tmp_path: Path):
    records = [b"a", b"bb", b"ccc", b"dddd", b"eeeee"]
    shards = sharded_writer.write(tmp_path, "val", records, 5, 2)
    # 5 records in 2 shards: the first ends at 5 * 1 // 2 = 2.
    assert [s.file for s in shards] == [
        "val-00000-of-00002.tfrecord",
        "val-00001-of-00002.tfrecord",
    ]
    assert [s.records for s in shards] == [2, 3]
    assert list(read_records(tmp_path / shards[0].file)) == records[:2]
    assert list(read_records(tmp_path / shards[1].file)) == records[2:]
    # 16 bytes around each record: 2 * 16 + 3, 3 * 16 + 12.
    assert [s.bytes for s in shards] == [35, 60]
    for shard in shards:
        content = (tmp_path / shard.file).read_bytes()
        assert shard.sha256 == hashlib.sha256(content).hexdigest()
    assert sorted(p.name for p in tmp_path.iterdir()) == [s.file for s in shards]


@pytest.mark.parametrize(
    ("records", "asked", "names"),
    [
        ([], 3, []),
        ([None, None], 1, []),
        ([b"a"], 9, ["train-00000-of-00001.tfrecord"]),
        ([None, b"a", b"b"], 3, ["train-00000-of-00002.tfrecord", "train-00001-of-00002.tfrecord"]),
    ],
    ids=["none", "all unusable", "fewer than shards", "an empty shard"],
)
def test_no_shard_is_empty(tmp_path: Path, records, asked: int, names: list[str]):
    shards = sharded_writer.write(tmp_path, "train", records, len(records), asked)
    assert [shard.file for shard in shards] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == names


@pytest.mark.parametrize(
    ("size", "count"), [(0, 1), (1, 1), (128 << 20, 1), ((128 << 20) + 1, 2), (1 << 30, 8)]
)
def test_default_shard_count(size: int, count: int):
    assert sharded_writer.default_shard_count(size) == count
