"""A font for every name that a picture is to show, in whatever script."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import matplotlib
from matplotlib import font_manager, ft2font
from PIL import ImageFont

# Wide fonts, tried before the others that are installed; a part of the file's name.
_PREFERRED = (
    "notosanscjk", "notosans-", "sourcehansans", "wqy-", "droidsansfallback", "arialuni",
    "msyh", "malgun", "meiryo", "pingfang", "hiragino", "applegothic", "nanumgothic", "notosans",
)  # fmt: skip
# Building its list of fonts is nothing to tell a person about.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)


def default_font_path() -> Path:
    """Returns the font for Latin, Greek, Cyrillic and Arabic letters, which is always there."""
    return Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")


@lru_cache(maxsize=4096)
def font_path(text: str) -> Path | None:
    """Returns a font that has every letter of the text; None where none is installed."""
    wanted = {ord(letter) for letter in text if not letter.isspace()}
    for path in (default_font_path(), *_installed()):
        if wanted <= _letters(path):
            return path
    return None


@lru_cache(maxsize=256)
def font(text: str, size: int) -> ImageFont.FreeTypeFont:
    """Returns the font to draw the text with, `size` pixels high."""
    return ImageFont.truetype(str(font_path(text) or default_font_path()), size)


def text_width(text: str, size: int) -> int:
    """Returns how many pixels wide the text becomes."""
    return math.ceil(font(text, size).getlength(text))


def fitted(text: str, size: int, room: int) -> str:
    """Returns the text, its middle left out where it is wider than `room` pixels."""
    shown, half = text, (len(text) + 1) // 2
    while half > 1 and text_width(shown, size) > room:
        half -= 1
        shown = f"{text[:half]}…{text[-half:]}"
    return shown


def legible(text: str) -> str:
    """Returns the text in one line, "?" for what no installed font can show together with it."""
    line = _printable(text)
    if font_path(line) is not None:
        return line
    known = _letters(default_font_path())
    return "".join(letter if ord(letter) in known else "?" for letter in line)


def drawable_names(names: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Returns what to write for each name, and the names that no installed font can show.

    Those become #1, #2, ... by their place among the names.
    """
    shown, missing = {}, []
    for number, name in enumerate(names, 1):
        text = _printable(name) or "(no name)"
        if font_path(text) is None:
            missing.append(name)
            text = f"#{number}"
        shown[name] = text
    return shown, missing


def _printable(name: str) -> str:
    """Returns the name in one line; lone surrogates stand for bytes that are no text."""
    line = " ".join(name.encode("utf-8", "replace").decode("utf-8").split())
    return "".join(letter if letter.isprintable() else "?" for letter in line)


@lru_cache(maxsize=1)
def _installed() -> tuple[Path, ...]:
    paths = [Path(name) for name in font_manager.findSystemFonts()]

    def rank(path: Path) -> tuple[int, int, str]:
        name = path.name.lower()
        place = next((n for n, part in enumerate(_PREFERRED) if part in name), len(_PREFERRED))
        # Upright and of normal weight before bold and slanted.
        is_plain = "regular" in name or "-" not in name
        return place, not is_plain, str(path)

    return tuple(sorted(paths, key=rank))


@lru_cache(maxsize=512)
def _letters(path: Path) -> frozenset[int]:
    try:
        return frozenset(ft2font.FT2Font(str(path)).get_charmap())
    except (RuntimeError, OSError):
        # No font, or one without a table of Unicode letters.
        return frozenset()
