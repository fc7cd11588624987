from __future__ import annotations

import json
from pathlib import Path

import pytest

from ssd import label_map as label_maps
from ssd.config import pipeline
from ssd.errors import InputError
from ssd.run_folder import RunFolder
from ssd.training.options import TrainOptions
from ssd.training.run_choice import Choice, Wanted, choose_run

DATA = {"train": {"records": 292, "sha256": "a"}, "val": None}
OTHER_DATA = {"train": {"records": 310, "sha256": "b"}, "val": None}


@pytest.fixture(autouse=True)
def _folder(in_temporary_folder: Path) -> None:
    """Runs are made there."""


@pytest.fixture
def wanted(tiny_config, tiny_label_map) -> Wanted:
    return Wanted(tiny_config, TrainOptions().identity(), tiny_label_map, DATA)


def begin(wanted: Wanted, path: str, checkpoint_step: int | None = 40) -> RunFolder:
    """Leaves the folder as a training that was killed does."""
    run = RunFolder(Path(path))
    run.path.mkdir(parents=True)
    run.flags.write_text(json.dumps(wanted.flags))
    run.data.write_text(json.dumps(wanted.data))
    label_maps.save(wanted.label_map, run.label_map)
    pipeline.save(wanted.config, run.config)
    if checkpoint_step is not None:
        run.checkpoints.mkdir()
        (run.checkpoints / f"ckpt-{checkpoint_step}.index").touch()
    return run


def choose(wanted: Wanted, **flags) -> Choice:
    return choose_run(wanted, Path("my.config"), TrainOptions(**flags))


def changed(wanted: Wanted, **parts) -> Wanted:
    return Wanted(**{**vars(wanted), **parts})


def test_the_same_goes_on(wanted):
    run = begin(wanted, "run")
    assert choose(wanted, output="run") == Choice(run, True)


def test_runs_of_an_older_kit_go_on(wanted):
    """They say nothing about their data, and know fewer flags."""
    run = begin(wanted, "run")
    run.data.unlink()
    run.flags.write_text('{"seed": 0, "checkpoint": "auto"}')
    assert choose(wanted, output="run").resumes
    run.flags.write_text('{"seed": 1, "checkpoint": "auto"}')
    with pytest.raises(InputError, match=r"^run: holds a run with --seed 1, not 0; give another"):
        choose(wanted, output="run")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda run: run.data.write_text(json.dumps(OTHER_DATA)),
            r"^run: holds a run started on 310 training records, now there are 292; give another "
            r"--output, or --fresh for a new folder beside$",
        ),
        (
            lambda run: label_maps.save(label_maps.from_names(["bolt", "washer"]), run.label_map),
            r"^run: holds a run with another label map: class id 2 was 'washer', now it is 'nut' "
            r"\(and 1 more ids\); give",
        ),
        (
            lambda run: label_maps.save(
                label_maps.from_names(["bolt", "nut", "washer", "gear"]), run.label_map
            ),
            r"^run: holds a run with another label map: class id 4 was 'gear', now it is absent;",
        ),
        (lambda run: run.label_map.unlink(), r"^run: holds a run whose label_map.pbtxt is gone;"),
        (
            lambda run: run.label_map.write_text(""),
            r"^run/label_map.pbtxt: the file is empty; expected items",
        ),
        (
            lambda run: run.config.write_text(""),
            r"^run: holds a run whose pipeline.config is empty: a copy or a disk failed; put it",
        ),
        (
            lambda run: run.config.write_bytes(b"\xff\x00 model {"),
            r"^run: holds a run with another config \(\d+ lines differ, first: ",
        ),
        (
            lambda run: run.config.write_text(run.config.read_text() + "\n"),
            r"^run: holds a run with another config \(",
        ),
        (
            lambda run: run.config.unlink(),
            r"^run: holds checkpoints, but no pipeline.config that says of what; put it back, or",
        ),
        (
            lambda run: run.flags.write_text('{"seed": 0, "check'),
            r"^run/flags.json: damaged: a JSON object was expected; put back a copy, or give --fr",
        ),
        (lambda run: run.flags.write_bytes(b""), r"^run/flags.json: damaged"),
        (lambda run: run.flags.write_text("[]"), r"^run/flags.json: damaged"),
        (
            lambda run: run.flags.unlink(),
            r"^run: holds a run with --seed unknown \(flags.json is gone\), not 0; give",
        ),
        (lambda run: run.data.write_bytes(b"\x00\xff" * 9), r"^run/data.json: damaged"),
        (
            lambda run: run.finished.touch(),
            r"^run: this run is finished, nothing was done\. To train on from its weights: "
            r"--checkpoint run --steps N with another --output; to train again: --fresh$",
        ),
    ],
    ids=[
        *("data", "class", "class gone", "no label map", "empty label map", "empty config"),
        *("garbage config", "config", "no config", "cut flags", "empty flags", "flags no object"),
        *("no flags", "garbage data", "finished"),
    ],
)
def test_what_does_not_go_on(wanted, damage, message):
    run = begin(wanted, "run")
    damage(run)
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=message):
        choose(wanted, output="run")
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before
    # Beside it there is always a place.
    assert choose(wanted, output="run", fresh=True) == Choice(RunFolder(Path("run-2")), False)


def test_display_names_may_change(wanted):
    begin(wanted, "run")
    items = [label_maps.LabelMapItem(i.id, i.name, "Shown") for i in wanted.label_map.items]
    assert choose(
        changed(wanted, label_map=label_maps.LabelMap(tuple(items))), output="run"
    ).resumes


def test_a_finished_run_says_so_whatever_is_asked(wanted, tiny_config):
    run = begin(wanted, "run")
    run.finished.touch()
    tiny_config.train_config.num_steps += 100
    with pytest.raises(
        InputError, match=r"^run: this run is finished, nothing was done\. To train"
    ):
        choose(wanted, output="run")


class TestWithoutOutput:
    def test_the_unfinished_run_goes_on(self, wanted):
        run = begin(wanted, "runs/my-2024-05-06")
        assert choose(wanted) == Choice(run, True)

    def test_another_run_is_said_and_left_alone(self, wanted):
        run = begin(wanted, "runs/my-2024-05-06")
        choice = choose(changed(wanted, data=OTHER_DATA))
        assert not choice.resumes
        assert choice.run != run
        assert choice.notes == (
            "runs/my-2024-05-06/ is not finished, but it is another run: started on 292 training "
            "records, now there are 310",
        )

    def test_a_damaged_run_is_in_nobodys_way(self, wanted):
        begin(wanted, "runs/my-2024-05-06").flags.write_text("")
        choice = choose(wanted)
        assert not choice.resumes
        assert "runs/my-2024-05-06/flags.json: damaged" in choice.notes[0]

    def test_checkpoints_without_a_config_are_not_written_over(self, wanted):
        first = choose(wanted).run
        begin(wanted, str(first.path)).config.unlink()
        assert choose(wanted).run.path == Path(f"{first.path}-2")
