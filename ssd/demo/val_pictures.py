"""Pictures of a data folder's validation records, as files to pick from."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError
from PIL import Image

from ssd.data.record_index import index_records
from ssd.errors import InputError
from ssd.standard_fields import TfExampleFields

MOST_PICTURES = 24
_FILE_NAME = re.compile(r"[^\w.-]+")


def write(data: Path, folder: Path) -> list[Path]:
    """Returns pictures of `data`, written to `folder` as they are in the records.

    Args:
      data: a folder made by `convert`; 24 of its validation records at most are taken, evenly
        spread.
      folder: an empty one.

    Raises:
      InputError: no validation records there, they are damaged, or none of them has a picture.
    """
    import tensorflow as tf  # late: without --data a .tflite runs where there is no TensorFlow

    if not data.is_dir():
        raise InputError(f"--data: {data} is no folder; one made by `convert` was expected")
    index = index_records(str(data / "val-*.tfrecord"), "--data")
    numbers = sorted({round(n) for n in np.linspace(0, len(index) - 1, MOST_PICTURES)})
    paths = []
    for number in numbers:
        try:
            features = tf.train.Example.FromString(index.read(number)).features.feature
        except DecodeError:
            continue
        names = features[TfExampleFields.filename].bytes_list.value
        pictures = features[TfExampleFields.image_encoded].bytes_list.value
        suffix = _suffix(pictures[0]) if pictures else None
        if suffix is None:
            continue
        stem = Path(names[0].decode(errors="replace")).stem if names else ""
        # Two folders may have held pictures of one name.
        path = folder / f"{_FILE_NAME.sub('_', stem)[:80] or 'picture'}_{number}{suffix}"
        path.write_bytes(pictures[0])
        paths.append(path)
    if not paths:
        raise InputError(f"--data: none of {len(numbers)} records of {data} has a readable picture")
    return paths


def _suffix(encoded: bytes) -> str | None:
    """.jpg, .png, ..., by the first bytes; None where it is no picture that Pillow reads."""
    try:
        with Image.open(io.BytesIO(encoded)) as picture:
            return ".jpg" if picture.format == "JPEG" else f".{(picture.format or '').lower()}"
    except OSError:  # also what Pillow does not know
        return None
