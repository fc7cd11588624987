"""What becomes of every annotation file found in public: so many objects, or a reason in words."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from ssd.errors import InputError
from tfrecord_tools.annotations import ProblemLog
from tfrecord_tools.readers import by_name
from tfrecord_tools.readers.image_index import IMAGE_EXTENSIONS, ImageIndex

# Beginning of the folder's name -> objects in it, or the reason for which it is left out.
VOC: dict[str, int | str] = {
    "01": "the root is <Result>, Pascal VOC has <annotation>",
    "02": "the root is <annotations>, Pascal VOC has <annotation>",
    "03": "the root is <annotations>, Pascal VOC has <annotation>",
    "04": "object 1 (window) has <name>, <deleted>, <verified>, <date>, <id>, <polygon>, <parts>, "
    "but no <bndbox>",
    "05": 4,
    "06": 1,
    "07": 11,
    "08": 12,
    "09": 12,
    "10": 13,
    "11": 3,
    "12": 1,
    "13": 2,
    "14": 1,
    "15": 1,
    "16": 1,
    "17": 4,
    "18": 1,
    "19": 1,
    "20": 2,
    "21": 4,
    "22": 5,
    "23": 1,
    "24": 1,
    "25": 2,
    "26": 14,
    "27": 1,
    "28": 12,
    "29": 19,
    "30": 20,
    "31": 7,
    "32": 1,
    "33": 1,
    "34": 1,
    "35": 1,
    "36": 11,
    "37": 10,
    "38": 21,
    "39": 2,
    "40": 2,
    "41": 1,
    "42": 1,
    "43": "the root is <boost_serialization>, Pascal VOC has <annotation>",
    "44": 1,
}
# Their <filename> is that of another picture, lacks its extension, or has another one.
NAMED_OTHERWISE = {"07", "08", "12", "13", "17", "18"}

NO_BOXES = r"none of the \d+ annotations has a bbox or segmentation \(captions, labels or panoptic"
# Beginning of the file's name -> images and objects, or the reason for which it is refused.
COCO: dict[str, tuple[int, int] | str] = {
    "01": (1, 2),
    "02": NO_BOXES,
    "03": (1, 0),
    "04": NO_BOXES,
    "05": NO_BOXES,
    "06": (1, 2),
    "07": (1, 1),
    "08": (1, 7),
    "09": (2, 12),
    "10": (2, 249),
    "11": "a JSON list, perhaps of detections; expected images, annotations, categories",
    "12": (1, 4),
    "13": (6, 136),
    "14": (1, 1),
    "15": (1, 1),
    "16": r"not the layout of COCO detection .* missing required field `id` - at `\$\.images\[0\]`",
    "17": NO_BOXES,
    "18": (29, 376),
    "19": (10, 110),
    "20": NO_BOXES,
    "21": NO_BOXES,
}

CSV: dict[str, tuple[int, int] | str] = {
    "Akuseru1__test.csv": (263, 974),
    "TanimSk__validation_labels.csv": (42, 42),
    "cvat-ai__oidv6-class-descriptions.csv": "its first row is LabelName,DisplayName; known are",
    "cvat-ai__oidv6-train-annotations-bbox.csv": (1, 1),
    "fizyr__annotations.csv": (1, 1),
    "index.csv": "its first row is file,repo,path,bytes,what it is,licence; known are",
}


def touch(folder: Path, names: Iterable[str]) -> ImageIndex:
    """Makes empty files in place of the pictures, which no reader opens."""
    folder.mkdir()
    for name in names:
        path = folder / name.rsplit("/", 1)[-1]
        known = path.suffix.lower() in IMAGE_EXTENSIONS
        (path if known else path.with_name(path.name + ".jpg")).touch()
    return ImageIndex(folder)


def read(kind: str, path: Path, index: ImageIndex) -> tuple[tuple[int, int] | str, ProblemLog]:
    """Returns (images, objects), or why the file is refused."""
    log = ProblemLog()
    try:
        found = by_name.read(kind, path, index, log, {})
    except InputError as error:
        return str(error).removeprefix(f"{path}: "), log
    return (len(found.images), sum(len(i.class_names) for i in found.images)), log


@pytest.mark.parametrize("number", VOC)
def test_voc_xml(shared: Path, tmp_path: Path, number: str):
    (folder,) = (shared / "data" / "voc_xml_in_the_wild").glob(f"{number}_*")
    (file,) = folder.glob("*.xml")
    stated = re.search(r"<filename>(.*?)</filename>", file.read_text())
    suffix = Path(stated[1]).suffix if stated and number not in NAMED_OTHERWISE else ""
    index = touch(tmp_path / "images", [file.stem + (suffix or ".jpg")])
    outcome, log = read("voc", folder, index)
    expected = VOC[number]
    if isinstance(expected, str):
        assert outcome == (0, 0)
        assert [(p.rule, p.detail) for p in log.problems] == [("not-voc", expected)]
    else:
        assert outcome == (1, expected)
        notes = ["image-by-other-name"] if number in NAMED_OTHERWISE else []
        assert [p.rule for p in log.problems] == notes


def test_every_voc_folder_is_in_the_table(shared: Path):
    folders = [p for p in (shared / "data" / "voc_xml_in_the_wild").iterdir() if p.is_dir()]
    assert sorted(p.name[:2] for p in folders) == sorted(VOC)


@pytest.mark.parametrize("number", COCO)
def test_coco_json(shared: Path, tmp_path: Path, number: str):
    (file,) = (shared / "data" / "coco_json_in_the_wild").glob(f"{number}_*.json")
    content = json.loads(file.read_text())
    images = content["images"] if isinstance(content, dict) else []
    index = touch(tmp_path / "images", ["other.jpg", *(image["file_name"] for image in images)])
    outcome, log = read("coco", file, index)
    expected = COCO[number]
    if isinstance(expected, str):
        assert re.match(expected, str(outcome))
        assert "\n" not in str(outcome)
    else:
        assert outcome == expected
        # Roboflow's category that only groups the others.
        assert [p.rule for p in log.problems] == ["class-without-boxes"] * (number == "18")


def test_every_coco_file_is_in_the_table(shared: Path):
    files = (shared / "data" / "coco_json_in_the_wild").glob("*.json")
    assert sorted(file.name[:2] for file in files) == sorted(COCO)


@pytest.mark.parametrize("name", CSV)
def test_csv(shared: Path, tmp_path: Path, name: str):
    file = shared / "data" / "csv_in_the_wild" / name
    with open(file, encoding="utf-8", newline="") as text:
        index = touch(tmp_path / "images", ["other.jpg", *(row[0] for row in csv.reader(text))])
    outcome, log = read("csv", file, index)
    expected = CSV[name]
    if isinstance(expected, str):
        assert str(outcome).startswith(expected)
        assert "\n" not in str(outcome)
    else:
        assert outcome == expected
        assert {p.rule for p in log.problems} == {"annotation-missing"}


def test_every_csv_file_is_in_the_table(shared: Path):
    files = (shared / "data" / "csv_in_the_wild").glob("*.csv")
    assert sorted(file.name for file in files) == sorted(CSV)


def test_what_the_csv_files_say(shared: Path, tmp_path: Path):
    folder = shared / "data" / "csv_in_the_wild"
    index = touch(tmp_path / "images", ["b.jpg", "000001.jpg", "pos_1973.jpg", "images - 1.jpg"])

    def first(name: str) -> tuple[str, tuple[str, ...], list[float], bool]:
        found = by_name.read("csv", folder / name, index, ProblemLog(), {})
        (image,) = found.images
        box = image.boxes_pixels[0].tolist()
        return image.image_name, image.class_names, box, image.is_normalized

    # b,xclick,/m/0,1,0.2,1,0.3,0.5: XMin, XMax, YMin, YMax; its name is in the file beside it.
    assert first("cvat-ai__oidv6-train-annotations-bbox.csv") == (
        "b.jpg",
        ("Generic label #0",),
        [0.3, 0.2, 0.5, 1.0],
        True,
    )
    assert first("fizyr__annotations.csv") == (
        "000001.jpg",
        ("person",),
        [239.0, 47.0, 370.0, 194.0],
        False,
    )
    image, names, box, _ = first("Akuseru1__test.csv")
    assert (image, names) == ("pos_1973.jpg", ("Vest",) * 3)
    assert box == [239.6399963378906, 0.0, 711.0000183105468, 231.0478048851921]
