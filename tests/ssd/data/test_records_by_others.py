"""Records that other people's tools wrote: read whole, or refused in one line that says why."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ssd import file_kind
from ssd.data.example_source import check_sample
from ssd.data.input_pipeline import eval_dataset, explained
from ssd.data.record_index import index_records
from ssd.errors import InputError
from ssd.label_map import LabelMap, from_names
from ssd.standard_fields import InputFields, TfExampleFields

TWO_BOXES = ((0.1, 0.2, 0.4, 0.7), (0.2, 0.3, 0.5, 0.6))
LABELS = from_names(["cat", "cow", "dog"])

_F = InputFields
_T = TfExampleFields


def _read(path: str, labels: LabelMap | None, num_classes: int) -> tuple[list[bytes], list[int]]:
    """Returns the source ids, and the class ids of all boxes, as evaluation gets them."""
    index = index_records(path)
    dataset = eval_dataset(record_index=index, label_map=labels, num_classes=num_classes)
    names, class_ids = [], []
    for batch in explained(dataset):
        assert batch[_F.image].shape[3] == 3
        names += batch[_F.source_id].numpy().tolist()
        class_ids += batch[_F.groundtruth_classes].numpy()[0].tolist()
    return names, class_ids


@pytest.mark.parametrize(
    ("name", "records", "boxes", "classes"),
    [
        ("algonacci__pets_examples.record", 10, 10, 37),
        ("TanimSk__val.tfrecord", 42, 42, ["uav"]),
        ("IBM__test.record", 36, 52, ["car-red", "car-blue", "phone"]),
        ("janickq__test.record", 5, 100, ["OrderBlue", "OrderRed", "OrderYellow", "OrderGurney"]),
        # Of a segmentation data set: pictures without boxes.
        ("OpenNuvoton__val-00000-of-00001.tfrecord", 3, 0, 1),
    ],
)
def test_real_records_are_read_whole(
    shared: Path, name: str, records: int, boxes: int, classes: int | list[str]
) -> None:
    path = str(shared / "data" / "tfrecords_by_others" / name)
    labels = from_names(classes) if isinstance(classes, list) else None
    num_classes = classes if isinstance(classes, int) else len(classes)
    names, class_ids = _read(path, labels, num_classes)
    assert (len(names), len(set(names)), len(class_ids)) == (records, records, boxes)
    # In the order of the ids, texts and ids say the same.
    assert _read(path, None, num_classes) == (names, class_ids)
    assert bool(check_sample(index_records(path), labels, num_classes)) == (boxes == 0)


REAL_FAULTS = {
    "cvat-ai__train.tfrecord": (
        None,
        4,
        r"record 1 at byte 0: source_id '1': box 2: class id 0 \(0 is the background\); "
        r"num_classes is 4, so 1..4 are allowed: correct num_classes, the label map or the records",
    ),
    "IBM__test.record": (
        from_names(["car-red", "telephone"]),
        2,
        r"record \d+ at byte \d+: source_id '\S+': box \d: class text '(phone|car-blue)' is not "
        r"in the label map \(car-red, telephone\); did you mean '(telephone|car-red)'\? add it",
    ),
    "janickq__test.record": (
        None,
        3,
        r"record 1 at byte 0: source_id '\S+': box 10: class id 4; num_classes is 3, so 1..3",
    ),
}


@pytest.mark.parametrize("name", REAL_FAULTS)
def test_real_records_that_are_refused(shared: Path, name: str) -> None:
    labels, num_classes, message = REAL_FAULTS[name]
    path = str(shared / "data" / "tfrecords_by_others" / name)
    for refuse in (
        lambda: check_sample(index_records(path), labels, num_classes),
        lambda: _read(path, labels, num_classes),
    ):
        with pytest.raises(InputError, match=f"^{path}: {message}") as caught:
            refuse()
        assert "\n" not in str(caught.value)


def test_a_line_about_records_without_boxes(shared: Path) -> None:
    name = "OpenNuvoton__val-00000-of-00001.tfrecord"
    path = str(shared / "data" / "tfrecords_by_others" / name)
    (line,) = check_sample(index_records(path), None, 1)
    assert line == (
        f"{path}: none of 3 records that were looked at has a box; the features of the first are: "
        "image/channels, image/encoded, image/filename, image/format, image/height, "
        "image/segmentation/class/encoded, image/segmentation/class/format, image/width"
    )


@pytest.mark.parametrize(
    "name",
    ["train.record", "train.tfrecords", "data.tfrecord.bin", "part-r-00000", "t-00000-of-00001"],
)
def test_any_name_will_do(
    record: Callable[..., bytes], write: Callable[..., str], name: str
) -> None:
    assert _read(write([record(classes=(2,))], name), None, 3) == ([b"one.png"], [2])


@pytest.mark.parametrize("value", ["jpg", "png", "JPEG", "PNG", "image/png", "", None])
def test_the_format_is_that_of_the_bytes(
    record: Callable[..., bytes], write: Callable[..., str], value: str | None
) -> None:
    more = {_T.image_format: None if value is None else [value]}
    assert _read(write([record(more=more)]), None, 3) == ([b"one.png"], [1])


@pytest.mark.parametrize(
    ("labels", "texts", "ids", "expected"),
    [
        (LABELS, ["dog", "cow"], None, [3, 2]),
        (LABELS, ["dog", "cow"], (1, 1), [3, 2]),
        (LABELS, ["dog", "cow"], (0, 0), [3, 2]),
        (LABELS, None, (3, 1), [3, 1]),
        (LABELS, [], (3, 1), [3, 1]),
        (LABELS, ["", ""], (3, 1), [3, 1]),
        (None, ["wolf", "ox"], (3, 1), [3, 1]),
        (None, None, (3, 1), [3, 1]),
        (LABELS, ["dog", "ox"], (3, 1), "box 1: class text 'ox' is not in the label map"),
        (LABELS, None, (0, 1), r"box 0: class id 0 \(0 is the background\); num_classes is 3"),
        (None, None, (0, 1), r"box 0: class id 0 \(0 is the background\); num_classes is 3"),
        (
            None,
            ["dog", "cow"],
            None,
            "image/object/class/label has 0 values for 2 boxes; .* give a",
        ),
        (LABELS, None, None, "image/object/class/label has 0 values for 2 boxes"),
    ],
    ids=[
        "texts without ids",
        "texts win",
        "texts beside zero-based ids",
        "ids without texts",
        "no text",
        "empty texts",
        "ids without a label map",
        "only ids",
        "unknown text",
        "zero-based ids",
        "zero-based ids without a label map",
        "texts without a label map",
        "no class at all",
    ],
)
def test_classes(
    record: Callable[..., bytes],
    write: Callable[..., str],
    labels: LabelMap | None,
    texts: Sequence[str] | None,
    ids: Sequence[int] | None,
    expected: list[int] | str,
) -> None:
    bare = {_T.height: None, _T.width: None, _T.filename: None, _T.key_sha256: None}
    more = {**bare, _T.object_class_text: texts} | (
        {_T.object_class_label: None} if not ids else {}
    )
    path = write([record("a", (), ()), record("b", TWO_BOXES, ids or (), more)])
    if isinstance(expected, list):
        assert _read(path, labels, 3) == ([b"a", b"b"], expected)
        return
    with pytest.raises(InputError, match=rf"record 2 at byte \d+: source_id 'b': {expected}"):
        _read(path, labels, 3)
    with pytest.raises(InputError, match=rf"record 2 at byte \d+: source_id 'b': {expected}"):
        check_sample(index_records(path), labels, 3)


@pytest.mark.parametrize("far", [(0.1, 0.2, 0.4, 1.5), (-0.5, 0.2, 0.4, 0.7)])
def test_boxes_a_bit_outside_are_read_and_pixels_are_not(
    record: Callable[..., bytes], write: Callable[..., str], far: Sequence[float]
) -> None:
    assert _read(write([record(boxes=(far,))]), None, 3)[1] == [1]
    pixels = tuple(value * 100 for value in far)
    with pytest.raises(InputError, match=r"box 0: \w{4} is -?\d+; expected 0 to 1 of the image"):
        _read(write([record(boxes=(pixels,))]), None, 3)


def _sequence(png: bytes) -> bytes:
    frame = tf.train.Feature(bytes_list=tf.train.BytesList(value=[png]))
    lists = {_T.image_encoded: tf.train.FeatureList(feature=[frame, frame])}
    return tf.train.SequenceExample(
        feature_lists=tf.train.FeatureLists(feature_list=lists)
    ).SerializeToString()


def test_sequence_examples_are_refused_by_name(png: bytes, write: Callable[..., str]) -> None:
    path = write([_sequence(png)] * 3)
    message = r"record 1 at byte 0: source_id '': a tf.train.SequenceExample \(video or context"
    with pytest.raises(InputError, match=message):
        _read(path, None, 3)
    with pytest.raises(InputError, match=message):
        check_sample(index_records(path), None, 3)


def test_the_sample_is_spread_over_all_records(
    record: Callable[..., bytes], write: Callable[..., str]
) -> None:
    good, bad = record(), record("bad", classes=(0,))
    # Of 31 records numbers 0, 2, 4, ... 30 are looked at.
    for number, is_found in ((0, True), (30, True), (14, True), (15, False)):
        path = write([bad if n == number else good for n in range(31)])
        if is_found:
            with pytest.raises(
                InputError, match=rf"record {number + 1} at byte \d+: source_id 'bad"
            ):
                check_sample(index_records(path), None, 3)
        else:
            assert check_sample(index_records(path), None, 3) == []


def _framed(data: bytes) -> bytes:
    """Not checked before what is around it is undone."""
    return struct.pack("<QI", len(data), 7) + data + bytes(4)


def _zip(data: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("train.record", data)
    return stream.getvalue()


def _snappy(data: bytes) -> bytes:
    """Blocks of 50 bytes: big-endian length, then the bytes behind their number and one tag."""
    parts = [data[n : n + 50] for n in range(0, len(data), 50)]
    blocks = [bytes([len(part), (len(part) - 1) << 2]) + part for part in parts]
    return b"".join(struct.pack(">I", len(block)) + block for block in blocks)


RECORD = _framed(b"a record of nothing in particular " * 4)
WRONG_FILES = {
    "gzip": (gzip.compress(RECORD), "gzip: compressed records .*; unpack it with `gunzip`"),
    "zlib": (zlib.compress(RECORD), "zlib: compressed records .*; write .* without compression"),
    "zlib, fast": (zlib.compress(RECORD, 1), "zlib: compressed records"),
    "zlib, best": (zlib.compress(RECORD, 9), "zlib: compressed records"),
    "snappy": (_snappy(RECORD), "snappy, perhaps: compressed records .* without compression"),
    "zip": (_zip(RECORD), "a zip archive; unpack it first"),
    "jpeg": (b"\xff\xd8\xff\xe0\0\x10JFIF" + RECORD, "a JPEG picture; `convert` makes records of"),
    "json": (b'{"images": [], "annotations": []}', "JSON text"),
    "xml": (b"<annotation></annotation>", "XML or HTML text"),
    "label map": (b'item {\n  id: 1\n  name: "cat"\n}\n', "a label map; --label-map takes it"),
    "zeros": (bytes(5000), "zeros: a copy or a download that was not finished; do it again"),
    "git lfs": (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer; fetch"),
    "unknown": (b"\x07" + RECORD, ""),
}


@pytest.mark.parametrize("kind", WRONG_FILES)
def test_files_that_are_no_records(tmp_path: Path, kind: str) -> None:
    data, what = WRONG_FILES[kind]
    path = tmp_path / "train.record"
    path.write_bytes(data)
    message = rf"^{path}: byte 0: no TFRecord file: it begins with b.*" + (
        rf" \({what}" * bool(what)
    )
    with pytest.raises(InputError, match=message) as caught:
        index_records(str(path))
    assert "\n" not in str(caught.value)
    assert ("(" in str(caught.value)) == bool(what)


def test_compressed_by_tensorflow_itself(record: Callable[..., bytes], tmp_path: Path) -> None:
    for kind in ("GZIP", "ZLIB"):
        path = str(tmp_path / f"{kind}.tfrecord")
        with tf.io.TFRecordWriter(path, kind) as writer:
            writer.write(record())
        with pytest.raises(InputError, match=rf"no TFRecord file: .* \({kind.lower()}: compressed"):
            index_records(path)


def test_a_picture_as_records(tmp_path: Path, png: bytes) -> None:
    path = tmp_path / "photo.record"
    path.write_bytes(png)
    with path.open("rb") as file:
        assert str(file_kind.of(file.fileno())).startswith("a PNG picture; `convert` makes")
    random = np.random.default_rng(3).integers(1, 256, 400, np.uint8).tobytes()
    path.write_bytes(random)
    with path.open("rb") as file:
        assert file_kind.of(file.fileno()) is None
