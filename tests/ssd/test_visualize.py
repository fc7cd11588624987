"""Drawing: where the pixels land, what stays untouched, and names of every kind."""

from __future__ import annotations

import numpy as np
import pytest

from ssd import visualize
from ssd.visualize import class_color, contact_sheet, draw_boxes

GREY = np.full((120, 200, 3), 128, np.uint8)


def changed(image, drawn):
    """Returns the rows and columns (first, last) of the pixels that differ."""
    rows, columns = np.nonzero((image != drawn).any(axis=2))
    return (rows.min(), rows.max()), (columns.min(), columns.max())


def test_an_outline_is_where_the_box_is():
    # 0.25 * 120 = 30 to 0.75 * 120 = 90; 0.10 * 200 = 20 to 0.60 * 200 = 120: the last pixel is
    # 89 and 119. A picture of 120 rows gets lines of 1 pixel.
    drawn = draw_boxes(GREY, [[0.25, 0.10, 0.75, 0.60]], [""], [4])
    assert changed(GREY, drawn) == ((30, 89), (20, 119))
    np.testing.assert_array_equal(drawn[30, 20:120], np.tile(class_color(4), (100, 1)))
    np.testing.assert_array_equal(drawn[30:90, 119], np.tile(class_color(4), (60, 1)))
    np.testing.assert_array_equal(drawn[31:89, 21:119], GREY[31:89, 21:119])


def test_the_input_is_unchanged_and_the_output_its_own():
    image = GREY.copy()
    boxes = np.array([[0.1, 0.2, 0.5, 0.9]])
    drawn = draw_boxes(image, boxes, ["cat"], [1], [0.7])
    np.testing.assert_array_equal(image, GREY)
    np.testing.assert_array_equal(boxes, [[0.1, 0.2, 0.5, 0.9]])
    assert drawn.dtype == np.uint8
    assert drawn.shape == GREY.shape
    empty = draw_boxes(image, np.zeros((0, 4)), [], [], [])
    np.testing.assert_array_equal(empty, image)
    assert not np.shares_memory(empty, image)


def test_a_box_beyond_the_edges_is_cut():
    drawn = draw_boxes(GREY, [[0.5, -0.4, 1.7, 0.25]], [""], [0])
    # 0.5 * 120 = 60; 0.25 * 200 - 1 = 49.
    assert changed(GREY, drawn) == ((60, 119), (0, 49))


def test_read_only_and_strided_images():
    image = np.arange(120 * 200 * 3, dtype=np.uint8).reshape(120, 200, 3)[:, ::-1]
    image.flags.writeable = False
    assert (draw_boxes(image, [[0.1, 0.2, 0.5, 0.9]], ["cat"], [1]) != image).any()


def test_lines_and_text_grow_with_the_picture():
    box = [[0.3, 0.1, 0.9, 0.8]]
    small = draw_boxes(GREY, box, [""], [0])
    large = draw_boxes(np.full((1200, 2000, 3), 128, np.uint8), box, [""], [0])
    # Counted across the left edge, half way down: 1 pixel against round(1200 / 180) = 7.
    count = [
        (image[image.shape[0] // 2] == class_color(0)).all(axis=1).sum() for image in (small, large)
    ]
    assert count == [2, 14]


@pytest.mark.parametrize(
    ("box", "place"),
    [
        # A tag of 50 x 14 overlaps the upper line of 1 pixel: 40 - 14 + 1 = 27.
        ((20, 40, 119, 89), (20, 27, 69, 40)),
        # No room above: inside, on the upper edge.
        ((20, 3, 119, 89), (20, 3, 69, 16)),
        # No room to the right: 199 - 50 + 1 = 150, flush with the box's right side.
        ((180, 40, 199, 89), (150, 27, 199, 40)),
        # The whole picture.
        ((0, 0, 199, 119), (0, 0, 49, 13)),
        # A sliver in the lower right corner.
        ((198, 118, 199, 119), (150, 105, 199, 118)),
    ],
    ids=["above", "top", "right", "all of it", "corner"],
)
def test_where_a_tag_goes(box, place):
    assert visualize._place(box, (50, 14), (200, 120), 1, []) == place


def test_a_tag_never_leaves_the_picture():
    rng = np.random.default_rng(5)
    taken = []
    for y, x, y2, x2 in rng.uniform(-0.3, 1.3, (200, 4)):
        box = visualize._to_pixels(np.array([y, x, y2, x2]), 120, 200)
        left, top, right, bottom = visualize._place(box, (61, 17), (200, 120), 2, taken)
        assert 0 <= left <= right < 200
        assert 0 <= top <= bottom < 120
        taken = [*taken[-3:], (left, top, right, bottom)]


def test_tags_do_not_cover_one_another_when_there_is_room():
    places = []
    box, size = (20.0, 40.0, 119.0, 89.0), (200, 120)
    for _ in range(4):
        places.append(visualize._place(box, (50, 14), size, 1, places))
    for i, one in enumerate(places):
        assert 0 <= one[0] <= one[2] < 200
        assert 0 <= one[1] <= one[3] < 120
        assert all(visualize._overlap(one, other) == 0 for other in places[:i])


def test_the_best_score_is_on_top():
    boxes = [[0.2, 0.1, 0.8, 0.5]] * 2
    for scores, top in (([0.9, 0.4], 0), ([0.4, 0.9], 1)):
        drawn = draw_boxes(GREY, boxes, ["", ""], [0, 1], scores)
        assert tuple(drawn[60, 20]) == class_color(top)


@pytest.mark.parametrize(
    "label",
    [
        "собака",
        "κύκλος",
        "猫",
        "고양이",
        "कुत्ता",
        "قطة",
        "🐕",
        "a\nb\tc",
        "\ud800",
        "\x00",
        "%s{}",
        "x" * 5000,
    ],
    ids=[
        "ru",
        "el",
        "zh",
        "ko",
        "hi",
        "ar",
        "emoji",
        "lines",
        "surrogate",
        "nul",
        "format",
        "long",
    ],
)
def test_any_name_can_be_drawn(label):
    drawn = draw_boxes(GREY, [[0.3, 0.2, 0.9, 0.8]], [label], [1], [0.7])
    assert (drawn != GREY).any()


def test_a_long_name_is_cut_but_its_score_is_not():
    font = visualize._font(12, False)
    text = visualize._fit("an endless name " * 20, "87%", font, 150)
    assert text.startswith("an endless")
    assert text.endswith("… 87%")
    assert font.getlength(text) <= 150
    assert visualize._fit("cat", "87%", font, 150) == "cat 87%"


@pytest.mark.parametrize(
    "box",
    [[np.nan, 0.1, 0.5, 0.5], [0.1, 0.1, np.inf, 0.5], [1.2, 0.3, 1.4, 0.5], [0.1, -0.4, 0.5, 0.0]],
    ids=["NaN", "infinite", "below", "left"],
)
def test_a_box_that_cannot_be_seen_is_skipped(box):
    np.testing.assert_array_equal(draw_boxes(GREY, [box], ["cat"], [0]), GREY)


@pytest.mark.parametrize("box", [[0.5, 0.5, 0.5, 0.5], [0.5, 0.25, 0.5 + 1 / 120, 0.25 + 1 / 200]])
def test_a_box_of_one_pixel_is_still_seen(box):
    assert (draw_boxes(GREY, [box], [""], [0]) != GREY).any(axis=2).sum() == 1


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (120, 2), (0, 5), (96, 96)])
def test_tiny_pictures(size):
    image = np.zeros((*size, 3), np.uint8)
    assert draw_boxes(image, [[0.1, 0.1, 0.9, 0.8]], ["cat"], [0], [0.5]).shape == image.shape


