"""Work in processes comes back in order, and processes end with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from ssd.errors import InputError
from tfrecord_tools import worker_pool
from tfrecord_tools.worker_pool import WorkerPool

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 5, 32, 100])
def test_results_come_in_the_order_of_the_items(workers: int, count: int):
    with worker_pool.worker_pool(workers) as pool:
        assert list(pool.map(abs, range(-count, 0))) == list(range(count, 0, -1))


def test_the_pool_is_used_again():
    with worker_pool.worker_pool(2) as pool:
        first = pool.map(abs, range(-50, 0))
        assert next(first) == 50
        assert list(pool.map(abs, range(-40, 0))) == list(range(40, 0, -1))
        assert list(first) == list(range(49, 0, -1))


def test_few_items_are_under_way_at_a_time():
    taken = []

    def items():
        for number in range(10_000):
            taken.append(number)
            yield number

    with worker_pool.worker_pool(2) as pool:
        results = pool.map(abs, items())
        next(results)
        # 4 chunks of 16 per worker, and those that were looked at first.
        assert len(taken) <= 4 * 2 * 16 + 2 * 16
        results.close()


def test_few_items_start_no_process():
    with worker_pool.worker_pool(2) as pool:
        assert list(pool.map(os.path.basename, ["a/b"] * 31)) == ["b"] * 31
        assert pool._executor is None


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_is_heard(workers: int):
    with worker_pool.worker_pool(workers) as pool, pytest.raises(ZeroDivisionError):
        list(pool.map(partial(divmod, 1), [*range(1, 50), 0, *range(1, 50)]))


def test_a_killed_worker_is_said_in_one_line():
    with (
        worker_pool.worker_pool(2) as pool,
        pytest.raises(InputError, match=r"^a worker process died"),
    ):
        list(pool.map(signal.raise_signal, [0] * 40 + [signal.SIGKILL] + [0] * 40))


def test_a_default_number_of_workers(monkeypatch):
    monkeypatch.setattr(worker_pool, "available_processors", lambda: 3)
    assert WorkerPool().workers == 3
    monkeypatch.setattr(worker_pool, "available_processors", lambda: 64)
    assert WorkerPool().workers == worker_pool.MAX_DEFAULT_WORKERS
    assert WorkerPool(20).workers == 20


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks processes up in /proc")
def test_workers_end_with_a_killed_parent(tmp_path: Path):
    code = (
        "import time\n"
        "from tfrecord_tools.worker_pool import worker_pool\n"
        "if __name__ == '__main__':\n"
        "    with worker_pool(2) as pool:\n"
        "        results = pool.map(abs, range(10**9))\n"
        "        next(results)\n"
        "        print(*[p.pid for p in pool._executor._processes.values()], flush=True)\n"
        "        time.sleep(60)\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(code)
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
    )
    assert parent.stdout is not None
    workers = [int(pid) for pid in parent.stdout.readline().split()]
    assert workers
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10
    while any(is_running(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(is_running(pid) for pid in workers)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
