from __future__ import annotations

import os
from pathlib import Path

import pytest

from ssd.errors import InputError
from ssd.run_folder import RunFolder, config_beside, label_map_beside, newest_run


def make_run(folder: Path, when: int, place: str = "checkpoints") -> None:
    (folder / place).mkdir(parents=True)
    (folder / "pipeline.config").touch()
    index = folder / place / "ckpt-5.index"
    index.touch()
    os.utime(index, (when, when))


def test_paths():
    run = RunFolder(Path("runs/a"))
    assert [
        str(path)
        for path in (
            run.config,
            run.label_map,
            run.checkpoints,
            run.best,
            run.restore_report,
            run.metrics,
        )
    ] == [
        "runs/a/pipeline.config",
        "runs/a/label_map.pbtxt",
        "runs/a/checkpoints",
        "runs/a/best",
        "runs/a/restore_report.json",
        "runs/a/metrics.jsonl",
    ]


def test_the_newest_run_is_the_one_written_to_last(tmp_path):
    make_run(tmp_path / "z", 1000)
    make_run(tmp_path / "b", 3000, "best")
    make_run(tmp_path / "c", 2000)
    assert newest_run(tmp_path).path == tmp_path / "b"


@pytest.mark.parametrize("what", ["nothing", "no folder", "no checkpoint", "no config"])
def test_no_run(tmp_path, what):
    runs = tmp_path / "runs"
    if what == "no checkpoint":
        (runs / "a/checkpoints").mkdir(parents=True)
        (runs / "a/pipeline.config").touch()
    elif what == "no config":
        make_run(runs / "a", 1000)
        (runs / "a/pipeline.config").unlink()
    elif what == "nothing":
        runs.mkdir()
    with pytest.raises(
        InputError,
        match=r"runs/: no run with a checkpoint yet; `\./run\.sh train` "
        r"makes one, or give --run DIR",
    ):
        newest_run(runs)


@pytest.mark.parametrize(
    "given", ["", "checkpoints", "checkpoints/ckpt-5", "checkpoints/ckpt-5.index"]
)
def test_config_beside(tmp_path, given):
    make_run(tmp_path, 1000)
    assert config_beside(tmp_path / given) == tmp_path / "pipeline.config"


def test_no_config_beside(tmp_path):
    with pytest.raises(InputError, match=r"ckpt-0: no pipeline\.config in this folder or above it"):
        config_beside(tmp_path / "a/b/c/ckpt-0")


def test_label_map_beside(tmp_path):
    assert label_map_beside(tmp_path / "pipeline.config") is None
    (tmp_path / "label_map.pbtxt").touch()
    assert label_map_beside(tmp_path / "pipeline.config") == tmp_path / "label_map.pbtxt"
