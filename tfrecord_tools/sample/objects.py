"""Draws the four kinds of sample objects: 1-D barcodes, QR-like codes, printed labels, badges.

Every drawer takes a random generator and returns an RGBA picture, upright, about 300 pixels wide;
alpha is the object's outline.
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]
Generator = np.random.Generator

# EAN-13: the left-hand digits with odd parity; the other two sets are its complement and mirror.
_ODD_DIGITS = "0001101 0011001 0010011 0111101 0100011 0110001 0101111 0111011 0110111 0001011"
_EAN_ODD = _ODD_DIGITS.split()
# Which of the six left-hand digits have even parity, by the first digit.
_PARITIES = "oooooo ooeoee ooeeoe ooeeeo oeooee oeeooe oeeeoo oeoeoe oeoeeo oeeoeo"
_EAN_PARITY = _PARITIES.split()
_PRINT = (
    "FRAGILE PRIORITY EXPRESS PARCEL RETURN TO SENDER NET WT STORE COOL BATCH LOT EXP ORDER "
    "ITEM QTY MADE IN BOX HANDLE WITH CARE THIS SIDE UP AIR MAIL ROUTE DEPOT SHIP FROM CODE "
    "REF"
)
_WORDS = _PRINT.split()


@lru_cache(maxsize=64)
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Returns Pillow's own font at `size` pixels."""
    return ImageFont.load_default(size)


def with_check_digit(digits: str) -> str:
    """Returns 12 digits and the 13th that EAN-13 asks for.

    >>> with_check_digit("590123412345")
    '5901234123457'
    """
    total = sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(digits))
    return digits + str(-total % 10)


def ean13_modules(digits: str) -> str:
    """Returns the 95 modules of an EAN-13 symbol of 13 digits, "1" for a bar.

    >>> ean13_modules("5901234123457")[:24]
    '101000101101001110110011'
    """
    left = ""
    for digit, parity in zip(digits[1:7], _EAN_PARITY[int(digits[0])], strict=True):
        odd = _EAN_ODD[int(digit)]
        left += odd if parity == "o" else _complement(odd)[::-1]
    right = "".join(_complement(_EAN_ODD[int(digit)]) for digit in digits[7:])
    return f"101{left}01010{right}101"


def _complement(modules: str) -> str:
    return modules.translate(str.maketrans("01", "10"))


