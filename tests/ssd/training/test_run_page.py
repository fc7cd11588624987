"""When a run's page is written, and of which weights it is."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ssd.errors import InputError
from ssd.evaluated_image import EvaluatedImage
from ssd.run_folder import RunFolder
from ssd.run_report import report
from ssd.training.options import TrainOptions
from ssd.training.run_page import RunPage, duration

LOSSES = [{"step": 20, "total_loss": 1.0}, {"step": 40, "total_loss": 0.5}]


def image_of(score: float) -> EvaluatedImage:
    box = np.array([[0.1, 0.2, 0.5, 0.4]], np.float32)
    return EvaluatedImage(
        number=0,
        source_id="a.jpg",
        image_size=(130, 210),
        groundtruth_boxes=box,
        groundtruth_classes=np.array([1]),
        groundtruth_is_crowd=np.zeros(1, bool),
        detection_boxes=box,
        detection_scores=np.array([score], np.float32),
        detection_classes=np.array([1]),
    )


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "a")


@pytest.fixture
def make(run: RunFolder, tiny_config, tiny_label_map, monkeypatch):
    """() -> a RunPage whose contents land in its `written`."""

    def build() -> RunPage:
        plan = SimpleNamespace(
            run=run,
            config=tiny_config,
            config_name="small_data",
            label_map=tiny_label_map,
            train_records=range(30),
        )
        page = RunPage(plan, TrainOptions())
        page.written = []
        monkeypatch.setattr(
            report, "write", lambda folder, what: page.written.append(what) or folder / "r"
        )
        return page

    return build


def keep_as_best(run: RunFolder, step: int) -> None:
    run.best.mkdir(parents=True, exist_ok=True)
    for index in run.best.glob("*.index"):
        index.unlink()
    (run.best / f"ckpt-{step}.index").write_text("")


def write(page: RunPage, *evaluations: dict, losses: list = LOSSES) -> report.Contents:
    page.write("finished", losses=losses, evaluations=evaluations, records=None, seconds=62)
    return page.written[-1]


def shown_score(what: report.Contents) -> float:
    return round(float(what.analysis.images[0].detection_scores[0]), 2)


STEP_20, STEP_40 = {"step": 20, "AP": 0.5}, {"step": 40, "AP": 0.25}


def test_it_is_about_the_best_weights(run, make):
    page = make()
    keep_as_best(run, 20)
    page.add_evaluation(20, [image_of(0.75)])
    page.add_evaluation(40, [image_of(0.25)])
    what = write(page, STEP_20, STEP_40)
    assert [column.title for column in what.columns] == ["best, step 20", "last, step 40"]
    assert (shown_score(what), what.training.best_step) == (0.75, 20)


def test_a_resumed_run_still_shows_its_best(run, make):
    keep_as_best(run, 20)
    make().add_evaluation(20, [image_of(0.75)])
    page = make()
    page.add_evaluation(40, [image_of(0.25)])
    assert shown_score(write(page, STEP_20, STEP_40)) == 0.75
    # Also where nothing was evaluated any more.
    assert shown_score(write(make(), STEP_20, STEP_40)) == 0.75


def test_weights_of_a_step_that_is_done_again_are_not_the_best(run, make):
    page = make()
    keep_as_best(run, 20)
    page.add_evaluation(20, [image_of(0.75)])
    (run.best / "ckpt-60.index").write_text("")
    page.add_evaluation(40, [image_of(0.25)])
    what = write(page, STEP_20, STEP_40)
    assert (what.columns[0].title, shown_score(what)) == ("best, step 20", 0.75)


def test_without_the_best_images_it_is_about_the_last(run, make):
    page = make()
    keep_as_best(run, 20)
    page.add_evaluation(40, [image_of(0.25)])
    what = write(page, STEP_20, STEP_40)
    assert [column.title for column in what.columns] == ["last, step 40", "best, step 20"]
    assert shown_score(what) == 0.25


def test_the_last_may_be_the_best(run, make):
    page = make()
    keep_as_best(run, 40)
    page.add_evaluation(40, [image_of(0.25)])
    what = write(page, STEP_20, STEP_40)
    assert [column.title for column in what.columns] == ["best, step 40"]
    assert shown_score(what) == 0.25


def test_without_validation_records(run, make):
    page = make()
    keep_as_best(run, 40)
    page.add_evaluation(40, [])
    what = write(page, {"step": 40, "AP": None})
    assert (what.columns, what.analysis) == ([], None)
    assert dict(what.facts)["validation images"] == "none evaluated"


def test_a_run_without_a_step_has_no_page(make):
    page = make()
    assert page.write("stopped", losses=[], evaluations=[], records=None, seconds=1) is None
    assert page.written == []


def test_the_facts(run, make):
    run.path.mkdir()
    run.restore_report.write_text(
        json.dumps({"checkpoint": "coco/ckpt-0", "checkpoint_type": "detection"})
    )
    facts = dict(write(make(), STEP_40).facts)
    assert facts["config"] == "small_data (ssd_mobilenet_v2_fpn_keras)"
    assert facts["begun from"] == "coco/ckpt-0 (type detection)"
    assert facts["classes"] == "3: bolt, nut, washer"
    # 40 steps of 2 images, 30 images: 80 / 30.
    assert facts["length"] == "40 of 50,000 steps of 2 images (2.7 epochs)"
    assert facts["time"] == "1 min 02 s"
    run.restore_report.unlink()
    assert dict(write(make(), STEP_40).facts)["begun from"] == "random weights"


def test_what_cannot_be_written_is_one_line(make, monkeypatch, capsys):
    page = make()

    def full(*_: object) -> None:
        raise InputError("a/report.html: cannot be written (No space left on device)")

    monkeypatch.setattr(report, "write", full)
    done = page.write("finished", losses=LOSSES, evaluations=[], records=None, seconds=1)
    assert done is None
    said = "".join(capsys.readouterr())
    assert said == (
        "no report: a/report.html: cannot be written (No space left on device); the weights are "
        "not concerned\n"
    )


def test_images_that_cannot_be_kept_are_one_line(run, make, capsys):
    page = make()
    keep_as_best(run, 20)
    (run.best / "detections.npz").mkdir()
    page.add_evaluation(20, [image_of(0.75)])
    said = "".join(capsys.readouterr())
    assert said.count("\n") == 1
    assert "detections.npz: not written (Is a directory); training goes on" in said
    assert shown_score(write(page, STEP_20)) == 0.75


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(11.6, "12 s"), (59.7, "1 min 00 s"), (185, "3 min 05 s"), (3725, "1 h 02 min")],
)
def test_duration(seconds, text):
    assert duration(seconds) == text
