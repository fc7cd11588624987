from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from export.benchmark import worker

MEGABYTE = 2**20


@pytest.fixture
def picture(tmp_path) -> list[str]:
    path = tmp_path / "in.npy"
    np.save(path, np.ones((1, 6, 10, 3), np.float32))
    return [str(path)]


def answer(**job) -> dict:
    """What the process says to a job."""
    done = subprocess.run(
        [sys.executable, worker.__file__],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_latencies(written, picture):
    found = worker.latencies(written(), picture, threads=2, warm_up=1, runs=7)
    assert len(found["ms"]) == 7
    assert all(0 < ms < 1000 for ms in found["ms"])


def test_runs_to_warm_up_do_not_count(written, picture, monkeypatch):
    """Each run of the stand-in takes as long as its number says: the first two are left out."""
    clock = [0.0]

    class Interpreter:
        runs = 0

        def invoke(self):
            self.runs += 1
            clock[0] += self.runs

    threads = []
    monkeypatch.setattr(
        worker, "_interpreter", lambda path, values, number: threads.append(number) or Interpreter()
    )
    monkeypatch.setattr(worker.time, "perf_counter", lambda: clock[0])
    found = worker.latencies(written(), picture, threads=4, warm_up=2, runs=3)
    assert found == {"ms": [3000.0, 4000.0, 5000.0]}
    assert threads == [4]


def test_the_interpreter_gets_the_threads(written, monkeypatch):
    asked = []

    class Interpreter(worker.Interpreter):
        def __init__(self, **options):
            asked.append(options["num_threads"])
            super().__init__(**options)

    monkeypatch.setattr(worker, "Interpreter", Interpreter)
    worker._interpreter(written(), [np.zeros((1, 6, 10, 3), np.float32)], 3)
    assert asked == [3]


def test_memory_of_a_file_counted_by_hand(written, picture):
    found = worker.memory(written(), picture, 1, constants=[1, 2])
    assert found["inputs"] == [{"name": "image", "shape": [1, 6, 10, 3], "dtype": "float32"}]
    assert found["outputs"] == [{"name": "map", "shape": [1, 3, 5, 4], "dtype": "float32"}]
    # 4 bytes each: 180 pixels, 60 results, and 27 x 15 values laid out for the kernel, if it does.
    assert found["arena_bytes"] - 4 * (180 + 60) in (0, 4 * 27 * 15)
    assert 0 <= found["peak_bytes"] < 20 * MEGABYTE


def test_constants_are_not_part_of_the_arena(written, picture):
    """The 108 weights and 4 biases come on top where they are said to be none."""
    with_all = worker.memory(written(), picture, 1, constants=[])["arena_bytes"]
    assert with_all - worker.memory(written(), picture, 1, constants=[1, 2])["arena_bytes"] == 448


def test_memory_grows_with_the_file(flat, written, tmp_path):
    """A fully connected op with 4 million float32 weights: all are read, so 16 MB are there."""
    np.save(tmp_path / "in.npy", np.ones((1, 4000), np.float32))
    data = flat.file_bytes(
        [
            flat.Tensor("in", [1, 4000]),
            flat.Tensor("w", [1000, 4000], values=np.ones((1000, 4000), np.float32)),
            flat.Tensor("out", [1, 1000]),
        ],
        [flat.fully_connected(["in", "w", None], "out")],
        ["in"],
        ["out"],
    )
    job = {"task": "memory", "path": written("wide.tflite", data), "warm_up": 1}
    found = answer(**job, inputs=[str(tmp_path / "in.npy")], constants=[1])
    # XNNPACK may keep a packed copy beside them.
    assert 15 * MEGABYTE < found["peak_bytes"] < 60 * MEGABYTE
    assert found["arena_bytes"] == 4 * (4000 + 1000)


def test_a_system_that_does_not_say(written, picture, monkeypatch, tmp_path):
    monkeypatch.setattr(worker, "_STATUS", tmp_path / "none")
    assert worker.memory(written(), picture, 1, [1, 2])["peak_bytes"] is None


def test_a_file_that_only_xnnpack_runs_has_no_arena(written, picture, monkeypatch):
    def refuse(*arguments, **options):
        if options:
            raise RuntimeError("no kernel")
        return original(*arguments, **options)

    original = worker._interpreter
    monkeypatch.setattr(worker, "_interpreter", refuse)
    assert worker.memory(written(), picture, 1, [1, 2])["arena_bytes"] is None


def test_the_process_loads_litert_and_numpy_only(written, picture):
    code = (
        "import runpy, sys\n"
        f"runpy.run_path({worker.__file__!r}, run_name='__main__')\n"
        "print(sorted({'tensorflow', 'PIL', 'ssd', 'export', 'google'} & set(sys.modules)))\n"
    )
    job = {"task": "latencies", "path": written(), "threads": 1, "warm_up": 1, "runs": 2}
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(job | {"inputs": picture}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[1] == "[]"


def test_what_litert_refuses_is_an_answer(flat, written):
    tensors = [flat.Tensor("in", [1, 4]), flat.Tensor("out", [1, 4])]
    data = flat.file_bytes(tensors, [flat.Op("Mine", ["in"], ["out"])], ["in"], ["out"])
    found = answer(
        task="latencies", path=written("m.tflite", data), inputs=[], threads=1, warm_up=0, runs=1
    )
    assert "unresolved custom op: Mine" in found["refused"]
    assert "\n" not in found["refused"]
