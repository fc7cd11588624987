"""Boxes in .csv files of every layout, by hand and as found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssd.errors import InputError
from tfrecord_tools.annotations import AnnotationSet, ProblemLog
from tfrecord_tools.readers import csv_boxes, csv_text, voc
from tfrecord_tools.readers.csv_layouts import LAYOUTS, find_columns
from tfrecord_tools.readers.image_index import ImageIndex
from tfrecord_tools.readers.via_regions import RegionError, read_region

TENSORFLOW = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
OPEN_IMAGES = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,"
    "IsDepiction,IsInside\n"
)
VIA = (
    "#filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,"
    "region_attributes\n"
)


@pytest.fixture
def folder(tmp_path: Path, write_image) -> Path:
    """images/a.jpg, images/b.png and images/sub/c.jpg, 200x120."""
    for name in ("a.jpg", "b.png", "sub/c.jpg"):
        write_image(tmp_path / "images" / name)
    return tmp_path


def read(
    folder: Path, text: str | bytes, encoding: str = "utf-8", **settings
) -> tuple[AnnotationSet, ProblemLog]:
    file = folder / "boxes.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    log = ProblemLog()
    return csv_boxes.read_annotations(file, ImageIndex(folder / "images"), log, **settings), log


def rows_of(found: AnnotationSet) -> list[tuple]:
    """Returns (image, class, ymin, xmin, ymax, xmax) of every box."""
    return [
        (image.image_name, name, *box)
        for image in found.images
        for name, box in zip(image.class_names, image.boxes_pixels.tolist(), strict=True)
    ]


EXPECTED = [
    ("a.jpg", "cat", 20.0, 10.5, 60.0, 40.0),
    ("a.jpg", "dog", 3.0, 2.0, 9.0, 7.0),
    ("b.png", "cat", 11.0, 12.0, 14.0, 13.0),
]


def test_the_layout_of_the_tensorflow_tutorials(folder: Path):
    text = TENSORFLOW + (
        "a.jpg,200,120,cat,10.5,20,40,60\nb.png,200,120,cat,12,11,13,14\na.jpg,200,120,dog,2,3,7,9\n"
    )
    found, log = read(folder, text)
    assert rows_of(found) == EXPECTED
    first, second = found.images
    assert (first.image_size, first.object_numbers, first.is_normalized) == (
        (120, 200),
        (2, 4),
        False,
    )
    assert (first.group_of, first.truncated.tolist()) == (None, [False, False])
    assert np.isnan(first.area).all()
    assert second.source_id == "b.png"
    assert first.file == f"{folder / 'boxes.csv'}: a.jpg"
    assert found.class_names == ("cat", "dog")
    assert found.source_category_ids == {}
    assert [(p.rule, p.file) for p in log.problems] == [
        ("annotation-missing", str(folder / "images" / "sub/c.jpg"))
    ]


BODY = [
    {"filename": "a.jpg", "class": "cat", "xmin": "10.5", "ymin": "20", "xmax": "40", "ymax": "60"},
    {"filename": "b.png", "class": "cat", "xmin": "12", "ymin": "11", "xmax": "13", "ymax": "14"},
    {"filename": "a.jpg", "class": "dog", "xmin": "2", "ymin": "3", "xmax": "7", "ymax": "9"},
]


@pytest.mark.parametrize(
    "header",
    [
        "filename,class,xmin,ymin,xmax,ymax",
        "ymax,xmax,ymin,xmin,class,filename",
        '"filename","xmin","ymin","xmax","ymax","class"',
        " FileName , Class , XMin , Y_Min , X Max , ymax ",
        "filename,xmin,xmax,ymin,ymax,class,notes",
    ],
)
@pytest.mark.parametrize("quote", ["", '"'])
def test_columns_are_found_by_name(folder: Path, header: str, quote: str):
    names = [
        name.strip(' "').lower().replace("_", "").replace(" ", "") for name in header.split(",")
    ]
    lines = [",".join(f"{quote}{row.get(name, '')}{quote}" for name in names) for row in BODY]
    found, log = read(folder, "\n".join([header, *lines]))
    assert rows_of(found) == EXPECTED
    assert log.counts()["unreadable-row"] == 0


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_how_the_text_may_be_written(folder: Path, separator: str, encoding: str, end: str):
    lines = [
        separator.join(BODY[0]),
        *(separator.join(row.values()) for row in BODY),
        "",
        separator.join(["sub/c.jpg", "Käfer", "1", "2", "3", "4"]),
    ]
    found, log = read(folder, end.join(lines), encoding)
    assert rows_of(found) == [*EXPECTED, ("sub/c.jpg", "Käfer", 2.0, 1.0, 4.0, 3.0)]
    assert found.images[2].object_numbers == (6,)
    assert log.problems == []


@pytest.mark.parametrize("separator", [";", "\t"])
def test_decimal_commas(folder: Path, separator: str):
    text = TENSORFLOW + "a.jpg,200,120,cat,10~5,20,40~25,60\nb.png,200,120,cat,1,2,3,4~75\n"
    found, log = read(folder, text.replace(",", separator).replace("~", ","))
    assert rows_of(found) == [
        ("a.jpg", "cat", 20.0, 10.5, 60.0, 40.25),
        ("b.png", "cat", 2.0, 1.0, 4.75, 3.0),
    ]
    assert log.counts()["unreadable-row"] == 0


def test_a_first_line_for_excel(folder: Path):
    text = "sep=;\r\n" + "filename;class;xmin;ymin;xmax;ymax\r\na.jpg;cat;1;2;3;4,5\r\n"
    found, _ = read(folder, text)
    assert rows_of(found) == [("a.jpg", "cat", 2.0, 1.0, 4.5, 3.0)]
    assert found.images[0].object_numbers == (3,)


def test_names_stay_text(folder: Path, write_image):
    write_image(folder / "images" / "007.jpg")
    text = TENSORFLOW + (
        "007.jpg,200,120,NA,1,2,30,40\n007.jpg,200,120,null,1,2,30,41\n007.jpg,200,120,01,1,2,30,42\n"
        '007.jpg,200,120,"a ""b"", c",1,2,30,43\n'
    )
    found, _ = read(folder, text)
    assert [row[1] for row in rows_of(found)] == ["NA", "null", "01", 'a "b", c']


def test_coordinates_are_exact(folder: Path):
    values = (0.1, 1 / 3, 711.0000183105468, 5e-324)
    text = f"filename,class,xmin,ymin,xmax,ymax\na.jpg,cat,{','.join(map(repr, values))}\n"
    found, _ = read(folder, text)
    assert rows_of(found) == [("a.jpg", "cat", values[1], values[0], values[3], values[2])]


def test_rows_without_a_box_make_negatives(folder: Path):
    found, log = read(
        folder, TENSORFLOW + "a.jpg,200,120,,,,,\n,,,,,,,\n\nb.png,,,cat,12,11,13,14\n"
    )
    assert [(i.image_name, i.class_names, i.image_size) for i in found.images] == [
        ("a.jpg", (), (120, 200)),
        ("b.png", ("cat",), None),
    ]
    assert found.images[0].boxes_pixels.shape == (0, 4)
    assert log.counts()["unreadable-row"] == 0


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("b.png,200,120,cat,wide,11,13,14", "xmin is 'wide', not a number"),
        ("b.png,200,120,cat,12,11,13,", "ymax is empty"),
        ("b.png,200,120,cat,12,11", "ymax is empty"),
        ("b.png,200,120,cat,12,nan,13,14", "ymin is 'nan', not a number"),
        ("b.png,200,120,cat,12,11,13,inf", "ymax is 'inf', not a number"),
        ('b.png,200,120,cat,12,"11,5",13,14', "ymin is '11,5', not a number"),
        ("b.png,200,120,,12,11,13,14", "a box without a class"),
        ("b.png,200,120,cat,,,,", "'cat' without a box"),
        (
            "b.png,x,200,120,cat,12,11,13,14",
            "more than 8 columns; quote cells that hold a separator",
        ),
    ],
)
def test_a_bad_row_keeps_its_picture_out(folder: Path, row: str, message: str):
    text = f"{TENSORFLOW}a.jpg,200,120,cat,10,20,40,60\n{row}\nb.png,200,120,dog,1,2,3,4\n"
    found, log = read(folder, text)
    assert [i.image_name for i in found.images] == ["a.jpg"]
    assert [str(p) for p in log.problems if p.rule == "unreadable-row"] == [
        f"{folder / 'boxes.csv'}:3: {message}"
    ]
    assert found.class_names == ("cat",)


def test_a_row_that_names_no_picture(folder: Path):
    found, log = read(folder, TENSORFLOW + "a.jpg,200,120,cat,1,2,3,4\n,200,120,cat,1,2,3,4\n")
    assert len(found.images) == 1
    assert [str(p) for p in log.problems if p.rule == "unreadable-row"] == [
        f"{folder / 'boxes.csv'}:3: names no picture"
    ]


def test_pictures_by_path_url_stem_and_case(folder: Path, write_image):
    write_image(folder / "images" / "d e.jpg")
    text = "filename,class,xmin,ymin,xmax,ymax\n" + "".join(
        f"{name},cat,1,2,3,4\n"
        for name in (r"C:\x\A.JPG", "b", "./sub/c.png", "d%20e.jpg", "z.jpg")
    )
    found, log = read(folder, text)
    assert [i.image_name for i in found.images] == ["a.jpg", "b.png", "d e.jpg", "sub/c.jpg"]
    assert [(p.rule, p.detail) for p in log.problems] == [
        ("image-missing", f"no z.jpg below {folder / 'images'}")
    ]


def test_two_paths_that_only_one_picture_fits(folder: Path):
    text = "filename,class,xmin,ymin,xmax,ymax\n" + "".join(
        f"{name},{label},1,2,3,4\n"
        for name, label in (("x/c.jpg", "cat"), ("sub/c.jpg", "dog"), (r"SUB\C.jpg", "cow"))
    )
    found, log = read(folder, text)
    assert [(i.image_name, i.class_names) for i in found.images] == [("sub/c.jpg", ("dog", "cow"))]
    assert [str(p) for p in log.problems if p.rule == "duplicate-image"] == [
        f"{folder / 'boxes.csv'}: x/c.jpg: sub/c.jpg is annotated as sub/c.jpg already; left out"
    ]


def test_rows_of_a_picture_keep_their_order_however_it_is_spelt(folder: Path):
    text = "filename,class,xmin,ymin,xmax,ymax\n" + "".join(
        f"{name},cat,{i},1,30,40\n" for i, name in enumerate(("a.jpg", "x/a.jpg", "A.jpg", "a.jpg"))
    )
    found, _ = read(folder, text)
    assert found.images[0].object_numbers == (2, 3, 4, 5)
    assert found.images[0].boxes_pixels[:, 1].tolist() == [0, 1, 2, 3]


def test_one_box_says_nothing_about_the_unit(folder: Path):
    found, _ = read(folder, TENSORFLOW + "a.jpg,200,120,cat,0,0,1,1\nb.png,200,120,cat,5,6,7,8\n")
    assert len(found.images) == 2
    rows = "a,x,/m/1,1,0.1,4,0.2,0.9,0,0,0,0,0\nb,x,/m/1,1,0,0.5,0,1,0,0,0,0,0\n"
    assert len(read(folder, OPEN_IMAGES + rows)[0].images) == 2


def test_open_images(folder: Path):
    (folder / "train-class-descriptions-boxable.csv").write_text(
        '/m/0bt9lr,Dog\n/m/01yrx,"Cat, tame"\n', encoding="utf-8"
    )
    text = OPEN_IMAGES + (
        "a,xclick,/m/01yrx,1,0.1,0.4,0.2,0.9,0,1,0,0,0\n"
        "b,xclick,/m/0bt9lr,1,0.5,0.75,0.25,1,-1,-1,-1,-1,-1\n"
        "a,xclick,/m/0bt9lr,1,0,1,0,0.5,0,0,1,0,0\n"
        "c,xclick,/m/0bt9lr,0,0.1,0.2,0.3,0.4,0,0,0,0,0\n"
        "b,xclick,/m/9,1,0.5,0.6,0.7,0.8,0,0,0,0,0\n"
    )
    found, log = read(folder, text)
    assert rows_of(found) == [
        ("a.jpg", "Cat, tame", 0.2, 0.1, 0.9, 0.4),
        ("a.jpg", "Dog", 0.0, 0.0, 0.5, 1.0),
        ("b.png", "Dog", 0.25, 0.5, 1.0, 0.75),
        ("b.png", "/m/9", 0.7, 0.5, 0.8, 0.6),
    ]
    first, second, third = found.images
    assert all(i.is_normalized for i in found.images)
    assert (first.truncated.tolist(), first.group_of.tolist()) == ([True, False], [False, True])
    assert (second.truncated.tolist(), second.group_of.tolist()) == ([False] * 2, [False] * 2)
    assert (third.image_name, third.class_names, len(third.group_of)) == ("sub/c.jpg", (), 0)
    assert [(p.rule, p.detail) for p in log.problems] == [
        ("absent-class", "1 rows say that a class is not there; they are no boxes")
    ]


def test_open_images_without_or_with_other_names(folder: Path):
    text = OPEN_IMAGES + "a,xclick,/m/1,1,0.1,0.4,0.2,0.9,0,0,0,0,0\n"
    assert read(folder, text)[0].class_names == ("/m/1",)
    names = folder / "names.csv"
    names.write_text("LabelName,DisplayName\n/m/1,Bird\n")
    assert read(folder, text, names=names)[0].class_names == ("Bird",)
    names.write_text("a,b,c\n")
    with pytest.raises(InputError, match=r"names\.csv: expected rows of two: MID, display name"):
        read(folder, text, names=str(names))
    with pytest.raises(InputError, match=r"gone\.csv: No such file or directory; expected the cl"):
        read(folder, text, names=folder / "gone.csv")


def test_keras_retinanet(folder: Path):
    text = "images/b.png,12,11,13,14,cat\nimages/a.jpg,10.5,20,40,60,cat\nsub/c.jpg,,,,,\n"
    found, log = read(folder, text + "a.jpg,2,3,7,9,dog\n")
    assert rows_of(found) == EXPECTED
    assert [i.image_name for i in found.images] == ["a.jpg", "b.png", "sub/c.jpg"]
    assert found.images[0].object_numbers == (2, 4)
    assert log.problems == []
    assert len(read(folder, "sub/c.jpg,,,,,\na.jpg,2,3,7,9,x\n")[0].images) == 2


def test_automl(folder: Path):
    text = (
        "TRAIN,gs://bucket/set/a.jpg,cat,0.1,0.2,,,0.3,0.6,,\n"
        "VALIDATION,gs://bucket/set/b.png,dog,0.1,0.2,0.3,0.2,0.3,0.6,0.1,0.6\n"
        "UNASSIGNED,gs://bucket/set/c.jpg,,,,,,,,,\n"
    )
    found, log = read(folder, text)
    assert rows_of(found) == [
        ("a.jpg", "cat", 0.2, 0.1, 0.6, 0.3),
        ("b.png", "dog", 0.2, 0.1, 0.6, 0.3),
    ]
    assert found.images[2].class_names == ()
    assert all(i.is_normalized for i in found.images)
    assert log.problems == []
    short, _ = read(folder, "UNASSIGNED,gs://bucket/c.jpg\n" + text)
    assert rows_of(short) == rows_of(found)
    found, _ = read(folder, "gs://bucket/a.jpg,cat,0.1,0.2,,,0.3,0.6,,\n")
    assert rows_of(found) == [("a.jpg", "cat", 0.2, 0.1, 0.6, 0.3)]


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ("0.1,0.2,,,,,,", "fewer than two corners of a box"),
        ("0.1,0.2,,,0.3,high,,", "'high' is not a number"),
        (",,,,,,,", "'cat' without a box"),
    ],
)
def test_bad_rows_of_automl(folder: Path, numbers: str, message: str):
    text = f"TRAIN,gs://x/a.jpg,cat,0.1,0.2,,,0.3,0.6,,\nTEST,gs://x/b.png,cat,{numbers}\n"
    found, log = read(folder, text)
    assert [i.image_name for i in found.images] == ["a.jpg"]
    assert [p.detail for p in log.problems if p.rule == "unreadable-row"] == [message]


def via_row(name: str, shape: str, attributes: str) -> str:
    cells = (shape.replace('"', '""'), attributes.replace('"', '""'))
    return f'{name},12345,"{{}}",2,0,"{cells[0]}","{cells[1]}"\n'


def test_via(folder: Path):
    rect = '{"name":"rect","x":10,"y":20,"width":30,"height":40.5}'
    polygon = '{"name":"polygon","all_points_x":[5,50,7],"all_points_y":[60,70,61]}'
    text = VIA + (
        via_row("b.png", polygon, '{"kind":"dog"}')
        + via_row("a.jpg", rect, '{"kind":"cat"}')
        + via_row("sub/c.jpg", "{}", "{}")
    )
    found, log = read(folder, text)
    assert rows_of(found) == [
        ("a.jpg", "cat", 20.0, 10.0, 60.5, 40.0),
        ("b.png", "dog", 60.0, 5.0, 70.0, 50.0),
    ]
    assert [i.class_names for i in found.images] == [("cat",), ("dog",), ()]
    assert log.problems == []


def test_via_with_several_attributes(folder: Path):
    rect = '{"name":"rect","x":10,"y":20,"width":30,"height":40}'
    text = VIA.replace("#", "") + via_row("a.jpg", rect, '{"colour":"red","kind":"cat"}')
    found, log = read(folder, text)
    assert len(found.images) == 0
    assert log.problems[0].detail == (
        "the region attributes are colour, kind; say which is the class: --layout via:NAME"
    )
    found, log = read(folder, text, layout="via:kind")
    assert rows_of(found) == [("a.jpg", "cat", 20.0, 10.0, 60.0, 40.0)]
    _, log = read(folder, text, layout="via:size")
    assert log.problems[0].detail == "no region attribute 'size', but colour, kind"


@pytest.mark.parametrize(
    ("shape", "attributes", "expected"),
    [
        ('{"name":"circle","cx":50,"cy":30,"r":5}', '{"k":"coin"}', ((25, 45, 35, 55), "coin")),
        (
            '{"name":"ellipse","cx":50,"cy":30,"rx":8,"ry":5}',
            '{"k":{"coin":true,"note":false}}',
            ((25, 42, 35, 58), "coin"),
        ),
        # Turned by 90 degrees: the half axes swap.
        (
            '{"name":"ellipse","cx":50,"cy":30,"rx":8,"ry":5,"theta":1.5707963267948966}',
            '{"k":3}',
            ((22, 45, 38, 55), "3"),
        ),
        (
            '{"name":"polyline","all_points_x":[1,2],"all_points_y":[4,3]}',
            '{"k":" line "}',
            ((3, 1, 4, 2), "line"),
        ),
        ("", "", None),
        ("{}", '{"k":"cat"}', None),
    ],
)
def test_via_regions(shape: str, attributes: str, expected):
    region = read_region(shape, attributes, "")
    if expected is None:
        assert region is None
    else:
        np.testing.assert_allclose(region[0], expected[0], atol=1e-12)
        assert region[1] == expected[1]


RECT = '{"name":"rect","x":1,"y":2,"width":3,"height":4}'


@pytest.mark.parametrize(
    ("shape", "attributes", "message"),
    [
        ('{"name":"rect","x":1', "{}", "region_shape_attributes is no JSON object"),
        ("[1]", "{}", r"region_shape_attributes is no JSON object: \[1\]"),
        ("[" * 100_000, "{}", "region_shape_attributes is no JSON object"),
        ('{"name":"point","cx":1,"cy":2}', "{}", "a point has no box"),
        ('{"name":"rect","x":1,"y":2,"width":3}', "{}", "a rect with a missing or wrong number"),
        ('{"name":"circle","cx":"left","cy":2,"r":3}', "{}", "a circle with a missing or wrong"),
        (
            '{"name":"polygon","all_points_x":[],"all_points_y":[]}',
            "{}",
            "a polygon with a missing",
        ),
        ('{"name":"rect","x":NaN,"y":2,"width":3,"height":4}', "{}", "that is not finite"),
        (RECT, "kind", "region_attributes is no JSON object: kind"),
        (RECT, "{}", "a region without a class"),
        (RECT, '{"k":" "}', "a region without a class"),
        (RECT, '{"k":{"cat":true,"dog":true}}', r"2 classes of one region \(cat, dog\)"),
        (RECT, '{"k":{"cat":false}}', r"0 classes of one region"),
    ],
)
def test_via_regions_that_are_refused(shape: str, attributes: str, message: str):
    with pytest.raises(RegionError, match=message):
        read_region(shape, attributes, "")


def test_a_named_layout(folder: Path):
    text = "filename,class,xmin,ymin,xmax,ymax\na.jpg,cat,0.1,0.2,0.3,0.4\n"
    found, _ = read(folder, text, layout="tensorflow-normalized")
    assert found.images[0].is_normalized
    assert rows_of(found) == [("a.jpg", "cat", 0.2, 0.1, 0.4, 0.3)]
    found, log = read(folder, "a.jpg,left,2,3,4,cat\nb.png,1,2,3,4,cat\n", layout="keras-retinanet")
    assert [i.image_name for i in found.images] == ["b.png"]
    assert log.problems[0].detail == "xmin is 'left', not a number"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_columns_that_a_layout_is_described_by_are_its_columns(layout: str):
    title = LAYOUTS[layout].title
    if layout != "tensorflow-normalized":
        header = title.removeprefix("no header: ").replace("...", "x").split(",")
        if title.startswith("no header"):
            header = ["TRAIN" if h == "SET" else "a.jpg" if h == "path" else h for h in header]
            header = ["0.5" if h[:1] in "xy" and h[1:].isdigit() else h for h in header]
        assert find_columns(header, layout).layout == layout
        assert find_columns(header).is_normalized == LAYOUTS[layout].is_normalized


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("", {}, "empty; expected a row for every box"),
        ("\n \n", {}, "empty; expected a row for every box"),
        (
            "filename,cell_type,xmin,xmax,ymin,ymax\n",
            {},
            "its first row is filename,cell_type,xmin,xmax,ymin,ymax; the layout tensorflow also "
            "has class; known are open-images: .*; keras-retinanet: no header: path,x1",
        ),
        ("ImageID,Source,LabelName,Confidence\n", {}, "first row is ImageID,Source,LabelName,Con"),
        ("TRAIN,gs://x/a.jpg,daisy\n", {}, "its first row is TRAIN,gs://x/a.jpg,daisy; known"),
        ("a;b;c\n1;2;3\n", {}, "its first row is a,b,c; known are"),
        ("filename,class\n", {"layout": "via"}, "filename,class; --layout via is filename,"),
        (TENSORFLOW, {"layout": "yolo"}, "--layout is 'yolo'; expected one of auto, open-images"),
        (TENSORFLOW, {"layout": "tensorflow:x"}, "--layout is 'tensorflow:x'; expected one of"),
        (
            TENSORFLOW + "a.jpg,200,120,cat,0.1,0.2,0.3,1\nb.png,200,120,cat,0,0,1,1\n",
            {},
            "all 2 boxes lie within 0 to 1, so they are shares of the picture; the layout "
            "tensorflow has pixels",
        ),
        (
            OPEN_IMAGES + "a,x,/m/1,1,10,40,20,90,0,0,0,0,0\nb,x,/m/1,1,0,2,0,1,0,0,0,0,0\n",
            {},
            "all 2 boxes reach beyond 1.5, so they are in pixels; the layout open-images",
        ),
        (TENSORFLOW + 'a.jpg,200,120,"cat,1,2,3,4\n', {}, "not CSV: .*EOF inside string"),
        (
            (TENSORFLOW + "a.jpg,200,120,cat,1,2,3,4\nb.png,200,120,K").encode()
            + b"\xe4fer,1,2,3,4\n",
            {},
            "3: byte 0xe4 is not UTF-8; save it as UTF-8",
        ),
        (TENSORFLOW.encode("utf-16") + b"\x00\xd8\n\x00", {}, "no UTF-16 text; save it as UTF-8"),
        (b"PK\x03\x04rest of a workbook", {}, "an Excel workbook or archive; save it as .csv"),
    ],
)
def test_files_that_are_refused(folder: Path, text: str | bytes, settings, message: str):
    with pytest.raises(InputError, match=message):
        read(folder, text, **settings)


def test_no_file(folder: Path):
    index = ImageIndex(folder / "images")
    with pytest.raises(InputError, match=r"gone\.csv: No such file or directory; --annotations"):
        csv_boxes.read_annotations(folder / "gone.csv", index, ProblemLog())
    with pytest.raises(InputError, match=r"images: Is a directory; --annotations takes one \.csv"):
        csv_boxes.read_annotations(folder / "images", index, ProblemLog())


def test_a_large_file_is_read_in_parts(folder: Path, monkeypatch):
    """Rows of a picture may lie far apart; lines are counted through all parts."""
    monkeypatch.setattr(csv_text, "_CHUNK_ROWS", 2)
    names = ["a.jpg", "b.png", "a.jpg", "sub/c.jpg", "b.png", "a.jpg", "a.jpg"]
    rows = [f"{name},200,120,c{i % 3},{i},1,{i + 10},5\n" for i, name in enumerate(names)]
    rows[4] = "b.png,200,120,c1,x,1,2,3\n"
    found, log = read(folder, TENSORFLOW + "".join(rows))
    assert [(i.image_name, i.object_numbers) for i in found.images] == [
        ("a.jpg", (2, 4, 7, 8)),
        ("sub/c.jpg", (5,)),
    ]
    assert found.images[0].boxes_pixels[:, 1].tolist() == [0, 2, 5, 6]
    assert found.images[0].class_names == ("c0", "c2", "c2", "c0")
    assert str(log.problems[0]) == f"{folder / 'boxes.csv'}:6: xmin is 'x', not a number"


@pytest.mark.parametrize("part", ["train", "test"])
def test_the_csv_of_the_microcontrollers_says_what_their_xml_says(shared: Path, part: str):
    folder = shared / "data" / "microcontrollers_voc_csv"
    index, log = ImageIndex(folder / part), ProblemLog()
    by_csv = csv_boxes.read_annotations(folder / f"{part}_labels.csv", index, log)
    by_xml = voc.read_annotations(folder / part, index, log)
    assert log.problems == []
    assert by_csv.class_names == by_xml.class_names
    assert len(by_csv.images) == {"train": 142, "test": 7}[part]
    assert sum(len(i.class_names) for i in by_csv.images) == {"train": 170, "test": 7}[part]
    for one, other in zip(by_csv.images, by_xml.images, strict=True):
        assert (one.image_name, one.class_names) == (other.image_name, other.class_names)
        assert one.image_size == other.image_size
        np.testing.assert_array_equal(one.boxes_pixels, other.boxes_pixels)
