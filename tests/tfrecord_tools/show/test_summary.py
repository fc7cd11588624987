"""Counts of a data set and the table of them."""

from __future__ import annotations

import numpy as np

from tfrecord_tools.annotations import ImageAnnotation
from tfrecord_tools.show.picture_sources import Picture
from tfrecord_tools.show.summary import DataSummary, aligned, display_width, shortened


def picture(group: str, size: tuple[int, int], names: tuple[str, ...], **flags) -> Picture:
    n = len(names)
    fields = {
        "difficult": np.zeros(n, bool),
        "truncated": np.zeros(n, bool),
        "is_crowd": np.zeros(n, bool),
        **flags,
    }
    made = ImageAnnotation(
        source_id="a",
        filename="a",
        image_size=size,
        boxes=np.arange(4 * n, dtype=np.float32).reshape(n, 4),
        class_names=names,
        area=np.ones(n, np.float32),
        **fields,
    )
    return Picture(group, "a", made, b"")


def summary() -> DataSummary:
    found = DataSummary(["cow", "", "cat"])
    found.add(0, picture("train", (120, 200), ("cat", "hen", "cat")))
    found.add(1, picture("train", (300, 100), ()))
    flags = {"difficult": np.array([False, True]), "is_crowd": np.array([True, False])}
    found.add(5, picture("val", (90, 40), ("ant", "cat"), **flags))
    found.add(6, picture("train", (140, 300), ("cat",)))
    return found


def test_columns():
    found = summary()
    assert len(found) == 4
    assert found.numbers.tolist() == [0, 1, 5, 6]
    assert found.groups == ["train", "val"]
    assert found.group_indices.tolist() == [0, 0, 1, 0]
    assert found.image_sizes.tolist() == [[120, 200], [300, 100], [90, 40], [140, 300]]
    assert found.box_counts.tolist() == [3, 0, 2, 1]
    assert found.owners.tolist() == [0, 0, 0, 2, 2, 3]
    # Those that are known first, then the others by name, whatever their order in the records.
    assert found.class_names == ["cow", "cat", "ant", "hen"]
    assert found.class_indices.tolist() == [1, 3, 1, 2, 1, 1]
    assert found.is_crowd.tolist() == [False, False, False, True, False, False]
    assert found.is_difficult.tolist() == [False, False, False, False, True, False]
    assert found.boxes[3].tolist() == [0, 1, 2, 3]
    assert found.class_table().tolist() == [[0, 3, 0, 1], [0, 1, 1, 0]]
    assert found.boxes_by_class() == {"train": {"cat": 3, "hen": 1}, "val": {"cat": 1, "ant": 1}}


def test_table():
    assert list(summary().lines()) == [
        "                                    train    val",
        "images                                  3      1",
        "boxes                                   4      2",
        "images without boxes                    1      0",
        "boxes in an image, mean               1.3    2.0",
        "boxes in an image, most                 3      2",
        "crowd boxes                             0      1",
        "difficult boxes                         0      1",
        "smallest picture, width x height  200x120  40x90",
        "median picture, width x height    200x140  40x90",
        "largest picture, width x height   300x140  40x90",
        "boxes of a class",
        "  cow                                   0      0",
        "  cat                                   3      1",
        "  ant                                   0      1",
        "  hen                                   1      0",
    ]


def test_no_boxes_at_all():
    found = DataSummary()
    found.add(0, picture("train", (120, 200), ()))
    assert found.class_table().shape == (1, 0)
    assert found.boxes.shape == (0, 4)
    assert found.class_indices.dtype == np.int64
    assert found.boxes_by_class() == {"train": {}}
    lines = list(found.lines())
    assert lines[-1] == "boxes of a class"
    # Marks that no box has are no rows.
    assert not any("crowd" in line or "difficult" in line for line in lines)


def test_wide_letters_and_long_names_stay_in_their_column():
    rows = [("", ["a"]), ("猫", ["7"]), ("cat", ["1,000"]), ("é", ["犬"])]
    lines = list(aligned(rows))
    assert [display_width(line) for line in lines] == [10] * 4
    assert lines[1] == "猫       7"
    assert shortened("ab\n c  d") == "ab c d"
    assert shortened("x" * 41) == "x" * 20 + "…" + "x" * 19
