"""YOLO label files and their class names, by hand and as found."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from ssd.errors import InputError
from tfrecord_tools.annotations import AnnotationSet, Problem, ProblemLog, RefusedError
from tfrecord_tools.readers import yolo, yolo_names
from tfrecord_tools.readers.image_index import ImageIndex
from tfrecord_tools.readers.yolo_file import YoloFile, parse


def parse_text(tmp_path: Path, text: str, encoding: str = "utf-8", **settings) -> YoloFile:
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode(encoding))
    return parse(path, **settings)


def read(folder: Path, labels: str = "labels", **settings) -> tuple[AnnotationSet, ProblemLog]:
    log = ProblemLog()
    found = yolo.read_annotations(folder / labels, ImageIndex(folder / "images"), log, **settings)
    return found, log


@pytest.fixture
def labelled(tmp_path: Path, write_image) -> Path:
    """images/train/{a,b}.jpg, images/val/a.jpg, labels beside them, data.yaml of three classes."""
    for name in ("train/a.jpg", "train/b.jpg", "val/a.jpg"):
        write_image(tmp_path / "images" / name)
    rows = {
        "train/a": "2 0.5 0.25 0.5 0.125\n0 0.125 0.75 0.25 0.5\n",
        "train/b": "",
        "val/a": "1 0.5 0.5 1 1\n",
    }
    for name, text in rows.items():
        path = tmp_path / "labels" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "data.yaml").write_text("nc: 3\nnames: [zebra, ant, cat]\n")
    return tmp_path


def test_centers_and_sizes_become_corners(tmp_path: Path):
    file = parse_text(tmp_path, "2 0.5 0.25 0.5 0.125\r\n\r\n 0\t0.125 0.75 0.25 0.5 \r\n")
    # cx 0.5, w 0.5: 0.25 to 0.75; cy 0.25, h 0.125: 0.1875 to 0.3125.
    assert file.boxes == ((0.1875, 0.25, 0.3125, 0.75), (0.5, 0.0, 1.0, 0.25))
    assert (file.class_indices, file.lines, file.num_confidences) == ((2, 0), (1, 3), 0)


@pytest.mark.parametrize(
    ("text", "box", "confidences"),
    [
        ("0 0.5 0.25 0.5 0.125 0.9", (0.1875, 0.25, 0.3125, 0.75), 1),
        ("0 0.1 0.2 0.5 0.3 0.4 0.9", (0.2, 0.1, 0.9, 0.5), 0),
        ("0 0.1 0.2 0.5 0.3 0.4 0.9 0.75", (0.2, 0.1, 0.9, 0.5), 1),
        ("0 0.1 0.2 0.5 0.3 0.4 0.9 0.05 0.6", (0.2, 0.05, 0.9, 0.5), 0),
        ("0 0.1 0.2 0.5 0.3 0.4 0.9 0.05 0.6 1", (0.2, 0.05, 0.9, 0.5), 1),
        ("0.0 0.5 0.25 0.5 0.125", (0.1875, 0.25, 0.3125, 0.75), 0),
        ("0,0.5,0.25,0.5,0.125", (0.1875, 0.25, 0.3125, 0.75), 0),
        ("0 5e-1 2.5e-1 0.5 .125", (0.1875, 0.25, 0.3125, 0.75), 0),
    ],
    ids=[
        "confidence",
        "triangle",
        "triangle-confidence",
        "turned-box",
        "turned-box-confidence",
        "float-class",
        "commas",
        "exponents",
    ],
)
def test_forms_of_a_row(tmp_path: Path, text: str, box, confidences: int):
    file = parse_text(tmp_path, text)
    assert file.boxes == (box,)
    assert file.num_confidences == confidences


def test_keypoints_follow_the_box(tmp_path: Path):
    row = "0 0.5 0.25 0.5 0.125 0.9 0.9 2 0.01 0.02 1\n"
    file = parse_text(tmp_path, row, keypoint_numbers=6)
    assert file.boxes == ((0.1875, 0.25, 0.3125, 0.75),)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(tmp_path: Path, encoding: str):
    assert parse_text(tmp_path, "1 0.5 0.5 1 1\n", encoding).class_indices == (1,)


def test_a_box_may_reach_over_the_edge(tmp_path: Path):
    assert parse_text(tmp_path, "0 1.2 0.5 0.6 0.5").boxes == (
        (0.25, 0.8999999999999999, 0.75, 1.5),
    )
    # One row of two is in pixels: the check of boxes says more about it than a refusal.
    assert len(parse_text(tmp_path, "0 120 30 20 10\n0 0.5 0.5 0.1 0.2").boxes) == 2


@pytest.mark.parametrize(
    ("text", "rule", "line", "message"),
    [
        ("0 0.5 0.5 0.5", "unreadable-row", 1, "4 columns; expected class, center x"),
        ("\n0 0.5 0.5 wide 0.5", "unreadable-row", 2, "'wide' is not a number"),
        ("0 0.5 0.5 nan 0.5", "unreadable-row", 1, "'nan' is not a number"),
        ("0 0.5 0.5 1e999 0.5", "unreadable-row", 1, "'1e999' is not a number"),
        ("0 0,5 0,5 0,1 0,1", "unreadable-row", 1, "'0,5' is not a number"),
        ("cat 0.5 0.5 0.1 0.1", "unreadable-row", 1, "'cat' is not a number"),
        ("-1 0.5 0.5 0.1 0.1", "unreadable-row", 1, "class index -1; expected a whole number"),
        ("1.5 0.5 0.5 0.1 0.1", "unreadable-row", 1, r"class index 1\.5; expected a whole number"),
        ("0 0.5 0.5 0.1 0.1 1.57", "unreadable-row", 1, r"6 columns, the last is 1\.57, no conf"),
        (
            "0 120 30 20 10\n1 60 40.5 10 12",
            "not-normalized",
            None,
            "no row of 2 is in shares of the picture, 0 to 1; in pixels",
        ),
    ],
)
def test_files_that_are_refused(tmp_path: Path, text: str, rule: str, line: int, message: str):
    with pytest.raises(RefusedError, match=message) as caught:
        parse_text(tmp_path, text)
    assert (caught.value.rule, caught.value.object) == (rule, line)


def test_files_that_are_no_text(tmp_path: Path):
    (tmp_path / "a.txt").write_bytes(b"0 0.5 \xe9")
    with pytest.raises(RefusedError, match="byte 6: not UTF-8 text"):
        parse(tmp_path / "a.txt")
    with pytest.raises(RefusedError, match="cannot be read: No such file or directory"):
        parse(tmp_path / "gone.txt")


def test_a_parsed_file_can_be_sent_to_another_process(tmp_path: Path):
    for text in ("0 0.5 0.5 0.1 0.1", "0 0.5"):
        (tmp_path / "a.txt").write_text(text)
        parsed = yolo.parse_file(tmp_path / "a.txt")
        assert pickle.loads(pickle.dumps(parsed)) == parsed
    assert isinstance(parsed, Problem)
    assert str(parsed).startswith(f"{tmp_path / 'a.txt'}:1: 2 columns; expected")


def test_pictures_and_labels_in_folders_of_one_name(labelled: Path):
    found, log = read(labelled)
    assert [i.image_name for i in found.images] == ["train/a.jpg", "train/b.jpg", "val/a.jpg"]
    assert [i.class_names for i in found.images] == [("cat", "zebra"), (), ("ant",)]
    first, second, _ = found.images
    np.testing.assert_array_equal(
        first.boxes_pixels, [[0.1875, 0.25, 0.3125, 0.75], [0.5, 0, 1, 0.25]]
    )
    assert (first.is_normalized, second.is_normalized) == (True, True)
    assert (first.object_numbers, first.image_size, first.group_of) == ((1, 2), None, None)
    assert second.boxes_pixels.shape == (0, 4)
    assert first.file == str(labelled / "labels" / "train" / "a.txt")
    assert found.class_names == ("zebra", "ant", "cat")
    assert found.source_category_ids == {"zebra": 0, "ant": 1, "cat": 2}
    assert [str(p) for p in log.problems] == [
        f"{labelled / 'data.yaml'}: names the classes (zebra, ant, cat), as --names is not given"
    ]


def test_labels_may_lie_beside_the_pictures_or_above_both(labelled: Path):
    expected = [i.image_name for i in read(labelled)[0].images]
    assert [i.image_name for i in read(labelled, ".")[0].images] == expected
    (labelled / "labels").rename(labelled / "images" / "labels")
    assert [i.image_name for i in read(labelled, "images")[0].images] == expected


def test_a_folder_labels_stands_for_images(tmp_path: Path, write_image):
    for name in ("images/a.jpg", "masks/a.jpg"):
        write_image(tmp_path / name)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 1 1\n")
    (tmp_path / "classes.txt").write_text("cat\n")
    found = yolo.read_annotations(tmp_path, ImageIndex(tmp_path), ProblemLog())
    assert [i.image_name for i in found.images] == ["images/a.jpg"]


def test_what_lies_with_labels_and_is_none(labelled: Path):
    for name in ("classes.txt", "README.dataset.txt", "train.txt", "val/obj_names.txt"):
        (labelled / "labels" / name).write_text("zebra\nant\ncat\n")
    found, log = read(labelled, names=labelled / "data.yaml")
    assert len(found.images) == 3
    assert log.problems == []


def test_a_picture_may_be_called_train(labelled: Path, write_image):
    write_image(labelled / "images" / "train.jpg")
    (labelled / "labels" / "train.txt").write_text("0 0.5 0.5 1 1\n")
    found, _ = read(labelled)
    assert found.images[0].image_name == "train.jpg"
    assert found.images[0].class_names == ("zebra",)


def test_what_is_left_out_is_noted_by_file(labelled: Path, write_image):
    write_image(labelled / "images" / "lonely.jpg")
    write_image(labelled / "images" / "bad.jpg")
    write_image(labelled / "images" / "c.png")
    labels = labelled / "labels"
    (labels / "bad.txt").write_text("0 0.5 0.5 1 1\n0 0.5\n")
    (labels / "stray.txt").write_text("0 0.5 0.5 1 1\n")
    (labels / "c.txt").write_text("0 0.5 0.5 1 1 0.75\n")
    (labels / "c.png.txt").write_text("1 0.5 0.5 1 1 0.25\n")
    found, log = read(labelled, names=labelled / "data.yaml")
    assert [i.image_name for i in found.images][:1] == ["c.png"]
    assert found.images[0].file == str(labels / "c.png.txt")
    places = [(p.rule, Path(p.file).name, p.detail) for p in log.problems]
    assert places == [
        (
            "unreadable-row",
            "bad.txt:2",
            "2 columns; expected class, center x, center y, width, height, or class and the points "
            "of a polygon",
        ),
        ("image-missing", "stray.txt", f"no stray.* below {labelled / 'images'}"),
        (
            "column-ignored",
            "labels",
            "2 rows end in the confidence of a detection, which is not used",
        ),
        (
            "duplicate-image",
            "c.txt",
            f"c.png is annotated by {labels / 'c.png.txt'} already; left out",
        ),
        ("annotation-missing", "lonely.jpg", "no .txt file is about this picture; left out"),
    ]


def test_a_class_index_that_has_no_name(labelled: Path):
    (labelled / "labels" / "val" / "a.txt").write_text("1 0.5 0.5 1 1\n\n3 0.5 0.5 1 1\n")
    with pytest.raises(
        InputError,
        match=r"val/a\.txt:3: class index 3; data\.yaml has 3 names, so 0\.\.2 are allowed",
    ):
        read(labelled)
    (labelled / "data.yaml").write_text("names: {1: ant, 3: cat, 8: cow}")
    with pytest.raises(
        InputError, match=r"a\.txt:1: class index 2; data\.yaml has 3 names, so 1, 3, 8 are allowed"
    ):
        read(labelled)


def test_folders_without_labels(tmp_path: Path, write_image):
    write_image(tmp_path / "images" / "a.jpg")
    with pytest.raises(InputError, match=r"labels: no such folder; --annotations takes the folder"):
        read(tmp_path)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "classes.txt").write_text("cat")
    with pytest.raises(InputError, match=r"no \.txt file of a picture below it, but 1 \.txt"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("data.yaml", "names: [zebra, ant]\nnc: 2\n", {0: "zebra", 1: "ant"}),
        ("data.yml", "names:\n  1: ant\n  0: ' zebra '\n", {0: "zebra", 1: "ant"}),
        (
            "set.yaml",
            "names: [no, on, 1e3, 2024-01-01, ~, 08]",
            dict(enumerate(("no", "on", "1e3", "2024-01-01", "~", "08"))),
        ),
        ("x.yaml", "names: !!python/tuple [!!python/name:os.system ant]", {0: "ant"}),
        ("classes.txt", "zebra\r\nant \r\n\r\n", {0: "zebra", 1: "ant"}),
        ("obj.names", "\ufeffzebra\nred ant", {0: "zebra", 1: "red ant"}),
        ("cat.names", "cat", {0: "cat"}),
    ],
)
def test_forms_of_class_names(tmp_path: Path, name: str, text: str, expected: dict[int, str]):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    classes = yolo_names.load_names(path)
    assert classes.name_of == expected
    assert list(classes.name_of) == sorted(expected)


def test_keypoints_of_a_pose_data_set(tmp_path: Path):
    (tmp_path / "data.yaml").write_text("kpt_shape: [17, 3]\nnames: [person]\n")
    assert yolo_names.load_names(tmp_path / "data.yaml").keypoint_numbers == 51


def test_names_of_darknet(tmp_path: Path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "obj.names").write_text("zebra\nant\n")
    (folder / "obj.data").write_text(
        "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\n"
    )
    assert yolo_names.load_names(folder / "obj.data").name_of == {0: "zebra", 1: "ant"}
    (folder / "obj.data").write_text("names = other/gone.names\n")
    with pytest.raises(InputError, match=r"obj\.data: names = other/gone\.names: no such file"):
        yolo_names.load_names(folder / "obj.data")
    (folder / "obj.data").write_text("classes = 2\n")
    with pytest.raises(InputError, match=r"obj\.data: has no line 'names = FILE'"):
        yolo_names.load_names(folder / "obj.data")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("data.yaml", "names: [cat, 'x", "not YAML: .*line 1"),
        ("data.yaml", "- cat\n- dog\n", "no list 'names'; expected names:"),
        ("data.yaml", "nc: 2\n", "no list 'names'"),
        ("data.yaml", "nc: 3\nnames: [cat, dog]\n", "nc is 3, but names has 2"),
        ("data.yaml", "names: [cat, '']\n", "the name of class 1 is empty"),
        ("data.yaml", "names: [cat, [dog]]\n", r"the name of class 1 is \['dog'\], not a name"),
        ("data.yaml", "names: {first: cat}\n", "names has the key 'first'; expected class indices"),
        ("data.yaml", "names: {-1: cat}\n", "names has the key '-1'"),
        ("data.yaml", "names: []\n", "no class name in it"),
        ("data.yaml", "names: [cat]\nkpt_shape: 17\n", "kpt_shape is 17; expected two numbers"),
        ("data.yaml", "names: " + "[" * 5000, "nested too deeply"),
        ("data.yaml", "x" * (2 << 20), "2097152 bytes; a list of class names is short"),
        ("classes.txt", "cat\n\ndog\n", "the name of class 1 is empty"),
        ("classes.txt", "\n", "no class name in it"),
    ],
)
def test_class_names_that_are_refused(tmp_path: Path, name: str, text: str, message: str):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=rf"{name}: .*{message}"):
        yolo_names.load_names(tmp_path / name)


def test_no_class_names(tmp_path: Path):
    with pytest.raises(InputError, match=r"gone\.yaml: No such file or directory; --names takes"):
        yolo_names.load_names(tmp_path / "gone.yaml")
    (tmp_path / "latin.txt").write_bytes(b"K\xe4fer\n")
    with pytest.raises(InputError, match=r"latin\.txt: byte 1: not UTF-8 text"):
        yolo_names.load_names(tmp_path / "latin.txt")


def test_where_class_names_are_looked_for(labelled: Path):
    deep = labelled / "labels" / "train" / "sub"
    deep.mkdir()
    # Three folders below data.yaml: too far to be meant.
    with pytest.raises(InputError, match=r"no data\.yaml, classes\.txt or obj\.names in it or in"):
        yolo_names.find_names(deep)
    assert yolo_names.find_names(deep.parent).file == labelled / "data.yaml"
    (labelled / "labels" / "classes.txt").write_text("zebra\nant\ncat\n")
    assert yolo_names.find_names(deep.parent).file == labelled / "labels" / "classes.txt"
    (labelled / "labels" / "classes.txt").write_text("dog\nperson\n")
    with pytest.raises(
        InputError,
        match=r"classes\.txt and .*data\.yaml name the classes differently; give --names",
    ):
        yolo_names.find_names(deep.parent)


def test_two_indices_of_one_name_are_one_class(labelled: Path):
    (labelled / "data.yaml").write_text("names: [cat, ant, cat]\n")
    found, log = read(labelled, names=str(labelled / "data.yaml"))
    assert found.class_names == ("cat", "ant")
    assert found.images[0].class_names == ("cat", "cat")
    assert [p.detail for p in log.problems] == ["'cat' has the indices 0 and 2; made one class"]


def test_barcodes(shared: Path):
    folder = shared / "data" / "barcodes_1d"
    log = ProblemLog()
    index = ImageIndex(folder / "images")
    found = yolo.read_annotations(folder / "yolo_labels_as_found", index, log)
    assert len(found.images) == 18
    assert found.class_names == ("barcode",)
    assert [p.rule for p in log.problems] == ["class-names-found"]
    first = found.images[0]
    # 05102009101.txt: 0 0.558552 0.474374 0.333433 0.202622
    assert first.image_name == "05102009101.png"
    np.testing.assert_allclose(
        first.boxes_pixels, [[0.373063, 0.3918355, 0.575685, 0.7252685]], atol=1e-12
    )


def test_coco_labels_are_the_boxes_of_their_json(shared: Path, tmp_path: Path):
    """The .json was made of the .txt files, rounded to a hundredth of a pixel."""
    folder = shared / "data" / "coco_val2017_64"
    data = json.loads((folder / "annotations" / "instances_val2017_64.json").read_text())
    categories = sorted(data["categories"], key=lambda category: category["id"])
    (tmp_path / "names.txt").write_text("\n".join(c["name"] for c in categories))
    log = ProblemLog()
    found = yolo.read_annotations(
        folder / "yolo_labels_as_found",
        ImageIndex(folder / "val2017"),
        log,
        names=tmp_path / "names.txt",
    )
    assert log.problems == []
    name_of = {category["id"]: category["name"] for category in categories}
    images = {image["file_name"]: image for image in data["images"]}
    count = 0
    for stated in found.images:
        image = images[stated.image_name]
        boxes = [
            (name_of[a["category_id"]], *a["bbox"])
            for a in data["annotations"]
            if a["image_id"] == image["id"] and not a["iscrowd"]
        ]
        ymin, xmin, ymax, xmax = stated.boxes_pixels.T
        xywh = np.stack([xmin, ymin, xmax - xmin, ymax - ymin], axis=-1)
        xywh *= [image["width"], image["height"], image["width"], image["height"]]
        assert stated.class_names == tuple(name for name, *_ in boxes)
        np.testing.assert_allclose(xywh, np.array([b[1:] for b in boxes]).reshape(-1, 4), atol=0.01)
        count += len(boxes)
    assert (len(found.images), count) == (64, 461)
