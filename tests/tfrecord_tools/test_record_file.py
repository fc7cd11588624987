"""The framing, against TensorFlow's own reader and writer, and files damaged in every place."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest

from ssd.errors import InputError
from tfrecord_tools.record_file import frame, masked_crc, read_records

RECORDS = [b"first record", b"", b"x" * 70_000]


def write(path: Path, records: list[bytes] = RECORDS) -> Path:
    path.write_bytes(b"".join(frame(record) for record in records))
    return path


def test_framing_by_hand():
    # 3 bytes: length as uint64, its masked CRC, the bytes, their masked CRC: 8 + 4 + 3 + 4 = 19.
    framed = frame(b"abc")
    assert len(framed) == 19
    assert framed[:8] == b"\x03" + b"\x00" * 7
    assert struct.unpack("<I", framed[-4:])[0] == masked_crc(b"abc")


def test_tensorflow_reads_ours_and_we_read_tensorflow(tmp_path: Path):
    import tensorflow as tf

    ours = write(tmp_path / "ours.tfrecord")
    read_by_tf = [r.numpy() for r in tf.data.TFRecordDataset(str(ours))]
    assert read_by_tf == RECORDS
    theirs = tmp_path / "theirs.tfrecord"
    with tf.io.TFRecordWriter(str(theirs)) as writer:
        for record in RECORDS:
            writer.write(record)
    assert theirs.read_bytes() == ours.read_bytes()
    assert list(read_records(theirs)) == RECORDS


def test_empty_file_has_no_records(tmp_path: Path):
    (tmp_path / "empty.tfrecord").write_bytes(b"")
    assert list(read_records(tmp_path / "empty.tfrecord")) == []


def _flip(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


# Record 2 begins at 16 + 12 = 28, its header is 12 bytes; record 3 at 28 + 16 = 44, its body at 56.
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(lambda c: c[:-1], r"record 3 at byte 44: 70000 bytes announced, 69999 there"),
        pytest.param(lambda c: c[:60], r"record 3 at byte 44: 70000 bytes announced, 0 there"),
        pytest.param(
            lambda c: c[:50], r"record 3 at byte 44: the file ends within a record header"
        ),
        pytest.param(
            lambda c: _flip(c, 1000), r"record 3 at byte 44: wrong checksum of the record;"
        ),
        pytest.param(
            lambda c: _flip(c, 44), r"record 3 at byte 44: wrong checksum of the record l"
        ),
        pytest.param(lambda c: _flip(c, 0), r"record 1 at byte 0: .* damaged or no TFRecord file"),
        pytest.param(
            lambda c: b"PK\x03\x04" + c, r"no TFRecord file, but a zip archive; unpack it first"
        ),
        pytest.param(gzip.compress, r"no TFRecord file, but gzip: .*; unpack it with `gunzip`"),
    ],
    ids=["tail", "body", "header", "content", "length", "first", "zip", "gzip"],
)
def test_damage_is_found_with_its_place(tmp_path: Path, damage, message: str):
    path = write(tmp_path / "bad.tfrecord")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=rf"bad\.tfrecord: {message}"):
        list(read_records(path))


def test_missing_file(tmp_path: Path):
    with pytest.raises(InputError, match=r"no\.tfrecord: cannot be read: No such file"):
        list(read_records(tmp_path / "no.tfrecord"))
