from __future__ import annotations

import pytest

from ssd.errors import InputError
from ssd.model_maker import labels


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l.yaml", "2: dog\n1: cat\n"),
        ("l.yml", "- cat\n- dog\n"),
        ("l.txt", "cat\n\ndog\n"),
        ("l.pbtxt", 'item { id: 1 name: "cat" }\nitem { id: 2 name: "dog" }\n'),
    ],
)
def test_files(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    assert labels.as_dict(labels.read(str(tmp_path / name))) == {1: "cat", 2: "dog"}


@pytest.mark.parametrize(
    "given", [["cat", "dog"], ("cat", "dog"), {2: "dog", 1: "cat"}, {0: "background", 1: "cat"}]
)
def test_values(given):
    expected = {1: "cat", 2: "dog"} if len(given) == 2 and 0 not in given else {1: "cat"}
    assert labels.as_dict(labels.read(given)) == expected


def test_gaps_stay():
    assert labels.as_dict(labels.read({7: "cat", 3: "dog"})) == {3: "dog", 7: "cat"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({0: "cat", 1: "dog"}, r"label_map: id 0 \(cat\): ids begin at 1"),
        ({"cat": 1}, "label_map: 'cat': 1: ids are keys"),
        ({1: "cat", 2: "cat"}, "'cat' comes twice"),
        ([], "there are none"),
        ("coco", "label_map='coco': no such file"),
        (3, "label_map=3: {1: 'cat'"),
    ],
)
def test_refused(given, message):
    with pytest.raises(InputError, match=message):
        labels.read(given)
