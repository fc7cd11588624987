"""Pieces of HTML; every text that comes from outside is escaped here."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

_TYPES = {".png": "image/png", ".jpg": "image/jpeg"}


@dataclass(frozen=True)
class Picture:
    """One picture of the page.

    Attributes:
      file: its name in the folder beside the page; .png or .jpg.
      data: the bytes of the file.
      alt: what is to be seen on it, in words.
      is_wide: whether it stands alone, on all of the page's width.
    """

    file: str
    data: bytes
    alt: str
    is_wide: bool = False


def image(picture: Picture) -> str:
    """Returns an <img> that holds the picture itself, so that the page can be moved."""
    kind = _TYPES[picture.file[picture.file.rindex(".") :]]
    data = base64.b64encode(picture.data).decode()
    return f'<img alt="{escape(picture.alt)}" src="data:{kind};base64,{data}">'


def section(title: str, *parts: str, note: str = "") -> str:
    """Returns a section with its heading; `parts` are HTML, `note` is text."""
    lead = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{lead}{''.join(parts)}</section>"


def numbers(cards: Iterable[tuple[str, str]]) -> str:
    """Returns the row of large numbers; (number, what it is) each."""
    inside = "".join(
        f"<div><b>{escape(value)}</b><span>{escape(what)}</span></div>" for value, what in cards
    )
    return f'<div class="numbers">{inside}</div>'


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Returns the list of (what, value)."""
    inside = "".join(f"<dt>{escape(what)}</dt><dd>{escape(value)}</dd>" for what, value in rows)
    return f"<dl>{inside}</dl>"


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], text_columns: Sequence[int] = ()
) -> str:
    """Returns a table; `head` is text, the cells of `rows` are HTML.

    Args:
      head: one word per column.
      rows: as many cells each; the first one names the row.
      text_columns: which columns hold sentences, not numbers.
    """

    def cells(tag: str, row: Sequence[str]) -> str:
        kinds = (
            ' class="text"' if column in text_columns else ' class="name"' if not column else ""
            for column in range(len(row))
        )
        return "".join(
            f"<{tag}{kind}>{cell}</{tag}>" for kind, cell in zip(kinds, row, strict=True)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    top = cells("th", [escape(word) for word in head])
    return (
        f'<div class="scroll"><table><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def figures(pictures: Iterable[Picture]) -> str:
    """Returns figures side by side where there is room."""
    inside = "".join(
        f"<figure{' class=wide' if picture.is_wide else ''}>{image(picture)}</figure>"
        for picture in pictures
    )
    return f'<div class="figures">{inside}</div>'


def fraction(value: float | None, digits: int = 3) -> str:
    """Returns "0.123", or a dash for None."""
    return "–" if value is None else f"{value:.{digits}f}"
