"""Pascal VOC files of many writers, by hand and found in the wild."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from ssd.errors import InputError
from tfrecord_tools.annotations import Problem, ProblemLog, RefusedError
from tfrecord_tools.readers import voc
from tfrecord_tools.readers.image_index import ImageIndex
from tfrecord_tools.worker_pool import WorkerPool


def parse(tmp_path: Path, text: str, encoding: str = "utf-8") -> voc.VocFile:
    path = tmp_path / "a.xml"
    path.write_text(text, encoding=encoding)
    return voc.parse(path)


BOX = "<bndbox><xmin>10</xmin><ymin>20</ymin><xmax>30</xmax><ymax>50</ymax></bndbox>"


def test_reads_by_name_not_by_position(tmp_path: Path):
    file = parse(
        tmp_path,
        "<annotation verified='yes'><object><bndbox><xmin>370.5</xmin><xmax> 403 </xmax>"
        "<ymin>73</ymin><ymax>1.14e2</ymax></bndbox><difficult>1</difficult><name> cat </name>"
        "<truncated>1</truncated></object>"
        "<size><depth>3</depth><height>120</height><width>200.0</width></size>"
        "<path>C:\\a\\b.jpg</path><filename>b.jpg</filename></annotation>",
    )
    assert (file.filename, file.path, file.image_size) == ("b.jpg", "C:\\a\\b.jpg", (120, 200))
    assert file.boxes_pixels == ((73.0, 370.5, 114.0, 403.0),)
    assert (file.class_names, file.difficult, file.truncated) == (("cat",), (True,), (True,))


def test_parts_of_an_object_are_no_objects(tmp_path: Path):
    inner = f"<name>head</name>{BOX.replace('10', '11')}"
    part = f"<part>{inner}</part><parts><object>{inner}</object></parts>"
    file = parse(
        tmp_path, f"<annotation><object><name>person</name>{part}{BOX}</object></annotation>"
    )
    assert file.class_names == ("person",)
    assert file.boxes_pixels == ((20, 10, 50, 30),)


def test_optional_elements(tmp_path: Path):
    file = parse(tmp_path, f"<annotation><object><name>a</name>{BOX}</object></annotation>")
    assert (file.filename, file.path, file.image_size) == ("", "", None)
    assert (file.difficult, file.truncated) == ((False,), (False,))
    assert parse(tmp_path, "<annotation/>").class_names == ()
    size = "<size><width>wide</width><height>3</height></size>"
    assert parse(tmp_path, f"<annotation>{size}</annotation>").image_size is None


def _object(name: str = "cat", box: str = BOX) -> str:
    return f"<annotation><object><name>{name}</name>{box}</object></annotation>"


@pytest.mark.parametrize(
    ("text", "rule", "message"),
    [
        ("", "unreadable-xml", "no well-formed XML"),
        ("<annotation><object>", "unreadable-xml", "no well-formed XML: .*line 1"),
        ("<annotations/>", "not-voc", "the root is <annotations>, Pascal VOC has <annotation>"),
        (_object(box="<polygon/>"), "not-voc", r"object 1 \(cat\) has <name>, <polygon>, but no"),
        (_object(name=" "), "unreadable-xml", "object 1 has no <name>"),
        (
            _object(box=BOX.replace("20", "top")),
            "unreadable-xml",
            r"object 1 \(cat\): <ymin> is 'top', not a number",
        ),
        (
            _object(box=BOX.replace("<xmax>30</xmax>", "")),
            "unreadable-xml",
            r"object 1 \(cat\): <xmax> is '', not a number",
        ),
        (_object(box=BOX.replace("50", "nan")), "unreadable-xml", "<ymax> is 'nan'"),
        (_object(box=BOX.replace("50", "1e999")), "unreadable-xml", "<ymax> is '1e999'"),
        (_object(box=BOX.replace("50", "5,0")), "unreadable-xml", "<ymax> is '5,0'"),
        (_object(box=BOX + BOX), "unreadable-xml", "object 1 has two <bndbox>"),
        (
            f"<annotation><objects><object><name>cat</name>{BOX}</object></objects></annotation>",
            "not-voc",
            "<object> in <objects>; Pascal VOC has <object> in <annotation>",
        ),
        (
            f"<annotation><Object><name>cat</name>{BOX}</Object></annotation>",
            "not-voc",
            "<Object> in <annotation>; Pascal VOC has <object>",
        ),
        (
            "<annotation><object><name>cat</name><xmin>1</xmin><ymin>2</ymin></object></annotation>",
            "not-voc",
            r"object 1 \(cat\) has <name>, <xmin>, <ymin>, but no <bndbox>",
        ),
    ],
    ids=[
        "empty",
        "cut",
        "root",
        "polygon",
        "name",
        "text",
        "missing",
        "nan",
        "infinite",
        "comma",
        "two-boxes",
        "container",
        "capital",
        "no-bndbox",
    ],
)
def test_files_that_are_refused(tmp_path: Path, text: str, rule: str, message: str):
    with pytest.raises(RefusedError, match=message) as caught:
        parse(tmp_path, text)
    assert caught.value.rule == rule


def test_entities_are_neither_expanded_nor_fetched(tmp_path: Path):
    secret = tmp_path / "secret.txt"
    secret.write_text("do not read")
    external = f'<!DOCTYPE annotation [<!ENTITY e SYSTEM "{secret.as_uri()}">]>'
    laughs = '<!DOCTYPE annotation [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
    for declared in (external, laughs):
        with pytest.raises(RefusedError, match="declares XML entities") as caught:
            parse(tmp_path, declared + _object(name="&e;" if "SYSTEM" in declared else "&b;"))
        assert "do not read" not in str(caught.value)
    plain = parse(tmp_path, "<!DOCTYPE annotation>" + _object())
    assert plain.class_names == ("cat",)


def test_every_way_to_name_the_picture(tmp_path: Path, write_image, write_voc):
    images, xml = tmp_path / "images", tmp_path / "xml"
    for name in ("a.jpg", "B.JPG", "c.jpg", "Sau_14.jpeg", "e.png", "f.jpg"):
        write_image(images / name)
    write_voc(xml / "a.xml", filename="a.jpg")
    write_voc(xml / "b.xml", filename="b.jpg")  # another case
    write_voc(xml / "x.xml", filename="c")  # no extension
    write_voc(xml / "Sau_14.xml", filename="14.jpeg")  # renamed pair: the XML's own name
    path = r"<path>C:\photos\e.png</path>"
    write_voc(xml / "y.xml", filename="gone.jpg", extra=path)
    write_voc(xml / "z.xml", filename="f.png")  # another extension
    log = ProblemLog()
    found = voc.read_annotations(xml, ImageIndex(images), log)
    pairs = {Path(i.file).name: i.image_name for i in found.images}
    assert pairs == {
        "a.xml": "a.jpg",
        "b.xml": "B.JPG",
        "x.xml": "c.jpg",
        "Sau_14.xml": "Sau_14.jpeg",
        "y.xml": "e.png",
        "z.xml": "f.jpg",
    }
    assert {problem.rule for problem in log.problems} == {"image-by-other-name"}
    assert "taken for f.jpg" in str([str(problem) for problem in log.problems])
    assert [i.source_id for i in found.images] == sorted(pairs.values())


def test_a_stale_filename_does_not_take_the_neighbour(tmp_path: Path, write_image, write_voc):
    for name in ("one.jpg", "two.jpg"):
        write_image(tmp_path / name)
    write_voc(tmp_path / "one.xml", [("cat", 1, 2, 30, 40)])
    write_voc(tmp_path / "two.xml", [("dog", 5, 6, 70, 80)], filename="one.jpg")
    found = voc.read_annotations(tmp_path, ImageIndex(tmp_path), ProblemLog())
    assert {i.image_name: i.class_names for i in found.images} == {
        "one.jpg": ("cat",),
        "two.jpg": ("dog",),
    }


def test_what_is_left_out_is_noted_by_file(tmp_path: Path, write_image, write_voc):
    write_image(tmp_path / "a.jpg")
    write_image(tmp_path / "lonely.jpg")
    write_voc(tmp_path / "a.xml")
    write_voc(tmp_path / "sub" / "again.xml", filename="a.jpg")
    write_voc(tmp_path / "nothing.xml", filename="gone.jpg")
    (tmp_path / "bad.xml").write_text("<annotation>")
    log = ProblemLog()
    found = voc.read_annotations(tmp_path, ImageIndex(tmp_path), log)
    assert [i.file for i in found.images] == [str(tmp_path / "a.xml")]
    hits = {(p.rule, str(Path(p.file).relative_to(tmp_path))) for p in log.problems}
    assert hits == {
        ("duplicate-image", "sub/again.xml"),
        ("image-missing", "nothing.xml"),
        ("unreadable-xml", "bad.xml"),
        ("annotation-missing", "lonely.jpg"),
    }
    missing = next(p for p in log.problems if p.rule == "image-missing")
    assert f"no gone.jpg or nothing.* below {tmp_path}" in str(missing)


def test_folders_without_annotations(tmp_path: Path, write_image):
    index = ImageIndex(write_image(tmp_path / "a.jpg").parent)
    with pytest.raises(InputError, match=r"nowhere: no such folder; --annotations takes"):
        voc.read_annotations(tmp_path / "nowhere", index, ProblemLog())
    with pytest.raises(InputError, match=r"no \.xml file below it, but 1 \.jpg"):
        voc.read_annotations(tmp_path, index, ProblemLog())


NOT_VOC = {
    "01_xulihang__barcode-datasets/EAN13_09_0001.xml": "<Result>",
    "02_cvat-ai__datumaro/train.xml": "<annotations>",
    "03_cvat-ai__datumaro/train.xml": "<annotations>",
    "04_cvat-ai__datumaro/img1.xml": r"object 1 \(window\).*<polygon>",
    "43_cvat-ai__datumaro/tracklet_labels.xml": "<boost_serialization>",
}


def test_files_in_the_wild(shared: Path):
    folder = shared / "data" / "voc_xml_in_the_wild"
    files = sorted(folder.glob("*/*.xml"))
    assert len(files) == 44
    parsed = {}
    for file in files:
        name = file.relative_to(folder).as_posix()
        if name in NOT_VOC:
            with pytest.raises(RefusedError, match=NOT_VOC[name]) as caught:
                voc.parse(file)
            assert caught.value.rule == "not-voc", name
        else:
            parsed[name[:2]] = voc.parse(file)
    assert len(parsed) == 39
    # Roboflow's order xmin, xmax, ymin, ymax; CVAT's floats without <size>; a person with a part.
    assert parsed["38"].boxes_pixels[0] == (73, 370, 114, 403)
    assert parsed["41"].boxes_pixels[0] == (2, 1, 6, 4)
    assert parsed["41"].image_size is None
    assert parsed["40"].class_names == ("cat", "person")
    assert len(parsed["38"].class_names) == 21
    json.dumps([file.filename for file in parsed.values()])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "iso-8859-1"])
def test_encodings(tmp_path: Path, encoding: str):
    declared = {"utf-8-sig": "utf-8", "utf-16-le": "utf-16"}.get(encoding, encoding)
    text = f"<?xml version='1.0' encoding='{declared}'?><annotation><filename>Käfer.jpg</filename>"
    file = parse(
        tmp_path, text + f"<object><name>Käfer</name>{BOX}</object></annotation>", encoding
    )
    assert (file.filename, file.class_names) == ("Käfer.jpg", ("Käfer",))


def test_a_namespace_does_not_hide_the_elements(tmp_path: Path):
    text = "<annotation xmlns='http://a.b/voc'><filename>a.jpg</filename>"
    file = parse(tmp_path, text + f"<object><name>cat</name>{BOX}</object></annotation>")
    assert (file.filename, file.boxes_pixels) == ("a.jpg", ((20.0, 10.0, 50.0, 30.0),))


def test_one_based_corners_move_the_near_corner_alone(data_set: Path):
    def boxes(**settings):
        index = ImageIndex(data_set / "images")
        found = voc.read_annotations(data_set / "annotations", index, ProblemLog(), **settings)
        return found.images[0].boxes_pixels.tolist()

    assert boxes() == [[30, 20, 110, 90]]
    assert boxes(one_based=True) == [[29, 19, 110, 90]]


def test_files_may_be_parsed_elsewhere(data_set: Path):
    (data_set / "annotations" / "p3.xml").write_text("<annotation><object/></annotation>")
    results = []
    for run in (map, WorkerPool(1).map):
        log = ProblemLog()
        index = ImageIndex(data_set / "images")
        found = voc.read_annotations(data_set / "annotations", index, log, mapper=run)
        results.append((found.images.image_names, found.class_names, log.problems))
    assert results[0] == results[1]
    assert [problem.rule for problem in results[0][2]] == ["not-voc"]


def test_a_writer_that_gives_every_element_a_line_and_repeats_some(tmp_path: Path):
    """As MATLAB scripts do it: tabs, no declaration, <owner><name>, comments, an element twice."""
    file = parse(
        tmp_path,
        "<!-- made by a script -->\n<annotation>\n\t<folder>set</folder>\n\t<filename>b.png"
        "</filename>\n\t<source><annotation>own</annotation></source>\n\t<owner><name>me</name>"
        "</owner>\n\t<size>\n\t\t<width>2.0000e+02</width>\n\t\t<height>120</height>\n\t</size>\n"
        "\t<object>\n\t\t<name><!-- which -->cat</name>\n\t\t<name>dog</name>\n\t\t<difficult/>\n"
        "\t\t<truncated> 1 </truncated>\n\t\t<bndbox>\n\t\t\t<xmax>3.1e+01</xmax>"
        "\n\t\t\t<xmin>\n10.25\n</xmin>\n\t\t\t<ymin>+20</ymin><ymax>50.</ymax>\n\t\t</bndbox>"
        "\n\t\t<part><name>head</name><bndbox><xmin>11</xmin></bndbox></part>\n\t</object>\n"
        "</annotation>\n",
    )
    assert (file.filename, file.image_size) == ("b.png", (120, 200))
    assert file.class_names == ("cat",)
    assert file.boxes_pixels == ((20, 10.25, 50, 31),)
    assert (file.difficult, file.truncated) == ((False,), (True,))


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("0", False),
        ("1", True),
        ("", False),
        ("Unspecified", False),
        ("False", False),
        ("true", True),
        ("0.0", False),
        ("0.4", True),
        (" 0 ", False),
    ],
)
def test_flags(tmp_path: Path, text: str, flag: bool):
    more = f"<difficult>{text}</difficult><truncated>{text}</truncated>{BOX}"
    file = parse(tmp_path, _object(box=more))
    assert (file.difficult, file.truncated) == ((flag,), (flag,))


@pytest.mark.parametrize(
    ("before", "encoding"),
    [
        ("<?xml version='1.0' encoding='utf-16'?>", "utf-8"),
        ("<?xml version='1.0' encoding='ANSI'?>", "utf-8"),
        ("\n\n <?xml version='1.0'?>", "utf-8"),
        ("", "utf-16"),
        ("", "utf-16-le"),
        ("<?xml version='1.0' encoding='gb2312'?>", "gb2312"),
    ],
    ids=["no-utf-16", "ansi", "blank-lines", "bom-alone", "no-sign-at-all", "gb2312"],
)
def test_declarations_that_lie_or_come_late(tmp_path: Path, before: str, encoding: str):
    file = parse(tmp_path, before + _object(name="猫"), encoding)
    assert file.class_names == ("猫",)


def test_prefixed_elements(tmp_path: Path):
    inner = _object().replace("<", "<v:").replace("<v:/", "</v:")
    text = inner.replace("<v:annotation>", "<v:annotation xmlns:v='urn:voc'>", 1)
    assert parse(tmp_path, text).boxes_pixels == ((20, 10, 50, 30),)


@pytest.mark.parametrize("width", ["1e300", "-5", "inf", "99999999999"])
def test_absurd_sizes_are_none(tmp_path: Path, width: str):
    size = f"<size><width>{width}</width><height>120</height></size>"
    assert parse(tmp_path, f"<annotation>{size}</annotation>").image_size is None


def test_a_file_that_cannot_be_opened(tmp_path: Path, write_image):
    write_image(tmp_path / "a.jpg")
    (tmp_path / "a.xml").symlink_to(tmp_path / "gone.xml")
    log = ProblemLog()
    found = voc.read_annotations(tmp_path, ImageIndex(tmp_path), log)
    assert len(found.images) == 0
    assert [(p.rule, p.detail) for p in log.problems] == [
        ("unreadable-xml", "cannot be read: No such file or directory")
    ]


def test_the_name_of_the_picture_with_xml_behind_it(tmp_path: Path, write_image, write_voc):
    for name in ("a.jpg", "a.png", "b.png"):
        write_image(tmp_path / name)
    write_voc(tmp_path / "a.png.xml", [("cat", 1, 2, 30, 40)], filename="x")
    write_voc(tmp_path / "a.jpg.xml", filename="y")
    write_voc(tmp_path / "b.png.xml", filename="gone.jpg")
    log = ProblemLog()
    found = voc.read_annotations(tmp_path, ImageIndex(tmp_path), log)
    assert {Path(i.file).name: i.image_name for i in found.images} == {
        "a.jpg.xml": "a.jpg",
        "a.png.xml": "a.png",
        "b.png.xml": "b.png",
    }
    assert {problem.rule for problem in log.problems} == {"image-by-other-name"}


def test_pictures_of_one_name_in_two_folders(tmp_path: Path, write_image, write_voc):
    for folder, name in (("day", "cat"), ("night", "dog")):
        write_image(tmp_path / "images" / folder / "1.jpg")
        write_voc(tmp_path / "xml" / folder / "1.xml", [(name, 1, 2, 30, 40)])
    found = voc.read_annotations(tmp_path / "xml", ImageIndex(tmp_path / "images"), ProblemLog())
    assert {i.image_name: i.class_names for i in found.images} == {
        "day/1.jpg": ("cat",),
        "night/1.jpg": ("dog",),
    }


def test_of_two_files_the_namesake_counts_and_order_is_by_picture(
    tmp_path: Path, write_image, write_voc
):
    for name in ("a.jpg", "m.jpg"):
        write_image(tmp_path / name)
    write_voc(tmp_path / "0.xml", [("cat", 1, 2, 30, 40)], filename="m.jpg")
    write_voc(tmp_path / "m.xml", [("dog", 1, 2, 30, 40), ("cow", 5, 6, 7, 9)])
    write_voc(tmp_path / "z.xml", filename="a.jpg")
    log = ProblemLog()
    found = voc.read_annotations(tmp_path, ImageIndex(tmp_path), log)
    assert [(i.image_name, i.class_names) for i in found.images] == [
        ("a.jpg", ()),
        ("m.jpg", ("dog", "cow")),
    ]
    assert found.class_names == ("cow", "dog")
    assert [(p.rule, Path(p.file).name) for p in log.problems] == [("duplicate-image", "0.xml")]


def test_a_parsed_file_can_be_sent_to_another_process(tmp_path: Path):
    (tmp_path / "a.xml").write_text(_object())
    (tmp_path / "b.xml").write_text(_object(box=""))
    for name in ("a.xml", "b.xml"):
        parsed = voc.parse_file(tmp_path / name)
        assert pickle.loads(pickle.dumps(parsed)) == parsed
    assert parsed == Problem(
        "not-voc",
        str(tmp_path / "b.xml"),
        1,
        False,
        "object 1 (cat) has <name>, but no <bndbox>",
    )
