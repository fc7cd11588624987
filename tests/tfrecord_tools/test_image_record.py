"""Many records at a time come in the order of their images."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from ssd import label_map
from tfrecord_tools import image_record, tf_example
from tfrecord_tools.image_record import ImageRecord, make_record, make_records

LABEL_MAP = label_map.LabelMap((label_map.LabelMapItem(1, "/m/cat", "cat"),))


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_order_does_not_depend_on_who_is_done_first(monkeypatch, workers: int):
    def make(number: int, _) -> ImageRecord:
        time.sleep(0.002 * (number % 3))
        return ImageRecord(str(number).encode(), (), ())

    monkeypatch.setattr(image_record, "make_record", make)
    made = [one.record for one in make_records(range(60), LABEL_MAP, workers)]
    assert made == [str(number).encode() for number in range(60)]


def test_few_images_are_under_way_at_a_time(monkeypatch):
    started = []
    monkeypatch.setattr(image_record, "make_record", lambda number, _: started.append(number))
    records = make_records(range(1000), LABEL_MAP, 2)
    next(records)
    records.close()
    assert len(started) <= 8
    assert threading.active_count() < 20


def test_a_failing_worker_is_heard(monkeypatch):
    def make(number: int, _) -> ImageRecord:
        if number == 17:
            raise ZeroDivisionError
        return ImageRecord(None, (), ())

    monkeypatch.setattr(image_record, "make_record", make)
    with pytest.raises(ZeroDivisionError):
        list(make_records(range(60), LABEL_MAP, 3))


def test_one_record(tmp_path: Path, write_image, stated):
    path = write_image(tmp_path / "a.jpg")
    made = make_record(
        stated([("cat", 20, 30, 90, 108), ("cat", 5, 5, 5, 6)], path=path), LABEL_MAP
    )
    assert made.class_names == ("/m/cat",)
    assert [problem.rule for problem in made.problems] == ["box-zero-area"]
    annotation, picture, image_format, class_ids = tf_example.decode(made.record)
    assert (picture, image_format, class_ids) == (path.read_bytes(), "jpeg", (1,))
    assert annotation.image_size == (120, 200)


def test_an_unusable_picture_gives_no_record(tmp_path: Path, stated):
    made = make_record(stated([("cat", 20, 30, 90, 108)], path=tmp_path / "gone.jpg"), LABEL_MAP)
    assert made.record is None
    assert made.class_names == ()
    (problem,) = made.problems
    assert (problem.rule, problem.file) == ("image-unreadable", str(tmp_path / "gone.jpg"))
