from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from export.benchmark import measurement, worker
from ssd.errors import InputError


@pytest.fixture
def jobs(monkeypatch) -> list[tuple]:
    """Stands in for the workers: (task, file, threads, runs) of every job, in their order."""
    asked = []

    def answer(task, path, inputs, **job):
        asked.append((task, Path(path).name, job.get("threads"), job.get("runs")))
        assert [np.load(name).shape for name in inputs] in ([(1, 6, 10, 3)], [(1, 7, 4)])
        return {"ms": [1.0] * job.get("runs", 0)}

    monkeypatch.setattr(measurement, "_answer", answer)
    return asked


def regular_nms(flat) -> bytes:
    tensors = [flat.Tensor("encodings", [1, 7, 4]), flat.Tensor("boxes", [1, 5, 4])]
    ops = [flat.detection_op(regular=True)]
    return flat.file_bytes(tensors, ops, ["encodings"], ["boxes"])


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        (1, [1]),
        (9, [1] * 9),
        (10, [1] * 10),
        (12, [2, 2, 1, 1, 1, 1, 1, 1, 1, 1]),
        (100, [10] * 10),
        (205, [11] * 5 + [10] * 15),
    ],
)
def test_runs_are_spread_over_rounds(runs, expected):
    assert measurement.rounds_of(runs) == expected


def test_files_take_turns(jobs, written):
    a, b = written("a.tflite"), written("b.tflite")
    found = measurement.measure([a, b, a], threads=[1, 4], runs=12)
    turns = [job[1:] for job in jobs if job[0] == "latencies"]
    first = [
        (name, number, 2) for number in (1, 4) for name in ("a.tflite", "b.tflite", "a.tflite")
    ]
    last = [(name, number, 1) for name, number, _ in first]
    assert turns == first * 2 + last * 8
    # Memory and whatever may be wrong with a file come before the first turn.
    assert [job[:2] for job in jobs[:3]] == [
        ("memory", name) for name in ("a.tflite", "b.tflite", "a.tflite")
    ]
    assert [file.path for file in found.files] == [a, b, a]
    assert [file.num_bytes for file in found.files] == [Path(a).stat().st_size] * 3
    expected = [[1.0, 1.0]] * 2 + [[1.0]] * 8
    assert all(file.rounds == {1: expected, 4: expected} for file in found.files)


def test_regular_nms_is_not_run_with_more_than_one_thread(jobs, flat, written):
    slow = written("slow.tflite", regular_nms(flat))
    found = measurement.measure([slow, written("a.tflite")], threads=[1, 2], runs=1)
    assert [job[1:3] for job in jobs if job[0] == "latencies"] == [
        ("slow.tflite", 1),
        ("a.tflite", 1),
        ("a.tflite", 2),
    ]
    assert [sorted(file.rounds) for file in found.files] == [[1], [1, 2]]


def test_real_workers(written):
    found = measurement.measure([written()], threads=[1, 2], runs=3)
    (file,) = found.files
    assert [[len(part) for part in rounds] for rounds in file.rounds.values()] == [[1, 1, 1]] * 2
    assert file.memory["outputs"] == [{"name": "map", "shape": [1, 3, 5, 4], "dtype": "float32"}]


def one_op(flat, code, version: int = 1) -> bytes:
    tensors = [flat.Tensor("in", [1, 4]), flat.Tensor("out", [1, 4])]
    return flat.file_bytes(
        tensors, [flat.Op(code, ["in"], ["out"], version=version)], ["in"], ["out"]
    )


@pytest.mark.parametrize(
    ("code", "version", "message"),
    [
        pytest.param("Mine_Op", 1, "LiteRT has no op Mine_Op, so .*; convert it", id="custom"),
        pytest.param(
            "FlexErf", 1, "LiteRT has no op FlexErf, so .*; convert it", id="TensorFlow's"
        ),
        pytest.param("ABS", 77, "LiteRT has no op ABS version 77, so .*; convert", id="newer"),
        pytest.param(999, 1, r"LiteRT cannot run it \(.*out of range: 999", id="newest"),
    ],
)
def test_an_op_that_litert_lacks_is_named(flat, written, code, version, message):
    number = getattr(flat.OPS, str(code), code)
    path = written("m.tflite", one_op(flat, number, version))
    with pytest.raises(InputError, match=rf"m\.tflite: {message}"):
        measurement.measure([path], threads=[1], runs=1)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        pytest.param("no.tflite", None, r"no\.tflite: No such file", id="missing"),
        pytest.param("", None, r"Is a directory; a \.tflite file was expected", id="folder"),
        pytest.param("empty.tflite", b"", r"empty\.tflite: no \.tflite file: bytes 4", id="empty"),
        pytest.param("t.tflite", b"name: ssd", r"t\.tflite: no \.tflite file.*b': ss'", id="text"),
    ],
)
def test_files_that_are_none(tmp_path, written, name, data, message):
    path = str(tmp_path / name) if data is None else written(name, data)
    with pytest.raises(InputError, match=message):
        measurement.measure([written(), path], threads=[1], runs=1)


@pytest.mark.parametrize(
    ("script", "error", "message"),
    [
        pytest.param(
            "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            InputError,
            r"small\.tflite: signal 11 ended the process that ran it; .* damaged, or too large",
            id="killed",
        ),
        pytest.param(
            "raise KeyError('place')", RuntimeError, "KeyError: 'place'", id="a bug of ours"
        ),
    ],
)
def test_a_worker_that_dies(written, tmp_path, monkeypatch, script, error, message):
    path = tmp_path / "worker.py"
    path.write_text(script)
    monkeypatch.setattr(worker, "__file__", str(path))
    with pytest.raises(error, match=message):
        measurement.measure([written()], threads=[1], runs=1)


def test_nothing_is_left_behind(written, monkeypatch, tmp_path):
    monkeypatch.setattr(measurement.tempfile, "tempdir", str(tmp_path))
    measurement.measure([written()], threads=[1], runs=1)
    assert [path.name for path in tmp_path.iterdir()] == ["small.tflite"]


def test_a_job_is_json(written):
    """Paths come as they are, whatever is in them."""
    path = written('it is "mine", ja.tflite')
    assert json.loads(json.dumps(path)) == path
    assert measurement.measure([path], threads=[1], runs=1).files[0].path == path
