"""What a run writes for TensorBoard and its report, over stops and resumes."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from ssd.data.record_index import RecordIndex, index_records
from ssd.evaluated_image import EvaluatedImage
from ssd.label_map import LabelMap
from ssd.training import summaries as module
from ssd.training.event_file import EventFile
from ssd.training.summaries import Summaries

LOSSES = {"total_loss": 3.0, "localization_loss": 1.0, "learning_rate": 0.25}


@pytest.fixture
def make(tmp_path: Path, tiny_label_map: LabelMap):
    """(step, num_steps) -> the summaries of the run in `tmp_path`."""

    def build(step: int = 0, num_steps: int = 2000) -> Summaries:
        return Summaries(tmp_path, step, num_steps=num_steps, label_map=tiny_label_map)

    return build


@pytest.fixture
def records(tiny_data: Path) -> RecordIndex:
    return index_records([f"{tiny_data}/val-*.tfrecord"])


def image_of(number: int, class_id: int, score: float) -> EvaluatedImage:
    box = np.array([[0.1, 0.2, 0.5, 0.4]], np.float32)
    return EvaluatedImage(
        number=number,
        source_id=f"p{number}.png",
        image_size=(130, 210),
        groundtruth_boxes=box,
        groundtruth_classes=np.array([class_id]),
        groundtruth_is_crowd=np.zeros(1, bool),
        detection_boxes=box,
        detection_scores=np.array([score], np.float32),
        detection_classes=np.array([class_id]),
    )


def written(folder: Path) -> dict[str, list[int]]:
    """Tag -> the steps it was written at, of all files."""
    found: dict[str, list[int]] = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                found.setdefault(value.tag, []).append(event.step)
    return found


@pytest.mark.parametrize(
    ("num_steps", "steps"),
    [(60, range(1, 61)), (450, range(4, 61, 4)), (2000, [20, 40, 60]), (50000, [20, 40, 60])],
)
def test_points_are_closer_in_short_runs(make, tmp_path, num_steps, steps):
    summaries = make(num_steps=num_steps)
    for step in range(1, 61):
        summaries.add_losses(step, LOSSES)
    assert [line["step"] for line in summaries.losses] == list(steps)
    tags = ("Loss/total_loss", "Loss/localization_loss", "learning_rate")
    assert written(tmp_path) == {tag: list(steps) for tag in tags}


def test_a_resumed_run_goes_on_in_the_same_file(make, tmp_path, monkeypatch):
    clock = iter([100.0, 150.0, 160.0, 170.0, 3000.0, 3020.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    first = make()
    for step in (20, 40, 60):
        first.add_losses(step, LOSSES | {"total_loss": step / 10})
    resumed = make(step=40)
    resumed.add_losses(60, LOSSES | {"total_loss": 5.0})
    lines = [json.loads(line) for line in (tmp_path / "losses.jsonl").read_text().splitlines()]
    assert lines == resumed.losses
    # 60 seconds to step 40 in the first session, then 20 more.
    assert [(line["step"], line["total_loss"], line["seconds"]) for line in lines] == [
        (20, 2.0, 50.0),
        (40, 4.0, 60.0),
        (60, 5.0, 80.0),
    ]


def test_the_tags_of_an_evaluation(make, tmp_path, records):
    summary = {
        "AP": 0.5,
        "AP50": 0.75,
        "AR100": None,
        "PascalBoxes_Precision/mAP@0.5IOU": 0.7,
        "per_class": {
            "bolt": {"AP": 0.25, "AP50": 0.5, "boxes": 1},
            "nut": {"AP": None, "AP50": None, "boxes": 0},
        },
    }
    summaries = make()
    for step in (10, 20):
        images = [image_of(0, 1, 0.2 + step / 100), image_of(1, 3, 0.9)]
        summaries.add_evaluation(step, summary, images, records)
    assert set(written(tmp_path)) == {
        "DetectionBoxes_Precision/mAP",
        "DetectionBoxes_Precision/mAP@.50IOU",
        "PascalBoxes_Precision/mAP@0.5IOU",
        "AP/bolt",
        "PrecisionRecall@.50IOU",
        "PrecisionRecall@.50IOU/bolt",
        "PrecisionRecall@.50IOU/washer",
        "eval_side_by_side_0_0",
        "eval_side_by_side_1_0",
    }
    assert set(map(tuple, written(tmp_path).values())) == {(10, 20)}


def test_without_records_there_are_no_pictures(make, tmp_path):
    make().add_evaluation(10, {"AP": None}, [], None)
    assert written(tmp_path) == {}


def test_of_many_classes_those_with_most_boxes_have_a_curve(make, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MAX_CURVES", 1)
    images = [image_of(0, 1, 0.9), image_of(1, 3, 0.9), image_of(2, 3, 0.9)]
    make().add_evaluation(10, {"AP": 0.5}, images, None)
    assert [tag for tag in written(tmp_path) if "/" in tag] == [
        "DetectionBoxes_Precision/mAP",
        "PrecisionRecall@.50IOU/washer",
    ]


def test_a_full_disk_ends_the_curves_not_the_training(make, tmp_path, monkeypatch, capsys):
    summaries = make()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(EventFile, "add", full)
    for step in (20, 40):
        summaries.add_losses(step, LOSSES)
        summaries.add_evaluation(step, {"AP": 0.5}, [], None)
    said = "".join(capsys.readouterr())
    assert said.count("\n") == 1
    assert "no more curves and pictures for TensorBoard: No space left on device" in said
    # The report's own copy in memory goes on.
    assert [line["step"] for line in summaries.losses] == [20, 40]
