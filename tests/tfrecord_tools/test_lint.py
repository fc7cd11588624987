"""lint finds what convert would mend or drop, in annotations and in records, and writes nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ssd import label_map
from ssd.errors import GateError, InputError
from tfrecord_tools import tf_example
from tfrecord_tools.annotations import ImageAnnotation
from tfrecord_tools.convert import convert
from tfrecord_tools.lint import lint
from tfrecord_tools.record_file import frame

CLASSES = label_map.from_names(["cat", "dog"])


def files_in(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def rules(report) -> dict[str, int]:
    return {rule: count for rule, count in report.log.counts().items() if count}


def test_sound_annotations(data_set: Path):
    before = files_in(data_set)
    said: list[str] = []
    report = lint([data_set / "annotations"], say=said.append)
    assert (report.images, report.boxes) == (6, 7)
    assert rules(report) == {"no-objects": 1}
    assert files_in(data_set) == before
    assert "no-objects 1" in said[0]


def test_lint_and_convert_find_the_same(data_set: Path, write_voc, write_image):
    write_voc(data_set / "annotations" / "p0.xml", [("cat", 90, 30, 20, 110), ("cat", 5, 5, 5, 6)])
    write_image(data_set / "images" / "p5.jpg", size=(100, 60))
    (data_set / "images" / "p2.jpg").write_bytes(b"no picture")
    converted = convert(
        "voc",
        images=data_set / "images",
        annotations=data_set / "annotations",
        output=data_set / "out",
        say=lambda line: None,
    )
    said: list[str] = []
    with pytest.raises(GateError, match=r"problems; the first: .*p0\.xml: object 1: cat .*swapped"):
        lint([data_set / "annotations"], images=data_set / "images", is_json=True, say=said.append)
    (text,) = said
    content = json.loads(text)
    expected = [p for p in converted.as_json()["problems"] if p["rule"] != "few-images"]
    assert content["problems"] == expected
    assert content["images"] == converted.images == 5


def test_a_given_label_map_and_every_unknown_class(data_set: Path, tmp_path: Path):
    label_map.save(label_map.from_names(["Cat", "dog", "cow"]), tmp_path / "map.pbtxt")
    said: list[str] = []
    with pytest.raises(GateError, match=r"unknown-class"):
        lint([data_set / "annotations"], label_map=tmp_path / "map.pbtxt", say=said.append)
    assert "unknown-class 3" in said[0]
    assert "'cat': not among the 3 of" in said[0]
    assert "did you mean 'Cat'?" in said[0]


def converted(data_set: Path) -> Path:
    convert(
        "voc",
        images=data_set / "images",
        annotations=data_set / "annotations",
        output=data_set / "out",
        say=lambda line: None,
    )
    return data_set / "out"


def test_sound_records(data_set: Path):
    out = converted(data_set)
    report = lint([out], say=lambda line: None)
    assert (report.images, report.boxes) == (6, 7)
    assert set(report.splits) == {"train", "val"}
    assert not any(problem.fails_strict for problem in report.log.problems)


def record(boxes, class_ids, texts, encoded: bytes, size=(120, 200), **changes) -> bytes:
    n = len(class_ids)
    annotation = ImageAnnotation(
        source_id="a.jpg",
        filename="a.jpg",
        image_size=size,
        boxes=np.array(boxes, np.float32).reshape(n, 4),
        class_names=("cat",) * n,
        difficult=np.zeros(n, bool),
        truncated=np.zeros(n, bool),
        is_crowd=np.zeros(n, bool),
        area=np.ones(n, np.float32),
    )
    example = tf_example.example_class().FromString(
        tf_example.encode(annotation, encoded, "jpeg", CLASSES)
    )
    features = example.features.feature
    features["image/object/class/label"].int64_list.value[:] = class_ids
    features["image/object/class/text"].bytes_list.value[:] = texts
    for key, value in changes.items():
        features[key.replace("__", "/")].bytes_list.value[:] = [value]
    return example.SerializeToString()


@pytest.fixture
def encoded(tmp_path: Path, write_image) -> bytes:
    return write_image(tmp_path / "a.jpg").read_bytes()


@pytest.mark.parametrize(
    ("make", "rule", "detail"),
    [
        pytest.param(
            lambda jpeg: record([[0.5, 0.1, 0.2, 0.4]], [1], [b"cat"], jpeg),
            "box-inverted", "max < min", id="inverted",
        ),
        pytest.param(
            lambda jpeg: record([[0.5, 0.1, 1.2, 0.4]], [1], [b"cat"], jpeg),
            "box-outside", "reaches outside 200x120", id="outside",
        ),
        pytest.param(
            lambda jpeg: record([[0.5, 0.1, 0.5, 0.4]], [1], [b"cat"], jpeg),
            "box-zero-area", "no area", id="no area",
        ),
        pytest.param(
            lambda jpeg: record([[0.1, 0.1, 0.5, 0.4]], [7], [b"cat"], jpeg),
            "unknown-class", "class id 7 is not in the label map", id="id outside",
        ),
        pytest.param(
            lambda jpeg: record([[0.1, 0.1, 0.5, 0.4]], [0], [b"cat"], jpeg),
            "unknown-class", "class id 0; ids begin at 1", id="id 0",
        ),
        pytest.param(
            lambda jpeg: record([[0.1, 0.1, 0.5, 0.4]], [2], [b"cat"], jpeg),
            "unknown-class", "text is 'cat', but id 2 is 'dog' in the label map", id="two names",
        ),
        pytest.param(
            lambda jpeg: record([], [], [], b"no picture"),
            "image-unreadable", "no picture of a known format", id="picture",
        ),
        pytest.param(
            lambda jpeg: record([], [], [], jpeg, size=(60, 70)),
            "size-mismatch", "states 70x60, the picture is 200x120", id="size",
        ),
        pytest.param(
            lambda jpeg: record([], [], [], jpeg, image__format=b"png"),
            "wrong-extension", "image/format says 'png'", id="format",
        ),
        pytest.param(
            lambda jpeg: b"\xff\xff", "record-damaged", "not a tf.train.Example", id="noise",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_record(tmp_path: Path, encoded: bytes, make, rule: str, detail: str):
    folder = tmp_path / "records"
    folder.mkdir()
    label_map.save(CLASSES, folder / "label_map.pbtxt")
    good = record([[0.1, 0.2, 0.5, 0.9]], [2], [b"dog"], encoded[:-2] + b"x\xff\xd9")
    (folder / "train.record").write_bytes(frame(good) + frame(make(encoded)))
    said: list[str] = []
    try:
        report = lint([folder], say=said.append)
    except GateError:
        report = None
    assert f"{rule} 1" in said[0]
    assert f"{folder / 'train.record'}: record 2" in said[0]
    assert detail in said[0]
    assert (report is None) == (rule != "wrong-extension")


def test_a_damaged_file_and_an_empty_one(data_set: Path, tmp_path: Path):
    out = converted(data_set)
    shard = next(out.glob("train-*"))
    shard.write_bytes(shard.read_bytes()[:-9])
    (out / "val-00000-of-00001.tfrecord").write_bytes(b"")
    said: list[str] = []
    with pytest.raises(GateError):
        lint([out], say=said.append)
    assert "record-damaged 2" in said[0]
    assert "the file is truncated" in said[0]
    assert "0 records" in said[0]


def test_one_picture_in_two_splits(data_set: Path):
    out = converted(data_set)
    shutil.copy(next(out.glob("train-*")), out / "val-00000-of-00001.tfrecord")
    said: list[str] = []
    with pytest.raises(GateError, match="same-picture"):
        lint([out], say=said.append)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", r"nowhere: no such file or folder"),
        ("empty", r"empty: no \.xml or \.txt annotations below it, but nothing"),
        ("a.docx", r"a\.docx: neither records nor annotations; expected \.tfrecord"),
    ],
)
def test_nothing_to_check(tmp_path: Path, name: str, message: str):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.docx").write_bytes(b"PK")
    with pytest.raises(InputError, match=message):
        lint([tmp_path / name], say=lambda line: None)
