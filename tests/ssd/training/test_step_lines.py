"""Lines per step over stops and resumes."""

from __future__ import annotations

from pathlib import Path

from ssd.training import step_lines


def test_lines_of_later_steps_go(tmp_path: Path):
    path = tmp_path / "losses.jsonl"
    assert step_lines.read_up_to(path, 0) == []
    for step in (20, 40, 60):
        step_lines.append(path, {"step": step, "loss": step / 100})
    with path.open("a") as file:
        file.write('{"step": 80, "lo')
    assert step_lines.read_up_to(path, 40) == [
        {"step": 20, "loss": 0.2},
        {"step": 40, "loss": 0.4},
    ]
    step_lines.append(path, {"step": 60, "loss": 0.7})
    assert path.read_text().splitlines()[1:] == [
        '{"step": 40, "loss": 0.4}',
        '{"step": 60, "loss": 0.7}',
    ]
    assert [p.name for p in tmp_path.iterdir()] == ["losses.jsonl"]
