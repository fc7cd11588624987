"""Splits by hash and by lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssd.errors import InputError
from tfrecord_tools import splits
from tfrecord_tools.annotations import ProblemLog


@pytest.fixture
def images(stated):
    def make(*names: str):
        return [stated(path=Path("images") / n, image_name=n, source_id=n) for n in names]

    return make


def ids(split: splits.Splits) -> dict[str, list[str]]:
    return {name: [i.source_id for i in members] for name, members in split.images.items()}


def test_the_split_of_an_image_does_not_depend_on_the_others(images):
    many = images(*(f"{n}.jpg" for n in range(1000)))
    whole = ids(splits.by_hash(many, 0.2, seed=0))
    part = ids(splits.by_hash(many[300:700:3], 0.2, seed=0))
    assert set(part["val"]) <= set(whole["val"])
    assert set(part["train"]) <= set(whole["train"])
    # 1000 draws of probability 0.2: 200 expected, standard deviation 12.6; 4 of them allowed.
    assert 150 < len(whole["val"]) < 250
    assert ids(splits.by_hash(many, 0.2, seed=1)) != whole
    smaller = ids(splits.by_hash(many, 0.1, seed=0))
    assert set(smaller["val"]) < set(whole["val"])


def test_known_draws():
    # The SHA-256 of "split:0:a.jpg" begins 371a710c..., and 0x371a710c / 2**32 = 0.215247;
    # that of "order:3:b.jpg" begins f3991a17...: 0.951555. Records of next year split alike.
    assert splits._fraction("split:0:a.jpg") == pytest.approx(0.2152472168578035, abs=1e-15)
    assert splits._fraction("order:3:b.jpg") == pytest.approx(0.9515548999692808, abs=1e-15)


@pytest.mark.parametrize(("fraction", "train", "val"), [(0.0, 7, 0), (1.0, 0, 7)])
def test_a_split_may_be_empty_on_purpose(images, fraction: float, train: int, val: int):
    split = splits.by_hash(images(*"abcdefg"), fraction, seed=0)
    assert [len(members) for members in split.images.values()] == [train, val]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("fraction", [0.05, 0.95])
def test_no_split_is_empty_by_chance(images, seed: int, fraction: float):
    split = splits.by_hash(images("a", "b"), fraction, seed)
    assert [len(members) for members in split.images.values()] == [1, 1]


def test_one_image_is_in_one_split(images):
    assert sorted(map(len, ids(splits.by_hash(images("a"), 0.2, 0)).values())) == [0, 1]


def test_record_order_is_a_shuffle_that_input_order_does_not_change(images):
    some = images(*(f"{n}.jpg" for n in range(50)))
    order = [i.source_id for i in splits.record_order(some, seed=0)]
    assert order == [i.source_id for i in splits.record_order(some[::-1], seed=0)]
    assert order != [i.source_id for i in some]
    assert sorted(order) == sorted(i.source_id for i in some)
    assert order != [i.source_id for i in splits.record_order(some, seed=1)]


def write_lists(folder: Path, **lists: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in lists.items():
        (folder / f"{name}.txt").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ("train val trainval test", {"train": "trainval.txt", "val": "test.txt"}),
        ("trainval test", {"train": "trainval.txt", "val": "test.txt"}),
        ("train val trainval", {"train": "train.txt", "val": "val.txt"}),
        ("train val test", {"train": "train.txt", "val": "val.txt", "test": "test.txt"}),
        ("train test", {"train": "train.txt", "val": "test.txt"}),
        ("trainval", {"train": "trainval.txt"}),
        ("val", {"val": "val.txt"}),
    ],
)
def test_which_lists_count(tmp_path: Path, images, there: str, expected: dict[str, str]):
    folder = write_lists(tmp_path, **{name: f"in_{name}\n" for name in there.split()})
    names = [f"in_{n}.jpg" for n in ("train", "val", "trainval", "test")]
    split = splits.by_lists(images(*names), folder, ProblemLog())
    assert ids(split) == {s: [f"in_{f[:-4]}.jpg"] for s, f in expected.items()}
    for name, list_name in expected.items():
        assert f"{name} = {list_name}" in split.rule


def test_the_folder_main_is_found_and_names_are_matched_loosely(tmp_path: Path, images):
    write_lists(
        tmp_path / "Main",
        train="\ufeffa\nB.JPG\n\n  sub/c  \nmy photo 1\n",
        val="d  1\ne -1\n" + r"x\y\f.jpg" + "\n",
    )
    names = ["a.jpg", "b.jpg", "sub/c.png", "my photo 1.jpg", "d.jpg", "e.jpg", "f.jpg"]
    log = ProblemLog()
    split = splits.by_lists(images(*names), tmp_path, log)
    assert ids(split) == {"train": names[:4], "val": names[4:]}
    assert log.problems == []


def test_missing_doubled_and_unlisted_names_are_noted(tmp_path: Path, images):
    write_lists(tmp_path, train="a\ngone\n", val="a\nb\n")
    log = ProblemLog()
    split = splits.by_lists(images("a.jpg", "b.jpg", "c.jpg"), tmp_path, log)
    assert ids(split) == {"train": ["a.jpg"], "val": ["b.jpg"]}
    assert [(p.rule, p.fixed, p.fails_strict) for p in log.problems] == [
        ("split-missing-image", False, True),
        ("split-overlap", True, True),
        ("not-in-split", False, False),
    ]
    assert (
        str(log.problems[0]) == f"{tmp_path / 'train.txt'}: gone: no usable annotation of that name"
    )


def test_lists_that_cannot_be_used(tmp_path: Path, images):
    two = images("x/a.jpg", "y/a.jpg")
    with pytest.raises(InputError, match="nowhere: no such folder; --split-dir takes"):
        splits.by_lists(two, tmp_path / "nowhere", ProblemLog())
    with pytest.raises(InputError, match=r"no train\.txt, val\.txt, .* here or in its folder Main"):
        splits.by_lists(two, tmp_path, ProblemLog())
    write_lists(tmp_path, train="a\n")
    with pytest.raises(InputError, match=r"train\.txt: a fits 2 pictures \(x/a\.jpg, y/a\.jpg\)"):
        splits.by_lists(two, tmp_path, ProblemLog())
    (tmp_path / "train.txt").write_bytes(b"a\xff\n")
    with pytest.raises(InputError, match=r"train\.txt: byte 1: not UTF-8 text"):
        splits.by_lists(two, tmp_path, ProblemLog())
