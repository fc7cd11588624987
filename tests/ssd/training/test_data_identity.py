from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import tensorflow as tf

from ssd.data.record_index import RecordIndex, index_records, joined
from ssd.errors import InputError
from ssd.training.data_identity import changed_data, data_identity

RECORDS = (b"first", b"the second", b"third!")


def write(path: str, records: tuple[bytes, ...]) -> RecordIndex:
    with tf.io.TFRecordWriter(path) as writer:
        for record in records:
            writer.write(record)
    return index_records(path)


def identity(*records: bytes, path: str = "a.tfrecord") -> dict:
    return data_identity(write(path, records), None)["train"]


@pytest.fixture(autouse=True)
def _folder(in_temporary_folder: Path) -> None:
    """Everything is written there."""


def test_records_are_counted():
    found = data_identity(write("a.tfrecord", RECORDS), write("b.tfrecord", RECORDS[:1]))
    assert found["train"]["records"] == 3
    assert found["val"]["records"] == 1
    assert found["train"]["sha256"] != found["val"]["sha256"]


def test_places_do_not_count():
    expected = identity(*RECORDS)
    Path("elsewhere").mkdir()
    shutil.move("a.tfrecord", "elsewhere/b.tfrecord")
    assert data_identity(index_records("elsewhere/b.tfrecord"), None)["train"] == expected


@pytest.mark.parametrize(
    "others",
    [
        (b"first", b"third!", b"the second"),
        (b"first", b"the sec0nd", b"third!"),
        (b"first", b"the second", b"third"),
        (b"first", b"the second"),
        (b"firstthe second", b"third!"),
    ],
    ids=["order", "a byte", "a length", "one fewer", "two in one"],
)
def test_order_and_content_count(others):
    assert identity(*others, path="b.tfrecord") != identity(*RECORDS)


def test_weights_of_data_sets_count():
    parts = [write("a.tfrecord", RECORDS), write("b.tfrecord", RECORDS[:1])]
    found = [data_identity(joined(parts, weights), None) for weights in ((1, 1), (1, 2), (1, 1))]
    assert found[0] == found[2] != found[1]


def test_a_file_that_shrinks():
    index = write("a.tfrecord", RECORDS)
    os.truncate("a.tfrecord", 30)
    with pytest.raises(InputError, match=r"^a\.tfrecord: shortened while in use"):
        data_identity(index, None)
    os.remove("a.tfrecord")
    with pytest.raises(InputError, match=r"^a\.tfrecord: No such file or directory; it could be"):
        data_identity(index, None)


A, B = {"records": 292, "sha256": "a"}, {"records": 292, "sha256": "b"}
C = {"records": 310, "sha256": "c"}


@pytest.mark.parametrize(
    ("stored", "found", "expected"),
    [
        ({"train": A, "val": None}, {"train": A, "val": None}, ""),
        ({}, {"train": A, "val": C}, ""),
        ({"train": A, "val": A}, {"train": C, "val": C}, "292 training records, now there are 310"),
        (
            {"train": A, "val": A},
            {"train": B, "val": A},
            "292 training records whose contents or order have changed since",
        ),
        (
            {"train": A, "val": C},
            {"train": A, "val": None},
            "310 validation records, now there are 0",
        ),
        (
            {"train": A, "val": None},
            {"train": A, "val": C},
            "0 validation records, now there are 310",
        ),
    ],
)
def test_what_changed(stored, found, expected):
    assert changed_data(stored, found) == expected
