"""Counts and pictures of records, ours and other people's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssd.errors import InputError
from tfrecord_tools.annotations import ImageAnnotation
from tfrecord_tools.convert import convert
from tfrecord_tools.record_file import frame
from tfrecord_tools.show_records import draw_boxes, show


@pytest.fixture
def records(data_set: Path) -> Path:
    convert(
        "voc",
        images=data_set / "images",
        annotations=data_set / "annotations",
        output=data_set / "records",
        shards=2,
        say=lambda line: None,
    )
    return data_set / "records"


def test_counts_of_a_folder_add_up_over_shards(records: Path):
    said: list[str] = []
    boxes = show(records, say=said.append)
    assert sum(counts.total() for counts in boxes.values()) == 7
    assert boxes["train"]["cat"] + boxes["val"]["cat"] == 3
    assert said[0].startswith("train: ")
    assert list(boxes) == ["train", "val"]


def test_counts_of_a_voc_folder(data_set: Path):
    (counts,) = show(data_set, say=lambda line: None).values()
    assert counts == {"cat": 3, "cow": 2, "dog": 2}


def test_pictures_are_written(records: Path, tmp_path: Path):
    show(records, output=tmp_path / "pictures", pictures=4, say=lambda line: None)
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert len(names) == 4
    assert all(name.startswith(f"000{n}_p") for n, name in enumerate(names, 1))
    with Image.open(tmp_path / "pictures" / names[0]) as picture:
        assert picture.size == (200, 120)


def test_boxes_are_drawn_where_they_lie():
    annotation = ImageAnnotation(
        source_id="a",
        filename="a",
        image_size=(120, 200),
        boxes=np.array([[0.5, 0.1, 0.9, 0.75]], np.float32),
        class_names=("cat",),
        difficult=np.array([True]),
        truncated=np.array([False]),
        is_crowd=np.array([False]),
        area=np.array([1.0], np.float32),
    )
    blank = Image.new("RGB", (200, 120), "black")
    drawn = np.asarray(draw_boxes(blank, annotation)).max(axis=-1) > 100
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    # ymin 60, ymax 108; xmin 20, xmax 150: the outline lies just inside.
    assert (rows[0], rows[-1]) == (60, 107)
    assert (columns[0], columns[-1]) == (20, 149)
    assert not np.asarray(blank).any()


def test_records_by_others(shared: Path, tmp_path: Path):
    expected = {
        "IBM__test.record": (36, 52),
        "TanimSk__val.tfrecord": (42, 42),
        "algonacci__pets_examples.record": (10, 10),
        "janickq__test.record": (5, 100),
        "cvat-ai__train.tfrecord": (1, 3),
        "OpenNuvoton__val-00000-of-00001.tfrecord": (3, 0),
    }
    for name, (images, boxes) in expected.items():
        said: list[str] = []
        path = shared / "data" / "tfrecords_by_others" / name
        show(path, output=tmp_path / name, pictures=1, say=said.append)
        assert f": {images} images, {boxes} boxes" in said[0], name
        assert len(list((tmp_path / name).iterdir())) == 1


def test_a_record_that_is_no_example(tmp_path: Path):
    path = tmp_path / "x.tfrecord"
    path.write_bytes(frame(b"\x0a\xff\xff\xff\xff"))
    with pytest.raises(InputError, match=r"x\.tfrecord: record 1: not a tf\.train\.Example"):
        show(path)
    path.write_bytes(frame(b""))
    with pytest.raises(InputError, match=r"x\.tfrecord: record 1: no image/encoded"):
        show(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "nowhere: no such file or folder"),
        ("empty.tfrecord", r"empty\.tfrecord: 0 records; write it again with convert"),
        ("", r"no \.tfrecord or \.record below it, but 1 \.txt"),
        ("notes.txt", r"notes\.txt: record 1 at byte 0: .*not a TFRecord file"),
    ],
)
def test_nothing_to_show(tmp_path: Path, name: str, message: str):
    (tmp_path / "notes.txt").write_text("hello, this is text")
    if name == "empty.tfrecord":
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=message):
        show(tmp_path / name)


def test_no_pictures_at_all_is_refused(records: Path):
    with pytest.raises(InputError, match="--pictures is 0; expected 1 or more"):
        show(records, pictures=0)
