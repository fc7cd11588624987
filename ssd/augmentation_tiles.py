"""Rows of captioned pictures with boxes, painted onto one sheet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ssd.errors import InputError
from ssd.label_map import LabelMap
from ssd.standard_fields import LABEL_ID_OFFSET, InputFields
from ssd.visualize import draw_boxes

_CELL_HEIGHT, _CELL_WIDTH = 270, 360
_GAP, _CAPTION, _TITLE = 10, 24, 34
_SHEET, _CELL, _TEXT, _QUIET = (24, 27, 33), (36, 40, 48), (236, 239, 244), (150, 157, 170)
_F = InputFields


@dataclass(frozen=True)
class Picture:
    """One cell: uint8 [cell height, cell width, 3] with boxes drawn, and the line below it."""

    pixels: np.ndarray
    caption: str


@dataclass(frozen=True)
class Row:
    """Pictures side by side, and the line above them."""

    title: str
    pictures: Sequence[Picture]


def picture(
    caption: str, example: dict[str, Any], label_map: LabelMap, is_in_pixels: bool = False
) -> Picture:
    """Returns the cell of an example, as large as fits, the aspect ratio kept.

    Class names are followed by * for a crowd, ? for a difficult box, and by a weight that is not 1.

    Args:
      caption: begins the line below; size and number of boxes follow.
      example: image uint8 or float32 [h, w, 3]; groundtruth_boxes and the other per-box fields.
      label_map: names of the classes.
      is_in_pixels: whether the boxes are not normalized.
    """
    values = np.asarray(example[_F.image], np.float32)
    boxes = np.asarray(example[_F.groundtruth_boxes], np.float64)
    height, width = values.shape[:2]
    caption = f"{caption} · {height}x{width} · {len(boxes)} box{'es' * (len(boxes) != 1)}"
    pixels, note = _to_bytes(values)
    cell, place = _fitted(pixels)
    top, left, fitted_height, fitted_width = place
    unit = np.array([height, width] if is_in_pixels else [1.0, 1.0])
    # In the cell, not in the picture: lines and letters are equally large in all of them.
    corners = boxes.reshape(-1, 2, 2) / unit * [fitted_height, fitted_width] + [top, left]
    in_cell = (corners / [_CELL_HEIGHT, _CELL_WIDTH]).reshape(-1, 4)
    class_ids = np.asarray(example[_F.groundtruth_classes])
    labels = [
        label_map.name_of(int(class_id)) + mark
        for class_id, mark in zip(class_ids, _marks(example), strict=True)
    ]
    drawn = draw_boxes(cell, in_cell, labels, class_ids - LABEL_ID_OFFSET)
    return Picture(drawn, caption + note)


def _fitted(pixels: np.ndarray) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """Returns a cell with the picture in its middle, and its (top, left, height, width) there."""
    height, width = pixels.shape[:2]
    scale = min(_CELL_HEIGHT / height, _CELL_WIDTH / width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    # Enlarged as plainly as the network's input is, so that lost detail shows.
    how = Image.Resampling.LANCZOS if scale < 1.0 else Image.Resampling.BILINEAR
    cell = Image.new("RGB", (_CELL_WIDTH, _CELL_HEIGHT), _CELL)
    left, top = (_CELL_WIDTH - size[0]) // 2, (_CELL_HEIGHT - size[1]) // 2
    cell.paste(Image.fromarray(pixels).resize(size, how), (left, top))
    return np.array(cell), (top, left, size[1], size[0])


def save(rows: Sequence[Row], heading: str, path: Path) -> tuple[int, int]:
    """Writes the sheet as PNG, whole or not at all; returns its (height, width).

    Raises:
      InputError: the file cannot be written.
    """
    sheet = paint(rows, heading)
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            sheet.save(part, "PNG")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
    return sheet.height, sheet.width


def paint(rows: Sequence[Row], heading: str) -> Image.Image:
    """Returns the sheet: the heading, then each row under its title."""
    columns = max(len(row.pictures) for row in rows)
    row_height = _TITLE + _CELL_HEIGHT + _CAPTION + _GAP
    width = columns * (_CELL_WIDTH + _GAP) + _GAP
    sheet = Image.new("RGB", (width, _TITLE + _GAP + len(rows) * row_height), _SHEET)
    draw = ImageDraw.Draw(sheet)
    _write(draw, (_GAP, _GAP), heading, 20, _TEXT, width - 2 * _GAP)
    for number, row in enumerate(rows):
        top = _TITLE + _GAP + number * row_height
        _write(draw, (_GAP, top + 8), row.title, 16, _TEXT, width - 2 * _GAP)
        for column, cell in enumerate(row.pictures):
            left = _GAP + column * (_CELL_WIDTH + _GAP)
            sheet.paste(Image.fromarray(cell.pixels), (left, top + _TITLE))
            below = left, top + _TITLE + _CELL_HEIGHT + 3
            _write(draw, below, cell.caption, 14, _QUIET, _CELL_WIDTH)
    return sheet


def _write(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    text: str,
    size: int,
    color: tuple[int, int, int],
    room: int,
) -> None:
    """Writes one line, cut short where there is no room."""
    font = ImageFont.load_default(size)
    if font.getlength(text) > room:
        while text and font.getlength(text + "...") > room:
            text = text[:-1]
        text += "..."
    draw.text(place, text, fill=color, font=font)


def _to_bytes(values: np.ndarray) -> tuple[np.ndarray, str]:
    """Returns uint8 pixels, and a note where the values are in no range of pictures."""
    low, high = float(values.min()), float(values.max())
    note = ""
    # Resizes overshoot a little; what is shifted or normalized would be all black or white.
    if low < -40.0 or high > 295.0 or (high <= 2.0 and low < high):
        note = f" · {low:.3g} to {high:.3g}, stretched"
        values = (values - low) * (255.0 / (high - low))
    return np.clip(np.round(values), 0, 255).astype(np.uint8), note


def _marks(example: dict[str, Any]) -> list[str]:
    crowd = np.asarray(example[_F.groundtruth_is_crowd])
    difficult = np.asarray(example[_F.groundtruth_difficult])
    weights = np.asarray(example[_F.groundtruth_weights])
    return [
        "*" * bool(crowd[i])
        + "?" * bool(difficult[i])
        + (f" {weights[i]:.2g}" if weights[i] != 1.0 else "")
        for i in range(len(weights))
    ]
