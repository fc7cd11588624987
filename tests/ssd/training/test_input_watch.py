from __future__ import annotations

import itertools
import os
import re
import threading
import time

import pytest

from ssd.data.record_index import read_record
from ssd.errors import InputError
from ssd.training.input_watch import Patience, patiently, watched
from ssd.training.interrupts import Stopped

SHORT = Patience(first_line=0.3, next_lines=0.3, limit=1.0)


@pytest.fixture
def gate():
    """Work that waits for it goes on at the end of the test, so that no thread is left."""
    event = threading.Event()
    yield event
    event.set()


def test_what_comes_is_returned():
    assert patiently(lambda: 7, "a number") == 7


def test_an_error_is_that_of_the_work():
    def work() -> None:
        raise InputError("a.tfrecord: record 3: no")

    with pytest.raises(InputError, match=r"^a.tfrecord: record 3: no$"):
        patiently(work, "a record")


def test_what_does_not_come_is_said_and_refused(gate):
    lines: list[str] = []
    begun = time.monotonic()
    with pytest.raises(
        InputError,
        match=r"^the first batch did not come within 1 s; no record is being read: decoding or "
        r"augmenting takes the time\. Is the disk or the network share there\?",
    ):
        patiently(gate.wait, "the first batch", patience=SHORT, say=lines.append)
    assert time.monotonic() - begun < 30
    assert 1 <= len(lines) <= 3
    assert re.match(r"INPUT: waiting for the first batch for [01] s; no record", lines[0])


def test_the_file_that_hangs_is_named(tmp_path):
    """Opening a FIFO that nobody writes to blocks, as a dead network share does."""
    fifo = tmp_path / "train-00000-of-00001.tfrecord"
    os.mkfifo(fifo)
    lines: list[str] = []
    message = rf"; reading {re.escape(str(fifo))} at byte 48 for \d s"
    with pytest.raises(InputError, match=message):
        patiently(lambda: read_record(str(fifo), 48, 5), "x", patience=SHORT, say=lines.append)
    assert re.search(message, lines[0])
    os.close(os.open(fifo, os.O_WRONLY))  # the reader goes on, and ends
    time.sleep(0.1)


def test_batches_come_in_order_and_end():
    assert list(watched(iter([3, 1, 2]), lambda: "x")) == [3, 1, 2]
    assert list(watched(iter([]), lambda: "x")) == []


def test_a_batch_is_fetched_when_it_is_asked_for():
    source = itertools.count()
    batches = watched(source, lambda: "x")
    assert [next(batches), next(batches)] == [0, 1]
    batches.close()
    assert next(source) == 2


def test_an_error_of_the_batches_comes_through():
    def batches():
        yield 1
        raise InputError("damaged")

    found = watched(batches(), lambda: "x")
    assert next(found) == 1
    with pytest.raises(InputError, match=r"^damaged$"):
        next(found)


def test_a_wait_can_be_ended(gate):
    asked = []

    def check() -> None:
        asked.append(1)
        if len(asked) == 3:
            raise Stopped("SIGTERM")

    def batches():
        gate.wait()
        yield 1

    with pytest.raises(Stopped):
        next(watched(batches(), lambda: "x", check=check))


def test_a_slow_batch_is_said_and_awaited(gate):
    lines: list[str] = []

    def batches():
        gate.wait()
        yield 5

    def say(line: str) -> None:
        lines.append(line)
        gate.set()

    patience = Patience(first_line=0.2, next_lines=60.0)
    found = watched(batches(), lambda: "examples 8 to 11", patience=patience, say=say)
    assert next(found) == 5
    assert len(lines) == 1
    assert re.match(r"INPUT: waiting for examples 8 to 11 for \d s;", lines[0])


def test_no_thread_is_left():
    def count() -> int:
        return sum(thread.name == "input" for thread in threading.enumerate())

    before = count()
    for _ in range(5):
        batches = watched(itertools.count(), lambda: "x")
        next(batches)
        batches.close()
        list(watched(iter([1]), lambda: "x"))
        patiently(lambda: 1, "x")
    deadline = time.monotonic() + 30
    while count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert count() <= before
