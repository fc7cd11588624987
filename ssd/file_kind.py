"""What a file is that is no TFRecord file, by its first bytes, and what to do about it."""

from __future__ import annotations

import os
import struct

_BLOCK = struct.Struct(">I")
_FIRST_BYTES = 32
_BLOCKS_TRIED = 16
_COMPRESSED = "compressed records or a compressed file"
_PLAIN = "write the records without compression"
_KINDS = (
    (b"\x1f\x8b", f"gzip: {_COMPRESSED}; unpack it with `gunzip`"),
    (b"\x78\x01", f"zlib: {_COMPRESSED}; {_PLAIN}"),
    (b"\x78\x5e", f"zlib: {_COMPRESSED}; {_PLAIN}"),
    (b"\x78\x9c", f"zlib: {_COMPRESSED}; {_PLAIN}"),
    (b"\x78\xda", f"zlib: {_COMPRESSED}; {_PLAIN}"),
    (b"BZh", "a bzip2 file; unpack it first"),
    (b"\xfd7zXZ", "an xz file; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd file; unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it first"),
    (b"Rar!", "a rar archive; unpack it first"),
    (b"PK\x03\x04", "a zip archive; unpack it first"),
    (b"\xff\xd8\xff", "a JPEG picture; `convert` makes records of pictures and annotations"),
    (b"\x89PNG", "a PNG picture; `convert` makes records of pictures and annotations"),
    (b"\x89HDF", "an HDF5 file"),
    (b"version https://git-lfs", "a Git LFS pointer; fetch the file itself with `git lfs pull`"),
    (b"<", "XML or HTML text"),
    (b"{", "JSON text"),
    (b"[", "JSON text"),
    (b"item", "a label map; --label-map takes it"),
    (bytes(_FIRST_BYTES), "zeros: a copy or a download that was not finished; do it again"),
)


def of(descriptor: int) -> str | None:
    """Returns a few words about an open file, None where it is nothing that is known."""
    start = os.pread(descriptor, _FIRST_BYTES, 0)
    kind = next((kind for magic, kind in _KINDS if start.startswith(magic)), None)
    if kind is None and _may_be_snappy(descriptor):
        return f"snappy, perhaps: {_COMPRESSED}; {_PLAIN}"
    return kind


def _may_be_snappy(descriptor: int) -> bool:
    """Whether the file is a row of blocks, each behind its length, as TensorFlow writes snappy."""
    size, offset = os.fstat(descriptor).st_size, 0
    for _ in range(_BLOCKS_TRIED):
        if offset >= size:
            break
        length = os.pread(descriptor, _BLOCK.size, offset)
        if len(length) < _BLOCK.size or length == bytes(_BLOCK.size):
            return False
        offset += _BLOCK.size + _BLOCK.unpack(length)[0]
    return offset <= size
