"""Detections as COCO annotations, and what `convert coco` makes of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from ssd import coco_annotations
from ssd.errors import InputError

PICTURES = [
    {
        "file": "photos/a.jpg",
        "height": 120,
        "width": 200,
        "detections": [
            {"class": "dog", "class_id": 18, "score": 0.91, "box": [0.25, 0.1, 0.75, 0.55]},
            {"class": "cat", "class_id": 17, "score": 0.6, "box": [0.0, 0.5, 0.125, 1.0]},
            # Outside of the picture before it was clipped.
            {"class": "bird", "class_id": 16, "score": 0.5, "box": [0.2, 1.0, 0.4, 1.0]},
        ],
    },
    {"file": "photos/b.jpg", "height": 90, "width": 60, "detections": []},
]


def test_the_file(tmp_path):
    path = tmp_path / "new/found.json"
    assert coco_annotations.write(path, PICTURES, model="m", score=0.3) == 2
    written = json.loads(path.read_text())
    assert written["info"] == {"description": "Detections of m, score 0.3 and more, as they came"}
    assert written["images"] == [
        {"id": 1, "file_name": "a.jpg", "height": 120, "width": 200},
        {"id": 2, "file_name": "b.jpg", "height": 90, "width": 60},
    ]
    # 0.1 * 200 = 20, 0.25 * 120 = 30, 0.45 * 200 = 90, 0.5 * 120 = 60.
    first, second = written["annotations"]
    assert first == {
        "id": 1,
        "image_id": 1,
        "category_id": 18,
        "bbox": [20.0, 30.0, 90.0, 60.0],
        "area": 5400.0,
        "iscrowd": 0,
        "score": 0.91,
    }
    assert second["bbox"] == [100.0, 0.0, 100.0, 15.0]
    assert written["categories"] == [{"id": 17, "name": "cat"}, {"id": 18, "name": "dog"}]
    assert [file.name for file in path.parent.iterdir()] == ["found.json"]


def test_pictures_of_one_name_keep_their_folders(tmp_path):
    pictures = [{**PICTURES[1], "file": file} for file in ("x/a.jpg", "y/a.jpg", "y/b.jpg")]
    coco_annotations.write(tmp_path / "f.json", pictures, model="m", score=0.5)
    names = [
        image["file_name"] for image in json.loads((tmp_path / "f.json").read_text())["images"]
    ]
    assert names == ["x/a.jpg", "y/a.jpg", "b.jpg"]


def test_only_its_own_files_are_replaced(tmp_path):
    own, other = tmp_path / "own.json", tmp_path / "other.json"
    coco_annotations.require_replaceable(own)
    coco_annotations.write(own, PICTURES, model="m", score=0.3)
    coco_annotations.require_replaceable(own)
    other.write_text(json.dumps({"info": {"description": "by hand"}, "images": []}))
    with pytest.raises(InputError, match=r"other\.json: is there already, and not a file of `det"):
        coco_annotations.require_replaceable(other)
    with pytest.raises(InputError, match=r"cannot be written \(Is a directory\)"):
        coco_annotations.require_replaceable(tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"file/f\.json: cannot be written"):
        coco_annotations.write(tmp_path / "file/f.json", PICTURES, model="m", score=0.3)


def test_convert_reads_it(tmp_path):
    from tfrecord_tools.convert import convert

    (tmp_path / "photos").mkdir()
    for name, size in (("a.jpg", (200, 120)), ("b.jpg", (60, 90))):
        noise = np.random.default_rng(1).integers(0, 255, (*size[::-1], 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / "photos" / name)
    coco_annotations.write(tmp_path / "f.json", PICTURES, model="m", score=0.3)
    convert(
        kind="coco",
        images=str(tmp_path / "photos"),
        annotations=str(tmp_path / "f.json"),
        output=str(tmp_path / "data"),
        val_fraction=0.0,
        shards=1,
        workers=1,
    )
    report = json.loads((tmp_path / "data/conversion_report.json").read_text())
    assert (report["images"], report["boxes"]) == (2, 2)
    assert report["classes"] == {"cat": 1, "dog": 1}
    # Two pictures are few; that one of them has no boxes is said; nothing else is wrong.
    assert {problem["rule"] for problem in report["problems"]} == {"few-images", "no-objects"}
