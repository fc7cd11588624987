"""Cells, legend and grid of a contact sheet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tfrecord_tools.annotations import ImageAnnotation
from tfrecord_tools.show import contact_sheet
from tfrecord_tools.show.box_drawing import class_color, looks
from tfrecord_tools.show.contact_sheet import Cell, make_cell, paint

NONE = ImageAnnotation(
    source_id="7",
    filename="",
    image_size=(60, 120),
    boxes=np.zeros((0, 4), np.float32),
    class_names=(),
    difficult=np.zeros(0, bool),
    truncated=np.zeros(0, bool),
    is_crowd=np.zeros(0, bool),
    area=np.zeros(0, np.float32),
)
ONE = replace(
    NONE,
    filename="folder/a.jpg",
    boxes=np.array([[0.25, 0.5, 0.75, 1.0]], np.float32),
    class_names=("cat",),
    difficult=np.ones(1, bool),
    truncated=np.zeros(1, bool),
    is_crowd=np.zeros(1, bool),
    area=np.ones(1, np.float32),
)


def test_a_cell():
    cell = make_cell(Image.new("RGB", (120, 60), "white"), ONE, looks(["cat"])[0])
    assert cell.caption == "folder/a.jpg · 120x60 · 1 box"
    assert (cell.class_names, cell.marks) == ({"cat"}, {"?"})
    assert cell.image.size == (480, 360)
    pixels = np.asarray(cell.image).astype(int)
    # 120 x 60 becomes 480 x 240, 60 from the top; the rest is dark.
    assert (pixels[:60] < 60).all()
    assert (pixels[300:] < 60).all()
    assert (pixels[61:110, :200] == 255).all()
    own = (pixels == class_color(0)).all(axis=-1)
    own[:120] = False  # the name
    rows, columns = np.flatnonzero(own.any(axis=1)), np.flatnonzero(own.any(axis=0))
    assert (rows[0], rows[-1]) == (120, 239)
    assert (columns[0], columns[-1]) == (240, 479)


def test_a_cell_without_boxes_and_name():
    cell = make_cell(Image.new("RGB", (3, 900)), NONE, {})
    assert cell.caption == "7 · 3x900 · no boxes"
    assert cell.image.size == (480, 360)
    assert (cell.class_names, cell.marks) == (set(), set())


def a_cell(color: str, *names: str, marks: str = "") -> Cell:
    return Cell(Image.new("RGB", (480, 360), color), "caption", frozenset(names), frozenset(marks))


@pytest.mark.parametrize(
    ("count", "columns", "rows"), [(1, 1, 1), (4, 4, 1), (5, 4, 2), (16, 4, 4), (17, 6, 3)]
)
def test_the_grid(count, columns, rows):
    colors = [f"rgb({10 * n + 5}, 0, 200)" for n in range(count)]
    sheet = paint([a_cell(color) for color in colors], "train", "facts", {})
    assert sheet.width == max(columns, 2) * 496 - 16 + 48
    pixels = np.asarray(sheet)
    top = np.flatnonzero((pixels == (5, 0, 200)).all(axis=-1).any(axis=1))[0]
    assert sheet.height == top + rows * 402 - 16 + 24
    for number in range(count):
        row, column = divmod(number, columns)
        y, x = top + 402 * row, 24 + 496 * column
        assert (pixels[y : y + 360, x : x + 480] == (10 * number + 5, 0, 200)).all()


def test_the_legend_names_what_the_cells_show():
    classes, _ = looks(["cat", "cow", "dog"])
    shown = np.asarray(paint([a_cell("black", "cow", marks="*")], "t", "", classes))
    assert (shown == class_color(1)).all(axis=-1).any()
    for index in (0, 2):
        assert not (shown == class_color(index)).all(axis=-1).any()
    without = np.asarray(paint([a_cell("black")], "t", "", classes))
    assert without.shape[0] == shown.shape[0] - 26 - 16


def test_a_legend_of_many_classes_ends_in_a_count():
    names = [f"class {n}" for n in range(100)]
    rows = contact_sheet._legend(looks(names)[0], frozenset(), 900)
    assert len(rows) == 3
    named = sum(look is not None for row in rows for _, _, look in row)
    assert rows[-1][-1][1] == f"and {100 - named} more classes"
    assert all(left < 24 + 900 for row in rows for left, _, _ in row)


def test_long_lines_and_foreign_letters_are_no_trouble():
    cell = replace(a_cell("black", "x"), caption="猫" * 300)
    sheet = paint([cell], "y" * 400, "z" * 400, looks(["x"])[0])
    assert sheet.width == 2 * 496 - 16 + 48
