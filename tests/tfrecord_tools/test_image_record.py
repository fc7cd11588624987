"""From what a file states to one record."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ssd import label_map
from tfrecord_tools import tf_example
from tfrecord_tools.image_record import check_image, make_record

LABEL_MAP = label_map.LabelMap((label_map.LabelMapItem(1, "/m/cat", "cat"),))


def test_one_record(tmp_path: Path, write_image, stated):
    path = write_image(tmp_path / "a.jpg")
    made = make_record(
        stated([("cat", 20, 30, 90, 108), ("cat", 5, 5, 5, 6)], path=path), LABEL_MAP
    )
    assert made.class_names == ("/m/cat",)
    assert [problem.rule for problem in made.problems] == ["box-zero-area"]
    annotation, picture, image_format, class_ids = tf_example.decode(made.record)
    assert (picture, image_format, class_ids) == (path.read_bytes(), "jpeg", (1,))
    assert annotation.image_size == made.image_size == (120, 200)
    np.testing.assert_array_equal(made.boxes, annotation.boxes)
    assert made.is_usable


def test_an_unusable_picture_gives_no_record(tmp_path: Path, stated):
    made = make_record(stated([("cat", 20, 30, 90, 108)], path=tmp_path / "gone.jpg"), LABEL_MAP)
    assert made.record is None
    assert made.class_names == ()
    (problem,) = made.problems
    assert (problem.rule, problem.file) == ("image-unreadable", str(tmp_path / "gone.jpg"))
    assert not made.is_usable
    assert made.boxes.shape == (0, 4)


def test_a_check_alone_needs_no_label_map(tmp_path: Path, write_image, stated):
    path = write_image(tmp_path / "a.jpg")
    made = check_image(stated([("cow", 20, 30, 90, 108), ("cat", 5, 5, 5, 6)], path=path))
    assert made.record is None
    assert made.is_usable
    assert made.class_names == ("cow",)
    assert [problem.rule for problem in made.problems] == ["box-zero-area"]
