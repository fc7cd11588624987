"""Boxes in columns, and what a model misses of them."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from ssd.errors import InputError
from tfrecord_tools import found_boxes
from tfrecord_tools.annotations import ProblemLog
from tfrecord_tools.found_boxes import FoundBoxes, ModelView
from tfrecord_tools.image_record import ImageRecord


def made(*boxes, image_size=(120, 200)) -> ImageRecord:
    array = np.array(boxes, np.float32).reshape(-1, 4)
    return ImageRecord(b"", (), ("cat",) * len(array), array, image_size)


@pytest.fixture
def boxes() -> FoundBoxes:
    found = FoundBoxes()
    found.add("a.xml", made((0.1, 0.2, 0.3, 0.5), (0.5, 0.5, 0.502, 0.9)))
    found.add("none.xml", made())
    found.add("b.xml", made((0.0, 0.0, 1.0, 0.003), image_size=(60, 90)))
    return found


def test_columns(boxes: FoundBoxes):
    assert len(boxes) == 3
    assert boxes.boxes.shape == (3, 4)
    np.testing.assert_array_equal(boxes.image_sizes, [[120, 200], [120, 200], [60, 90]])
    hits = [
        (file, rows.tolist(), total) for file, rows, total in boxes.by_file(np.array([0, 1, 1]))
    ]
    assert hits == [("a.xml", [1], 2), ("b.xml", [2], 1)]
    assert boxes.by_file(np.zeros(3, bool)) == []


def test_tiny_boxes_at_the_usual_input(boxes: FoundBoxes):
    log = ProblemLog()
    found_boxes.note_misses(boxes, found_boxes.default_view(boxes), log)
    # 0.002 * 320 = 0.64 high and 0.4 * 320 = 128 wide; 320 high and 0.003 * 320 = 0.96 wide.
    assert [str(problem) for problem in log.problems] == [
        "a.xml: 1 of 2 boxes under one pixel at 320x320 (--config gives another); the smallest "
        "side is 0.64",
        "b.xml: 1 of 1 boxes under one pixel at 320x320 (--config gives another); the smallest "
        "side is 0.96",
    ]
    assert {problem.rule for problem in log.problems} == {"box-tiny"}
    assert not any(problem.fails_strict for problem in log.problems)


def test_boxes_that_no_anchor_fits(boxes: FoundBoxes):
    log = ProblemLog()
    sides = np.full((3, 2), 9.0, np.float32)
    view = ModelView(sides, "the input", np.array([0.4, 0.7, 0.49], np.float32), 0.5)
    found_boxes.note_misses(boxes, view, log)
    assert [str(problem) for problem in log.problems] == [
        "a.xml: 1 of 2 boxes have no anchor at IoU 0.5; the worst has 0.40 at best",
        "b.xml: 1 of 1 boxes have no anchor at IoU 0.5; the worst has 0.49 at best",
    ]


def test_no_box_at_all():
    log = ProblemLog()
    empty = FoundBoxes()
    found_boxes.note_misses(empty, found_boxes.default_view(empty), log)
    assert log.problems == []


def test_the_engine_is_asked_with_boxes_and_sizes(monkeypatch, boxes: FoundBoxes):
    asked = {}

    def run(command: list[str], **_) -> subprocess.CompletedProcess:
        flags = dict(zip(command[4::2], command[5::2], strict=True))
        asked.update(flags)
        with np.load(flags["--boxes"]) as given:
            asked["boxes"], asked["sizes"] = given["boxes"], given["image_sizes"]
        np.savez(
            flags["--output"],
            best_iou=np.array([0.1, 0.2, 0.3], np.float32),
            sides_pixels=np.ones((3, 2), np.float32),
            matched_threshold=0.45,
        )
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(found_boxes.subprocess, "run", run)
    view = found_boxes.view_of_config(boxes, "some.config", ["a.b=1"])
    assert (asked["--config"], asked["--set"]) == ("some.config", "a.b=1")
    np.testing.assert_array_equal(asked["boxes"], boxes.boxes)
    np.testing.assert_array_equal(asked["sizes"], boxes.image_sizes)
    assert view.matched_threshold == pytest.approx(0.45)
    assert view.input_name == "the input of some.config"


@pytest.mark.parametrize(
    ("config", "overrides", "message"),
    [
        ("dmo", [], r"^--config dmo: no such file and no shipped config; did you mean demo\?$"),
        ("demo", ["train_config.batch_sise=2"], r"batch_sise.*[Dd]id you mean .*batch_size"),
    ],
)
def test_a_wrong_config_is_found_before_any_work(config: str, overrides, message: str):
    with pytest.raises(InputError, match=message):
        found_boxes.check_config(config, overrides)
    found_boxes.check_config("demo", ["train_config.batch_size=2"])


def test_the_engines_line_is_passed_on(monkeypatch, boxes: FoundBoxes):
    def run(command: list[str], **_) -> subprocess.CompletedProcess:
        return subprocess.CompletedProcess(
            command, 2, "", "noise\nanchor-recall: x: no such file\n"
        )

    monkeypatch.setattr(found_boxes.subprocess, "run", run)
    with pytest.raises(InputError, match=r"^x: no such file$"):
        found_boxes.view_of_config(boxes, "x")
