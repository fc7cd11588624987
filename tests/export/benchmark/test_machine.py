from __future__ import annotations

import pytest

from export.benchmark import machine


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        pytest.param([3.0, 4.0], 0.25, id="a second of 1.5 was ours"),
        # Ticks are coarse: a little less than nothing is nothing.
        pytest.param([3.0, 4.6], 0.0, id="all of it"),
    ],
)
def test_the_work_of_others(monkeypatch, own, expected):
    """The machine worked 1.5 seconds during 2 seconds."""
    clock, busy, ours = iter([100.0, 102.0]), iter([1000.0, 1001.5]), iter(own)
    monkeypatch.setattr(machine.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(machine, "_busy_seconds", lambda: next(busy))
    monkeypatch.setattr(machine, "_own_seconds", lambda: next(ours))
    with machine.watched() as others:
        assert others.cpus is None
    assert others.cpus == pytest.approx(expected)


@pytest.mark.parametrize("text", [None, "", "cpu  many\n"])
def test_a_system_that_does_not_say(monkeypatch, tmp_path, text):
    path = tmp_path / "stat"
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr(machine, "_STAT", path)
    with machine.watched() as others:
        pass
    assert others.cpus is None
