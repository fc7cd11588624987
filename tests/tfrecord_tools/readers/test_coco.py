"""COCO detection JSON, by hand and found in the wild."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssd.errors import InputError
from tfrecord_tools.annotations import AnnotationSet, ProblemLog
from tfrecord_tools.readers import coco, coco_file
from tfrecord_tools.readers.image_index import ImageIndex


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


def read(
    tmp_path: Path, write_image, data: Any, encoding: str = "utf-8"
) -> tuple[AnnotationSet, ProblemLog]:
    for name in ("a.jpg", "b.jpg", "sub/c.jpg"):
        write_image(tmp_path / "images" / name)
    file = tmp_path / "coco.json"
    file.write_text(data if isinstance(data, str) else json.dumps(data), encoding=encoding)
    log = ProblemLog()
    return coco.read_annotations(file, ImageIndex(tmp_path / "images"), log), log


def test_gapped_ids_crowds_and_negatives(tmp_path: Path, write_image):
    found, log = read(tmp_path, write_image, content())
    assert log.problems == []
    assert found.class_names == ("person", "cat", "toothbrush")
    assert found.source_category_ids == {"person": 0, "cat": 17, "toothbrush": 90}
    first, second, third = found.images
    assert [i.source_id for i in found.images] == ["a.jpg", "b.jpg", "sub/c.jpg"]
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
        annotations=[box("two", "x", [1, 2, 3, 4], id="q"), box("two", "x", [5, 6, 7, 8], id="r")],
        categories=[{"id": "x", "name": "cat"}],
    )
    found, _ = read(tmp_path, write_image, data)
    assert [(i.source_id, i.object_numbers) for i in found.images] == [
        ("a.jpg", ()),
        ("b.jpg", (1, 2)),
    ]
    assert found.images[1].class_names == ("cat", "cat")
    assert found.source_category_ids == {"cat": "x"}


def test_one_id_may_be_a_number_here_and_text_there(tmp_path: Path, write_image):
    data = content(
        images=[
            {"id": 1, "file_name": "a.jpg"},
            {"id": "2", "file_name": "b.jpg"},
            {"id": 10.0, "file_name": "sub/c.jpg"},
        ],
        annotations=[
            box("1", 3.0, [1, 2, 3, 4], id=7.0),
            box(2.0, "3", [5, 6, 7, 8], id=1 << 70),
            box("10", 3, [9, 1, 2, 3], id=-4),
            box("01", 3, [9, 9, 9, 9]),
        ],
        categories=[{"id": 3, "name": 8}],
    )
    found, log = read(tmp_path, write_image, data)
    assert [i.image_name for i in found.images] == ["a.jpg", "b.jpg", "sub/c.jpg"]
    assert [i.boxes_pixels.tolist() for i in found.images] == [
        [[2, 1, 6, 4]],
        [[6, 5, 14, 12]],
        [[1, 9, 4, 11]],
    ]
    assert [i.object_numbers for i in found.images] == [(7,), (1,), (1,)]
    assert found.source_category_ids == {"8": 3}
    assert [str(p) for p in log.problems] == [
        f"{tmp_path / 'coco.json'}: 1 boxes of image 01; left out"
    ]


def test_null_fields(tmp_path: Path, write_image):
    data = content(
        images=[{"id": 4, "file_name": "a.jpg", "width": None, "height": None}],
        annotations=[
            box(4, 17, [1, 2, 3, 4], id=None, area=None, iscrowd=None, segmentation=None),
            box(4, 17, [1, 2, 3, 4], iscrowd=True, area=0),
        ],
        info=None,
    )
    found, log = read(tmp_path, write_image, data)
    (image,) = found.images
    assert (image.image_size, image.object_numbers) == (None, (1, 2))
    assert image.is_crowd.tolist() == [False, True]
    assert np.isnan(image.area[0])
    assert image.area[1] == 0
    assert log.problems == []


def test_pictures_known_by_their_url(tmp_path: Path, write_image):
    """As LVIS has it: no file_name."""
    url = "http://host/train2017/a.jpg"
    data = content(
        images=[{"id": 4, "coco_url": url}, {"id": 5}],
        annotations=[box(4, 17, [1, 2, 3, 4])],
    )
    found, log = read(tmp_path, write_image, data)
    assert [i.image_name for i in found.images] == ["a.jpg"]
    assert [(p.rule, p.detail) for p in log.problems] == [
        ("image-missing", "image 5 has no file_name")
    ]


def test_boxes_from_segmentations_where_none_is_stated(tmp_path: Path, write_image):
    # 4 rows by 5 columns, pixels 5, 6 and 9 of the columns one after another: rows 1 to 2,
    # columns 1 to 2.
    mask = {"size": [4, 5], "counts": [5, 2, 2, 1, 10]}
    data = content(
        annotations=[
            box(4, 17, [], id=1, segmentation=[[10, 20.5, 40, 20, 10, 60], [5, 30, 6, 31, 5, 32]]),
            box(4, 17, None, id=2, segmentation=mask, iscrowd=1, area=3),
            box(4, 0, [1, 2, 3, 4], id=3, segmentation=[[50, 50, 60, 60, 70, 70]]),
        ]
    )
    found, log = read(tmp_path, write_image, data)
    assert log.problems == []
    image = found.images[0]
    assert image.boxes_pixels.tolist() == [[20, 5, 60, 40], [1, 1, 3, 3], [2, 1, 6, 4]]
    assert image.is_crowd.tolist() == [False, True, False]


def test_annotations_that_keep_their_image_out(tmp_path: Path, write_image):
    data = content(
        annotations=[
            box(4, 17, [1, 2, 3], id=11),
            box(30, 17, None, id=12, segmentation=[]),
            box(30, 17, [1, 2, 3, 4], id=13),
            box(500, 17, [5, 6, 7, 8], id=14),
        ]
    )
    found, log = read(tmp_path, write_image, data)
    assert [i.image_name for i in found.images] == ["sub/c.jpg"]
    assert [(p.rule, p.object, p.detail) for p in log.problems] == [
        (
            "unreadable-row",
            11,
            "bbox is [1.0, 2.0, 3.0]; expected four finite numbers: x, y, width, height",
        ),
        ("bbox-missing", 12, "an annotation has no bbox, and no segmentation either"),
    ]


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite(tmp_path: Path, write_image, number: str):
    text = json.dumps(content()).replace("[10.5, 20, 30, 40]", f"[10.5, {number}, 30, 40]")
    found, log = read(tmp_path, write_image, text)
    assert [i.image_name for i in found.images] == ["a.jpg", "sub/c.jpg"]
    (problem,) = log.problems
    assert (problem.rule, problem.object) == ("unreadable-row", 7)
    assert "expected four finite numbers" in problem.detail


def test_an_area_of_nan_is_none(tmp_path: Path, write_image):
    text = json.dumps(content()).replace("800.25", "NaN")
    found, log = read(tmp_path, write_image, text)
    assert np.isnan(found.images[1].area[0])
    assert log.problems == []


def test_numbers_as_text(tmp_path: Path, write_image):
    data = content(
        images=[{"id": 4, "file_name": "a.jpg", "width": "200", "height": "120"}],
        annotations=[box(4, 17, ["1", "2.5", 3, 4], iscrowd="1", area="12.5")],
    )
    found, log = read(tmp_path, write_image, data)
    (image,) = found.images
    assert (image.image_size, image.boxes_pixels.tolist()) == ((120, 200), [[2.5, 1, 6.5, 4]])
    assert (image.is_crowd.tolist(), image.area.tolist()) == ([True], [12.5])
    assert log.problems == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(tmp_path: Path, write_image, monkeypatch, encoding: str):
    # The way that takes several times the memory is for other files.
    monkeypatch.setattr(coco_file, "_decode_loosely", None)
    data = content()
    data["categories"][0]["name"] = "Zahnbürste"
    text = json.dumps(data, ensure_ascii=False)
    found, _ = read(tmp_path, write_image, text, encoding)
    assert found.class_names == ("person", "cat", "Zahnbürste")
    assert found.images[1].object_numbers == (7, 9)


@pytest.mark.parametrize("width", [0, -5, 1e300])
def test_absurd_sizes_are_none(tmp_path: Path, write_image, width: float):
    data = content(images=[{"id": 30, "file_name": "b.jpg", "width": width, "height": 120}])
    data["annotations"] = data["annotations"][:1]
    found, _ = read(tmp_path, write_image, data)
    assert found.images[0].image_size is None


def test_a_category_that_only_groups_is_left_out(tmp_path: Path, write_image):
    data = content()
    data["categories"].append({"id": 1, "name": "animal", "supercategory": "none"})
    found, log = read(tmp_path, write_image, data)
    assert "animal" not in found.class_names
    assert [p.rule for p in log.problems] == ["class-without-boxes"]
    assert "'animal' (id 1) only groups other categories" in log.problems[0].detail
    data["annotations"].append(box(4, 1, [5, 6, 7, 8]))
    found, log = read(tmp_path, write_image, data)
    assert "animal" in found.class_names
    assert log.problems == []


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
        {"id": 500, "file_name": "sub/c.jpg"},
        {"id": 31, "file_name": "B.jpg"},
        {"id": 32, "file_name": "gone.jpg"},
    ]
    data["annotations"] += [box(77, 17, [1, 2, 3, 4]), {"image_id": 4, "category_id": 17, "id": 5}]
    found, log = read(tmp_path, write_image, data)
    assert [i.source_id for i in found.images] == ["b.jpg", "sub/c.jpg"]
    assert sorted((p.rule, p.object) for p in log.problems) == [
        ("bbox-missing", 5),
        ("duplicate-image", None),
        ("duplicate-image", None),
        ("image-missing", None),
        ("orphan-annotation", None),
    ]


def test_an_id_of_two_pictures_leaves_both_out(tmp_path: Path, write_image):
    """Their boxes cannot be told apart."""
    data = content()
    data["images"].append({"id": 30, "file_name": "sub/c.jpg"})
    found, log = read(tmp_path, write_image, data)
    assert [i.image_name for i in found.images] == ["a.jpg", "sub/c.jpg"]
    assert found.images[1].class_names == ()
    details = {p.detail for p in log.problems if p.rule == "duplicate-image"}
    assert details == {
        "image id 30 is that of b.jpg and sub/c.jpg; nobody knows whose its boxes are"
    }
    assert log.counts()["duplicate-image"] == 2


CAPTIONS = {"images": [], "annotations": [{"image_id": 1, "caption": "x"}], "categories": []}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "not JSON: Input data was truncated"),
        ('{"images": ' + "[" * 100_000, "not JSON of annotations: nested too deeply"),
        ('{"images": [], "annotations": [{"x": NaN}', "not JSON: JSON is malformed"),
        ("filename,width", "not JSON: JSON is malformed"),
        ("[]", "a JSON list, perhaps of detections; expected images, annotations, categories"),
        ({"images": []}, "missing required field `annotations`"),
        (CAPTIONS, r"none of the 1 annotations has a bbox or segmentation \(captions"),
        (
            content(images=[{"file_name": "a.jpg"}]),
            r"missing required field `id` - at `\$.images\[0",
        ),
        (
            content(annotations=[box(4, 17, [1, 2, 3, 4]), box(4, 17, ["left", 2, 3, 4])]),
            r"annotations\[1\] is not as in COCO detection: Expected `float`, got `str` - at "
            r"`\$.bbox\[0\]`",
        ),
        (content(annotations=[{"id": 3}]), r"annotations\[0\] is not .* field `image_id`"),
        (
            content(annotations=[box(4, 99, [1, 2, 3, 4])]),
            r"annotations\[0\] has category_id 99, which is none of the 3 categories",
        ),
        (content(categories=[{"id": i, "name": " "} for i in (0, 17, 90)]), "has an empty name"),
    ],
    ids=[
        "empty",
        "deep",
        "cut-with-nan",
        "csv",
        "list",
        "no-annotations",
        "captions",
        "image-id",
        "text-bbox",
        "annotation",
        "category",
        "name",
    ],
)
def test_files_that_are_refused(tmp_path: Path, write_image, data: Any, message: str):
    with pytest.raises(InputError, match=rf"coco\.json: .*{message}"):
        read(tmp_path, write_image, data)


def test_a_folder_is_no_file(tmp_path: Path, write_image):
    write_image(tmp_path / "a.jpg")
    index = ImageIndex(tmp_path)
    with pytest.raises(
        InputError, match=r"Is a directory; --annotations takes one COCO \.json file"
    ):
        coco.read_annotations(tmp_path, index, ProblemLog())
    with pytest.raises(InputError, match=r"gone\.json: No such file or directory; --annotations"):
        coco.read_annotations(tmp_path / "gone.json", index, ProblemLog())


def test_boxes_of_segmentations_are_those_that_coco_states(shared: Path, tmp_path: Path):
    """COCO rounds to a hundredth of a pixel; around a mask its boxes end before the last pixel."""
    folder = shared / "data" / "coco128_train2017"
    data = json.loads((folder / "annotations" / "instances_train2017.json").read_text())
    for annotation in data["annotations"]:
        del annotation["bbox"]
    (tmp_path / "bare.json").write_text(json.dumps(data))
    index, log = ImageIndex(folder / "train2017"), ProblemLog()
    stated = coco.read_annotations(folder / "annotations/instances_train2017.json", index, log)
    made = coco.read_annotations(tmp_path / "bare.json", index, log)
    assert log.problems == []
    assert (len(stated.images), sum(len(i.class_names) for i in stated.images)) == (128, 939)
    for one, other in zip(stated.images, made.images, strict=True):
        difference = other.boxes_pixels - one.boxes_pixels
        np.testing.assert_allclose(difference[~one.is_crowd], 0, atol=0.011)
        expected = np.tile([0, 0, 1, 1], (one.is_crowd.sum(), 1))
        np.testing.assert_array_equal(difference[one.is_crowd], expected)
        assert other.is_crowd.tolist() == one.is_crowd.tolist()
