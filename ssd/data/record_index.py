"""Where every record of a set of TFRecord files begins, and the bytes of one of them.

A TFRecord file is a row of records, each framed as: uint64 length, uint32 masked CRC-32C of the
length, the bytes, uint32 masked CRC-32C of the bytes; all little-endian
(https://www.tensorflow.org/tutorials/load_data/tfrecord).
"""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import google_crc32c
import numpy as np

from ssd import file_kind
from ssd.data.record_files import expand, shard_set
from ssd.errors import InputError

_HEADER = struct.Struct("<QI")
_CRC = struct.Struct("<I")
_START = 12  # bytes shown of what is no TFRecord file
_CRC_MASK_DELTA = 0xA282EAD8
# By thread: (file, offset, begin) of the read that it is in, for who asks why nothing comes.
_reads: dict[int, tuple[str, int, float]] = {}


@dataclass(frozen=True)
class RecordIndex:
    """The records of some files, in the order of the files and, within one, of their bytes.

    Attributes:
      files: paths.
      file_numbers: int32 [records], which of `files` holds the record.
      offsets: int64 [records], the byte at which the record's 12-byte header begins.
      lengths: int64 [records], bytes between header and trailing checksum.
      dataset_sizes, dataset_weights: records and weight of each data set, one after the other, that
        examples are drawn from in proportion; empty: every record counts alike.
    """

    files: tuple[str, ...]
    file_numbers: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray
    dataset_sizes: tuple[int, ...] = ()
    dataset_weights: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.offsets)

    def read(self, number: int) -> bytes:
        """Returns the bytes of record `number`; InputError when they cannot be trusted."""
        file, offset, length = self._record(number)
        return read_record(file, offset, length)

    def place(self, number: int) -> str:
        """Returns "file: record 3 at byte N", the beginning of every message about this record.

        Records of a file are counted from 1, whatever part of them is in the index.
        """
        file, offset, _ = self._record(number)
        in_file = int(np.searchsorted(_scan(file)[:, 0], offset)) + 1
        return f"{file}: record {in_file} at byte {offset}"

    def every(self, n: int) -> RecordIndex:
        """Returns records 0, n, 2n, ... (`sample_1_of_n_examples` of an input reader)."""
        kept = slice(None, None, n)
        return RecordIndex(
            self.files, self.file_numbers[kept], self.offsets[kept], self.lengths[kept]
        )

    def _record(self, number: int) -> tuple[str, int, int]:
        file = self.files[self.file_numbers[number]]
        return file, int(self.offsets[number]), int(self.lengths[number])


def index_records(input_path: str | Sequence[str], place: str = "records") -> RecordIndex:
    """Returns the index of all records that `input_path` names.

    Only the 12-byte headers are read: each length is checked against its checksum and against the
    size of the file; the checksum of a record's bytes is checked when the record is read.

    Args:
      input_path: a path or pattern, or several: `train.record`, `train-*.tfrecord`,
        `train-?????-of-00010.tfrecord`. Patterns expand in sorted order.
      place: where `input_path` was written, for messages (a flag, or a field of pipeline.config).

    Raises:
      InputError: nothing matches, shards are missing, or a file is empty, cut short or no
        TFRecord file. A shard of 0 bytes is accepted beside shards that hold records: the
        TF Object Detection API's COCO tool always writes 100 of them.
    """
    files = expand(input_path, place)
    tables = [_scan(file) for file in files]
    file_numbers = np.repeat(np.arange(len(files), dtype=np.int32), [len(t) for t in tables])
    records = np.concatenate(tables)
    filled_sets = {shard_set(file) for file, table in zip(files, tables, strict=True) if len(table)}
    for file, table in zip(files, tables, strict=True):
        if not len(table) and (shard_set(file) is None or shard_set(file) not in filled_sets):
            raise InputError(
                f"{file}: 0 bytes, so 0 records; a TFRecord file with at least one record is "
                f"needed; the conversion that wrote it failed or was cut off: run it again"
            )
    return RecordIndex(tuple(files), file_numbers, records[:, 0], records[:, 1])


