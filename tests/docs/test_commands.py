"""Every command of README.md and docs/, executed as written but for its length.

`pytest -v tests/docs/test_commands.py -m slow` lists them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .commands import PAGES, PROJECT, Command, commands_of, inline_commands_of, shortened

PATIENCE = 900
VERBS = re.compile(r"^\./run\.sh ([\w-]+)")


def _unique() -> list[Command]:
    """The commands of all pages; of equal ones the first."""
    found: dict[str, Command] = {}
    for page in PAGES:
        for command in commands_of(page):
            found.setdefault(" ".join(shortened(command).split()), command)
    return list(found.values())


COMMANDS = _unique()
OURS = [command for command in COMMANDS if command.text.startswith("./run.sh")]
# Not what runs the tests, as this one does, nor `demo`, which serves until Ctrl-C.
EXECUTED = [one for one in OURS if one.text.split()[1] not in ("test", "check", "demo")]
INLINE = [command for page in PAGES for command in inline_commands_of(page)]


@pytest.fixture(scope="module")
def environment(no_zoo: dict[str, str]) -> dict[str, str]:
    # A notebook's kernel hands its own backend to commands that another Python runs.
    notebook = {"MPLBACKEND": "known_to_the_notebook_only"}
    return {**os.environ, **no_zoo, **notebook, "NO_VENV": "1", "PYTHON": sys.executable}


@pytest.fixture(scope="module")
def execute(environment) -> Callable[[str, Path], None]:
    """Executes a command line in a folder; fails the test where it does."""

    def run(text: str, folder: Path) -> None:
        done = subprocess.run(
            ["bash", "-c", text],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"

    return run


@pytest.fixture(scope="module")
def workspace(tmp_path_factory, tiny_demo_config, execute) -> Path:
    """A folder like a checkout in which all that the pages name is at hand."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "run.sh").write_text(f'#!/usr/bin/env bash\nexec "{PROJECT}/run.sh" "$@"\n')
    (folder / "run.sh").chmod(0o755)
    (folder / "pipeline_configs").symlink_to(PROJECT / "pipeline_configs")
    for name in ("tiny.config", "pipeline.config"):
        (folder / name).write_text(tiny_demo_config)
    execute("./run.sh sample-data --output sample --images 100", folder)
    for made, named in (
        ("images", "photos"),
        ("annotations", "xml"),
        ("annotations_coco.json", "instances.json"),
        ("annotations.csv", "labels.csv"),
        ("labels", "labels"),
        ("data.yaml", "data.yaml"),
    ):
        (folder / "sample" / made).rename(folder / named)
    _make_bccd(folder)
    train = "./run.sh train --config tiny.config --steps 2 --batch-size 4 --checkpoint none"
    convert = "./run.sh convert voc --images photos/ --annotations xml/ --output data/mine"
    execute(convert, folder)
    for name in ("bccd", "coco"):
        execute(convert.replace("mine", name), folder)
    execute(f"{train} --data data/mine --output runs/NAME", folder)
    execute("./run.sh export-tflite --run runs/NAME --max-map-drop 100", folder)
    execute("./run.sh export-saved-model --run runs/NAME", folder)
    shutil.copytree(folder / "runs/NAME/best", folder / "CHECKPOINT/checkpoint")
    shutil.copy(folder / "runs/NAME/pipeline.config", folder / "CHECKPOINT/pipeline.config")
    return folder


def _make_bccd(folder: Path) -> None:
    """The sample pictures once more, laid out as that data set is."""
    lists = folder / "BCCD/ImageSets/Main"
    lists.mkdir(parents=True)
    (folder / "BCCD/JPEGImages").symlink_to(folder / "photos")
    (folder / "BCCD/Annotations").symlink_to(folder / "xml")
    names = sorted(path.stem for path in (folder / "xml").glob("*.xml"))
    (lists / "train.txt").write_text("\n".join(names[:80]) + "\n")
    (lists / "val.txt").write_text("\n".join(names[80:]) + "\n")


def test_there_are_commands_of_every_verb():
    named = {found[1] for command in OURS if (found := VERBS.match(command.text))}
    usage = subprocess.run(
        [PROJECT / "run.sh", "--help"], capture_output=True, text=True, check=True
    ).stdout
    verbs = set(re.findall(r"^  ([a-z-]+)", usage, re.MULTILINE)) - {"test"}
    assert sorted(verbs - named) == []


@pytest.mark.slow
@pytest.mark.parametrize("command", EXECUTED, ids=str)
def test_command(command, workspace, execute):
    execute(shortened(command), workspace)


@pytest.fixture(scope="module")
def help_of(environment) -> Callable[[str], str]:
    """What `run.sh VERB --help` prints."""
    seen: dict[str, str] = {}

    def read(verb: str) -> str:
        if verb not in seen:
            actions = {"convert": ["voc", "coco", "csv", "yolo"], "config": ["check", "show"]}
            texts = [
                subprocess.run(
                    [PROJECT / "run.sh", verb, *action, "--help"],
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
                for action in [[], *([name] for name in actions.get(verb, ()))]
            ]
            seen[verb] = "\n".join(texts)
        return seen[verb]

    return read


@pytest.mark.parametrize("command", [*OURS, *INLINE], ids=str)
def test_flags_exist(command, help_of):
    verb = VERBS.match(command.text)
    assert verb, "a verb was expected behind ./run.sh"
    if verb[1] in ("test", "check") or "VERB" in command.text:
        return
    shown = help_of(verb[1])
    flags = re.findall(r"(?<=\s)--[a-z][a-z-]*", command.text.split(" -- ")[0])
    assert [flag for flag in flags if not re.search(rf"{flag}(?![\w-])", shown)] == []


SCRIPTS = [command for command in COMMANDS if command.text.startswith("python benchmarks/")]


@pytest.mark.parametrize("command", SCRIPTS, ids=str)
def test_benchmark_flags_exist(command, environment):
    words = command.text.split(" -- ")[0].split()
    shown = subprocess.run(
        [sys.executable, PROJECT / words[1], "--help"],
        env=environment | {"PYTHONPATH": str(PROJECT), "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    flags = [word for word in words[2:] if word.startswith("--")]
    assert [flag for flag in flags if flag not in shown] == []


def test_nothing_else_stands_in_blocks_of_commands():
    first_words = {command.text.split()[0] for command in COMMANDS}
    assert first_words - {"./run.sh", "python", "pytest", "sed", ".ci/run", ".ci/deploy"} == set()