def test_colors_are_stable_and_distinct():
    colors = [class_color(i) for i in range(91)]
    assert len(set(colors)) == 91
    assert colors == [class_color(i) for i in range(91)]
    assert colors[0] == (41, 121, 255)
    # The first twelve differ by at least 60 in some channel: no two look alike.
    for i, one in enumerate(colors[:12]):
        for other in colors[:i]:
            assert max(abs(a - b) for a, b in zip(one, other, strict=True)) >= 60


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (GREY.astype(np.float32), [], [], []),
            r"image is float32 \[120, 200, 3\], expected uint8",
        ),
        ((GREY[:, :, 0], [], [], []), r"image is uint8 \[120, 200\], expected uint8 \[h, w, 3\]"),
        ((GREY, [[0, 0, 1, 1]], [], [0]), r"1 boxes, 0 labels, 1 class_indices and no scores"),
        ((GREY, [[0, 0, 1, 1]], ["a"], [0], [0.1, 0.2]), r"and 2 scores"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        draw_boxes(*arguments)


def test_contact_sheet_places_pictures_row_by_row():
    red, green, blue = (np.full((120, 200, 3), color, np.uint8) for color in np.diag([255] * 3))
    sheet = contact_sheet([red, green, blue], columns=2)
    # Cells of 120 x 200 with a gap of max(4, 120 // 40) = 4: 2 * 204 + 4 by 2 * 124 + 4.
    assert sheet.shape == (252, 412, 3)
    assert tuple(sheet[60, 100]) == (255, 0, 0)
    assert tuple(sheet[60, 304]) == (0, 255, 0)
    assert tuple(sheet[184, 100]) == (0, 0, 255)
    assert tuple(sheet[184, 304]) == visualize._SHEET


def test_contact_sheet_scales_down_and_keeps_the_shape():
    wide, tall = np.full((300, 900, 3), 200, np.uint8), np.full((40, 20, 3), 200, np.uint8)
    sheet = contact_sheet([wide, tall], columns=5, cell_size=(100, 150))
    # 900 x 300 into 150 x 100 is 150 x 50; the tall one stays 20 x 40: cells of 150 x 50.
    assert sheet.shape == (50 + 2 * 4, 2 * 154 + 4, 3)
    assert ((sheet == 200).all(axis=2)).sum() == 150 * 50 + 20 * 40
    assert wide.shape == (300, 900, 3)


@pytest.mark.parametrize(
    ("images", "columns", "message"),
    [
        ([], 3, "needs at least one image"),
        ([GREY], 0, "columns is 0, expected 1 or more"),
        ([GREY.astype(np.int32)], 1, "image is int32"),
    ],
)
def test_contact_sheet_of_wrong_arguments(images, columns, message):
    with pytest.raises(ValueError, match=message):
        contact_sheet(images, columns)


def test_a_real_photo(shared):
    from PIL import Image

    path = shared / "data/bccd_voc/JPEGImages/BloodImage_00001.jpg"
    image = np.asarray(Image.open(path).convert("RGB"))
    drawn = draw_boxes(image, [[0.65, 0.11, 0.99, 0.45]], ["WBC"], [1], [0.93])
    # Only the frame and its tag: the inside of the cell is the photo.
    np.testing.assert_array_equal(drawn[340:460, 90:270], image[340:460, 90:270])
    assert 0.005 < (drawn != image).any(axis=2).mean() < 0.03
