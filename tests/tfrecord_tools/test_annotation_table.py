"""What goes into the table comes out again."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from tfrecord_tools.annotation_table import AnnotationTable
from tfrecord_tools.annotations import StatedAnnotation

FOLDER = Path("images")


def same(one: StatedAnnotation, other: StatedAnnotation) -> None:
    for entry in fields(StatedAnnotation):
        a, b = getattr(one, entry.name), getattr(other, entry.name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype, entry.name
            np.testing.assert_array_equal(a, b, entry.name)
        else:
            assert a == b, entry.name


def test_every_field_comes_back(stated):
    images = [
        stated([], path=FOLDER / "empty.jpg", source_id="empty.jpg", file="b.xml"),
        stated(
            [("cat", 20.25, 30, 90, 108), ("dog", -1, 2.5, 7, 11), ("cat", 3, 4, 5, 6)],
            image_size=(120, 200),
            path=FOLDER / "sub" / "a.jpg",
            image_name="sub/a.jpg",
            source_id="sub/a.jpg",
            object_numbers=(4, 2**40, 9),
            difficult=np.array([True, False, False]),
            truncated=np.array([False, True, False]),
            is_crowd=np.array([False, True, True]),
            area=np.array([12.5, np.nan, 3.0]),
        ),
        stated(
            [("dog", 0.25, 0.5, 0.75, 1.0)],
            path=FOLDER / "z.png",
            source_id="z.png",
            is_normalized=True,
            group_of=np.array([True]),
        ),
    ]
    table = AnnotationTable(FOLDER, images)
    assert len(table) == 3
    for i, image in enumerate(images):
        same(table[i], image)
    same(table[-1], images[2])
    assert [image.image_name for image in table[1:]] == ["sub/a.jpg", "z.png"]
    assert table.image_names == ["empty.jpg", "sub/a.jpg", "z.png"]
    assert table.files == ["b.xml", "a.xml", "a.xml"]
    assert not AnnotationTable(FOLDER)
    with pytest.raises(IndexError):
        table[3]
