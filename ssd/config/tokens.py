"""Protobuf text format cut into tokens that know their line."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ssd.config.text_source import Source

_TOKEN = re.compile(
    r"""(?P<space>[ \t\f\v\n]+|\#[^\n]*)
      | (?P<name>[A-Za-z_][A-Za-z0-9_+-]*)
      | (?P<number>(?:[0-9+-]|\.[0-9])[0-9A-Za-z_.+-]*)
      | (?P<string>"(?:[^"\n\\]|\\[^\n])*"|'(?:[^'\n\\]|\\[^\n])*')
      | (?P<symbol>[{}<>\[\]:,;./])""",
    re.VERBOSE,
)
# The escapes that stand for a character which no setting and no class name contains.
_CONTROL_ESCAPES = {
    "a": "a bell",
    "b": "a backspace",
    "f": "a form feed",
    "n": "a line break",
    "r": "a carriage return",
    "t": "a tab",
    "v": "a vertical tab",
}
_VALID_ESCAPE = re.compile(
    r"\\(?:[\\'\"?]|[0-7]{1,3}|[xX][0-9A-Fa-f]{1,2}|u[0-9A-Fa-f]{4}|U000[0-9A-Fa-f]{5})"
)
_ESCAPE = re.compile(r"\\(.)")
_TYPOGRAPHIC_QUOTES = "\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb"


@dataclass(frozen=True)
class Token:
    """One token.

    Attributes:
      kind: "name", "number", "string", "symbol" or "end".
      text: as it stands in the file, quotes included; empty at the end.
      line: counted from 1.
    """

    kind: str
    text: str
    line: int

    def __str__(self) -> str:
        return "the end of the text" if self.kind == "end" else self.text


def tokenize(text: str, source: Source) -> list[Token]:
    """Returns all tokens of `text`, comments and space left out, closed by an "end" token.

    Raises:
      InputError: a character that cannot start a token, a quote that is not closed on its line,
        or a backslash that stands for something a person did not mean (a Windows path).
    """
    tokens: list[Token] = []
    place, line = 0, 1
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise source.error(line, "", _why_no_token(text, place))
        found = match.group()
        if match.lastgroup == "string":
            _check_escapes(found, line, source)
        if match.lastgroup != "space":
            tokens.append(Token(str(match.lastgroup), found, line))
        line += found.count("\n")
        place = match.end()
    return [*tokens, Token("end", "", line)]


def _why_no_token(text: str, place: int) -> str:
    character = text[place]
    rest = text[place:].split("\n", 1)[0].strip()
    shown = rest if len(rest) <= 60 else rest[:57] + "..."
    if character in "\"'":
        return f"the text {shown} has no closing quote on this line."
    if character in _TYPOGRAPHIC_QUOTES:
        return f"typographic quotes in {shown}; use the straight ones (\" or ')."
    if character.isprintable():
        return f"unexpected {character} in front of {shown}; comments start with #."
    return f"unexpected character U+{ord(character):04X}; is this a text file?"


def _check_escapes(quoted: str, line: int, source: Source) -> None:
    for match in _ESCAPE.finditer(quoted):
        if _VALID_ESCAPE.match(quoted, match.start()):
            continue
        meaning = _CONTROL_ESCAPES.get(match.group(1), "no known escape")
        raise source.error(
            line, "", f"{match.group()} in {quoted} is {meaning}; write / or \\\\ for a backslash."
        )
