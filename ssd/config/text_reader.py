"""Text format -> message, with the line of every field and errors a person can act on.

The values are read by google.protobuf's text_format. Before that, the same text is walked here
along the schema: that gives each field its line, and a mistake its place, its dotted path and the
name that was probably meant.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import text_format

from ssd.config import hints, scalars
from ssd.config.messages import is_message, is_repeated
from ssd.config.text_source import Source
from ssd.config.tokens import Token, tokenize

# Dotted path, lists with their index (`eval_input_reader[0].shuffle`) -> line, counted from 1.
Positions = dict[str, int]

_CLOSERS = {"{": "}", "<": ">"}


def parse(text: str, message: Any, source: Source, path: str = "") -> Positions:
    """Fills `message` from `text`; returns the line of every field that the text sets.

    Args:
      text: text format, line ends `\\n`.
      message: an empty protobuf message.
      source: for the errors.
      path: dotted path of `message` itself; empty for a whole file.

    Raises:
      InputError: unknown field, value of a wrong type, field or alternative set twice, brace not
        closed. Lines are those of `text`.
    """
    walk = _Walk(tokenize(text, source), source, message.DESCRIPTOR)
    walk.message(message.DESCRIPTOR, path, None)
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        raise source.error(error.GetLine() or 1, path, str(error)) from None
    return walk.positions


class _Walk:
    """One pass over the tokens of a text."""

    def __init__(self, tokens: list[Token], source: Source, root: Any) -> None:
        self.positions: Positions = {}
        self._tokens = tokens
        self._place = 0
        self._source = source
        self._root = root

    def message(self, descriptor: Any, path: str, opened: Token | None) -> None:
        """Walks the fields of one message up to its closing brace (`opened` None: to the end)."""
        counts: dict[str, int] = {}
        first_lines: dict[str, int] = {}
        closer = _CLOSERS[opened.text] if opened else ""
        while True:
            token = self._next()
            if token.kind == "end":
                if opened is None:
                    return
                end = f", which ends in line {token.line}" if self._source.has_lines else ""
                raise self._source.error(
                    opened.line,
                    path,
                    f"the {opened.text} opened here is never closed; add a {closer} "
                    f"where it belongs in this text{end}.",
                )
            if opened and token.text == closer:
                return
            if opened and token.text in _CLOSERS.values():
                what = f"got {token}; the {opened.text} of line {opened.line} needs a {closer}."
                raise self._source.error(token.line, path, what)
            self._field(token, descriptor, path, counts, first_lines)

    def _field(
        self,
        name: Token,
        descriptor: Any,
        path: str,
        counts: dict[str, int],
        first_lines: dict[str, int],
    ) -> None:
        """Walks one `name: value` or `name { ... }` and the comma or semicolon after it."""
        if name.kind != "name":
            raise self._source.error(name.line, path, _no_field_name(name, descriptor))
        own_path = f"{path}.{name.text}" if path else name.text
        field = descriptor.fields_by_name.get(name.text)
        if field is None:
            what = hints.unknown_field(name.text, descriptor, self._root)
            raise self._source.error(name.line, own_path, what)
        if not is_repeated(field):
            self._check_once(name, field, own_path, first_lines)
        self.positions.setdefault(own_path, name.line)
        if is_message(field):
            self._messages(name, field, own_path, counts)
        else:
            self._scalars(name, field, own_path, counts)
        if self._peek().text in (",", ";"):
            self._next()

    def _check_once(self, name: Token, field: Any, path: str, first_lines: dict[str, int]) -> None:
        if field.name in first_lines:
            raise self._source.error(
                name.line,
                path,
                f"set a second time; line {first_lines[field.name]} sets it already. Keep one.",
            )
        oneof = field.containing_oneof
        for other in oneof.fields if oneof else ():
            if other.name in first_lines:
                raise self._source.error(
                    name.line,
                    path,
                    f"line {first_lines[other.name]} sets {other.name} already; "
                    "only one of the two can be given.",
                )
        first_lines[field.name] = name.line

    def _messages(self, name: Token, field: Any, path: str, counts: dict[str, int]) -> None:
        """Walks `{ ... }`, `: { ... }` or, for a list, `[{ ... }, { ... }]`."""
        if self._peek().text == ":":
            self._next()
        token = self._next()
        if is_repeated(field) and token.text == "[":
            for opener in self._list_items(path, token):
                self._one_message(opener, field, path, counts)
        else:
            self._one_message(token, field, path, counts, name.line)

    def _one_message(
        self, opener: Token, field: Any, path: str, counts: dict[str, int], line: int = 0
    ) -> None:
        if opener.text not in _CLOSERS:
            raise self._source.error(
                opener.line,
                path,
                f"got {opener}; expected a section in braces, {field.name} {{ ... }}.",
            )
        if is_repeated(field):
            path = self._indexed(field, path, counts, line or opener.line)
        self.message(field.message_type, path, opener)

    def _scalars(self, name: Token, field: Any, path: str, counts: dict[str, int]) -> None:
        """Walks `: value` or, for a list, `: [value, value]`."""
        colon = self._next()
        if colon.text != ":":
            expected = scalars.expected(field)
            what = f"got {colon} after {name.text}; expected a colon and {expected}."
            raise self._source.error(colon.line, path, what)
        token = self._next()
        if is_repeated(field) and token.text == "[":
            for item in self._list_items(path, token):
                self._one_scalar(item, field, self._indexed(field, path, counts, item.line))
            return
        if is_repeated(field):
            path = self._indexed(field, path, counts, name.line)
        is_elsewhere = token.line > colon.line and token.kind not in ("number", "string")
        if is_elsewhere and scalars.problem(field, token.kind, token.text):
            # The value was forgotten, and this is the next setting.
            what = f"no value after the colon; expected {scalars.expected(field)}."
            raise self._source.error(colon.line, path, what)
        self._one_scalar(token, field, path)

    def _one_scalar(self, token: Token, field: Any, path: str) -> None:
        problem = scalars.problem(field, token.kind, token.text)
        if problem:
            raise self._source.error(token.line, path, problem)
        # Text may be written in pieces: "first half " "second half".
        while token.kind == "string" and self._peek().kind == "string":
            self._next()

    def _list_items(self, path: str, opened: Token) -> Any:
        """Yields the first token of every item between `[` and `]`; the caller takes the rest."""
        if self._peek().text == "]":
            self._next()
            return
        while True:
            token = self._next()
            if token.kind == "end" or token.text in ("]", "}"):
                raise self._source.error(
                    opened.line, path, f"got {token}; the [ opened here needs a value, then a ]."
                )
            yield token
            token = self._next()
            if token.text == "]":
                return
            if token.text != ",":
                raise self._source.error(
                    token.line, path, f"got {token} inside a list; expected a comma or a ]."
                )

    def _indexed(self, field: Any, path: str, counts: dict[str, int], line: int) -> str:
        index = counts.get(field.name, 0)
        counts[field.name] = index + 1
        indexed = f"{path}[{index}]"
        self.positions[indexed] = line
        return indexed

    def _peek(self) -> Token:
        return self._tokens[self._place]

    def _next(self) -> Token:
        token = self._tokens[self._place]
        # The end token is handed out as often as it is asked for.
        if token.kind != "end":
            self._place += 1
        return token


def _no_field_name(token: Token, descriptor: Any) -> str:
    if token.text in ("}", ">"):
        return f"a {token.text} too many; nothing is open here that it could close."
    if token.text == "[":
        return "[...] names an extension; extensions are not part of this format."
    some = ", ".join(field.name for field in list(descriptor.fields)[:3])
    return f"got {token}; expected the name of a setting{f' such as {some}' if some else ''}."
