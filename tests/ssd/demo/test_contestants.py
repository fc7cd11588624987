from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from ssd.demo import contestants
from ssd.demo.contestants import TimedPredictor, for_screen, newest_models, short_names
from ssd.errors import InputError

IMAGE = np.random.default_rng(5).integers(0, 255, (120, 200, 3), np.uint8)


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        pytest.param(["exports/a/model_int8.tflite"], ["model_int8.tflite"], id="one"),
        pytest.param(
            ["exports/a/model_int8.tflite", "exports/b/model_int8.tflite", "runs/c/"],
            ["a/model_int8.tflite", "b/model_int8.tflite", "runs/c"],
            id="equal files",
        ),
        pytest.param(
            ["m.tflite", "hub:https://tfhub.dev/x/y/1"], ["m.tflite", "1"], id="hub handle"
        ),
        pytest.param(["m.tflite", "old/m.tflite"], ["m.tflite", "old/m.tflite"], id="one inside"),
    ],
)
def test_names_as_long_as_it_takes(paths, names):
    assert short_names(paths) == names


@pytest.mark.parametrize(
    ("models", "message"),
    [
        pytest.param(["a", "b", "a"], r"--model: a is given twice; give each model once", id="two"),
        pytest.param(list("abcdefghi"), r"--model: 9 models; at most 8", id="too many"),
        pytest.param(["nowhere"], r"nowhere: no such file or folder", id="nothing there"),
    ],
)
def test_models_that_cannot_be_compared(models, message):
    with pytest.raises(InputError, match=message):
        contestants.load(models, None, 1)


def test_a_picture_is_run_once_however_often_it_is_looked_at(contest, predictors):
    first = contest.look(IMAGE, "a.png")
    calls = [one.calls for one in predictors]
    assert calls == [6, 6]  # once, and five times for the time
    assert contest.look(IMAGE.copy(), "a.png") is first
    assert [one.calls for one in predictors] == calls
    assert contest.look(IMAGE[:, ::-1], "a.png") is not first
    assert [one.calls for one in predictors] == [12, 12]


def test_what_is_kept_of_pictures_has_an_end(contest, predictors):
    for number in range(17):
        contest.look(np.full((4, 6, 3), number, np.uint8), "a.png")
    calls = predictors[0].calls
    contest.look(np.full((4, 6, 3), 16, np.uint8), "a.png")
    assert predictors[0].calls == calls
    contest.look(np.full((4, 6, 3), 0, np.uint8), "a.png")  # the first of 17
    assert predictors[0].calls == calls + 6


def test_findings_of_all_models(contest):
    findings = contest.look(IMAGE, "a.png")
    assert (findings.name, findings.size) == ("a.png", (120, 200))
    assert [[one["class"] for one in each] for each in findings.detections] == [
        ["bolt", "nut"],
        ["washer", "bolt", "nut"],
    ]
    assert all(0 < value < 1000 for value in findings.milliseconds)
    assert findings.image.shape == (384, 640, 3)
    assert [one.input for one in contest.contestants] == ["any", "96x64"]
    assert contest.class_names == ["bolt", "nut", "washer"]


def test_the_median_leaves_out_the_first_run(monkeypatch, predictors):
    # Begin and end of five runs: 4, 2, 9, 3 and 1 ms.
    ticks = iter([0, 0.004, 1, 1.002, 2, 2.009, 3, 3.003, 4, 4.001])
    monkeypatch.setattr(contestants.time, "perf_counter", lambda: next(ticks))
    timed = TimedPredictor(predictors[0])
    assert np.isnan(timed.milliseconds)
    timed(IMAGE[np.newaxis])
    assert timed.milliseconds == pytest.approx(3.0)


def test_slow_models_are_timed_fewer_times(monkeypatch, predictors):
    ticks = iter([0, 0.7, 1, 1.6])
    monkeypatch.setattr(contestants.time, "perf_counter", lambda: next(ticks))
    timed = TimedPredictor(predictors[0])
    timed(IMAGE[np.newaxis])
    assert (predictors[0].calls, timed.milliseconds) == (3, pytest.approx(650.0))


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        pytest.param((48, 96), (320, 640), id="small"),
        pytest.param((700, 900), (700, 900), id="as it is"),
        pytest.param((4000, 3000), (1280, 960), id="large"),
        pytest.param((1, 5000), (1, 1280), id="a line"),
    ],
)
def test_the_size_on_the_page(size, expected):
    assert for_screen(np.zeros((*size, 3), np.uint8)).shape == (*expected, 3)


def _made(path: str, age: int) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).touch()
    os.utime(path, (1_000_000 - age,) * 2)


def _made_run(name: str, age: int) -> None:
    _made(f"runs/{name}/pipeline.config", age)
    _made(f"runs/{name}/best/ckpt-1.index", age)


def test_the_newest_export_the_most_exact_file_first(in_temporary_folder):
    for name, age in (("old", 500), ("new", 50)):
        for file in ("int8", "float32", "int8_raw"):
            _made(f"exports/{name}/model_{file}.tflite", age)
    _made("exports/new/model_int8_vela.tflite", 10)  # no interpreter here runs it
    _made_run("first", 100)
    new = Path("exports/new")
    assert newest_models() == [str(new / f"model_{name}.tflite") for name in ("float32", "int8")]


def test_a_run_after_the_last_export(in_temporary_folder):
    _made("exports/old/model_int8.tflite", 500)
    _made_run("first", 300)
    _made_run("second", 100)
    assert newest_models() == [str(Path("runs/second"))]


def test_an_export_of_raw_files_alone(in_temporary_folder):
    _made("exports/new/model_int8_raw.tflite", 50)
    assert newest_models() == [str(Path("exports/new/model_int8_raw.tflite"))]


def test_nothing_to_show(in_temporary_folder):
    with pytest.raises(InputError, match=r"no --model, and neither exports/ nor runs/ has one"):
        newest_models()
