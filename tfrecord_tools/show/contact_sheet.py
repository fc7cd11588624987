"""Pictures with their boxes on one sheet: title, the classes and their colours, then a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from tfrecord_tools.annotations import ImageAnnotation
from tfrecord_tools.show import lettering
from tfrecord_tools.show.box_drawing import CROWD_MARK, DIFFICULT_MARK, ClassLook, draw_boxes

# One sheet holds so many; more go to a second one.
PICTURES_PER_SHEET = 48
_CELL_WIDTH, _CELL_HEIGHT = 480, 360
_GAP, _MARGIN, _CAPTION = 16, 24, 26
_TITLE_SIZE, _LEGEND_SIZE, _CAPTION_SIZE = 26, 15, 14
_LEGEND_ROWS = 3
_LEGEND_STEP, _LEGEND_WIDEST = 26, 260
_SHEET, _CELL = (24, 27, 33), (36, 40, 48)
_TEXT, _QUIET = (236, 239, 244), (150, 157, 170)


@dataclass(frozen=True)
class Cell:
    """One picture of a sheet.

    Attributes:
      image: of the size of a cell, boxes drawn.
      caption: the line below.
      class_names: of its boxes.
      marks: of its boxes.
    """

    image: Image.Image
    caption: str
    class_names: frozenset[str]
    marks: frozenset[str]


def make_cell(
    image: Image.Image, annotation: ImageAnnotation, classes: dict[str, ClassLook]
) -> Cell:
    """Returns the picture as it lies on a sheet; it keeps its aspect ratio.

    Args:
      image: RGB, of any size; unchanged.
      annotation: of the image.
      classes: the look of every class name of the annotation.
    """
    scale = min(_CELL_WIDTH / image.width, _CELL_HEIGHT / image.height)
    width, height = max(round(image.width * scale), 1), max(round(image.height * scale), 1)
    how = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC
    fitted = image.resize((width, height), how, reducing_gap=3.0 if scale < 1 else None)
    left, top = (_CELL_WIDTH - width) // 2, (_CELL_HEIGHT - height) // 2
    pixels = Image.new("RGB", (_CELL_WIDTH, _CELL_HEIGHT), _CELL)
    pixels.paste(fitted, (left, top))
    # Drawn onto the cell: lines and letters are equally large in all, narrow pictures have room.
    boxes = annotation.boxes.reshape(-1, 2, 2) * [height, width] + [top, left]
    in_cell = (boxes / [_CELL_HEIGHT, _CELL_WIDTH]).reshape(-1, 4).astype(np.float32)
    pixels = draw_boxes(pixels, replace(annotation, boxes=in_cell), classes)
    n = len(annotation.boxes)
    count = "no boxes" if n == 0 else f"{n} box{'es' * (n > 1)}"
    marks = {CROWD_MARK} if annotation.is_crowd.any() else set()
    marks |= {DIFFICULT_MARK} if annotation.difficult.any() else set()
    name = annotation.filename or annotation.source_id or "(no file name)"
    return Cell(
        pixels,
        f"{name} · {image.width}x{image.height} · {count}",
        frozenset(annotation.class_names),
        frozenset(marks),
    )


def paint(
    cells: Sequence[Cell], title: str, facts: str, classes: dict[str, ClassLook]
) -> Image.Image:
    """Returns the sheet.

    Args:
      cells: at least one.
      title: large, at the top.
      facts: small, behind the title.
      classes: the look of all classes; those that the cells show are in the legend.
    """
    columns = min(len(cells), 4 if len(cells) <= 16 else 6)
    # A narrow sheet would have no room for its title.
    width = max(columns, 2) * (_CELL_WIDTH + _GAP) - _GAP + 2 * _MARGIN
    shown = {
        name: look for name, look in classes.items() if any(name in c.class_names for c in cells)
    }
    marks = frozenset[str]().union(*(cell.marks for cell in cells))
    legend = _legend(shown, marks, width - 2 * _MARGIN)
    top = _MARGIN + _TITLE_SIZE + _GAP + len(legend) * _LEGEND_STEP + (_GAP if legend else 0)
    rows = -(-len(cells) // columns)
    row_height = _CELL_HEIGHT + _CAPTION + _GAP
    sheet = Image.new("RGB", (width, top + rows * row_height - _GAP + _MARGIN), _SHEET)
    draw = ImageDraw.Draw(sheet)
    end = _write(draw, (_MARGIN, _MARGIN), title, _TITLE_SIZE, _TEXT, width // 2)
    below = _MARGIN + _TITLE_SIZE - _LEGEND_SIZE - 2
    _write(draw, (end + _GAP, below), facts, _LEGEND_SIZE + 1, _QUIET, width - end - _GAP - _MARGIN)
    for number, entries in enumerate(legend):
        _paint_legend(draw, entries, _MARGIN + _TITLE_SIZE + _GAP + number * _LEGEND_STEP)
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        x, y = _MARGIN + column * (_CELL_WIDTH + _GAP), top + row * row_height
        sheet.paste(cell.image, (x, y))
        place = (x, y + _CELL_HEIGHT + 5)
        _write(draw, place, cell.caption, _CAPTION_SIZE, _QUIET, _CELL_WIDTH)
    return sheet


_Entry = tuple[int, str, "ClassLook | None"]  # left edge, words, look


def _legend(classes: dict[str, ClassLook], marks: frozenset[str], room: int) -> list[list[_Entry]]:
    """Returns rows of entries; what does not fit into the last row is counted there."""
    entries: list[tuple[str, ClassLook | None]] = []
    if CROWD_MARK in marks:
        entries.append((f"dashed, {CROWD_MARK}  crowd", None))
    if DIFFICULT_MARK in marks:
        entries.append((f"dashed, {DIFFICULT_MARK}  difficult", None))
    entries += [
        (lettering.fitted(look.word, _LEGEND_SIZE, _LEGEND_WIDEST), look)
        for look in classes.values()
    ]
    rows: list[list[_Entry]] = []
    left = room
    for number, (words, look) in enumerate(entries):
        width = lettering.text_width(words, _LEGEND_SIZE) + (20 if look else 0) + 24
        rest = f"and {len(entries) - number} more classes"
        # The last row keeps room for saying what is not in it.
        keeps = lettering.text_width(rest, _LEGEND_SIZE) if len(rows) == _LEGEND_ROWS else 0
        if left + width + keeps > room:
            if len(rows) == _LEGEND_ROWS:
                rows[-1].append((_MARGIN + left, rest, None))
                break
            rows.append([])
            left = 0
        rows[-1].append((_MARGIN + left, words, look))
        left += width
    return rows


def _paint_legend(draw: ImageDraw.ImageDraw, row: Sequence[_Entry], top: int) -> None:
    for left, words, look in row:
        if look is not None:
            draw.rounded_rectangle((left, top + 3, left + 13, top + 16), radius=3, fill=look.color)
            left += 20
        draw.text(
            (left, top + 15),
            words,
            fill=_TEXT,
            font=lettering.font(words, _LEGEND_SIZE),
            anchor="ls",
        )


def _write(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    text: str,
    size: int,
    color: tuple[int, int, int],
    room: int,
) -> int:
    """Writes one line, its beginning cut where there is no room; returns where it ends."""
    words = lettering.fitted(lettering.legible(text), size, room)
    font = lettering.font(words, size)
    draw.text((place[0], place[1] + size), words, fill=color, font=font, anchor="ls")
    return place[0] + round(font.getlength(words))
