"""Draws what `convert` makes of wrong annotations, by converting them; docs/data.md shows it.

    python docs/pictures/draw_rules.py [FOLDER]

Writes one contact sheet per group, by default beside this file.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from PIL import Image, ImageDraw
from rule_cases import Case, Corners, Points, all_cases
from rule_outcomes import Outcome, convert_case, shown_picture

from tfrecord_tools.show.lettering import font, text_width

HERE = Path(__file__).resolve().parent
_LONGEST_SIDE = 176  # of a picture on the sheet
_MARGIN = 18  # around a picture, for boxes that reach outside
_GAP = 10
_TEXT, _LINE = 12, 16  # height of letters and of lines
_WIDTH = 2 * (_LONGEST_SIDE + 2 * _MARGIN) + _GAP  # of one case
_PAPER, _GROUND, _INK, _MUTED = (255, 255, 255), (236, 238, 241), (17, 20, 26), (96, 102, 112)
_WRITTEN, _CONVERTED = (255, 112, 16), (41, 121, 255)
_COLUMNS = 2
_QUALITY = 50


def main() -> None:
    """Draws every sheet and prints the report's lines."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    for name, cases in all_cases().items():
        cells = []
        for case in cases:
            outcome = convert_case(case)
            print(f"{case.title}: {said(outcome)}")
            cells.append(draw_case(case, outcome))
        path = folder / f"rules_{name}.jpg"
        _sheet(cells).save(path, quality=_QUALITY, optimize=True)
        print(f"wrote {path}")


def said(outcome: Outcome) -> str:
    """Returns what stands beneath a case."""
    return " / ".join(outcome.lines) or "nothing is reported"


def draw_case(case: Case, outcome: Outcome) -> Image.Image:
    """Returns title, the picture as annotated and as converted, and the report's lines."""
    shown = shown_picture(case)
    left = _panel(shown, case.drawn, _WRITTEN)
    right = _converted_panel(outcome, left.size)
    height = max(left.height, right.height)
    lines = _wrapped(said(outcome))
    cell = Image.new("RGB", (_WIDTH, 2 * _LINE + height + len(lines) * _LINE + _GAP), _PAPER)
    draw = ImageDraw.Draw(cell)
    draw.text((0, 0), case.title, _INK, font(case.title, _TEXT))
    half = (_WIDTH + _GAP) // 2
    for x, panel, words in ((0, left, "as annotated"), (half, right, "as converted")):
        draw.text((x, _LINE), words, _MUTED, font(words, _TEXT))
        cell.paste(panel, (x, 2 * _LINE))
    for number, line in enumerate(lines):
        draw.text((0, 2 * _LINE + height + 4 + number * _LINE), line, _INK, font(line, _TEXT))
    return cell


def _converted_panel(outcome: Outcome, size: tuple[int, int]) -> Image.Image:
    if outcome.picture is None or outcome.annotation is None:
        empty = Image.new("RGB", size, _GROUND)
        words = "left out"
        place = ((size[0] - text_width(words, _TEXT)) // 2, size[1] // 2)
        ImageDraw.Draw(empty).text(place, words, _MUTED, font(words, _TEXT))
        return empty
    width, height = outcome.picture.size
    boxes = [
        (float(xmin * width), float(ymin * height), float(xmax * width), float(ymax * height))
        for ymin, xmin, ymax, xmax in outcome.annotation.boxes
    ]
    return _panel(outcome.picture, boxes, _CONVERTED)


def _panel(
    picture: Image.Image, shapes: Sequence[Corners | Points], color: tuple[int, int, int]
) -> Image.Image:
    """Returns the picture in a margin, with boxes or polygons that may reach into it."""
    scale = _LONGEST_SIDE / max(picture.size)
    small = picture.convert("RGB").resize(
        (round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BOX
    )
    panel = Image.new("RGB", (small.width + 2 * _MARGIN, small.height + 2 * _MARGIN), _GROUND)
    panel.paste(small, (_MARGIN, _MARGIN))
    draw = ImageDraw.Draw(panel)
    for shape in shapes:
        points = [round(value * scale) + _MARGIN for value in shape]
        if len(points) == 4:
            draw.rectangle(points, outline=color, width=2)
        else:
            draw.line([*points, *points[:2]], fill=color, width=2)
    return panel


def _wrapped(text: str) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if text_width(longer, _TEXT) <= _WIDTH:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _sheet(cells: Sequence[Image.Image]) -> Image.Image:
    rows = [cells[i : i + _COLUMNS] for i in range(0, len(cells), _COLUMNS)]
    heights = [max(cell.height for cell in row) for row in rows]
    width = _COLUMNS * _WIDTH + 4 * _GAP
    sheet = Image.new("RGB", (width, sum(heights) + (len(rows) + 1) * _GAP), _PAPER)
    top = _GAP
    for row, height in zip(rows, heights, strict=True):
        for column, cell in enumerate(row):
            sheet.paste(cell, (_GAP + column * (_WIDTH + 2 * _GAP), top))
        top += height + _GAP
    return sheet


if __name__ == "__main__":
    main()
