"""Where a piece of text format comes from, how its errors begin, and where it goes."""

from __future__ import annotations

import codecs
import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from ssd.errors import InputError

_LONGEST_SHOWN = 120
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class PlacedError(InputError):
    """An InputError that knows its place in the text.

    Attributes:
      line: counted from 1; None where lines mean nothing (a `--set`).
      path: dotted path of the setting; may be empty.
      what: the error without its place.
    """

    def __init__(self, message: str, line: int | None, path: str, what: str) -> None:
        super().__init__(message)
        self.line, self.path, self.what = line, path, what


@dataclass(frozen=True)
class Source:
    """The origin of a text: a file, or one `--set` of the command line.

    Attributes:
      name: the path as the person wrote it, or `--set path=value`.
      has_lines: whether line numbers mean something to the person.
      own_path: the dotted path that `name` already shows; errors there do not repeat it.
    """

    name: str
    has_lines: bool = True
    own_path: str = ""

    def error(self, line: int, path: str, what: str) -> PlacedError:
        """Returns the error `name:line: path: what`, for the caller to raise."""
        where = f"{self.name}:{line}" if self.has_lines else self.name
        said = "" if path in ("", self.own_path) else f"{path}: "
        return PlacedError(f"{where}: {said}{what}", line if self.has_lines else None, path, what)


def override_source(text: str, own_path: str = "") -> Source:
    """Returns the Source of one `--set` argument; a long value is cut for display."""
    shown = text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."
    return Source(f"--set {shown}", has_lines=False, own_path=own_path)


def read_text(path: str | os.PathLike[str], kind: str) -> str:
    """Returns the text of a file: byte order mark gone, line ends all `\\n`.

    Args:
      path: UTF-8, or UTF-16 with a byte order mark (Windows Notepad writes both).
      kind: what the file should be, for the messages, such as `"a pipeline.config"`.

    Raises:
      InputError: there is no such file, it is a folder, it cannot be read, or it is no text.
    """
    data = _read_bytes(path, kind)
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            text = _decode(path, data, encoding, kind)
            break
    else:
        text = _decode(path, data, "utf-8", kind)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        raise InputError(f"{path}: a binary file; expected {kind}, which is plain text.")
    if text.lstrip()[:15].lower().startswith(("<!doctype html", "<html")):
        raise InputError(f"{path}: a web page; expected {kind}. Download the raw file instead.")
    return text


def write_text(text: str, path: str | os.PathLike[str]) -> None:
    """Writes UTF-8 text through `*.tmp` and a rename, so the file is whole or absent."""
    temporary = Path(f"{os.fspath(path)}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}).") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _read_bytes(path: str | os.PathLike[str], kind: str) -> bytes:
    file = Path(path)
    if file.is_dir():
        inside = file / "pipeline.config"
        hint = f" Give {inside}." if kind == "a pipeline.config" and inside.is_file() else ""
        raise InputError(f"{path}: a folder; expected {kind}.{hint}")
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected {kind}.") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None


def _decode(path: str | os.PathLike[str], data: bytes, encoding: str, kind: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        if b"\0" in data or encoding == "utf-16":
            raise InputError(
                f"{path}: a binary file; expected {kind}, which is plain text."
            ) from None
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}:{line}: byte 0x{data[error.start]:02x} is not UTF-8. Save the file as UTF-8."
        ) from None
