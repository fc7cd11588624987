"""The pages lead somewhere: links, headings, pictures, the index; pictures show what is so."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

PROJECT = Path(__file__).resolve().parents[2]
DOCS = PROJECT / "docs"
INDEX = DOCS / "README.md"
PICTURES = DOCS / "pictures"
PAGES = (
    PROJECT / "README.md",
    *sorted(DOCS.rglob("*.md")),
    PROJECT / "pipeline_configs/README.md",
    PROJECT / "tests/data/README.md",
)
MOST_BYTES_OF_A_PICTURE = 60_000
MOST_BYTES_OF_ALL = 600_000

_FENCE = re.compile(r"^(```|~~~).*?^\1[ ]*$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`+[^`\n]+`+")
# [words](target), ![words](target); words may hold code, but no further bracket.
_LINK = re.compile(r"(!?)\[[^\[\]]*\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
_ELSEWHERE = ("https://", "http://", "mailto:")


class Link(NamedTuple):
    """One link or picture: where it stands, and what it names."""

    page: Path
    line: int
    target: str
    is_picture: bool

    def __str__(self) -> str:
        return f"{self.page.relative_to(PROJECT)}:{self.line}: {self.target}"


def _blanked(pattern: re.Pattern[str], text: str) -> str:
    """The text with what matches replaced by as many lines of nothing."""
    return pattern.sub(lambda found: "\n" * found[0].count("\n"), text)


def links_in(page: Path, text: str) -> Iterator[Link]:
    """Yields the links of a page that lead into the checkout; code is no link."""
    prose = _blanked(_CODE, _blanked(_FENCE, text))
    for found in _LINK.finditer(prose):
        if not found[2].startswith(_ELSEWHERE):
            line = prose.count("\n", 0, found.start()) + 1
            yield Link(page, line, found[2], bool(found[1]))


def anchors_in(text: str) -> set[str]:
    """Returns the anchors that GitHub gives to the headings of a page."""
    seen: Counter[str] = Counter()
    anchors = set()
    for found in _HEADING.finditer(_blanked(_FENCE, text)):
        words = re.sub(r"!?\[([^\[\]]*)\]\([^()]*\)", r"\1", found[1])
        slug = re.sub(r"[^\w\- ]", "", words.strip().lower()).replace(" ", "-")
        anchors.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return anchors


@functools.cache
def _anchors_of(page: Path) -> set[str]:
    return anchors_in(page.read_text(encoding="utf-8"))


def why_broken(link: Link) -> str:
    """Returns what is wrong with a link; "" if nothing is."""
    path, _, anchor = link.target.partition("#")
    file = (link.page.parent / path).resolve() if path else link.page
    if not file.exists():
        return "no such file"
    if PROJECT not in (file, *file.parents):
        return "outside of the checkout"
    if link.is_picture and file.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        return "no picture"
    if anchor and (file.suffix != ".md" or anchor not in _anchors_of(file)):
        return f"no heading #{anchor}"
    return ""


def _links() -> list[Link]:
    return [link for page in PAGES for link in links_in(page, page.read_text(encoding="utf-8"))]


def test_every_link_leads_somewhere():
    links = _links()
    assert len(links) > 50, "the pattern finds too few: has the Markdown another form?"
    assert [f"{link}: {why}" for link in links if (why := why_broken(link))] == []


def test_the_index_has_a_line_for_every_page():
    named = [
        line.split("](")[1].split(")")[0]
        for line in INDEX.read_text(encoding="utf-8").splitlines()
        if re.match(r"^\|? *(- )?\[", line)
    ]
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")} - {"README.md"}
    assert pages - {name.split("#")[0] for name in named} == set()
    assert [name for name, count in Counter(named).items() if count > 1] == []


def test_the_first_page_leads_to_the_index():
    links = links_in(PROJECT / "README.md", (PROJECT / "README.md").read_text(encoding="utf-8"))
    files = {(link.page.parent / link.target.partition("#")[0]).resolve() for link in links}
    assert files & {INDEX, DOCS}


def test_pictures_are_small_and_shown():
    pictures = [path for path in PICTURES.iterdir() if path.suffix in (".png", ".jpg", ".jpeg")]
    assert pictures
    sizes = {path.name: path.stat().st_size for path in pictures}
    assert {name: size for name, size in sizes.items() if size > MOST_BYTES_OF_A_PICTURE} == {}
    assert sum(sizes.values()) <= MOST_BYTES_OF_ALL
    shown = {(link.page.parent / link.target).resolve() for link in _links() if link.is_picture}
    assert [path.name for path in pictures if path not in shown] == []


# What the pictures of docs/data.md show beneath each pair; without the one that needs TensorFlow.
CAPTIONS = {
    "xmin and xmax exchanged": "(xmin 407, ymin 44, xmax 196, ymax 235) has max < min; swapped",
    "elements in the order xmin, xmax, ymin, ymax": "nothing is reported",
    "a box without height beside a sound one": "object 2: code (xmin 196, ymin 300, xmax 407, "
    "ymax 300) has no area; dropped",
    "the same box twice": "is the box of object 1 again; dropped",
    "reaches outside the picture": "clipped to (xmin 196, ymin 0, xmax 407, ymax 235)",
    "one box lies wholly outside": "lies wholly outside 480x360; dropped",
    "the picture was halved after annotation": "the boxes fit the stated size alone and are scaled",
    "the stated size is another picture's": "states 512x512, the picture is 480x360, whose size is "
    "used",
    "YOLO, pixels instead of shares": "no row of 1 is in shares of the picture, 0 to 1; in pixels?",
    "YOLO, a polygon": "nothing is reported",
    "Pascal VOC, shares instead of pixels": "1 of 1 boxes under one pixel at 320x320",
    "Pascal VOC, percent instead of pixels": "nothing is reported",
    "EXIF 6, boxes and size of the turned view": "the stated size is that of the turned view; the "
    "pixels are turned",
    "EXIF 6, boxes and size as stored": "the stored pixels are used",
    "EXIF 6, YOLO, annotated on the turned view": "do not tell the view; the stored pixels are "
    "used",
    "the same with --exif turned": "--exif turned says so; the pixels are turned",
    "one pixel wide": "1 of 2 boxes under one pixel at 320x320",
    "no object": "no boxes; kept as a negative",
    "COCO, a polygon and no bbox": "nothing is reported",
}


def test_the_pictures_of_the_rules_show_what_convert_does(monkeypatch):
    monkeypatch.syspath_prepend(str(PICTURES))
    import draw_rules
    import rule_cases

    cases = [case for one in rule_cases.all_cases().values() for case in one]
    quick = [case for case in cases if "config" not in case.choices]
    said = {case.title: draw_rules.said(draw_rules.convert_case(case)) for case in quick}
    assert said.keys() == CAPTIONS.keys()
    assert {t: s for t, s in said.items() if CAPTIONS[t] not in s} == {}


PAGE = """
# One: `two`, *three*!
## A `code_name` & more
## Twice
## Twice
```
[no link](nowhere.md)
# no heading
```
[good](#one-two-three) `[no](link.md)` ![no picture](README.md) [bad](#gone) [file](gone.md)
[web](https://example.org/gone)
"""


def test_the_reader_of_headings():
    assert anchors_in(PAGE) == {"one-two-three", "a-code_name--more", "twice", "twice-1"}


def test_the_reader_of_links(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "PROJECT", tmp_path)
    page = tmp_path / "README.md"
    page.write_text(PAGE)
    found = {link.target: why_broken(link) for link in links_in(page, PAGE)}
    assert found == {
        "#one-two-three": "",
        "README.md": "no picture",
        "#gone": "no heading #gone",
        "gone.md": "no such file",
    }
    assert [link.line for link in links_in(page, PAGE)] == [10] * 4


@pytest.mark.parametrize("target", ["../README.md", "../../etc"])
def test_links_stay_in_the_checkout(target, tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "PROJECT", tmp_path / "kit")
    (tmp_path / "kit").mkdir()
    (tmp_path / "README.md").touch()
    link = Link(tmp_path / "kit/page.md", 1, target, is_picture=False)
    assert why_broken(link) in ("outside of the checkout", "no such file")
