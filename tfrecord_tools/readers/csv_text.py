"""Reads the cells of a .csv file, whatever its encoding and separator, some rows at a time."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from ssd.errors import InputError
from tfrecord_tools.readers.csv_layouts import AUTO, Columns, describe_layouts, find_columns

_SEPARATORS = ",;\t|"
_HEAD_BYTES = 1 << 18
_CHUNK_ROWS = 100_000
OVERFLOW = "overflow"


@dataclass(frozen=True)
class CsvText:
    """How a file is written, and what its columns are.

    Attributes:
      file: the file.
      encoding: of its text.
      separator: between cells.
      lines_before: lines above the first row of boxes.
      columns: see `csv_layouts.Columns`.
    """

    file: Path
    encoding: str
    separator: str
    lines_before: int
    columns: Columns

    def chunks(self) -> Iterator[tuple[int, dict[str, list[str]]]]:
        """Yields the line of the first row, and the cells of every role, some rows at a time.

        Cells are text, "" where a row is too short. OVERFLOW is the first cell beyond the columns.
        Empty lines are rows.

        Raises:
          InputError: no text of the encoding, or a quotation mark that is never closed.
        """
        # Imported here: pandas takes its time, and no other format needs it.
        import pandas

        columns = self.columns
        roles = {str(position): role for role, position in columns.positions.items()}
        header = self.separator.join(str(i) for i in range(columns.count + 1)) + "\n"
        roles[str(columns.count)] = OVERFLOW
        try:
            with open(self.file, encoding=self.encoding, newline="") as text:
                for _ in range(self.lines_before):
                    text.readline()
                tables = pandas.read_csv(
                    _Headed(header, text),
                    sep=self.separator,
                    usecols=list(roles),
                    dtype=str,
                    na_filter=False,
                    skip_blank_lines=False,
                    skipinitialspace=True,
                    index_col=False,
                    chunksize=_CHUNK_ROWS,
                )
                line = self.lines_before + 1
                for table in tables:
                    yield line, {role: table[key].tolist() for key, role in roles.items()}
                    line += len(table)
        except UnicodeDecodeError:
            raise InputError(_explain_encoding(self.file, self.encoding)) from None
        except pandas.errors.ParserError as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{self.file}: not CSV: {reason}") from None


class _Headed:
    """A text with one line before it: every row then has so many columns, whatever it holds."""

    def __init__(self, header: str, text: TextIO) -> None:
        self._header = header
        self._text = text

    def __iter__(self) -> Iterator[str]:
        return iter(self._text)

    def read(self, size: int = -1) -> str:
        """Returns the header first, then what follows."""
        header, self._header = self._header, ""
        return header or self._text.read(size)


def open_csv(file: Path, layout: str = AUTO) -> CsvText:
    """Returns how a file is written, by its first lines.

    Raises:
      InputError: no such file, no text, or columns of no known layout.
    """
    try:
        with open(file, "rb") as opened:
            head = opened.read(_HEAD_BYTES)
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}; --annotations takes one .csv file") from None
    if head[:4] in (b"PK\x03\x04", b"\xd0\xcf\x11\xe0"):
        raise InputError(f"{file}: an Excel workbook or archive; save it as .csv")
    encoding = _encoding(head)
    text = head.decode(encoding, "replace")
    before, separators = _lines_before(text, file)
    lines = text.splitlines()[before:]
    first_rows = {separator: _first_row(lines, separator) for separator in separators}
    for separator, cells in first_rows.items():
        columns = find_columns(cells, layout)
        if columns is not None:
            return CsvText(file, encoding, separator, before + columns.has_header, columns)
    cells = max(first_rows.values(), key=len)
    shown = ",".join(cells)
    shown = shown if len(shown) <= 120 else f"{shown[:117]}..."
    raise InputError(f"{file}: its first row is {shown}; {describe_layouts(cells, layout)}")


def _encoding(head: bytes) -> str:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    if head[1:2] == b"\0":
        return "utf-16-le"
    return "utf-16-be" if head[:1] == b"\0" else "utf-8-sig"


def _lines_before(text: str, file: Path) -> tuple[int, str]:
    """Returns how many lines stand above the first row, and the separators that may be."""
    separators = _SEPARATORS
    for number, line in enumerate(text.splitlines()):
        # Excel's own first line.
        if named := re.fullmatch(r'"?sep=(.)"?', line.strip(" \r")):
            separators = named[1]
        elif line.strip():
            return number, separators
    raise InputError(f"{file}: empty; expected a row for every box")


def _first_row(lines: list[str], separator: str) -> list[str]:
    try:
        return next(csv.reader(lines, delimiter=separator, skipinitialspace=True), [])
    except csv.Error:
        return []


def _explain_encoding(file: Path, encoding: str) -> str:
    """Says which line is not in the encoding."""
    with open(file, "rb") as opened:
        for number, line in enumerate(opened, 1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError as error:
                if encoding == "utf-8-sig":
                    byte = line[error.start]
                    return f"{file}:{number}: byte 0x{byte:02x} is not UTF-8; save it as UTF-8"
                break
    return f"{file}: no {encoding.upper()} text; save it as UTF-8"
