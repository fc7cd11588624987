"""What a COCO detection JSON says, typed, so that polygons and captions are never built."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from ssd.errors import InputError

# As tools write them; 1, 1.0 and "1" are one id, see `plain_id`.
Identifier = int | float | str


class Image(msgspec.Struct, gc=False):
    """A picture; LVIS states no file_name, but a coco_url."""

    id: Identifier
    file_name: str | None = None
    coco_url: str | None = None
    width: float | None = None
    height: float | None = None

    @property
    def name(self) -> str:
        """What the picture is found by; "" where it has no name."""
        return self.file_name or self.coco_url or ""


class Annotation(msgspec.Struct, gc=False):
    """A box: bbox is x, y, width, height in pixels."""

    image_id: Identifier
    id: Identifier | None = None
    category_id: Identifier | None = None
    bbox: list[float] | None = None
    area: float | None = None
    iscrowd: bool | int | float | None = None


class Category(msgspec.Struct):
    """A class."""

    id: Identifier
    name: str | int | float
    supercategory: str | int | float | None = None


class _File(msgspec.Struct):
    images: list[Image]
    annotations: list[msgspec.Raw]
    categories: list[Category]


class _LooseFile(msgspec.Struct):
    images: list[Image]
    annotations: list[dict[str, Any]]
    categories: list[Category]


class CocoFile:
    """The content of a file: UTF-8 with or without BOM, or UTF-16 with BOM.

    An annotation is decoded when its turn comes, and its segmentation only if somebody asks for it:
    of a large file, little more than its bytes is ever in memory. NaN, and numbers in quotation
    marks, are read; a file with them is first read as a whole, which takes several times its size.

    Attributes:
      images, categories: in the order of the file.

    Raises:
      InputError: no such file, or no COCO detection file; the message says what is wrong and where.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        content = _content(file)
        try:
            decoded: _File | _LooseFile = msgspec.json.decode(content, type=_File)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            decoded = _decode_loosely(file, content, error)
        self.images = decoded.images
        self.categories = decoded.categories
        self._annotations: list[Any] = list(decoded.annotations)

    def __len__(self) -> int:
        return len(self._annotations)

    def annotations(self) -> Iterator[Annotation]:
        """Yields the annotations in the order of the file.

        Raises:
          InputError: one of them is not of the layout.
        """
        decode = msgspec.json.Decoder(Annotation).decode
        for position, written in enumerate(self._annotations):
            try:
                if isinstance(written, msgspec.Raw):
                    yield decode(written)
                    continue
            except msgspec.ValidationError:
                # Perhaps a number in quotation marks, or too large for one.
                pass
            try:
                yield msgspec.convert(self._plain(position), Annotation, strict=False)
            except msgspec.ValidationError as error:
                raise InputError(
                    f"{self._file}: annotations[{position}] is not as in COCO detection: {error}"
                ) from None

    def segmentation(self, position: int) -> Any:
        """Returns the segmentation of an annotation, None where it has none."""
        return self._plain(position).get("segmentation")

    def free(self) -> None:
        """Drops the annotations."""
        self._annotations = []

    def _plain(self, position: int) -> Any:
        written = self._annotations[position]
        return json.loads(bytes(written)) if isinstance(written, msgspec.Raw) else written


def plain_id(identifier: Identifier | None) -> int | str:
    """Returns what two ids have in common that mean the same.

    >>> plain_id(3), plain_id(3.0), plain_id("3"), plain_id("003"), plain_id(None)
    (3, 3, 3, '003', 'None')
    """
    if isinstance(identifier, int):
        return identifier
    if isinstance(identifier, float) and identifier.is_integer():
        return int(identifier)
    text = str(identifier)
    is_number = text.isascii() and text.isdigit() and (text == "0" or text[0] != "0")
    return int(text) if is_number else text


def _content(file: Path) -> bytes | memoryview | str:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(
            f"{file}: {error.strerror}; --annotations takes one COCO .json file"
        ) from None
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            return content.decode("utf-16")
        except UnicodeDecodeError as error:
            raise InputError(f"{file}: not JSON: byte {error.start} is not UTF-16") from None
    # A view: a copy of a large file would cost its size once more.
    return memoryview(content)[3:] if content[:3] == b"\xef\xbb\xbf" else content


def _decode_loosely(file: Path, content: bytes | memoryview | str, first: Exception) -> _LooseFile:
    """Returns what the file says with NaN and numbers as text.

    Args:
      first: what the strict reading said.
    """
    try:
        objects = json.loads(content if isinstance(content, str) else bytes(content))
    except RecursionError:
        raise InputError(f"{file}: not JSON of annotations: nested too deeply") from None
    except ValueError:
        raise InputError(f"{file}: not JSON: {first}") from None
    if isinstance(objects, list):
        raise InputError(
            f"{file}: a JSON list, perhaps of detections; expected images, annotations, categories"
        )
    try:
        return msgspec.convert(objects, _LooseFile, strict=False)
    except msgspec.ValidationError as error:
        raise InputError(f"{file}: not the layout of COCO detection annotations: {error}") from None
