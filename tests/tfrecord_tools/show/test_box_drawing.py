"""Boxes on pictures: where they lie, which colour, which mark."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tfrecord_tools.annotations import ImageAnnotation
from tfrecord_tools.show import box_drawing
from tfrecord_tools.show.box_drawing import class_color, draw_boxes, ink_on, looks


def annotation(boxes, names, crowd=(), difficult=()) -> ImageAnnotation:
    n = len(names)
    return ImageAnnotation(
        source_id="a",
        filename="a",
        image_size=(120, 200),
        boxes=np.array(boxes, np.float32).reshape(n, 4),
        class_names=tuple(names),
        difficult=np.isin(np.arange(n), difficult),
        truncated=np.zeros(n, bool),
        is_crowd=np.isin(np.arange(n), crowd),
        area=np.ones(n, np.float32),
    )


def drawn(found: ImageAnnotation, size=(200, 120)) -> np.ndarray:
    """int [h, w, 3] of a black picture with the boxes."""
    classes, _ = looks(dict.fromkeys(found.class_names))
    blank = Image.new("RGB", size, "black")
    picture = draw_boxes(blank, found, classes)
    assert not np.asarray(blank).any()
    return np.asarray(picture).astype(int)


def is_color(pixels: np.ndarray, class_index: int) -> np.ndarray:
    return (pixels == class_color(class_index)).all(axis=-1)


def test_boxes_are_drawn_where_they_lie():
    pixels = drawn(annotation([[0.5, 0.1, 0.9, 0.75]], ["cat"]))
    # The name stands on the upper edge; below it, ymin 60 to ymax 108, xmin 20 to xmax 150.
    own = is_color(pixels, 0)
    own[:60] = False
    rows, columns = np.flatnonzero(own.any(axis=1)), np.flatnonzero(own.any(axis=0))
    assert (rows[0], rows[-1]) == (60, 107)
    assert (columns[0], columns[-1]) == (20, 149)
    assert own[107, 20:150].all()
    assert own[61:108, [20, 149]].all()
    assert not own[62:107, 21:149].any()


def test_classes_have_colors_of_their_own():
    colors = [class_color(n) for n in range(60)]
    assert len(set(colors)) == 60
    found = annotation([[0.1, 0.1, 0.3, 0.3], [0.6, 0.5, 0.9, 0.9]], ["cat", "cow"])
    pixels = drawn(found)
    assert is_color(pixels, 0)[:60, :100].any()
    assert is_color(pixels, 1)[60:, 100:].any()
    assert not is_color(pixels, 1)[:40, :70].any()


def test_crowd_and_difficult_boxes_are_dashed():
    solid, crowd, difficult = (
        is_color(drawn(annotation([[0.3, 0.1, 0.9, 0.95]], ["cat"], **flags)), 0)[107, 20:190]
        for flags in ({}, {"crowd": [0]}, {"difficult": [0]})
    )
    assert solid.all()
    assert 0.4 < crowd.mean() < 0.7
    np.testing.assert_array_equal(crowd, difficult)


def test_a_mark_makes_the_name_longer():
    widths = []
    for flags in ({}, {"crowd": [0]}, {"crowd": [0], "difficult": [0]}):
        found = annotation([[0.5, 0.1, 0.9, 0.9]], ["cat"], **flags)
        widths.append(np.flatnonzero(is_color(drawn(found), 0)[52]).max())
    assert widths[0] < widths[1] < widths[2]


def test_names_give_way_to_each_other(monkeypatch):
    # Twenty boxes at one place: their names do not fit beside each other.
    boxes = [[0.4, 0.4, 0.6, 0.6]] * 20
    placed = []
    original = box_drawing._Tags._place

    def watched(self, *arguments):
        place = original(self, *arguments)
        placed.append((place, len(self._taken)))
        return place

    monkeypatch.setattr(box_drawing._Tags, "_place", watched)
    drawn(annotation(boxes, ["cat"] * 20))
    assert len(placed) == 20
    assert 2 <= placed[-1][1] <= 8


def test_a_name_stays_within_the_picture_and_short_of_hiding_it():
    name = "a name that is much longer than the picture is wide"
    pixels = drawn(annotation([[0.5, 0.5, 0.6, 0.55]], [name]))
    columns = np.flatnonzero(is_color(pixels, 0).any(axis=0))
    # 0.4 of 200 pixels, and the space on both sides.
    assert columns[-1] - columns[0] < 100


@pytest.mark.parametrize(
    "box",
    [
        [0.0, 0.0, 1.0, 1.0],
        [-3.0, 0.2, 9.0, 0.6],
        [0.5, 0.5, 0.5, 0.5],
        [0.999, 0.999, 1.0, 1.0],
        [2.0, 2.0, 3.0, 3.0],
        [0.9, 0.8, 0.2, 0.1],
        [np.nan, 0.1, 0.5, 0.5],
        [0.1, 0.1, np.inf, 0.5],
    ],
)
@pytest.mark.parametrize("size", [(200, 120), (7, 5), (1, 1)])
def test_any_box_on_any_picture(box, size):
    pixels = drawn(annotation([box], ["cat"]), size)
    assert pixels.shape == (size[1], size[0], 3)
    assert pixels.any() == bool(np.isfinite(box).all())


def test_no_boxes():
    assert not drawn(annotation([], [])).any()


def test_letters_stand_out():
    assert ink_on((255, 208, 0)) == (17, 20, 26)
    assert ink_on((41, 60, 200)) == (255, 255, 255)