def joined(indexes: Sequence[RecordIndex], weights: Sequence[float]) -> RecordIndex:
    """Returns one index of several data sets, each with its weight."""
    first_files = np.cumsum([0, *(len(index.files) for index in indexes)])
    return RecordIndex(
        files=tuple(file for index in indexes for file in index.files),
        file_numbers=np.concatenate(
            [
                (index.file_numbers + first).astype(np.int32)
                for index, first in zip(indexes, first_files[:-1], strict=True)
            ]
        ),
        offsets=np.concatenate([index.offsets for index in indexes]),
        lengths=np.concatenate([index.lengths for index in indexes]),
        dataset_sizes=tuple(len(index) for index in indexes),
        dataset_weights=tuple(weights),
    )


def read_record(file: str, offset: int, length: int) -> bytes:
    """Returns the `length` bytes of the record whose header begins at byte `offset` of `file`.

    Raises:
      InputError: the file cannot be read, is shorter than it was when it was indexed, or the
        bytes do not fit their checksum.
    """
    framed_size = length + _CRC.size
    thread = threading.get_ident()
    _reads[thread] = (file, offset, time.monotonic())
    try:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            framed = _read_fully(descriptor, framed_size, offset + _HEADER.size)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise InputError(
            f"{file}: record at byte {offset}: {error.strerror}; it could be read when the run "
            f"began; put the file back and start again"
        ) from error
    finally:
        _reads.pop(thread, None)
    if len(framed) < framed_size:
        raise InputError(
            f"{file}: record at byte {offset}: {len(framed)} of {framed_size} bytes are there; the "
            f"file was shortened while in use; write it again"
        )
    data = framed[:length]
    (expected,) = _CRC.unpack_from(framed, length)
    if _masked_crc(data) != expected:
        raise InputError(
            f"{file}: record at byte {offset}: the checksum of its {length} bytes is "
            f"{_masked_crc(data):#010x}, stored is {expected:#010x}; the file is damaged: copy or "
            f"write it again"
        )
    return data


def being_read() -> list[tuple[float, str, int]]:
    """Returns (seconds so far, file, byte) of the reads that some thread is in now."""
    now = time.monotonic()
    return [(now - begun, file, offset) for file, offset, begun in list(_reads.values())]


def _scan(file: str) -> np.ndarray:
    """Returns int64 [records, 2]: (offset, length) of each record of one file."""
    rows: list[tuple[int, int]] = []
    try:
        with open(file, "rb", buffering=0) as stream:
            size = os.fstat(stream.fileno()).st_size
            offset = 0
            while offset < size:
                length = _length_at(file, stream.fileno(), offset, size)
                rows.append((offset, length))
                offset += _HEADER.size + length + _CRC.size
    except OSError as error:
        raise InputError(
            f"{file}: {error.strerror}; expected a TFRecord file that can be read"
        ) from error
    return np.array(rows, np.int64).reshape(-1, 2)


def _length_at(file: str, descriptor: int, offset: int, size: int) -> int:
    header = os.pread(descriptor, _HEADER.size, offset)
    if len(header) < _HEADER.size:
        # Text of under 12 bytes is no cut-off record file.
        raise (_not_tfrecord(file, descriptor) if offset == 0 else _cut(file, offset, size))
    length, expected = _HEADER.unpack(header)
    if _masked_crc(header[:8]) != expected:
        if offset == 0:
            raise _not_tfrecord(file, descriptor)
        raise InputError(
            f"{file}: byte {offset}: no record begins here, though the one before ends; the file "
            f"is damaged: copy or write it again"
        )
    if offset + _HEADER.size + length + _CRC.size > size:
        raise _cut(file, offset, size)
    return length


def _cut(file: str, offset: int, size: int) -> InputError:
    return InputError(
        f"{file}: the record at byte {offset} is cut off by the end of the file at byte {size}; "
        f"the copy or the conversion was interrupted: do it again"
    )


def _not_tfrecord(file: str, descriptor: int) -> InputError:
    start = os.pread(descriptor, _START, 0)
    what = file_kind.of(descriptor)
    came = f"begins with {start!r}" + (f" ({what})" if what else "")
    return InputError(
        f"{file}: byte 0: no TFRecord file: it {came}; expected a file written by `convert` or "
        f"another TFRecord writer"
    )


def _read_fully(descriptor: int, size: int, offset: int) -> bytes:
    """Returns `size` bytes from `offset`, fewer only at the end of the file."""
    data = os.pread(descriptor, size, offset)
    # One pread hands out 2 GiB at most.
    while len(data) < size:
        more = os.pread(descriptor, size - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data


def _masked_crc(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + _CRC_MASK_DELTA) & 0xFFFFFFFF
