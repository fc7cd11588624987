"""label_map.pbtxt in all the forms people have, and the broken ones."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from ssd import label_map
from ssd.errors import InputError
from ssd.label_map import LabelMap, LabelMapItem

CAT_DOG = (LabelMapItem(1, "cat"), LabelMapItem(2, "dog"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "label_map.pbtxt"


FORMS = {
    "as saved": 'item {\n  id: 1\n  name: "cat"\n}\nitem {\n  id: 2\n  name: "dog"\n}\n',
    "single quotes": "item { id: 1 name: 'cat' } item { id: 2 name: 'dog' }",
    "name first, no final line end": "item{\nname:'dog'\nid:2\n}\nitem{\nname:'cat'\nid:1\n}",
    "colon before the brace": 'item: { id: 1 name: "cat" }\nitem: { id: 2 name: "dog" }',
    "commas": 'item { id: 1, name: "cat", },\nitem { id: 2; name: "dog"; }',
    "list": 'item: [{ id: 1 name: "cat" }, { id: 2 name: "dog" }]',
    "tabs and trailing space": "item {\n\tid: 1 \n\tname: 'cat'\t\n}  \nitem {\tid: 2 name: 'dog'}",
    "comments": "# two classes\nitem { id: 1 name: 'cat' } # meow }\nitem { id: 2 name: 'dog' }",
    "background": 'item { id: 0 name: "background" } item { id: 2 name: "dog" } '
    "item { id: 1 name: 'cat' }",
    "twice the same": "item { id: 1 name: 'cat' } item { id: 2 name: 'dog' } "
    "item { id: 1 name: 'cat' }",
    "display name like the name": "item { id: 1 name: 'cat' display_name: 'cat' } "
    "item { id: 2 name: 'dog' display_name: 'dog' }",
    "display name only": "item { id: 1 display_name: 'cat' } item { id: 2 display_name: 'dog' }",
    "other fields": "item { id: 1 name: 'cat' keypoints { id: 3 label: 'nose' } frequency: RARE } "
    "item { id: 2 name: 'dog' instance_count: 7 }",
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS.keys())
def test_every_form_means_the_same(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    assert label_map.load(file).items == CAT_DOG


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks_and_windows_line_ends(file: Path, encoding: str) -> None:
    text = "item {\r\n  id: 1\r\n  name: 'Größe'\r\n}\r\n"
    file.write_bytes(text.encode(encoding))
    assert label_map.load(file).items == (LabelMapItem(1, "Größe"),)


def test_every_label_map_in_the_wild_loads_and_survives_saving(shared: Path, file: Path) -> None:
    folder = shared / "data/label_maps_in_the_wild"
    with (folder / "index.csv").open(encoding="utf-8") as table:
        counts = {row["file"]: int(row["items"]) for row in csv.DictReader(table)}
    assert len(counts) == 40
    for name, count in counts.items():
        loaded = label_map.load(folder / name)
        assert len(loaded.items) == count, name
        label_map.save(loaded, file)
        assert label_map.load(file) == loaded, name


def test_gaps_leave_empty_names() -> None:
    gaps = LabelMap((LabelMapItem(1, "vehicle"), LabelMapItem(4, "cyclist", "Cyclist")))
    assert gaps.num_classes == 4
    assert gaps.names == ("vehicle", "", "", "cyclist")
    assert gaps.display_names == ("vehicle", "", "", "Cyclist")
    assert [gaps.name_of(class_id) for class_id in (0, 1, 2, 4, 5)] == [
        "0",
        "vehicle",
        "2",
        "Cyclist",
        "5",
    ]


def test_ids_are_found_by_name_and_by_display_name(file: Path) -> None:
    file.write_text(
        "item { id: 1 name: '/m/01g317' display_name: 'person' }"
        "item { id: 2 name: '/m/0199g' display_name: 'cycle' }"
        "item { id: 3 name: '/m/04_sv' display_name: 'cycle' }"
        "item { id: 5 name: 'x' display_name: '/m/0199g' }"
    )
    loaded = label_map.load(file)
    # "cycle" is two classes, and /m/0199g is the name of class 2, not class 5.
    assert loaded.id_of == {"/m/01g317": 1, "/m/0199g": 2, "/m/04_sv": 3, "x": 5, "person": 1}
    assert loaded.name_of(1) == "person"


def test_from_names_keeps_the_order() -> None:
    assert label_map.from_names(["dog", "cat"]).items == (
        LabelMapItem(1, "dog"),
        LabelMapItem(2, "cat"),
    )


def test_an_empty_label_map_has_no_classes() -> None:
    assert LabelMap(()).num_classes == 0
    assert LabelMap(()).names == ()


def test_save_writes_one_item_per_class(file: Path) -> None:
    label_map.save(LabelMap((LabelMapItem(1, 'a "b" \\ é'), LabelMapItem(3, "c", "C"))), file)
    assert file.read_text(encoding="utf-8") == (
        "item {\n"
        "  id: 1\n"
        '  name: "a \\"b\\" \\\\ é"\n'
        "}\n"
        "item {\n"
        "  id: 3\n"
        '  name: "c"\n'
        '  display_name: "C"\n'
        "}\n"
    )
    assert label_map.load(file).items[0].name == 'a "b" \\ é'
    assert [path.name for path in file.parent.iterdir()] == [file.name]


BAD = {
    "empty": ("", r"label_map\.pbtxt: the file is empty; expected items such as item { id: 1"),
    "only a comment": ("# classes\n", r"label_map\.pbtxt: no class in it; expected items"),
    "only the background": ("item { id: 0 name: 'background' }", r": no class in it"),
    "plain list": (
        "cat\ndog\n\nbird\nfish\n",
        r"label_map\.pbtxt: a plain list of names \(cat, dog, bird, \.\.\.\); expected items such",
    ),
    "id 0": (
        "item {\n  id: 0\n  name: 'cat'\n}\nitem { id: 1 name: 'dog' }",
        r"label_map\.pbtxt:2: item\[0\]: id 0 \(cat\); ids start at 1, .* Add 1 to every id",
    ),
    "negative id": (
        "item { id: 1 name: 'cat' }\nitem { id: -4 name: 'dog' }",
        r"label_map\.pbtxt:2: item\[1\]: id -4 \(dog\); ids start at 1, 0 is the background\.$",
    ),
    "id missing": (
        "item { id: 1 name: 'cat' }\nitem { name: 'dog' }",
        r":2: item\[1\]: has no id; give every class an id from 1 on",
    ),
    "name missing": ("item {\n id: 3 }", r":2: item\[0\]: id 3 has no name"),
    "name of spaces": ("item { id: 3 name: ' ' }", r":1: item\[0\]: the name is empty"),
    "three ids in one item": (
        "item {\n id: 1\n name: 'cat'\n id: 2\n name: 'dog'\n}",
        r":4: item\[0\]\.id: set a second time; line 2 sets it already",
    ),
    "one id for two names": (
        "item { id: 1 name: 'cat' }\nitem { id: 1 name: 'dog' }",
        r":2: item\[1\]: id 1 is 'cat' already, now it is 'dog'; give every class an id of its own",
    ),
    "one name for two ids": (
        "item { id: 1 name: 'cat' }\nitem { id: 2 name: 'cat' }",
        r":2: item\[1\]: the name 'cat' has id 1 already, now it has id 2; names must be unique",
    ),
    "unknown field": (
        "item { id: 1 label: 'cat' }",
        r":1: item\[0\]\.label: unknown field here\. It belongs in item\.keypoints",
    ),
    "id in quotes": ("item { id: '1' name: 'cat' }", r":1: item\[0\]\.id: got the text '1'; expec"),
    "name without quotes": (
        "item { id: 1 name: cat }",
        r'item\[0\]\.name: got cat; .* Write "cat"',
    ),
    "brace not closed": (
        "item {\n id: 1 name: 'cat'",
        r":1: item\[0\]: the { opened here is never",
    ),
    "items instead of item": ("items { id: 1 }", r":1: items: unknown field\. Did you mean item\?"),
    "line break in a name": ("item { id: 1 name: 'a\\nb' }", r":1: \\n in 'a\\nb' is a line break"),
    "octal tab in a name": (
        "item { id: 1 name: 'a\\011b' }",
        r"item\[0\]: the name 'a\\tb' holds a line break or a tab",
    ),
    "binary": ("item\0", r"label_map\.pbtxt: a binary file; expected a label_map\.pbtxt"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD.keys())
def test_broken_files_are_refused_in_one_line(file: Path, text: str, message: str) -> None:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message) as raised:
        label_map.load(file)
    assert "\n" not in str(raised.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.pbtxt: no such file; expected a label_map\.pbtxt"):
        label_map.load(tmp_path / "gone.pbtxt")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], r"class names: there are none"),
        (["cat", "dog", "cat"], r"class names: 'cat' comes twice; names must be unique"),
        (["cat", ""], r"class name 2: the name is empty"),
        (["cat\n"], r"class name 1: the name 'cat\\n' holds a line break"),
    ],
    ids=["none", "twice", "empty", "line break"],
)
def test_from_names_refuses(names: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        label_map.from_names(names)


def test_save_refuses_what_load_would_refuse(file: Path) -> None:
    with pytest.raises(InputError, match=r"class 1: the name 'a\\tb' holds a line break or a tab"):
        label_map.save(LabelMap((LabelMapItem(1, "a\tb"),)), file)
    assert not file.exists()
