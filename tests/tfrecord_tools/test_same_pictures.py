"""Copies are found by content."""

from __future__ import annotations

from pathlib import Path

from tfrecord_tools.same_pictures import find_copies


def test_copies_point_to_the_first_name(tmp_path: Path):
    content = {"b/x.jpg": b"one", "a.jpg": b"one", "c.jpg": b"two", "d.jpg": b"four", "z": b"one"}
    for name, text in content.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(text)
    names = [*content, "gone.jpg"]
    assert find_copies(tmp_path, names) == {"b/x.jpg": "a.jpg", "z": "a.jpg"}
    assert find_copies(tmp_path, ["c.jpg", "d.jpg"]) == {}
    assert find_copies(tmp_path, []) == {}


def test_files_that_only_begin_alike_are_no_copies(tmp_path: Path):
    for name, end in (("a", b"1"), ("b", b"2"), ("c", b"1")):
        (tmp_path / name).write_bytes(bytes(10_000) + end)
    assert find_copies(tmp_path, ["c", "b", "a"]) == {"c": "a"}
