"""COCO detection JSON, by hand and found in the wild."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssd.errors import InputError
from tfrecord_tools import coco
from tfrecord_tools.annotations import AnnotationSet, ProblemLog
from tfrecord_tools.image_index import ImageIndex


def box(image_id, category_id, bbox, **more) -> dict[str, Any]:
    return {"image_id": image_id, "category_id": category_id, "bbox": bbox, **more}


def content(**changes) -> dict[str, Any]:
    base = {
        "images": [
            {"id": 30, "file_name": "b.jpg", "width": 200, "height": 120},
            {"id": 4, "file_name": "http://host/photos/a.jpg"},
            {"id": 500, "file_name": "sub/c.jpg", "width": 90, "height": 70, "license": 3},
        ],
        "annotations": [
            box(30, 90, [10.5, 20, 30, 40], id=7, area=800.25, iscrowd=0),
            box(4, 0, [1, 2, 3.5, 4], segmentation=[[1, 2, 3, 4, 5, 6]]),
            box(30, 17, [0, 0, 200, 120], id=9, iscrowd=1, segmentation={"counts": "abc"}),
        ],
        "categories": [
            {"id": 90, "name": "toothbrush"},
            {"id": 0, "name": "person ", "supercategory": "animal"},
            {"id": 17, "name": "cat", "supercategory": "animal"},
        ],
    }
    return base | changes


def read(tmp_path: Path, write_image, data: Any) -> tuple[AnnotationSet, ProblemLog]:
    for name in ("a.jpg", "b.jpg", "sub/c.jpg"):
        write_image(tmp_path / "images" / name)
    file = tmp_path / "coco.json"
    file.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    log = ProblemLog()
    return coco.read_annotations(file, ImageIndex(tmp_path / "images"), log), log


def test_gapped_ids_crowds_and_negatives(tmp_path: Path, write_image):
    found, log = read(tmp_path, write_image, content())
    assert log.problems == []
    assert found.class_names == ("person", "cat", "toothbrush")
    assert found.source_category_ids == {"person": 0, "cat": 17, "toothbrush": 90}
    first, second, third = found.images
    assert [i.source_id for i in found.images] == ["4", "30", "500"]
    assert [i.image_name for i in found.images] == ["a.jpg", "b.jpg", "sub/c.jpg"]
    assert [i.image_size for i in found.images] == [None, (120, 200), (70, 90)]
    # xywh (10.5, 20, 30, 40) -> ymin 20, xmin 10.5, ymax 20 + 40, xmax 10.5 + 30.
    np.testing.assert_array_equal(second.boxes_pixels, [[20, 10.5, 60, 40.5], [0, 0, 120, 200]])
    assert second.class_names == ("toothbrush", "cat")
    assert second.is_crowd.tolist() == [False, True]
    assert second.object_numbers == (7, 9)
    assert second.area.tolist()[0] == 800.25
    assert np.isnan(second.area[1])
    assert np.isnan(first.area[0])
    assert first.object_numbers == (1,)
    assert third.boxes_pixels.shape == (0, 4)
    assert second.file == f"{tmp_path / 'coco.json'}: b.jpg"


def test_text_ids(tmp_path: Path, write_image):
    data = content(
        images=[{"id": "two", "file_name": "b.jpg"}, {"id": "one", "file_name": "a.jpg"}],
        annotations=[box("two", "x", [1, 2, 3, 4])],
        categories=[{"id": "x", "name": "cat"}],
    )
    found, _ = read(tmp_path, write_image, data)
    assert [(i.source_id, i.class_names) for i in found.images] == [("one", ()), ("two", ("cat",))]


def test_a_category_that_only_groups_is_left_out(tmp_path: Path, write_image):
    data = content()
    data["categories"].append({"id": 1, "name": "animal", "supercategory": "none"})
    found, log = read(tmp_path, write_image, data)
    assert "animal" not in found.class_names
    assert [p.rule for p in log.problems] == ["class-without-boxes"]
    assert "'animal' (id 1) only groups other categories" in log.problems[0].detail


def test_two_ids_of_one_name_are_one_class(tmp_path: Path, write_image):
    data = content()
    data["categories"][0]["name"] = "cat"
    found, log = read(tmp_path, write_image, data)
    assert found.class_names == ("person", "cat")
    assert found.images[1].class_names == ("cat", "cat")
    assert [p.detail for p in log.problems] == ["'cat' has the ids 17 and 90; made one class"]


def test_what_is_left_out_is_noted(tmp_path: Path, write_image):
    data = content()
    data["images"] += [
        {"id": 30, "file_name": "a.jpg"},
        {"id": 31, "file_name": "B.jpg"},
        {"id": 32, "file_name": "gone.jpg"},
    ]
    data["annotations"] += [box(77, 17, [1, 2, 3, 4]), {"image_id": 4, "category_id": 17, "id": 5}]
    found, log = read(tmp_path, write_image, data)
    assert [i.source_id for i in found.images] == ["30", "500"]
    assert sorted((p.rule, p.object) for p in log.problems) == [
        ("bbox-missing", 5),
        ("duplicate-image", None),
        ("duplicate-image", None),
        ("image-missing", None),
        ("orphan-annotation", None),
    ]


CAPTIONS = {"images": [], "annotations": [{"image_id": 1, "caption": "x"}], "categories": []}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "not JSON: Input data was truncated"),
        ("filename,width", "not JSON: JSON is malformed"),
        ("[]", "a JSON list, perhaps of detections; expected images, annotations, categories"),
        ({"images": []}, "missing required field `annotations`"),
        (CAPTIONS, r"none of the 1 annotations has a bbox \(captions"),
        (content(images=[{"id": 1}]), r"missing required field `file_name` - at `\$.images\[0\]`"),
        (
            content(annotations=[box(4, 17, ["1", 2, 3, 4])]),
            r"Expected `float`, got `str` - at `\$.annotations\[0\].bbox\[0\]`",
        ),
        (
            content(annotations=[box(4, 17, [1, 2, 3])]),
            "a.jpg: annotation 1: bbox has 3 numbers; expected x, y, width, height",
        ),
        (
            content(annotations=[box(4, 99, [1, 2, 3, 4])]),
            r"annotations\[0\] has category_id 99, which is none of the 3 categories",
        ),
        (content(categories=[{"id": i, "name": " "} for i in (0, 17, 90)]), "has an empty name"),
    ],
    ids=[
        "empty",
        "csv",
        "list",
        "no-annotations",
        "captions",
        "file-name",
        "text-bbox",
        "short-bbox",
        "category",
        "name",
    ],
)
def test_files_that_are_refused(tmp_path: Path, write_image, data: Any, message: str):
    with pytest.raises(InputError, match=rf"coco\.json: .*{message}"):
        read(tmp_path, write_image, data)


def test_a_folder_is_no_file(tmp_path: Path, write_image):
    write_image(tmp_path / "a.jpg")
    with pytest.raises(InputError, match=r"no such file; --annotations takes one COCO \.json file"):
        coco.read_annotations(tmp_path, ImageIndex(tmp_path), ProblemLog())


def test_files_in_the_wild(shared: Path, tmp_path: Path, write_image):
    """Each is read (its pictures are not here, so every image is missing) or refused in words."""
    index = ImageIndex(write_image(tmp_path / "unlike any.jpg").parent)
    refused = {}
    for file in sorted((shared / "data" / "coco_json_in_the_wild").glob("*.json")):
        log = ProblemLog()
        try:
            coco.read_annotations(file, index, log)
        except InputError as error:
            refused[file.name[:2]] = str(error).removeprefix(str(file))
        else:
            assert log.counts()["image-missing"] > 0, file
    assert sorted(refused) == ["02", "04", "05", "11", "16", "17", "20", "21"]
    assert not any("\n" in message for message in refused.values())
    assert "a JSON list" in refused["11"]
    assert "missing required field `id` - at `$.images[0]`" in refused["16"]
