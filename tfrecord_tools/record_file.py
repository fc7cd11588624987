"""The framing of a TFRecord file: lengths and masked CRC-32C around each record.

One record is: length (uint64, little endian), masked CRC of those 8 bytes, the record, masked CRC
of the record (tensorflow/tensorflow: tensorflow/core/lib/io/record_writer.h).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import google_crc32c

from ssd import file_kind
from ssd.errors import InputError

_MASK_DELTA = 0xA282EAD8
_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
# A longer record is no picture: the length itself is damaged, or the file is none of ours.
_MAX_RECORD_BYTES = 1 << 31


def masked_crc(data: bytes) -> int:
    """Returns the CRC-32C of `data`, rotated and shifted as the format asks for.

    The CRC-32C of "123456789" is 0xe3069283; turned right by 15 bits 0x2507c60d.

    >>> hex(masked_crc(b"123456789"))
    '0xc78ab0e5'
    """
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def frame(record: bytes) -> bytes:
    """Returns `record` as it stands in a file, lengths and checksums around it."""
    length = struct.pack("<Q", len(record))
    return b"".join(
        (length, _FOOTER.pack(masked_crc(length)), record, _FOOTER.pack(masked_crc(record)))
    )


def read_records(path: Path) -> Iterator[bytes]:
    """Yields the records of one file in order, every checksum verified; none for an empty file.

    Raises:
      InputError: the file cannot be read, is none or compressed, ends within a record, or a
        checksum is wrong; the message gives record number and byte offset.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    with file:
        offset = number = 0
        while header := file.read(_HEADER.size):
            number += 1
            place = f"{path}: record {number} at byte {offset}"
            if number == 1:
                _refuse_other_files(file.fileno(), header, path)
            length = _length(header, place)
            body = file.read(length + _FOOTER.size)
            if len(body) < length + _FOOTER.size:
                raise InputError(
                    f"{place}: {length} bytes announced, {max(len(body) - _FOOTER.size, 0)} there; "
                    "the file is truncated, convert or copy it again"
                )
            record = body[:length]
            if _FOOTER.unpack(body[length:])[0] != masked_crc(record):
                raise InputError(f"{place}: wrong checksum of the record; the file is damaged")
            offset += _HEADER.size + len(body)
            yield record


def _refuse_other_files(descriptor: int, header: bytes, path: Path) -> None:
    if len(header) == _HEADER.size and _HEADER.unpack(header)[1] == masked_crc(header[:8]):
        return
    kind = file_kind.of(descriptor)
    if kind is not None:
        raise InputError(f"{path}: no TFRecord file, but {kind}")


def _length(header: bytes, place: str) -> int:
    if len(header) < _HEADER.size:
        raise InputError(f"{place}: the file ends within a record header; it is truncated")
    length, crc = _HEADER.unpack(header)
    if crc != masked_crc(header[:8]) or length > _MAX_RECORD_BYTES:
        raise InputError(
            f"{place}: wrong checksum of the record length; the file is damaged or no TFRecord file"
        )
    return int(length)
