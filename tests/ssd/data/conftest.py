"""Records to read: one row of values per feature key, turned into tf.train.Example bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from ssd.data.decoder import PARSE_SPEC
from ssd.standard_fields import TfExampleFields

HEIGHT, WIDTH = 120, 200

_F = TfExampleFields
_BOX_SIDES = (
    _F.object_bbox_ymin,
    _F.object_bbox_xmin,
    _F.object_bbox_ymax,
    _F.object_bbox_xmax,
)


def _feature(key: str, values: Sequence[Any]) -> tf.train.Feature:
    # Writers give an empty list the kind of its key; one for a wrong kind is made by its values.
    first = values[0] if values else {tf.string: b"", tf.int64: 0}.get(PARSE_SPEC[key].dtype, 0.0)
    if isinstance(first, (str, bytes)):
        encoded = [v.encode() if isinstance(v, str) else v for v in values]
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=encoded))
    if isinstance(first, (int, np.integer)):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def _serialize(features: dict[str, Sequence[Any]]) -> bytes:
    feature = {key: _feature(key, values) for key, values in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    """uint8 [120, 200, 3]; every pixel differs from its neighbours."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([rows, columns, (3 * rows + 7 * columns) % 256], -1).astype(np.uint8)


@pytest.fixture(scope="session")
def png(pixels: np.ndarray) -> bytes:
    """`pixels`, losslessly."""
    return tf.io.encode_png(pixels).numpy()


@pytest.fixture(scope="session")
def serialize() -> Callable[[dict[str, Sequence[Any]]], bytes]:
    """{feature key: values} -> bytes of a tf.train.Example."""
    return _serialize


@pytest.fixture(scope="session")
def record(png: bytes) -> Callable[..., bytes]:
    """(source_id, boxes [[ymin, xmin, ymax, xmax]], class ids, more={key: values}) -> bytes.

    A value of None in `more` takes the feature out.
    """

    def make(
        source_id: str = "one.png",
        boxes: Sequence[Sequence[float]] = ((0.1, 0.2, 0.4, 0.7),),
        classes: Sequence[int] = (1,),
        more: dict[str, Sequence[Any] | None] | None = None,
    ) -> bytes:
        sides = np.array(boxes, np.float32).reshape(-1, 4).T
        features: dict[str, Any] = {
            _F.image_encoded: [png],
            _F.image_format: ["png"],
            _F.source_id: [source_id],
            _F.object_class_label: list(classes),
            **{side: values.tolist() for side, values in zip(_BOX_SIDES, sides, strict=True)},
            **(more or {}),
        }
        return _serialize({key: v for key, v in features.items() if v is not None})

    return make


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """(records, name) -> path of a TFRecord file with them."""

    def write_file(records: Sequence[bytes], name: str = "some.tfrecord") -> str:
        path = str(tmp_path / name)
        with tf.io.TFRecordWriter(path) as writer:
            for each in records:
                writer.write(each)
        return path

    return write_file
