"""Which records a run was started on: the order of its images follows from them."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import numpy as np

from ssd.data.record_index import RecordIndex
from ssd.errors import InputError

_HEADER_BYTES, _CRC_BYTES = 12, 4  # of a record's frame


def data_identity(train: RecordIndex, val: RecordIndex | None) -> dict[str, Any]:
    """Returns {"train": {"records": n, "sha256": hex}, "val": the same or None}.

    Where the files lie does not count, nor how records are spread over them: only the order of the
    records, and their bytes.

    Raises:
      InputError: a file was shortened since it was indexed, or cannot be read.
    """
    return {"train": _identity(train), "val": _identity(val) if val else None}


def changed_data(stored: dict[str, Any], found: dict[str, Any]) -> str:
    """Returns how records differ from those of a run, in words; "" where they are the same.

    Args:
      stored: of the run; {} where that is not known.
      found: of this command.
    """
    for split, what in (("train", "training"), ("val", "validation")):
        before, now = stored.get(split), found.get(split)
        if split not in stored or before == now:
            continue
        counts = [side["records"] if side else 0 for side in (before, now)]
        if counts[0] != counts[1]:
            return f"{counts[0]} {what} records, now there are {counts[1]}"
        return f"{counts[0]} {what} records whose contents or order have changed since"
    return ""


def _identity(index: RecordIndex) -> dict[str, Any]:
    """Lengths and checksums of all records, which their frames hold: no record is read for it."""
    digest = hashlib.sha256()
    for number, file in enumerate(index.files):
        own = index.file_numbers == number
        lengths = index.lengths[own]
        ends = index.offsets[own] + _HEADER_BYTES + lengths
        digest.update(np.ascontiguousarray(lengths, "<i8").tobytes())
        digest.update(_checksums(file, ends.tolist()))
    if index.dataset_weights:  # they decide which record comes when
        digest.update(repr((index.dataset_sizes, index.dataset_weights)).encode())
    return {"records": len(index), "sha256": digest.hexdigest()}


def _checksums(file: str, places: list[int]) -> bytes:
    try:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            found = b"".join(os.pread(descriptor, _CRC_BYTES, place) for place in places)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise InputError(
            f"{file}: {error.strerror}; it could be read a moment ago; put it back and start again"
        ) from error
    if len(found) != _CRC_BYTES * len(places):
        raise InputError(f"{file}: shortened while in use; write it again and start again")
    return found
