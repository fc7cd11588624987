"""Where records begin, and what is refused."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ssd.data.record_index import index_records, read_record
from ssd.errors import InputError

# Lengths 5, 0 and 300: records begin at 0, 12 + 5 + 4 = 21 and 21 + 12 + 0 + 4 = 37, and the
# file ends at 37 + 12 + 300 + 4 = 353. A record of nothing but NUL bytes must keep its length.
RECORDS = (b"first", b"", b"\0" * 300)


def test_offsets_and_lengths_by_hand(write: Callable[..., str]) -> None:
    index = index_records(write(RECORDS))
    assert index.offsets.tolist() == [0, 21, 37]
    assert index.lengths.tolist() == [5, 0, 300]
    assert os.path.getsize(index.files[0]) == 353
    assert len(index) == 3


def test_reads_what_tensorflow_wrote_in_the_order_of_the_files(write: Callable[..., str]) -> None:
    first, second = write(RECORDS, "b.tfrecord"), write([b"other"], "a.tfrecord")
    index = index_records([first, second])
    assert [index.read(n) for n in range(len(index))] == [*RECORDS, b"other"]
    assert index.file_numbers.tolist() == [0, 0, 0, 1]
    assert index.place(2) == f"{first}: record 3 at byte 37"
    assert list(tf.data.TFRecordDataset([first, second]).as_numpy_iterator()) == [
        index.read(n) for n in range(4)
    ]


def test_every_second_record(write: Callable[..., str]) -> None:
    path = write([b"0", b"1", b"2", b"3", b"4"])
    index = index_records(path).every(2)
    assert [index.read(n) for n in range(len(index))] == [b"0", b"2", b"4"]
    # Each takes 12 + 1 + 4 bytes; people count the records of the file, not those of the index.
    assert index.place(1) == f"{path}: record 3 at byte 34"


def test_only_headers_are_read(write: Callable[..., str]) -> None:
    path = write(RECORDS)
    _flip_byte(path, 13)  # inside the bytes of the first record
    index = index_records(path)
    assert len(index) == 3
    with pytest.raises(InputError, match=r"some.tfrecord: record at byte 0: the checksum of its 5"):
        index.read(0)
    assert index.read(2) == RECORDS[2]


def test_empty_shards_beside_filled_ones_are_no_fault(write: Callable[..., str]) -> None:
    write([], "t-00000-of-00003.tfrecord")
    path = write(RECORDS, "t-00001-of-00003.tfrecord")
    write([], "t-00002-of-00003.tfrecord")
    index = index_records(os.path.join(os.path.dirname(path), "t-?????-of-00003.tfrecord"))
    assert len(index) == 3
    assert index.place(0) == f"{path}: record 1 at byte 0"


def _flip_byte(path: str, at: int) -> None:
    data = bytearray(Path(path).read_bytes())
    data[at] ^= 0xFF
    Path(path).write_bytes(bytes(data))


def _damage(write: Callable[..., str], kind: str) -> str:
    path = write(RECORDS)
    data = Path(path).read_bytes()
    contents = {
        "0 bytes": b"",
        "all shards empty": b"",
        "cut in the data": data[:340],
        "cut in a header": data[:40],
        "cut before the last checksum": data[:351],
        "damaged second header": data[:21] + b"\7" + data[22:],
        "text": b"<annotation>\n<folder>images</folder>",
        "short text": b"hello",
        "gzip": b"\x1f\x8b\x08\x00" + data,
        "git lfs pointer": b"version https://git-lfs.github.com/spec/v1\n",
        "huge length": struct.pack("<QI", 2**40, 0x0) + data,
    }
    if kind == "all shards empty":
        path = path.replace("some", "some-00000-of-00001")
    Path(path).write_bytes(contents[kind])
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("0 bytes", r"some.tfrecord: 0 bytes, so 0 records; .* run it again"),
        ("all shards empty", r"some-00000-of-00001.tfrecord: 0 bytes, so 0 records"),
        ("cut in the data", r"some.tfrecord: the record at byte 37 is cut off .* at byte 340"),
        ("cut in a header", r"some.tfrecord: the record at byte 37 is cut off .* at byte 40"),
        ("cut before the last checksum", r"the record at byte 37 is cut off .* at byte 351"),
        ("damaged second header", r"some.tfrecord: byte 21: no record begins here"),
        ("text", r"some.tfrecord: byte 0: no TFRecord file: .*b'<annotation>' \(XML or HTML"),
        ("short text", r"some.tfrecord: byte 0: no TFRecord file: it begins with b'hello'"),
        ("gzip", r"some.tfrecord: byte 0: no TFRecord file: .*\(gzip: .*unpack it with `gunzip`\)"),
        ("git lfs pointer", r"some.tfrecord: byte 0: .*\(a Git LFS pointer; .*git lfs pull"),
        ("huge length", r"some.tfrecord: byte 0: no TFRecord file"),
    ],
)
def test_files_that_are_refused(write: Callable[..., str], kind: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        index_records(_damage(write, kind))
    assert "\n" not in str(caught.value)


def test_a_file_that_changes_after_it_was_indexed(write: Callable[..., str]) -> None:
    path = write(RECORDS)
    Path(path).write_bytes(Path(path).read_bytes()[:100])
    with pytest.raises(InputError, match=r"record at byte 37: 51 of 304 bytes are there"):
        read_record(path, 37, 300)
    os.remove(path)
    with pytest.raises(InputError, match=r"some.tfrecord: record at byte 37: No such file"):
        read_record(path, 37, 300)


def test_real_files_by_others(shared: Path) -> None:
    folder = shared / "data" / "tfrecords_by_others"
    rows = (folder / "index.csv").read_text().splitlines()[1:]
    for name, records in ((row.split(",")[0], int(row.split(",")[4])) for row in rows):
        index = index_records(str(folder / name))
        expected = list(tf.data.TFRecordDataset(str(folder / name)).as_numpy_iterator())
        assert len(index) == records == len(expected), name
        assert [index.read(n) for n in range(records)] == expected, name
        ends = index.offsets + 16 + index.lengths
        assert np.array_equal(ends[:-1], index.offsets[1:])
