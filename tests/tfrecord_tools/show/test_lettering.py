"""Fonts for names in any script."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfrecord_tools.show import lettering

HIDDEN = "\U0001f9ff"  # a letter that the font that comes along does not have


@pytest.fixture(autouse=True)
def fonts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The installed fonts, none unless a test adds one; nothing is remembered between tests."""
    installed: list[str] = []
    monkeypatch.setattr(lettering.font_manager, "findSystemFonts", lambda: installed)
    caches = (lettering.font_path, lettering.font, lettering._installed, lettering._letters)
    for cached in caches:
        cached.cache_clear()
    yield installed
    for cached in caches:
        cached.cache_clear()


def make_font(path: Path, letters: str) -> str:
    """Writes a font with a square for each of these letters."""
    builder_module = pytest.importorskip("fontTools.fontBuilder")
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    def square():
        pen = TTGlyphPen(None)
        pen.moveTo((100, 0))
        for point in ((100, 800), (900, 800), (900, 0)):
            pen.lineTo(point)
        pen.closePath()
        return pen.glyph()

    names = [".notdef", *(f"u{ord(letter):X}" for letter in letters)]
    builder = builder_module.FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(letter): f"u{ord(letter):X}" for letter in letters})
    builder.setupGlyf({name: square() for name in names})
    builder.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": path.stem, "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=900)
    builder.setupPost()
    builder.save(path)
    return str(path)


@pytest.mark.parametrize("text", ["cat", "Zürich", "собака", "γάτα", "two words", ""])
def test_the_font_that_comes_along(text):
    assert lettering.font_path(text) == lettering.default_font_path()
    assert lettering.font(text, 20).size == 20


def test_an_installed_font_for_other_scripts(fonts, tmp_path):
    assert lettering.font_path("猫") is None
    lettering.font_path.cache_clear()
    lettering._installed.cache_clear()
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    fonts += [str(tmp_path / "broken.ttf"), make_font(tmp_path / "zzz.ttf", "猫犬車")]
    fonts += [make_font(tmp_path / "NotoSansCJK-Regular.ttf", "猫犬")]
    # Known fonts are tried before others, and both only where the one that comes along fails.
    assert lettering.font_path("猫 犬") == tmp_path / "NotoSansCJK-Regular.ttf"
    assert lettering.font_path("車") == tmp_path / "zzz.ttf"
    assert lettering.font_path("cat") == lettering.default_font_path()
    assert lettering.font("猫", 30).getlength("猫") == pytest.approx(30, abs=1)


def test_names_that_nothing_can_show():
    names = ["cat", HIDDEN, "two\nlines ", "bell\x07", "\udcff", " "]
    shown, missing = lettering.drawable_names(names)
    assert list(shown.values()) == ["cat", "#2", "two lines", "bell?", "?", "(no name)"]
    assert missing == [HIDDEN]
    assert lettering.legible(f"a {HIDDEN} b") == "a ? b"


def test_the_middle_is_left_out():
    text = "a very long name of a class"
    assert lettering.fitted(text, 14, 1000) == text
    short = lettering.fitted(text, 14, 100)
    assert lettering.text_width(short, 14) <= 100
    begin, end = short.split("…")
    assert text.startswith(begin)
    assert text.endswith(end)
    assert abs(len(begin) - len(end)) <= 1
    assert lettering.fitted("ab", 14, 1) == "ab"
