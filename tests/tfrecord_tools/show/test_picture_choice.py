"""Which pictures are looked at."""

from __future__ import annotations

import numpy as np

from tfrecord_tools.show.picture_choice import choose


def chosen(classes_of_pictures: list[list[int]], most: int) -> list[int]:
    owners = [row for row, classes in enumerate(classes_of_pictures) for _ in classes]
    classes = [c for own in classes_of_pictures for c in own]
    return choose(
        np.array(owners, np.int64), np.array(classes, np.int64), len(classes_of_pictures), most
    )


def test_every_class_is_among_them():
    # Class 2 is in one picture alone, 1 in two; 0 nearly everywhere.
    pictures = [[0], [0], [0, 0], [0, 1], [0], [0, 2], [0], [1, 1], [0], []]
    rows = chosen(pictures, 3)
    assert 5 in rows
    assert {c for row in rows for c in pictures[row]} == {0, 1, 2}
    assert len(rows) == 3


def test_one_picture_that_shows_all_is_enough():
    pictures = [[0], [1], [2], [0, 1, 2], [0], [1]]
    assert chosen(pictures, 1) == [3]
    # The room that is left is filled from all over the rest: 0, 1, 2, 4, 5.
    assert chosen(pictures, 3) == [1, 3, 4]


def test_rare_classes_come_first_where_there_is_little_room():
    pictures = [[0], [0, 1], [0, 1], [2], [0, 1]]
    assert chosen(pictures, 1) == [3]
    assert len(chosen(pictures, 2)) == 2
    assert 3 in chosen(pictures, 2)


def test_of_equal_ones_the_farthest():
    pictures = [[0], [], [], [0, 1], [1], [], [], [2], [2], [2]]
    # First 3 for class 0 and 1 at once, then the one of class 2 farthest from it.
    assert chosen(pictures, 2) == [3, 9]


def test_spread_without_boxes_and_few_pictures():
    assert chosen([[]] * 10, 2) == [2, 7]
    assert chosen([[]] * 3, 16) == [0, 1, 2]
    assert chosen([[0]], 16) == [0]
