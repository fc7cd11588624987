"""Splits by hash and by lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssd.errors import InputError
from tfrecord_tools import splits
from tfrecord_tools.annotations import ProblemLog

IMAGES = Path("images")


def test_the_split_of_an_image_does_not_depend_on_the_others():
    many = [f"{n}.jpg" for n in range(1000)]
    whole = splits.by_hash(many, 0.2, seed=0).names
    part = splits.by_hash(many[300:700:3], 0.2, seed=0).names
    assert set(part["val"]) <= set(whole["val"])
    assert set(part["train"]) <= set(whole["train"])
    # 1000 draws of probability 0.2: 200 expected, standard deviation 12.6; 4 of them allowed.
    assert 150 < len(whole["val"]) < 250
    assert splits.by_hash(many, 0.2, seed=1).names != whole
    smaller = splits.by_hash(many, 0.1, seed=0).names
    assert set(smaller["val"]) < set(whole["val"])


def test_known_draws():
    # The SHA-256 of "split:0:a.jpg" begins 371a710c..., and 0x371a710c / 2**32 = 0.215247;
    # that of "order:3:b.jpg" begins f3991a17...: 0.951555. Records of next year split alike.
    assert splits._fraction("split:0:a.jpg") == pytest.approx(0.2152472168578035, abs=1e-15)
    assert splits._fraction("order:3:b.jpg") == pytest.approx(0.9515548999692808, abs=1e-15)


@pytest.mark.parametrize(("fraction", "train", "val"), [(0.0, 7, 0), (1.0, 0, 7)])
def test_a_split_may_be_empty_on_purpose(fraction: float, train: int, val: int):
    split = splits.by_hash("abcdefg", fraction, seed=0)
    assert [len(members) for members in split.names.values()] == [train, val]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("fraction", [0.05, 0.95])
def test_no_split_is_empty_by_chance(seed: int, fraction: float):
    split = splits.by_hash(["a", "b"], fraction, seed)
    assert [len(members) for members in split.names.values()] == [1, 1]


def test_one_image_is_in_one_split():
    assert sorted(map(len, splits.by_hash(["a"], 0.2, 0).names.values())) == [0, 1]


def test_record_order_is_a_shuffle_that_input_order_does_not_change():
    some = [f"{n}.jpg" for n in range(50)]
    order = splits.record_order(some, seed=0)
    assert order == splits.record_order(some[::-1], seed=0)
    assert order != some
    assert sorted(order) == sorted(some)
    assert order != splits.record_order(some, seed=1)


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
def test_which_lists_count(tmp_path: Path, there: str, expected: dict[str, str]):
    folder = write_lists(tmp_path, **{name: f"in_{name}\n" for name in there.split()})
    names = [f"in_{n}.jpg" for n in ("train", "val", "trainval", "test")]
    split = splits.by_lists(names, folder, IMAGES, ProblemLog())
    assert split.names == {s: [f"in_{f[:-4]}.jpg"] for s, f in expected.items()}
    for name, list_name in expected.items():
        assert f"{name} = {list_name}" in split.rule


def test_the_folder_main_is_found_and_names_are_matched_loosely(tmp_path: Path):
    write_lists(
        tmp_path / "Main",
        train="\ufeffa\nB.JPG\n\n  sub/c  \nmy photo 1\n",
        val="d  1\ne -1\n" + r"x\y\f.jpg" + "\n",
    )
    names = ["a.jpg", "b.jpg", "sub/c.png", "my photo 1.jpg", "d.jpg", "e.jpg", "f.jpg"]
    log = ProblemLog()
    split = splits.by_lists(names, tmp_path, IMAGES, log)
    assert split.names == {"train": names[:4], "val": names[4:]}
    assert log.problems == []


def test_missing_doubled_and_unlisted_names_are_noted(tmp_path: Path):
    write_lists(tmp_path, train="a\ngone\n", val="a\nb\n")
    log = ProblemLog()
    split = splits.by_lists(["a.jpg", "b.jpg", "c.jpg"], tmp_path, IMAGES, log)
    assert split.names == {"train": ["a.jpg"], "val": ["b.jpg"]}
    assert [(p.rule, p.fixed, p.fails_strict) for p in log.problems] == [
        ("split-missing-image", False, True),
        ("split-overlap", True, True),
        ("not-in-split", False, False),
    ]
    assert (
        str(log.problems[0]) == f"{tmp_path / 'train.txt'}: gone: no usable annotation of that name"
    )


def test_lists_that_cannot_be_used(tmp_path: Path):
    two = ["x/a.jpg", "y/a.jpg"]
    with pytest.raises(InputError, match="nowhere: no such folder; --split-dir takes"):
        splits.by_lists(two, tmp_path / "nowhere", IMAGES, ProblemLog())
    with pytest.raises(InputError, match=r"no train\.txt, val\.txt, .* here or in its folder Main"):
        splits.by_lists(two, tmp_path, IMAGES, ProblemLog())
    write_lists(tmp_path, train="a\n")
    with pytest.raises(InputError, match=r"train\.txt: a fits 2 pictures \(x/a\.jpg, y/a\.jpg\)"):
        splits.by_lists(two, tmp_path, IMAGES, ProblemLog())
    (tmp_path / "train.txt").write_bytes(b"a\xff\n")
    with pytest.raises(InputError, match=r"train\.txt: byte 1: not UTF-8 text"):
        splits.by_lists(two, tmp_path, IMAGES, ProblemLog())


def test_copies_stay_together():
    names = [f"{n}.jpg" for n in range(200)]
    copies = {f"{n}.jpg": f"{n - 1}.jpg" for n in range(1, 200, 2)}
    split = splits.by_hash(names, 0.5, 0, copies).names
    for copy, original in copies.items():
        assert (copy in split["val"]) == (original in split["val"])
    alone = splits.by_hash(names[::2], 0.5, seed=0).names
    assert set(alone["val"]) == set(split["val"]) - set(copies)
    assert splits.by_hash(["a", "b"], 0.5, 0, {"b": "a"}).names in (
        {"train": ["a", "b"], "val": []},
        {"train": [], "val": ["a", "b"]},
    )


def test_a_copy_in_a_second_list_is_left_out(tmp_path: Path):
    write_lists(tmp_path, train="a\nb\n", val="c\nd\n")
    log = ProblemLog()
    copies = {"b.jpg": "a.jpg", "c.jpg": "a.jpg"}
    names = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    split = splits.by_lists(names, tmp_path, IMAGES, log, copies)
    assert split.names == {"train": ["a.jpg", "b.jpg"], "val": ["d.jpg"]}
    (problem,) = log.problems
    assert (problem.rule, problem.fails_strict) == ("same-picture", True)
    assert problem.detail == "c has the bytes of a.jpg in train.txt; left out of this list"
