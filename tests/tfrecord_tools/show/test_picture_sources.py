"""Where pictures to look at come from: numbers, names, sizes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ssd import label_map
from ssd.errors import InputError
from tfrecord_tools import tf_example
from tfrecord_tools.annotations import ImageAnnotation
from tfrecord_tools.record_file import frame
from tfrecord_tools.show.picture_sources import group_of, open_source

LABELS = label_map.from_names(["cat", "cow", "dog"])


def annotation(number: int, names: tuple[str, ...]) -> ImageAnnotation:
    n = len(names)
    return ImageAnnotation(
        source_id=str(number),
        filename=f"p{number}.jpg",
        image_size=(120, 200),
        boxes=np.tile(np.array([[0.1, 0.2, 0.4, 0.7]], np.float32), (n, 1)),
        class_names=names,
        difficult=np.zeros(n, bool),
        truncated=np.zeros(n, bool),
        is_crowd=np.zeros(n, bool),
        area=np.ones(n, np.float32),
    )


@pytest.fixture
def folder(tmp_path: Path, write_image) -> Path:
    """train in two shards of two records and of one, val of one."""
    encoded = write_image(tmp_path / "source" / "a.jpg").read_bytes()
    out = tmp_path / "records"
    out.mkdir()
    number = 0
    for name, count in (
        ("train-00000-of-00002.tfrecord", 2),
        ("train-00001-of-00002.tfrecord", 1),
        ("val.record-00000-of-00001", 1),
    ):
        content = b""
        for _ in range(count):
            made = annotation(number, ("dog", "cat")[: number % 3])
            content += frame(tf_example.encode(made, encoded, "jpeg", LABELS))
            number += 1
        (out / name).write_bytes(content)
    (out / "ckpt-1.data-00000-of-00001").write_bytes(b"no records")
    (out / ".hidden.tfrecord").write_bytes(b"no records")
    label_map.save(LABELS, out / "label_map.pbtxt")
    return out


def test_numbers_are_the_same_in_every_pass(folder: Path):
    source = open_source(folder)
    assert source.class_names == ("cat", "cow", "dog")
    found = [(n, p.group, p.annotation.filename) for n, p in source.pictures()]
    expected = [(0, "train", "p0.jpg"), (1, "train", "p1.jpg"), (2, "train", "p2.jpg")]
    assert found == [*expected, (3, "val", "p3.jpg")]
    assert [n for n, _ in source.pictures({3, 1})] == [1, 3]
    assert list(source.pictures(set())) == []
    place = next(iter(source.pictures({2})))[1].place
    assert place == f"{folder}/train-00001-of-00002.tfrecord: record 1"


def test_after_the_last_number_nothing_is_read(folder: Path):
    (folder / "val.record-00000-of-00001").write_bytes(b"damaged")
    assert [n for n, _ in open_source(folder).pictures({0, 2})] == [0, 2]
    with pytest.raises(InputError, match="val"):
        list(open_source(folder).pictures())


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("train-00000-of-00010.tfrecord", "train"),
        ("my-set-00000-of-00010.TFRecord", "my-set"),
        ("coco_train.record-00003-of-00100", "coco_train"),
        ("pets.record", "pets"),
        ("x.tfrecords", "x"),
        ("notes.txt", "notes.txt"),
    ],
)
def test_groups(name, group):
    assert group_of(Path("a-00000-of-00001.tfrecord", name)) == group


def test_names_and_sizes_that_a_record_does_not_state(folder: Path, write_image):
    encoded = write_image(folder / "a.jpg").read_bytes()
    made = replace(annotation(0, ("dog", "cat")), image_size=(1, 1))
    example = tf_example.example_class().FromString(
        tf_example.encode(made, encoded, "jpeg", LABELS)
    )
    features = example.features.feature
    features["image/object/class/text"].bytes_list.value[1] = b""
    path = folder / "other" / "x.record"
    path.parent.mkdir()
    path.write_bytes(frame(example.SerializeToString()))
    ((_, shown),) = open_source(path).pictures()
    # Without a label map the id is all that is known; the size is the picture's own.
    assert shown.annotation.class_names == ("dog", "id 1")
    assert shown.annotation.image_size == (120, 200)
    label_map.save(LABELS, path.parent / "label_map.pbtxt")
    ((_, shown),) = open_source(path).pictures()
    assert shown.annotation.class_names == ("dog", "cat")
    (path.parent / "label_map.pbtxt").write_text("cat\ndog\n")
    source = open_source(path)
    assert source.class_names == ()
    assert len(source.notes) == 1
    assert source.notes[0].startswith(f"not used: {path.parent}/label_map.pbtxt")


def test_annotations(data_set: Path):
    source = open_source(data_set)
    assert source.class_names == ("cat", "cow", "dog")
    found = list(source.pictures())
    assert [n for n, _ in found] == list(range(6))
    assert {p.group for _, p in found} == {data_set.name}
    assert [len(p.annotation.boxes) for _, p in found] == [1, 2, 1, 0, 2, 1]
    assert [n for n, _ in source.pictures({4})] == [4]
    assert source.notes == []