def draw_barcode(rng: Generator) -> Image.Image:
    """Returns a printed 1-D barcode: EAN-13, or dense bars of 1 to 4 modules as in Code 128."""
    digits = with_check_digit("".join(map(str, rng.integers(0, 10, 12))))
    modules = ean13_modules(digits) if rng.random() < 0.6 else _dense_modules(rng)
    unit = 3
    quiet = unit * int(rng.integers(5, 11))
    width = len(modules) * unit + 2 * quiet
    height = int(width * rng.uniform(0.38, 0.72))
    paper, ink = _paper(rng), _ink(rng)
    image = Image.new("RGBA", (width, height), (*paper, 255))
    draw = ImageDraw.Draw(image)
    has_text = rng.random() < 0.75
    text_height = min(height // 6, width // 11) if has_text else 0
    top = int(rng.integers(6, 16))
    bottom = height - top - text_height
    for i, module in enumerate(modules):
        if module == "1":
            left = quiet + i * unit
            draw.rectangle((left, top, left + unit - 1, bottom), fill=ink)
    if has_text:
        middle = (width / 2, height - text_height * 0.55 - top / 2)
        draw.text(middle, " ".join(digits), font=font(text_height), fill=ink, anchor="mm")
    return image


def _dense_modules(rng: Generator) -> str:
    # Characters of 11 modules: three bars and three spaces of 1 to 4.
    characters: list[str] = []
    while len(characters) < int(rng.integers(7, 11)):
        widths = rng.integers(1, 5, 6)
        if widths.sum() == 11:
            characters.append(
                "".join(("1" if i % 2 == 0 else "0") * w for i, w in enumerate(widths))
            )
    return "".join(characters) + "1100011101011"


def draw_qr_code(rng: Generator) -> Image.Image:
    """Returns a QR-like code: finder, timing and alignment patterns, random modules between."""
    version = int(rng.integers(1, 6))
    side = 17 + 4 * version
    modules = rng.random((side, side)) < 0.5
    for row, column in ((0, 0), (0, side - 7), (side - 7, 0)):
        _stamp_finder(modules, row, column)
    modules[6, 8 : side - 8] = np.arange(8, side - 8) % 2 == 0
    modules[8 : side - 8, 6] = np.arange(8, side - 8) % 2 == 0
    if version > 1:
        ring = np.ones((5, 5), bool)
        ring[1:4, 1:4] = False
        ring[2, 2] = True
        modules[side - 9 : side - 4, side - 9 : side - 4] = ring
    quiet = int(rng.integers(2, 5))
    unit = max(300 // (side + 2 * quiet), 4)
    padded = np.pad(modules, quiet)
    paper, ink = np.array(_paper(rng)), np.array(_ink(rng))
    pixels = np.where(padded[..., None], ink, paper).astype(np.uint8)
    pixels = pixels.repeat(unit, axis=0).repeat(unit, axis=1)
    return Image.fromarray(pixels).convert("RGBA")


def _stamp_finder(modules: np.ndarray, row: int, column: int) -> None:
    side = modules.shape[0]
    modules[max(row - 1, 0) : min(row + 8, side), max(column - 1, 0) : min(column + 8, side)] = (
        False
    )
    modules[row : row + 7, column : column + 7] = True
    modules[row + 1 : row + 6, column + 1 : column + 6] = False
    modules[row + 2 : row + 5, column + 2 : column + 5] = True


def draw_label(rng: Generator) -> Image.Image:
    """Returns a printed sticker: border, a heading, lines of text and figures."""
    width = 300
    height = int(width * rng.uniform(0.45, 1.15))
    paper = _paper(rng) if rng.random() < 0.6 else _pastel(rng)
    ink = _ink(rng)
    image = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    radius = int(rng.integers(0, 22))
    border = int(rng.integers(0, 6))
    frame = (0, 0, width - 1, height - 1)
    draw.rounded_rectangle(frame, radius, fill=(*paper, 255), outline=ink, width=border)
    margin = 14 + border
    y = margin
    if rng.random() < 0.7:
        y = _heading(draw, rng, margin, width, height, ink)
    while True:
        size = int(rng.integers(13, 25))
        if y + size > height - margin:
            return image
        if rng.random() < 0.15:
            draw.line((margin, y + 4, width - margin, y + 4), fill=ink, width=2)
            y += 10
            continue
        text = _text(rng, int((width - 2 * margin) / size * rng.uniform(1.0, 1.7)))
        draw.text((margin, y), text, font=font(size), fill=ink)
        y += int(size * rng.uniform(1.2, 1.7))


def _heading(
    draw: ImageDraw.ImageDraw, rng: Generator, margin: int, width: int, height: int, ink: Color
) -> int:
    """Draws a bar with a large word; returns the y below it."""
    bar = min(int(height * 0.32), int(rng.integers(36, 64)))
    color = _vivid(rng) if rng.random() < 0.6 else ink
    draw.rectangle((margin, margin, width - margin, margin + bar), fill=color)
    word = str(rng.choice([w for w in _WORDS if len(w) > 3]))
    size = max(min(int(bar * 0.72), int((width - 2 * margin) / (0.72 * len(word)))), 8)
    middle = (width / 2, margin + bar / 2)
    draw.text(middle, word, font=font(size), fill=(250, 250, 250), anchor="mm")
    return margin + bar + 10


def _text(rng: Generator, length: int) -> str:
    words: list[str] = []
    while len(" ".join(words)) < length:
        is_word = rng.random() < 0.65
        words.append(str(rng.choice(_WORDS)) if is_word else str(rng.integers(10, 99999)))
    return " ".join(words)[: max(length, 3)]


def draw_badge(rng: Generator) -> Image.Image:
    """Returns a round badge: a disc or a seal, rings, and a star, a letter or a figure inside."""
    side = 280
    image = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    rim, face = _vivid(rng), _vivid(rng)
    light: Color = (248, 246, 238)
    center, radius = side / 2, side / 2 - 2
    if rng.random() < 0.4:
        teeth = int(rng.integers(14, 28))
        draw.polygon(_star(center, radius, radius * 0.9, teeth), fill=(*rim, 255))
        radius *= 0.9
    _disc(draw, center, radius, rim)
    _disc(draw, center, radius * 0.86, light)
    _disc(draw, center, radius * rng.uniform(0.7, 0.8), face)
    kind = rng.integers(0, 3)
    if kind == 0:
        points = int(rng.integers(5, 8))
        draw.polygon(_star(center, radius * 0.6, radius * 0.26, points), fill=light)
    else:
        letters = str(rng.choice(list(string.ascii_uppercase)))
        text = letters if kind == 1 else f"{rng.integers(1, 10) * 10}%"
        size = int(radius * (1.0 if len(text) == 1 else 0.62))
        draw.text((center, center), text, font=font(size), fill=light, anchor="mm")
    return image


def _disc(draw: ImageDraw.ImageDraw, center: float, radius: float, color: Color) -> None:
    corners = (center - radius, center - radius, center + radius, center + radius)
    draw.ellipse(corners, fill=(*color, 255))


def _star(center: float, outer: float, inner: float, points: int) -> list[tuple[float, float]]:
    corners = []
    for i in range(2 * points):
        radius = outer if i % 2 == 0 else inner
        angle = math.pi * i / points - math.pi / 2
        corners.append((center + radius * math.cos(angle), center + radius * math.sin(angle)))
    return corners


def _paper(rng: Generator) -> Color:
    level = int(rng.integers(226, 253))
    return level, level, max(level - int(rng.integers(0, 14)), 0)


def _ink(rng: Generator) -> Color:
    level = int(rng.integers(8, 46))
    return level, level, level + int(rng.integers(0, 18))


def _pastel(rng: Generator) -> Color:
    red, green, blue = (int(v) for v in rng.integers(178, 252, 3))
    return red, green, blue


def _vivid(rng: Generator) -> Color:
    channels = rng.permutation(
        [rng.integers(150, 236), rng.integers(20, 120), rng.integers(15, 90)]
    )
    return int(channels[0]), int(channels[1]), int(channels[2])


# Class name -> drawer, in the order of the class ids.
DRAWERS: dict[str, Callable[[Generator], Image.Image]] = {
    "badge": draw_badge,
    "barcode": draw_barcode,
    "label": draw_label,
    "qr_code": draw_qr_code,
}
