"""Boxes and class names drawn onto copies of pictures."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from tfrecord_tools.annotations import ImageAnnotation
from tfrecord_tools.show import lettering

Color = tuple[int, int, int]
_Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels, all inside

# Most data sets have few classes: blue, orange, green, magenta, yellow, cyan, red, violet, lime.
_FIRST_COLORS: tuple[Color, ...] = (
    (41, 121, 255), (255, 112, 16), (0, 190, 90), (214, 24, 240), (255, 208, 0), (0, 190, 220),
    (250, 60, 88), (126, 82, 255), (168, 224, 0),
)  # fmt: skip
_DARK, _LIGHT = (17, 20, 26), (255, 255, 255)
# A name that hides more than this of other names is left out; the colour tells the class, too.
_MOST_HIDDEN = 0.3
# Names leave this much of the picture free, at least.
_MOST_COVERED = 0.3
# Share of the picture's width that a name may have whose box is narrow.
_WIDEST_NAME = 0.4
# So many boxes are drawn with the thinnest lines.
_MANY_BOXES = 60
# What stands behind the class name.
CROWD_MARK, DIFFICULT_MARK = "*", "?"


@dataclass(frozen=True)
class ClassLook:
    """How the boxes of one class look.

    Attributes:
      word: what is written for the class.
      color: of box and tag.
    """

    word: str
    color: Color


def class_color(class_index: int) -> Color:
    """Returns the (red, green, blue) of a class, 0..255: always the same one, told apart by eye."""
    if class_index < len(_FIRST_COLORS):
        return _FIRST_COLORS[class_index]
    # Steps of the golden angle never repeat a hue; lightness changes for hues that look alike.
    hue = (class_index * 0.6180339887) % 1.0
    red, green, blue = colorsys.hls_to_rgb(hue, (0.52, 0.44, 0.68)[class_index % 3], 0.82)
    return round(red * 255), round(green * 255), round(blue * 255)


def looks(class_names: Iterable[str]) -> tuple[dict[str, ClassLook], list[str]]:
    """Returns the look of every class, and the names that no installed font can show."""
    words, missing = lettering.drawable_names(class_names)
    found = {
        name: ClassLook(word, class_color(index))
        for index, (name, word) in enumerate(words.items())
    }
    return found, missing


def ink_on(color: Color) -> Color:
    """Returns black or white, whichever is easier to read on the colour."""
    linear = [(part / 255) ** 2.2 for part in color]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return _DARK if luminance > 0.3 else _LIGHT


def draw_boxes(
    image: Image.Image, annotation: ImageAnnotation, classes: dict[str, ClassLook]
) -> Image.Image:
    """Returns a copy of `image` with every box and, where there is room, its class name.

    Lines and letters grow with the image. Crowd regions are dashed and marked with *, difficult
    boxes are dashed and marked with ?. Boxes that are not finite are skipped.

    Args:
      image: RGB.
      annotation: of the image.
      classes: the look of every class name of the annotation.
    """
    picture = image.copy()
    if not min(picture.size):
        return picture
    draw = ImageDraw.Draw(picture)
    line = max(round(min(picture.size) / 180), 1) if len(annotation.boxes) < _MANY_BOXES else 1
    font_size = min(max(round(min(picture.size) / 30), 11), 44)
    drawable = np.flatnonzero(np.isfinite(annotation.boxes).all(axis=1))
    boxes = {int(i): _to_pixels(annotation.boxes[i], picture.size) for i in drawable}
    for i, box in boxes.items():
        is_dashed = bool(annotation.is_crowd[i] or annotation.difficult[i])
        _outline(draw, box, classes[annotation.class_names[i]].color, line, is_dashed)
    tags = _Tags(draw, picture.size, font_size, line)
    # The largest first: theirs are the names that are looked for.
    for i in sorted(boxes, key=lambda i: -_area(boxes[i])):
        marks = CROWD_MARK * bool(annotation.is_crowd[i])
        marks += DIFFICULT_MARK * bool(annotation.difficult[i])
        tags.add(boxes[i], classes[annotation.class_names[i]], marks)
    return picture


class _Tags:
    """Places names on one picture so that they stay readable."""

    def __init__(
        self, draw: ImageDraw.ImageDraw, size: tuple[int, int], font_size: int, line: int
    ) -> None:
        self._draw = draw
        self._size = size
        self._font_size = font_size
        self._line = line
        self._taken: list[_Box] = []
        self._room = _MOST_COVERED * size[0] * size[1]

    def add(self, box: _Box, look: ClassLook, marks: str) -> None:
        """Writes the name of a box at its edge, unless that would hide others or too much."""
        pad = max(2, self._font_size // 4)
        # Wider than its box, a name stays short of hiding the picture.
        widest = min(max(box[2] - box[0], _WIDEST_NAME * self._size[0]), self._size[0] - 2 * pad)
        room = int(widest) - lettering.text_width(marks, self._font_size)
        text = lettering.fitted(look.word, self._font_size, room) + marks
        font = lettering.font(text, self._font_size)
        ascent, descent = font.getmetrics()
        width, height = math.ceil(font.getlength(text)) + 2 * pad, ascent + descent
        place, hidden = self._place(box, width, height)
        is_too_much = hidden > _MOST_HIDDEN * width * height or self._room < width * height
        if self._taken and is_too_much:
            return
        self._room -= width * height
        self._taken.append(place)
        self._draw.rounded_rectangle(place, radius=self._font_size // 5, fill=look.color)
        self._draw.text(
            (place[0] + pad, place[1] + ascent),
            text,
            fill=ink_on(look.color),
            font=font,
            anchor="ls",
        )

    def _place(self, box: _Box, width: int, height: int) -> tuple[_Box, float]:
        """Returns where the tag hides the least of the others, and how many pixels of them."""
        left, top, right, bottom = box
        best: tuple[float, _Box] | None = None
        # Wanted in this order: on the upper edge, below it, outside and inside of the lower edge.
        for y in (top - height + self._line, top, bottom - self._line + 1, bottom - height + 1):
            for x in (left, right - width + 1):
                x0 = max(0, min(x, self._size[0] - width))
                y0 = max(0, min(y, self._size[1] - height))
                place = (x0, y0, x0 + width - 1, y0 + height - 1)
                hidden = float(sum(_shared(place, other) for other in self._taken))
                # Pushed away from its edge, it seems to belong to another box.
                if best is None or hidden + height * abs(y0 - y) < best[0]:
                    best = hidden + height * abs(y0 - y), place
        assert best is not None
        return best[1], float(sum(_shared(best[1], other) for other in self._taken))


def _to_pixels(box: np.ndarray, size: tuple[int, int]) -> _Box:
    """Returns the corners in order, clipped to the pixels that exist."""
    width, height = size
    ymin, xmin, ymax, xmax = np.clip(box.astype(np.float64), -10, 10)
    (left, right), (top, bottom) = sorted((xmin, xmax)), sorted((ymin, ymax))
    x = np.clip(np.round([left * width, right * width - 1]), 0, width - 1).astype(int).tolist()
    y = np.clip(np.round([top * height, bottom * height - 1]), 0, height - 1).astype(int).tolist()
    return x[0], y[0], max(x), max(y)


def _outline(
    draw: ImageDraw.ImageDraw, box: _Box, color: Color, line: int, is_dashed: bool
) -> None:
    left, top, right, bottom = box
    inside = min(right - left, bottom - top) // 2
    width = max(min(line, inside), 1)
    # A hairline in a deep shade around it keeps the colour visible on any background.
    if line > 1 and inside > line:
        deep = tuple(value // 3 for value in color)
        draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=deep, width=width + 2)
    if not is_dashed:
        draw.rectangle(box, outline=color, width=width)
        return
    dash = 5 * width
    for x in range(left, right + 1, 2 * dash):
        end = min(x + dash, right)
        draw.rectangle((x, top, end, top + width - 1), fill=color)
        draw.rectangle((x, bottom - width + 1, end, bottom), fill=color)
    for y in range(top, bottom + 1, 2 * dash):
        end = min(y + dash, bottom)
        draw.rectangle((left, y, left + width - 1, end), fill=color)
        draw.rectangle((right - width + 1, y, right, end), fill=color)


def _area(box: _Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _shared(one: _Box, other: _Box) -> int:
    width = min(one[2], other[2]) - max(one[0], other[0]) + 1
    height = min(one[3], other[3]) - max(one[1], other[1]) + 1
    return max(0, width) * max(0, height)
