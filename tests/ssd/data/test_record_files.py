"""Paths and patterns -> files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ssd.data.record_files import expand, matches, shard_set, takes
from ssd.errors import InputError


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def _names(files: list[str]) -> list[str]:
    return [os.path.basename(file) for file in files]


def test_patterns_expand_sorted_and_stay_in_the_order_given(tmp_path: Path) -> None:
    _touch(tmp_path, "b-00001-of-00002", "b-00000-of-00002", "a.record", "c.txt")
    found = expand([f"{tmp_path}/b-?????-of-00002", f"{tmp_path}/*.record"])
    assert _names(found) == ["b-00000-of-00002", "b-00001-of-00002", "a.record"]


def test_double_star_goes_into_folders(tmp_path: Path) -> None:
    _touch(tmp_path, "x/one.tfrecord", "x/y/two.tfrecord")
    assert _names(expand(f"{tmp_path}/**/*.tfrecord")) == ["one.tfrecord", "two.tfrecord"]


def test_a_name_with_brackets_is_a_file_before_it_is_a_pattern(tmp_path: Path) -> None:
    _touch(tmp_path, "train[1].record", "train1.record")
    assert _names(expand(f"{tmp_path}/train[1].record")) == ["train[1].record"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ([], "train_records: empty; expected at least one TFRecord file or pattern"),
        ("{d}/none.record", r"train_records: '{d}/none.record' matches no file; expected .* seen"),
        ("{d}/*.zip", r"train_records: '{d}/\*.zip' matches no file"),
        (
            "PATH_TO_BE_CONFIGURED/train2017-?????-of-00256.tfrecord",
            r"train_records still says PATH_TO_BE_CONFIGURED \(PATH.*00256.tfrecord\); give the",
        ),
        ("{d}", "train_records: '{d}' is a folder; .* give a pattern such as '{d}/\\*.tfrecord'"),
        (
            "{d}/t-?????-of-00004",
            r"train_records: '{d}/t-\?+-of-00004' matches 3 of 4 shards; .* is number 00002",
        ),
        ("{d}/t-*", r"train_records: '{d}/t-\*' matches 3 of 4 shards; .* is number 00002"),
        (
            "{d}/two-*",
            r"train_records: '{d}/two-\*' matches shards of 2 conversions, \*-of-00002 and "
            r"\*-of-00003; remove the older ones, or give one set, such as "
            r"'{d}/two-\?{5}-of-00002.tfrecord'",
        ),
    ],
    ids=[
        "empty list",
        "no file",
        "no match",
        "path to be configured",
        "folder",
        "missing shard",
        "missing shard of a star",
        "two sets",
    ],
)
def test_what_cannot_be_expanded(tmp_path: Path, path: str | list[str], message: str) -> None:
    _touch(tmp_path, "t-00000-of-00004", "t-00001-of-00004", "t-00003-of-00004")
    _touch(tmp_path, "two-00000-of-00002.tfrecord", "two-00002-of-00003.tfrecord")
    filled = path.format(d=tmp_path) if isinstance(path, str) else path
    with pytest.raises(InputError, match=message.replace("{d}", str(tmp_path))):
        expand(filled, "train_records")


def test_one_shard_by_its_name_needs_no_others(tmp_path: Path) -> None:
    _touch(tmp_path, "t-00003-of-00004")
    assert len(expand(f"{tmp_path}/t-00003-of-00004")) == 1


def test_a_part_of_a_set_that_is_asked_for_is_no_fault(tmp_path: Path) -> None:
    _touch(tmp_path, "t-00000-of-00020", "t-00001-of-00020", "t-00010-of-00020", "t-00000-of-2")
    assert len(expand(f"{tmp_path}/t-0000[01]-of-00020")) == 2
    with pytest.raises(InputError, match=r"2 of 20 shards; .* is number 00002"):
        expand(f"{tmp_path}/t-0000?-of-00020")
    # Sets of different names or endings are sets of their own.
    _touch(tmp_path, "s/a-00000-of-00001", "s/b-00000-of-00002", "s/b-00001-of-00002")
    _touch(tmp_path, "s/b-00000-of-00001.record")
    assert len(expand(f"{tmp_path}/s/*")) == 4


def test_what_a_pattern_would_take(tmp_path: Path) -> None:
    _touch(tmp_path, "t[1]-a", "t1-b")
    assert takes("d/t-*.tfrecord", "d/t-00007-of-00009.tfrecord")
    assert not takes("d/t-*.tfrecord", "d/val-00007-of-00009.tfrecord")
    # A file of that name is meant, not a pattern.
    assert takes(f"{tmp_path}/t[1]-a", f"{tmp_path}/t[1]-a")
    assert not takes(f"{tmp_path}/t[1]-a", f"{tmp_path}/t1-a")
    assert takes(f"{tmp_path}/t[1]-b", f"{tmp_path}/t1-b")
    assert matches(f"{tmp_path}/t[1]-b") == [f"{tmp_path}/t1-b"]
    assert matches(f"{tmp_path}/none") == []


def test_shard_set() -> None:
    assert shard_set("d/t-00003-of-00010.tfrecord") == ("d/t", "00010")
    assert shard_set("d/train.tfrecord") is None
