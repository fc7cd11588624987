"""Outputs are whole or absent, whenever a run is killed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ssd.errors import InputError
from tfrecord_tools import output_folder
from tfrecord_tools.output_folder import whole_output

SEAL = "report.json"


def is_owned(name: str) -> bool:
    return name.startswith("shard") or name in (SEAL, "sub")


def fill(output: Path, version: str, count: int = 2) -> None:
    with whole_output(output, is_owned, SEAL) as folder:
        for number in range(count):
            (folder / f"shard{number}-of-{count}").write_text(version)
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text(version)
        (folder / SEAL).write_text(version)


def content(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def expected(version: str, count: int = 2) -> dict[str, str]:
    shards = {f"shard{n}-of-{count}": version for n in range(count)}
    return shards | {SEAL: version, "sub/file": version}


def test_a_new_folder_appears_whole(tmp_path: Path):
    fill(tmp_path / "deep" / "data", "1")
    assert content(tmp_path / "deep" / "data") == expected("1")
    assert os.listdir(tmp_path / "deep") == ["data"]


def test_an_earlier_output_is_replaced_and_other_files_stay(tmp_path: Path):
    fill(tmp_path, "1", count=4)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "mine.jpg").write_text("photo")
    (tmp_path / "notes.txt").write_text("mine")
    fill(tmp_path, "2", count=2)
    assert content(tmp_path) == expected("2") | {"images/mine.jpg": "photo", "notes.txt": "mine"}


def test_an_empty_folder_is_filled(tmp_path: Path):
    fill(tmp_path, "1")
    assert content(tmp_path) == expected("1")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failed_run_leaves_everything_as_it_was(tmp_path: Path, error):
    def fail(output: Path) -> None:
        with whole_output(output, is_owned, SEAL) as folder:
            (folder / "shard0-of-1").write_text("half")
            raise error

    with pytest.raises(error):
        fail(tmp_path / "new")
    assert os.listdir(tmp_path) == []
    fill(tmp_path / "old", "1")
    with pytest.raises(error):
        fail(tmp_path / "old")
    assert content(tmp_path / "old") == expected("1")


@pytest.mark.parametrize("step", range(11))
def test_a_run_killed_while_it_moves_files_is_completed_by_the_next(tmp_path: Path, step: int):
    fill(tmp_path, "1", count=4)
    (tmp_path / "notes.txt").write_text("mine")
    moves = 0

    def dying(real):
        def act(*args, **kwargs):
            nonlocal moves
            if moves == step:
                os.kill(os.getpid(), 9)
            moves += 1
            return real(*args, **kwargs)

        return act

    if (child := os.fork()) == 0:
        # The child dies at its step-th removal or rename after the decision was written down.
        real_move = output_folder._move_in

        def move(*args):
            output_folder._remove = dying(output_folder._remove)
            os.replace = dying(os.replace)
            real_move(*args)

        output_folder._move_in = move
        fill(tmp_path, "2", count=2)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    was_killed = os.WIFSIGNALED(status)
    # The seal and four old shards go, then four renames: nine steps to die at.
    assert was_killed == (step < 9)
    if was_killed and step > 0:
        assert not (tmp_path / SEAL).exists()

    def fail() -> None:
        with whole_output(tmp_path, is_owned, SEAL):
            raise ZeroDivisionError

    # Completed before the new run begins, whatever becomes of that one.
    with pytest.raises(ZeroDivisionError):
        fail()
    assert content(tmp_path) == expected("2") | {"notes.txt": "mine"}


KILLED = """
import os, sys
from pathlib import Path
from tfrecord_tools.output_folder import whole_output
with whole_output(Path(sys.argv[1]), str.isalpha, "report.json") as folder:
    (folder / "shard0").write_text("half")
    print("working", flush=True)
    sys.stdin.read()
"""


def start(output: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", KILLED, str(output)]
    child = subprocess.Popen(command, stdin=-1, stdout=-1, text=True)
    assert child.stdout.readline() == "working\n"
    return child


@pytest.mark.parametrize("exists", [False, True])
def test_leftovers_of_killed_runs_go_and_those_of_living_runs_stay(tmp_path: Path, exists: bool):
    output = tmp_path / "data"
    if exists:
        fill(output, "1")
    home = output if exists else tmp_path
    killed, alive = start(output), start(output)
    killed.kill()
    killed.wait()
    before = {path for path in home.iterdir() if "unfinished" in path.name}
    assert len(before) == 2
    fill(output, "2")
    left = {path for path in home.iterdir() if "unfinished" in path.name}
    assert len(left) == 1
    assert left < before
    alive.kill()
    alive.wait()
    fill(output, "3")
    assert content(output).items() >= expected("3").items()
    if exists:
        assert content(output) == expected("3")


def test_files_of_another_origin_are_not_overwritten(tmp_path: Path):
    (tmp_path / "shard0-of-1").write_text("mine")
    message = r"has shard0-of-1 but no report\.json, so it is not from this command"
    with pytest.raises(InputError, match=message):
        fill(tmp_path, "1")
    assert content(tmp_path) == {"shard0-of-1": "mine"}


def test_a_file_is_no_folder(tmp_path: Path):
    (tmp_path / "data").write_text("x")
    with pytest.raises(InputError, match="data: is a file; --output takes a folder"):
        fill(tmp_path / "data", "1")


def test_a_full_disk_is_said_in_one_line(tmp_path: Path):
    message = "data: cannot be written: No space left on device"
    with (
        pytest.raises(InputError, match=message),
        whole_output(tmp_path / "data", is_owned, SEAL),
    ):
        raise OSError(28, "No space left on device")
    assert shutil.disk_usage(tmp_path).free > 0
    assert os.listdir(tmp_path) == []
