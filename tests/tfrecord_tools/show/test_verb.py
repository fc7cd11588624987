"""Table, sheets, plots and single pictures of records and annotations, ours and other people's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from ssd.errors import InputError
from tfrecord_tools.convert import convert
from tfrecord_tools.record_file import frame
from tfrecord_tools.show import verb
from tfrecord_tools.show.verb import show


@pytest.fixture
def records(data_set: Path) -> Path:
    convert(
        "voc",
        images=data_set / "images",
        annotations=data_set / "annotations",
        output=data_set / "records",
        shards=2,
        workers=1,
        say=lambda line: None,
    )
    return data_set / "records"


def test_counts_of_a_folder_add_up_over_shards(records: Path):
    said: list[str] = []
    boxes = show(records, say=said.append)
    assert sum(counts.total() for counts in boxes.values()) == 7
    assert boxes["train"]["cat"] + boxes["val"]["cat"] == 3
    assert list(boxes) == ["train", "val"]
    rows = {line.split("   ")[0].strip(): line.split()[-2:] for line in said}
    assert said[0].split() == ["train", "val"]
    assert sum(map(int, rows["images"])) == 6
    assert sum(map(int, rows["boxes"])) == 7
    assert sum(map(int, rows["cow"])) == 2
    assert said[8].split()[-2:] == ["200x120", "200x120"]
    # Numbers end under each other.
    assert len({len(line) for line in said if not line.startswith("boxes of a class")}) == 1


def test_counts_of_annotations(data_set: Path):
    (counts,) = show(data_set, say=lambda line: None).values()
    assert counts == {"cat": 3, "cow": 2, "dog": 2}


def test_coco_files_are_counted_each(data_set: Path):
    for xml in (data_set / "annotations").glob("*.xml"):
        xml.unlink()
    for name, number in (("train", 0), ("test", 3)):
        content = {
            "images": [{"id": 1, "file_name": f"p{number}.jpg", "width": 200, "height": 120}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 7, "bbox": [10, 20, 30, 40]}],
            "categories": [{"id": 7, "name": "hen"}],
        }
        (data_set / "annotations" / f"{name}.json").write_text(json.dumps(content))
    assert show(data_set, say=lambda line: None) == {"test": {"hen": 1}, "train": {"hen": 1}}


def test_what_is_written(records: Path, tmp_path: Path):
    said: list[str] = []
    show(records, output=tmp_path / "look", pictures=2, say=said.append)
    found = sorted(path.name for path in (tmp_path / "look").iterdir())
    sheets = ["sheet_train.png", "sheet_val.png"]
    assert found == ["boxes.png", "classes.png", "pictures", *sheets, "splits.png"]
    for name in found:
        if name != "pictures":
            assert f"wrote {tmp_path / 'look' / name}" in said
            with Image.open(tmp_path / "look" / name) as picture:
                picture.load()
                assert picture.format == "PNG"
    singles = sorted(path.name for path in (tmp_path / "look" / "pictures").iterdir())
    assert said[-1] == f"wrote {len(singles)} pictures to {tmp_path / 'look' / 'pictures'}"
    assert [name[:10] for name in singles[:2]] == ["train_0001", "train_0002"]
    assert all(name.startswith("val_000") for name in singles[2:])
    with Image.open(tmp_path / "look" / "pictures" / singles[0]) as picture:
        assert (picture.size, picture.format) == ((200, 120), "JPEG")
    with Image.open(tmp_path / "look" / "sheet_train.png") as sheet:
        # Two cells of 480 x 360, a title and a row of classes.
        assert sheet.width == 2 * 24 + 2 * 480 + 16
        assert 360 < sheet.height < 600


def test_many_pictures_make_several_sheets(data_set: Path, tmp_path: Path, monkeypatch):
    from tfrecord_tools.show import contact_sheet

    monkeypatch.setattr(contact_sheet, "PICTURES_PER_SHEET", 4)
    show(data_set, output=tmp_path / "look", pictures=6, say=lambda line: None)
    sheets = sorted(path.name for path in (tmp_path / "look").glob("sheet_*"))
    assert sheets == [f"sheet_{data_set.name}.png", f"sheet_{data_set.name}_2.png"]
    heights = []
    for name in sheets:
        with Image.open(tmp_path / "look" / name) as sheet:
            heights.append((sheet.width - 48 + 16) // 496)
    assert heights == [4, 2]


def test_pictures_that_cannot_be_read_are_told(data_set: Path):
    (data_set / "images" / "p0.jpg").write_bytes(b"no picture")
    (data_set / "annotations" / "p1.xml").write_text("<annotation>")
    said: list[str] = []
    (counts,) = show(data_set, say=said.append).values()
    assert counts == {"cat": 1, "cow": 2, "dog": 1}
    folder = data_set / "annotations"
    assert said[-2:] == [
        f"1 problems with the annotations; ./run.sh lint {folder} says more",
        f"1 pictures cannot be read and are left out; ./run.sh lint {folder} says more",
    ]


def test_names_without_a_font(records: Path, tmp_path: Path, monkeypatch):
    from tfrecord_tools.show import lettering

    font = lettering.default_font_path()
    monkeypatch.setattr(lettering, "font_path", lambda text: None if text == "cow" else font)
    said: list[str] = []
    show(records, output=tmp_path / "look", pictures=1, say=said.append)
    assert any(
        line.startswith("no installed font has the letters of 1 class names (cow): the pictures")
        for line in said
    )


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
        assert said[1].split() == ["images", str(images)], name
        assert said[2].split() == ["boxes", str(boxes)], name
        assert len(list((tmp_path / name / "pictures").iterdir())) == 1
        assert len(list((tmp_path / name).glob("sheet_*.png"))) == 1


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
        ("notes.txt", r"notes\.txt: record 1 at byte 0: .*TFRecord file"),
    ],
)
def test_nothing_to_show(tmp_path: Path, name: str, message: str):
    (tmp_path / "notes.txt").write_text("hello, this is text")
    if name == "empty.tfrecord":
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=message):
        show(tmp_path / name)


def test_a_broken_picture_names_its_record(records: Path, tmp_path: Path):
    from tfrecord_tools import tf_example

    example = tf_example.example_class()()
    example.features.feature["image/encoded"].bytes_list.value.append(b"no picture")
    path = tmp_path / "x.record"
    path.write_bytes(frame(example.SerializeToString()))
    assert show(path, say=lambda line: None) == {"x": {}}
    with pytest.raises(InputError, match=r"x\.record: record 1: no picture of a known format"):
        show(path, output=tmp_path / "look", say=lambda line: None)


def test_bad_arguments(records: Path, tmp_path: Path):
    with pytest.raises(InputError, match="--pictures is 0; expected 1 or more"):
        show(records, pictures=0)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/.*\.jpg: cannot be written: "):
        show(records, output=tmp_path / "file", say=lambda line: None)


def test_file_names_for_any_system():
    assert verb._file_name("a/b: c?*.jpg") == "a_b_c_.jpg"
    assert verb._file_name("猫 1") == "猫_1"
    assert verb._file_name("") == "picture"
    assert verb._file_name("\udcff") == "_"
