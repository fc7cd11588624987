"""conversion_report.json, and whether the records beside it are those that it lists."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ssd import label_map as label_maps
from ssd.data import manifest, record_verification
from ssd.data.record_verification import verify
from ssd.errors import InputError
from ssd.label_map import LabelMap, LabelMapItem

SHARDS = {
    "train-00000-of-00003.tfrecord": b"first shard",
    "train-00001-of-00003.tfrecord": b"the second one",
    "train-00002-of-00003.tfrecord": b"third",
    "val-00000-of-00001.tfrecord": b"for evaluation",
}
# 11 + 14 + 5 bytes, and 14 of val.
TRAIN, VAL = "train-*.tfrecord", "val-*.tfrecord"
LABELS = LabelMap((LabelMapItem(1, "cat"), LabelMapItem(2, "cow", "Cow"), LabelMapItem(4, "dog")))
BOXES = {"train": {"cat": 3, "cow": 0, "dog": 7}, "val": {"cat": 0, "cow": 2, "dog": 1}}

Folder = Callable[..., Path]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _report(folder: Path) -> dict[str, Any]:
    """What a conversion that wrote SHARDS says, and more that nobody needs."""
    splits = {}
    for split, boxes in BOXES.items():
        shards = [
            {"file": name, "records": 2, "bytes": len(data), "sha256": _sha256(data)}
            for name, data in SHARDS.items()
            if name.startswith(split)
        ]
        total = sum(boxes.values())
        splits[split] = {"images": 5, "boxes": total, "classes": boxes, "shards": shards}
    return {
        "images": 10,
        "classes": {name: sum(b[name] for b in BOXES.values()) for name in BOXES["train"]},
        "splits": splits,
        "label_map": {
            "file": "label_map.pbtxt",
            "sha256": _sha256((folder / "label_map.pbtxt").read_bytes()),
        },
        # A file name that is no UTF-8 is written so.
        "problems": [{"rule": "orphan-annotation", "file": "\udcff.xml"}],
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """SHARDS, their label map and their report."""
    path = tmp_path / "data"
    path.mkdir()
    for name, data in SHARDS.items():
        (path / name).write_bytes(data)
    label_maps.save(LABELS, path / "label_map.pbtxt")
    _write(path, _report(path))
    return path


def _write(folder: Path, report: object) -> None:
    (folder / manifest.REPORT_NAME).write_text(json.dumps(report))


def _patterns(folder: Path | str, *names: str) -> list[str]:
    return [f"{folder}/{name}" for name in names or (TRAIN, VAL)]


def test_whole_records(folder: Path) -> None:
    line = "records: 0.0 MB in 4 shards, as conversion_report.json lists them"
    assert verify(_patterns(folder), LABELS) == [line]
    assert verify(_patterns(folder)) == [line]
    # `--data DIR/`; a path within the current folder; a folder that is a pattern itself.
    assert verify(_patterns(f"{folder}/")) == [line]
    assert verify(_patterns(f"{folder.parent}/d?ta")) == [line]
    assert "1 shard, as" in verify(_patterns(folder, VAL, VAL))[0]


def test_in_the_current_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert "3 shards" in verify([TRAIN], LABELS)[0]
    Path("train-00002-of-00003.tfrecord").unlink()
    with pytest.raises(InputError, match=r"^train-00002-of-00003.tfrecord: no such file; conv"):
        verify([TRAIN], LABELS)


def test_what_a_conversion_of_ours_wrote(tiny_data: Path, tiny_label_map: LabelMap) -> None:
    (line,) = verify(_patterns(tiny_data), tiny_label_map)
    assert line.endswith("in 2 shards, as conversion_report.json lists them")
    assert manifest.without_boxes(_patterns(tiny_data, TRAIN), tiny_label_map) == []


def test_a_part_by_its_name_is_all_that_is_asked_for(folder: Path) -> None:
    (folder / "train-00001-of-00003.tfrecord").unlink()
    (folder / "val-00000-of-00001.tfrecord").write_bytes(b"changed")
    assert "1 shard," in verify(_patterns(folder, "train-00002-of-00003.tfrecord"))[0]
    assert "1 shard," in verify(_patterns(f"{folder}/", "train-00002-of-00003.tfrecord"))[0]
    assert "2 shards," in verify(_patterns(folder, "train-0000[02]-of-00003.tfrecord"))[0]


def test_records_of_other_tools_are_left_alone(folder: Path, tmp_path: Path) -> None:
    (folder / "pets.record").write_bytes(b"by another tool")
    assert verify(_patterns(folder, "pets.record"), label_maps.from_names(["pet"])) == []
    assert verify([str(tmp_path / "*.record"), "nowhere/*", "PATH_TO_BE_CONFIGURED/x"]) == []
    (folder / manifest.REPORT_NAME).unlink()
    (folder / "train-00001-of-00003.tfrecord").unlink()
    assert verify(_patterns(folder), LABELS) == []


def _damage(folder: Path, kind: str) -> None:
    second = folder / "train-00001-of-00003.tfrecord"
    report = _report(folder)
    if kind == "missing":
        second.unlink()
    elif kind == "cut off":
        second.write_bytes(second.read_bytes()[:7])
    elif kind == "0 bytes":
        second.write_bytes(b"")
    elif kind == "flipped bit":
        second.write_bytes(b"the second oNe")
    elif kind == "dead link":
        second.unlink()
        second.symlink_to("nowhere")
    elif kind == "older shard":
        (folder / "train-00000-of-00002.tfrecord").write_bytes(b"older")
    elif kind == "other file":
        (folder / "train-of-mine.tfrecord").write_bytes(b"other")
    elif kind == "gone":
        for name in SHARDS:
            (folder / name).unlink()
    elif kind == "other number of shards":
        for name in SHARDS:
            (folder / name).rename(folder / name.replace("00003", "00004"))
    elif kind == "empty split":
        report["splits"]["train"] |= {"images": 0, "shards": []}
        _write(folder, report)
        for name in SHARDS:
            (folder / name).unlink()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            "missing",
            r"train-00001-of-00003.tfrecord: no such file; conversion_report.json beside it lists "
            r"it with 14 bytes; copy it here again, or convert again$",
        ),
        (
            "cut off",
            r"train-00001-of-00003.tfrecord: 7 bytes; conversion_report.json beside it says 14: a "
            r"copy was cut off, or .*; copy it here again, or convert again$",
        ),
        ("0 bytes", r"train-00001-of-00003.tfrecord: 0 bytes; .* beside it says 14: "),
        (
            "flipped bit",
            rf"train-00001-of-00003.tfrecord: SHA-256 {_sha256(b'the second oNe')[:16]}...; "
            rf"conversion_report.json beside it says {_sha256(b'the second one')[:16]}...: its "
            r"bytes were changed since the conversion; copy it here again, or convert again$",
        ),
        ("dead link", r"train-00001-of-00003.tfrecord: cannot be read: No such file"),
        (
            "older shard",
            r"train-00000-of-00002.tfrecord: conversion_report.json beside it does not list it, "
            r"but train-00000-of-00003.tfrecord: files of two conversions are mixed here; remove",
        ),
        ("other file", r"train-of-mine.tfrecord: conversion_report.json beside it does not list"),
        ("gone", r"train-00000-of-00003.tfrecord: no such file; .* lists it with 11 bytes"),
        (
            "other number of shards",
            r"train-00000-of-00004.tfrecord: conversion_report.json beside it does not list it, b",
        ),
        (
            "empty split",
            r"/train-\*.tfrecord: matches no file; the conversion put 0 images into train; convert "
            r"again with a split that gives some$",
        ),
    ],
)
def test_what_is_refused(folder: Path, kind: str, message: str) -> None:
    _damage(folder, kind)
    with pytest.raises(InputError, match=f"^{folder}.*{message}") as caught:
        verify(_patterns(folder), LABELS)
    assert "\n" not in str(caught.value)


def test_a_pattern_of_another_number_of_shards(folder: Path) -> None:
    message = (
        r"/train-\?{5}-of-00008.tfrecord: matches no file; the conversion put 5 images into train, "
        r"the first into train-00000-of-00003.tfrecord; correct the pattern$"
    )
    with pytest.raises(InputError, match=message):
        verify(_patterns(folder, "train-?????-of-00008.tfrecord"))


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (
            ((1, "cat"), (2, "bull"), (4, "dog")),
            r"id 2 is 'bull', but 'cow' in the records of .*data; take the label map they were",
        ),
        (
            ((1, "cow"), (2, "cat"), (4, "dog")),
            r"id 1 is 'cow', but 'cat' in the records of .*data \(and 1 more ids\); take",
        ),
        (((1, "cat"), (2, "cow")), r"id 4 is absent, but 'dog' in the records"),
        (
            ((1, "cat"), (2, "cow"), (3, "emu"), (4, "dog")),
            r"id 3 is 'emu', but absent in the records",
        ),
        (((1, "cat"), (2, "cow"), (3, "dog")), r"id 3 is 'dog', but absent .* \(and 1 more ids\)"),
    ],
    ids=["renamed", "swapped", "one less", "one more", "another id"],
)
def test_another_label_map(folder: Path, items: Any, message: str) -> None:
    own = LabelMap(tuple(LabelMapItem(*item) for item in items))
    with pytest.raises(InputError, match=f"^mine.pbtxt: class {message}"):
        verify(_patterns(folder), own, "mine.pbtxt")


def test_display_names_and_the_layout_of_a_label_map_are_free(folder: Path) -> None:
    items = ((4, "dog", "Hund"), (1, "cat", ""), (2, "cow", ""))
    own = LabelMap(tuple(sorted((LabelMapItem(*item) for item in items), key=lambda i: i.id)))
    assert verify(_patterns(folder), own)


@pytest.mark.parametrize("is_there", [False, True], ids=["gone", "edited"])
def test_without_the_original_label_map_names_count_in_order(folder: Path, is_there: bool) -> None:
    path = folder / "label_map.pbtxt"
    path.write_text(path.read_text().replace("dog", "hound")) if is_there else path.unlink()
    assert verify(_patterns(folder), LABELS)
    for names, message in (
        (["cat", "cow", "hound"], "id 3 is 'hound', but 'dog' in"),
        (["cat", "cow"], "id 3 is absent, but 'dog' in"),
        (["cow", "cat", "dog"], r"id 1 is 'cow', but 'cat' in .* \(and 1 more ids\)"),
        (["cat", "cow", "dog", "emu"], "id 4 is 'emu', but absent in"),
    ):
        with pytest.raises(InputError, match=f"^label map: class {message}"):
            verify(_patterns(folder), label_maps.from_names(names))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b'{"images": 3,\n "splits": {"train"',
            r":2: damaged JSON: .* at column 20; convert again",
        ),
        (b"", r":1: damaged JSON: Expecting value at column 1; convert again, or remove it"),
        (b"\xff\xfe{\0", r": byte 0: not UTF-8, so no JSON; convert again, or remove it"),
        (b"[1, 2]", r": not a report that `convert` .*: Expected `object`, got `array`; convert"),
        (b"{}", r": not a report .*: Object missing required field `classes`; convert again"),
        (
            b'{"classes": {}, "label_map": {"file": "l", "sha256": ""}, "splits": {"train": {'
            b'"images": 1, "classes": {}, "shards": [{"file": "x", "bytes": "1", "sha256": ""}]}}}',
            r": not a report .*: Expected `int`, got `str` - at `\$.splits\[...\].shards\[0\].byt",
        ),
    ],
    ids=["cut off", "0 bytes", "UTF-16", "a list", "another object", "a text for a number"],
)
def test_a_damaged_manifest(folder: Path, data: bytes, message: str) -> None:
    (folder / manifest.REPORT_NAME).write_bytes(data)
    with pytest.raises(InputError, match=f"^{folder}/conversion_report.json{message}") as caught:
        verify(_patterns(folder), LABELS)
    assert "\n" not in str(caught.value)


def test_a_manifest_that_a_windows_editor_saved(folder: Path) -> None:
    path = folder / manifest.REPORT_NAME
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"{", b"{\r\n"))
    assert verify(_patterns(folder), LABELS)


def test_above_the_limit_one_shard_of_each_split_is_hashed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_verification, "_MOST_HASHED_BYTES", 43)  # of 44
    (folder / "train-00001-of-00003.tfrecord").write_bytes(b"the second oNe")
    (line,) = verify(_patterns(folder))
    assert line.startswith("records: 0.0 MB in 4 shards, of the sizes that conversion_report.json")
    names = "train-00000-of-00003.tfrecord, val-00000-of-00001.tfrecord"
    assert line.endswith(f"the SHA-256 is checked of {names} only")
    (folder / "val-00000-of-00001.tfrecord").write_bytes(b"for Evaluation")
    with pytest.raises(InputError, match=r"val-00000-of-00001.tfrecord: SHA-256"):
        verify(_patterns(folder))
    (folder / "train-00001-of-00003.tfrecord").write_bytes(b"the second")
    with pytest.raises(InputError, match=r"train-00001-of-00003.tfrecord: 10 bytes"):
        verify(_patterns(folder))


def test_every_shard_is_hashed_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []
    real = record_verification._sha256

    def counting(path: str) -> str:
        hashed.append(os.path.basename(path))
        return real(path)

    monkeypatch.setattr(record_verification, "_sha256", counting)
    verify(_patterns(folder, TRAIN, VAL, "train-00001-of-00003.tfrecord"))
    assert sorted(hashed) == sorted(SHARDS)


def test_classes_without_boxes(folder: Path, tmp_path: Path) -> None:
    train, val = _patterns(folder, TRAIN), _patterns(folder, VAL)
    assert manifest.without_boxes(train, LABELS) == ["class cow has no boxes in train"]
    assert manifest.without_boxes(val, LABELS) == ["class cat has no boxes in val"]
    assert manifest.without_boxes([*train, *val], LABELS) == []
    more = label_maps.from_names(["cat", "cow", "dog", "emu"])
    assert manifest.without_boxes(train, more) == ["2 classes (cow, emu) have no boxes in train"]
    # What is in records without a manifest, nobody knows.
    other = tmp_path / "other.record"
    other.write_bytes(b"x")
    assert manifest.without_boxes([*train, str(other)], LABELS) == []
    assert manifest.without_boxes([str(other)], LABELS) == []
    copy = shutil.copytree(folder, tmp_path / "again")
    assert manifest.without_boxes([*train, *_patterns(copy, VAL)], LABELS) == []


def test_what_a_manifest_lists_here_or_not(folder: Path) -> None:
    (folder / "val-00000-of-00001.tfrecord").unlink()
    assert manifest.lists(f"{folder}/{VAL}")
    assert not manifest.lists(f"{folder}/test-*.tfrecord")
    (folder / manifest.REPORT_NAME).unlink()
    assert not manifest.lists(f"{folder}/{VAL}")
