"""Reading text files that people have, and refusing the others in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssd.config.text_source import Source, override_source, read_text, write_text
from ssd.errors import InputError

KIND = "a pipeline.config"


@pytest.mark.parametrize(
    "data",
    [
        b"a: 1\nb: 2\n",
        b"\xef\xbb\xbfa: 1\r\nb: 2\r\n",
        b"a: 1\rb: 2\r",
        "a: 1\r\nb: 2\n".encode("utf-16"),
        b"\xfe\xff" + "a: 1\nb: 2\n".encode("utf-16-be"),
    ],
    ids=["plain", "mark and CRLF", "CR", "UTF-16", "UTF-16 big-endian"],
)
def test_encodings_and_line_ends_do_not_matter(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "x.config"
    file.write_bytes(data)
    assert read_text(file, KIND) == "a: 1\nb: 2\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a: 1\nb: \xe9\n", r"x\.config:2: byte 0xe9 is not UTF-8\. Save the file as UTF-8"),
        (b"\x0a\x00\x12\xff", r"x\.config: a binary file; expected a pipeline\.config"),
        (b"a\x00b", r"x\.config: a binary file"),
        (b"\xff\xfe\x00\xd8", r"x\.config: a binary file"),
        (b"\n <!DOCTYPE html>\n<p>", r"x\.config: a web page; .*Download the raw file"),
    ],
    ids=["Latin-1", "junk", "zero byte", "half a UTF-16 pair", "web page"],
)
def test_files_that_are_no_text_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    file = tmp_path / "x.config"
    file.write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_text(file, KIND)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.config: no such file; expected a pipeline"):
        read_text(tmp_path / "gone.config", KIND)


def test_folder_with_a_config_inside_says_which_file_to_give(tmp_path: Path) -> None:
    (tmp_path / "pipeline.config").write_text("")
    with pytest.raises(InputError, match=r"a folder; .* Give .*pipeline\.config\."):
        read_text(tmp_path, KIND)
    with pytest.raises(InputError, match=r"a folder; expected a label_map\.pbtxt\.\Z"):
        read_text(tmp_path, "a label_map.pbtxt")


def test_written_files_are_whole_or_absent(tmp_path: Path) -> None:
    file = tmp_path / "out.txt"
    write_text("één\n", file)
    assert file.read_bytes() == "één\n".encode()
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]


@pytest.mark.parametrize("inside", ["no/such/folder/x", "file/x"])
def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, inside: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"x: cannot be written \("):
        write_text("text", tmp_path / inside)


def test_errors_begin_with_the_place() -> None:
    error = Source("p.config").error(7, "a.b", "wrong.")
    assert (str(error), error.line, error.path) == ("p.config:7: a.b: wrong.", 7, "a.b")
    error = override_source("a.b=3", own_path="a.b").error(1, "a.b", "wrong.")
    assert (str(error), error.line) == ("--set a.b=3: wrong.", None)


def test_a_long_override_is_cut_for_display() -> None:
    assert str(override_source("a=" + "x" * 500)).count("x") < 130
