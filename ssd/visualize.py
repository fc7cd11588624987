"""Boxes, names and scores drawn onto copies of pictures, with Pillow alone."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]
_Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels

# Most data sets have few classes: blue, orange, green, magenta, yellow, cyan, red, violet, lime,
# pink, teal, brown.
_FIRST_COLORS: tuple[Color, ...] = (
    (41, 121, 255), (255, 112, 16), (0, 190, 90), (214, 24, 240), (255, 208, 0), (0, 190, 220),
    (250, 60, 88), (126, 82, 255), (168, 224, 0), (255, 132, 192), (0, 124, 124), (166, 102, 60),
)  # fmt: skip

_DARK: Color = (17, 20, 26)
_LIGHT: Color = (255, 255, 255)
_SHEET: Color = (24, 27, 33)

# Fonts with more scripts than Pillow's own; the first one that is installed is used.
WIDE_FONTS = (
    "NotoSansCJK-Regular.ttc", "NotoSans-Regular.ttf", "DejaVuSans.ttf", "Arial Unicode.ttf",
    "msyh.ttc", "malgun.ttf", "arial.ttf",
)  # fmt: skip


def class_color(class_index: int) -> Color:
    """Returns the (red, green, blue) of a class, 0..255: always the same one, told apart by eye."""
    if 0 <= class_index < len(_FIRST_COLORS):
        return _FIRST_COLORS[class_index]
    # Steps of the golden angle never repeat a hue; lightness changes for hues that look alike.
    hue = (class_index * 0.6180339887) % 1.0
    lightness = (0.52, 0.46, 0.66)[class_index % 3]
    red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.84)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_boxes(
    image: NDArray[np.uint8],
    boxes: ArrayLike,
    labels: Sequence[str],
    class_indices: Sequence[int] | NDArray[np.integer],
    scores: ArrayLike | None = None,
) -> NDArray[np.uint8]:
    """Returns a copy of the image with every box outlined in the colour of its class.

    Lines and text grow with the image. A tag with the label (and the score in percent) sits on
    the box's upper edge, or where there is room for it, and never leaves the image. The best
    scores are drawn last, on top.

    Args:
      image: uint8 [h, w, 3], RGB; unchanged.
      boxes: float [N, 4], yxyx normalized; parts outside of the image are not drawn. A box that
        is outside altogether or not finite is skipped.
      labels: N names in any script; an empty one gives a box without a tag, unless it has a score.
      class_indices: int [N], 0..C-1; they choose the colours.
      scores: float [N] in [0, 1]; None draws names alone, as for groundtruth.

    Returns:
      uint8 [h, w, 3], RGB.

    Raises:
      ValueError: the image is not uint8 [h, w, 3], or the lists differ in length.
    """
    _check_image(image)
    table = np.asarray(boxes, np.float64).reshape(-1, 4)
    values = None if scores is None else np.asarray(scores, np.float64).reshape(-1)
    lengths = {len(table), len(labels), len(class_indices)}
    if len(lengths | ({len(values)} if values is not None else set())) != 1:
        raise ValueError(
            f"{len(table)} boxes, {len(labels)} labels, {len(class_indices)} class_indices and "
            f"{'no' if values is None else len(values)} scores; expected as many of each."
        )
    height, width = image.shape[:2]
    # An empty side has no pixel to draw on.
    if min(height, width) == 0:
        return image.copy()
    picture = Image.fromarray(np.ascontiguousarray(image))
    draw = ImageDraw.Draw(picture)
    line = max(1, round(min(height, width) / 180))
    font_size = min(max(round(min(height, width) / 36), 10), 44)
    order = np.arange(len(table)) if values is None else np.argsort(values, kind="stable")
    drawn = [int(i) for i in order if _is_visible(table[i])]
    corners = {i: _to_pixels(table[i], height, width) for i in drawn}
    for i in drawn:
        _outline(draw, corners[i], class_color(int(class_indices[i])), line)
    tags: list[_Box] = []
    # Tags after all boxes, so that no line crosses a word; the best choose their places first.
    for i in reversed(drawn):
        name, score = _tag_text(labels[i]), "" if values is None else _score_text(values[i])
        if name or score:
            color = class_color(int(class_indices[i]))
            _tag(draw, (width, height), corners[i], (name, score), color, font_size, line, tags)
    return np.array(picture)


def contact_sheet(
    images: Sequence[NDArray[np.uint8]],
    columns: int,
    cell_size: tuple[int, int] = (360, 480),
) -> NDArray[np.uint8]:
    """Returns the images side by side on one dark sheet, row by row.

    Args:
      images: uint8 [h, w, 3] each, RGB, of any sizes; unchanged. Larger ones are scaled down to
        the cell, keeping their shape; smaller ones are centred as they are.
      columns: images per row, at least 1; fewer images make a narrower sheet.
      cell_size: (height, width) of one cell in pixels; shrinks to the largest image if that is
        smaller.

    Returns:
      uint8 [h, w, 3], RGB.

    Raises:
      ValueError: there is no image, an image is not uint8 [h, w, 3], or columns is below 1.
    """
    if not images:
        raise ValueError("contact_sheet needs at least one image, got none.")
    if columns < 1:
        raise ValueError(f"columns is {columns}, expected 1 or more.")
    small = []
    for image in images:
        _check_image(image)
        picture = Image.fromarray(np.ascontiguousarray(image))
        picture.thumbnail((cell_size[1], cell_size[0]), Image.Resampling.LANCZOS)
        small.append(picture)
    cell_width = max(picture.width for picture in small)
    cell_height = max(picture.height for picture in small)
    gap = max(4, min(cell_width, cell_height) // 40)
    columns = min(columns, len(small))
    rows = -(-len(small) // columns)
    size = (columns * (cell_width + gap) + gap, rows * (cell_height + gap) + gap)
    sheet = Image.new("RGB", size, _SHEET)
    for number, picture in enumerate(small):
        row, column = divmod(number, columns)
        x = gap + column * (cell_width + gap) + (cell_width - picture.width) // 2
        y = gap + row * (cell_height + gap) + (cell_height - picture.height) // 2
        sheet.paste(picture, (x, y))
    return np.array(sheet)


def _check_image(image: NDArray[np.uint8]) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image is {image.dtype} {list(image.shape)}, expected uint8 [h, w, 3].")


def _is_visible(box: NDArray[np.float64]) -> bool:
    if not np.isfinite(box).all():
        return False
    ymin, xmin, ymax, xmax = box
    reaches_in = max(ymin, ymax) > 0 and max(xmin, xmax) > 0
    return bool(reaches_in and min(ymin, ymax) < 1 and min(xmin, xmax) < 1)


def _to_pixels(box: NDArray[np.float64], height: int, width: int) -> _Box:
    """Returns the corners in order, clipped to the pixels that exist."""
    ymin, xmin, ymax, xmax = np.clip(box, -1e4, 1e4)
    left, right = sorted((xmin * width, xmax * width))
    top, bottom = sorted((ymin * height, ymax * height))
    limits = np.array([width, height, width, height]) - 1
    left, top, right, bottom = np.clip(np.round([left, top, right - 1, bottom - 1]), 0, limits)
    return left, top, max(left, right), max(top, bottom)


def _outline(draw: ImageDraw.ImageDraw, box: _Box, color: Color, line: int) -> None:
    left, top, right, bottom = box
    inside = min(right - left, bottom - top) / 2
    # A hairline in a deep shade on both sides keeps the colour visible on any background.
    if line > 1 and inside > line + 1:
        deep = tuple(value * 2 // 5 for value in color)
        draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=deep, width=line + 2)
    if inside < 1:
        draw.rectangle(box, fill=color)
    else:
        draw.rectangle(box, outline=color, width=int(min(line, inside)))


def _tag_text(label: str) -> str:
    """Returns the label in one line; line breaks and lone surrogates cannot be drawn."""
    name = " ".join(label.encode("utf-8", "replace").decode("utf-8").split())
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def _score_text(score: float) -> str:
    return f"{score:.0%}" if np.isfinite(score) else ""


def _tag(
    draw: ImageDraw.ImageDraw,
    size: tuple[int, int],
    box: _Box,
    words: tuple[str, str],
    color: Color,
    font_size: int,
    line: int,
    taken: list[_Box],
) -> None:
    """Draws the tag (name, score) of one box and adds its place to `taken`."""
    pad_x, pad_y = max(2, font_size // 3), max(1, font_size // 7)
    font = _font(font_size, not _is_latin(words[0]))
    text = _fit(*words, font, size[0] - 2 * pad_x)
    ascent, descent = font.getmetrics()
    tag_size = (round(font.getlength(text)) + 2 * pad_x, ascent + descent + 2 * pad_y)
    place = _place(box, tag_size, size, line, taken)
    draw.rounded_rectangle(place, radius=max(1, font_size // 5), fill=color)
    ink = _DARK if _luminance(color) > 0.36 else _LIGHT
    draw.text((place[0] + pad_x, place[1] + pad_y + ascent), text, fill=ink, font=font, anchor="ls")
    taken.append(place)


def _place(
    box: _Box, tag_size: tuple[int, int], size: tuple[int, int], line: int, taken: list[_Box]
) -> _Box:
    """Returns where the tag covers the least of those in `taken`; sizes are (width, height)."""
    left, top, right, bottom = box
    tag_width, tag_height = tag_size
    best: tuple[tuple[float, float], _Box] | None = None
    # Wanted in this order: on the upper edge, below it, on the lower edge outside and inside.
    for y in (top - tag_height + line, top, bottom - line + 1, bottom - tag_height + 1):
        for x in (left, right - tag_width + 1):
            x0 = max(0, min(x, size[0] - tag_width))
            y0 = max(0, min(y, size[1] - tag_height))
            place = (x0, y0, x0 + tag_width - 1, y0 + tag_height - 1)
            cost = (sum(_overlap(place, other) for other in taken), abs(y0 - y))
            if best is None or cost < best[0]:
                best = cost, place
    assert best is not None
    return best[1]


def _fit(name: str, score: str, font: ImageFont.FreeTypeFont, room: float) -> str:
    """Returns name and score in one line; a name without room is cut short, the score is not."""
    name = name[:200]
    text = f"{name} {score}".strip()
    while name and font.getlength(text) > room:
        name = name[:-1]
        text = f"{name}… {score}".strip() if name else score
    return text


def _overlap(one: _Box, other: _Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0]) + 1
    height = min(one[3], other[3]) - max(one[1], other[1]) + 1
    return max(0.0, width) * max(0.0, height)


def _luminance(color: Color) -> float:
    """Returns the relative luminance of sRGB, 0 (black) to 1 (white), as WCAG 2 defines it."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (value / 255 for value in color)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _is_latin(text: str) -> bool:
    return all(ord(letter) < 0x250 or letter in "…–—‘’“”€™" for letter in text)


@lru_cache(maxsize=64)
def _font(size: int, is_wide: bool) -> ImageFont.FreeTypeFont:
    for name in WIDE_FONTS if is_wide else ():
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    # Draws letters that it does not have as empty frames, and never fails.
    return ImageFont.load_default(size)  # type: ignore[return-value]
