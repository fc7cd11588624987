from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

import pytest

from ssd import checkpoint_folder
from ssd.checkpoint_folder import numbers, restore_newest, written
from ssd.errors import InputError


def write(folder: Path, number: int, content: str = "x", keep: int = 5) -> None:
    with written(folder, number, keep=keep) as prefix:
        Path(f"{prefix}.data-00000-of-00001").write_text(f"data {content}")
        Path(f"{prefix}.index").write_text(f"index {content}")


def state(folder: Path) -> list[str]:
    return re.findall(r'paths?: "(.*)"', (folder / "checkpoint").read_text())


def test_numbers_of_whole_checkpoints(tmp_path):
    assert numbers(tmp_path / "nowhere") == []
    for name in ("ckpt-10.index", "ckpt-9.index", "ckpt-0.index", "ckpt-11.data-00000-of-00001"):
        (tmp_path / name).touch()
    for name in ("ckpt-best.index", "model.ckpt-3.index", "checkpoint"):
        (tmp_path / name).touch()
    assert numbers(tmp_path) == [0, 9, 10]


def test_files_get_their_names_after_the_block(tmp_path):
    folder = tmp_path / "made/here"
    with written(folder, 7, keep=2) as prefix:
        assert Path(prefix).name == "ckpt-7"
        Path(f"{prefix}.data-00000-of-00001").touch()
        Path(f"{prefix}.index").touch()
        assert numbers(folder) == []
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoint",
        "ckpt-7.data-00000-of-00001",
        "ckpt-7.index",
    ]
    assert state(folder) == ["ckpt-7", "ckpt-7"]


def test_only_the_newest_are_kept(tmp_path):
    for number in (1, 2, 30, 4):
        write(tmp_path, number, keep=2)
    # 30 went when 4 was written: its step is done again.
    assert numbers(tmp_path) == [2, 4]
    assert state(tmp_path) == ["ckpt-4", "ckpt-2", "ckpt-4"]
    write(tmp_path, 5, keep=1)
    assert numbers(tmp_path) == [5]
    assert not list(tmp_path.glob("ckpt-4.*"))


def test_nothing_is_deleted_before_the_new_one_is_there(tmp_path, monkeypatch):
    write(tmp_path, 1, keep=1)
    replace, seen = os.replace, []

    def watching(source, target):
        seen.append((Path(target).name, numbers(tmp_path)))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watching)
    write(tmp_path, 2, keep=1)
    assert seen == [
        ("ckpt-2.data-00000-of-00001", [1]),
        ("ckpt-2.index", [1]),
        ("checkpoint", [1, 2]),
    ]
    # One of the same number: never the old index beside the new data.
    seen.clear()
    write(tmp_path, 2, "again", keep=1)
    assert seen == [("ckpt-2.data-00000-of-00001", []), ("ckpt-2.index", []), ("checkpoint", [2])]
    assert (tmp_path / "ckpt-2.index").read_text() == "index again"


def test_files_are_on_the_disk_before_they_get_their_names(tmp_path, monkeypatch):
    events: list[str] = []
    fsync, replace = os.fsync, os.replace

    def flushing(descriptor):
        events.append(f"flush {Path(os.readlink(f'/proc/self/fd/{descriptor}')).name}")
        fsync(descriptor)

    def renaming(source, target):
        events.append(f"name {Path(target).name}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", flushing)
    monkeypatch.setattr(os, "replace", renaming)
    write(tmp_path, 3)
    assert events == [
        "flush ckpt-3.data-00000-of-00001",
        "flush ckpt-3.index",
        "name ckpt-3.data-00000-of-00001",
        "name ckpt-3.index",
        "flush .checkpoint.tmp",
        "name checkpoint",
        f"flush {tmp_path.name}",
    ]


def test_a_block_that_fails_leaves_nothing(tmp_path):
    write(tmp_path, 1)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with contextlib.suppress(ZeroDivisionError), written(tmp_path, 2, keep=1) as prefix:
        Path(f"{prefix}.index").touch()
        raise ZeroDivisionError
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_a_killed_writer_left_is_removed(tmp_path):
    left = tmp_path / ".writing-abc"
    left.mkdir()
    (left / "ckpt-1.index").touch()
    write(tmp_path, 2)
    assert not left.exists()


class TestRestoreNewest:
    def test_the_highest_number_wins_over_the_state_file(self, tmp_path):
        write(tmp_path, 10)
        for suffix in (".index", ".data-00000-of-00001"):  # killed before the state was written
            (tmp_path / f"ckpt-20{suffix}").touch()
        assert restore_newest(tmp_path, lambda prefix: prefix) == (f"{tmp_path}/ckpt-20", 20, [])

    def test_damaged_ones_are_passed_over_and_said(self, tmp_path):
        for number in (8, 9, 10):
            write(tmp_path, number)

        def restore(prefix: str) -> str:
            if prefix[-1] in "09":
                raise InputError(f"{prefix}: damaged")
            return "restored"

        assert restore_newest(tmp_path, restore) == (
            "restored",
            8,
            [
                f"DAMAGED, not used: {tmp_path}/ckpt-10: damaged",
                f"DAMAGED, not used: {tmp_path}/ckpt-9: damaged",
            ],
        )
        assert numbers(tmp_path) == [8, 9, 10]

    def test_none_is_readable(self, tmp_path):
        for number in (1, 2):
            write(tmp_path, number)

        def restore(prefix: str) -> str:
            raise InputError(f"{prefix}: damaged")

        with pytest.raises(
            InputError,
            match=rf"^{tmp_path}: none of 2 checkpoints can be used, the newest because: "
            rf"{tmp_path}/ckpt-2: damaged\. Nothing was changed; .*--fresh",
        ):
            restore_newest(tmp_path, restore)
        assert numbers(tmp_path) == [1, 2]

    def test_a_bug_is_no_damage(self, tmp_path):
        write(tmp_path, 1)
        with pytest.raises(ZeroDivisionError):
            restore_newest(tmp_path, lambda _: 1 // 0)


def test_a_disk_that_fails_is_told_apart_by_its_caller(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_folder, "_flush", lambda path: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write(tmp_path, 1)
    assert numbers(tmp_path) == []
