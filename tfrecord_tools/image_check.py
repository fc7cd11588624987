"""Opens every picture once, so that its size is true and its bytes decode in training."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

# Imported now: Pillow would load these two at first use, which is not safe between threads.
from PIL import TiffImagePlugin, WebPImagePlugin  # isort: skip # noqa: F401

from tfrecord_tools.annotations import ProblemLog, RefusedError, StatedAnnotation
from tfrecord_tools.exif_view import ORIENTATION_TAG, TURNS, choose_view

DEFAULT_MAX_MEGAPIXELS = 100.0
JPEG_QUALITY = 95

# Pillow's other readers stay closed: EPS alone would start an interpreter. JPEG opens MPO too.
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "DIB", "TIFF", "PPM")
_LOSSY_FORMATS = ("JPEG", "MPO", "WEBP")
_EXTENSIONS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
}
# What Pillow's readers raise on broken files.
_DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
# Cameras append previews and notes behind the picture; its end is looked for so far from the end.
_TAIL_BYTES = 1 << 16


@dataclass(frozen=True)
class ImageSettings:
    """How pictures are checked.

    Attributes:
      decodes: every pixel is decoded; else the header and the end of the file are looked at.
      exif: "auto" takes the view that the annotation was made on; "stored" and "turned" say it.
      max_megapixels: larger pictures are left out, unopened.
    """

    decodes: bool = True
    exif: str = "auto"
    max_megapixels: float = DEFAULT_MAX_MEGAPIXELS


DEFAULT_SETTINGS = ImageSettings()


@dataclass(frozen=True)
class CheckedImage:
    """A picture that decodes.

    Attributes:
      encoded: the file's own bytes where it is 8-bit grey or RGB JPEG or PNG, else re-encoded.
      format: "jpeg" or "png", what `encoded` is.
      size: (height, width) of `encoded`.
    """

    encoded: bytes
    format: str
    size: tuple[int, int]


def check(
    stated: StatedAnnotation, log: ProblemLog, settings: ImageSettings = DEFAULT_SETTINGS
) -> CheckedImage:
    """Returns the picture of an annotation as it goes into the record.

    TensorFlow's decoders ignore the EXIF orientation. Where the annotation was made on the turned
    view, as its stated size or else its boxes tell, the pixels are turned; in all other cases they
    stay as stored. Alpha is cut off and 16 bits keep their upper 8, as those decoders do.

    Raises:
      RefusedError: image-unreadable or image-too-large, with the reason.
    """
    return check_encoded(_read(stated.image_path), stated, log, settings)


def check_encoded(
    encoded: bytes, stated: StatedAnnotation, log: ProblemLog, settings: ImageSettings
) -> CheckedImage:
    """Returns what `check` does, for a picture that has been read."""
    where = str(stated.image_path)
    with _refusing_what_breaks():
        image = Image.open(io.BytesIO(encoded), formats=_FORMATS)
        stored = (image.height, image.width)
        _refuse_huge(stored, settings.max_megapixels)
        oddity = _oddity(image)
        if settings.decodes:
            _decode(image, encoded, is_clean=not oddity)
        else:
            _look_at_end(image, encoded)
        orientation = _orientation(image)
    is_turned = False
    if orientation in TURNS:
        is_turned, why = choose_view(orientation, stored, stated, settings.exif)
        view = "the pixels are turned" if is_turned else "the stored pixels are used"
        detail = f"EXIF orientation {orientation} ({TURNS[orientation]}): {why}; {view}"
        log.add("exif-orientation", where, detail, fixed=is_turned)
    image_format = str(image.format)
    extension = os.path.splitext(stated.image_name)[1].lower()
    if extension and extension not in _EXTENSIONS.get(image_format, (extension,)):
        log.add("wrong-extension", where, f"is {image_format}, not {extension}")
    if oddity:
        log.add("image-reencoded", where, f"{image_format}, {oddity}", fixed=True)
    if oddity or is_turned:
        with _refusing_what_breaks():
            return _reencode(Image.open(io.BytesIO(encoded), formats=_FORMATS), is_turned)
    return CheckedImage(encoded, image_format.lower(), stored)


def open_rgb(encoded: bytes) -> Image.Image:
    """Returns a record's picture, decoded to RGB, its EXIF orientation ignored.

    Raises:
      RefusedError: image-unreadable, with the reason.
    """
    with _refusing_what_breaks():
        image = Image.open(io.BytesIO(encoded), formats=_FORMATS)
        _refuse_huge((image.height, image.width), DEFAULT_MAX_MEGAPIXELS)
        return _to_rgb(image)


@contextmanager
def _refusing_what_breaks() -> Iterator[None]:
    try:
        yield
    except Image.UnidentifiedImageError:
        raise RefusedError("image-unreadable", "no picture of a known format") from None
    except _DECODE_ERRORS as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise RefusedError("image-unreadable", f"does not decode: {text}") from None


def _read(path: Path) -> bytes:
    try:
        encoded = path.read_bytes()
    except OSError as error:
        raise RefusedError("image-unreadable", f"cannot be read: {error.strerror}") from None
    if not encoded:
        raise RefusedError("image-unreadable", "the file is empty")
    return encoded


def _refuse_huge(size: tuple[int, int], max_megapixels: float) -> None:
    height, width = size
    if height * width > max_megapixels * 1e6:
        detail = f"{width}x{height} is more than {max_megapixels:g} megapixels"
        raise RefusedError("image-too-large", detail)


def _decode(image: Image.Image, encoded: bytes, is_clean: bool) -> None:
    if image.format == "PNG":
        # Checks every chunk, the end too; TensorFlow refuses what load() alone forgives.
        Image.open(io.BytesIO(encoded), formats=("PNG",)).verify()
    if image.format == "JPEG" and is_clean:
        # An eighth of the size reads the same stream to its end, in half the time.
        image.draft(image.mode, (max(image.width // 8, 1), max(image.height // 8, 1)))
    image.load()


def _look_at_end(image: Image.Image, encoded: bytes) -> None:
    """Refuses JPEG and PNG files that were cut off."""
    end = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xae\x42\x60\x82"}.get(str(image.format))
    if end and encoded.rfind(end, max(0, len(encoded) - _TAIL_BYTES)) < 0:
        raise RefusedError("image-unreadable", f"{image.format} without its end: cut off")


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ORIENTATION_TAG, 1))
    except _DECODE_ERRORS:
        # A broken EXIF block harms nobody: the pixels decode, and no decoder reads it.
        return 1


def _oddity(image: Image.Image) -> str:
    if image.format not in ("JPEG", "PNG"):
        frames = getattr(image, "n_frames", 1)
        return f"mode {image.mode}" + (f", first of {frames} frames" if frames > 1 else "")
    if image.mode not in ("L", "RGB"):
        return f"mode {image.mode}"
    if image.format == "PNG" and "transparency" in image.info:
        return "a transparent colour"
    tiles = getattr(image, "tile", [])
    if image.format == "PNG" and tiles and "16" in str(tiles[0][3]):
        return "16 bits per channel"
    return ""


def _reencode(image: Image.Image, is_turned: bool) -> CheckedImage:
    is_lossy = image.format in _LOSSY_FORMATS
    rgb = _to_rgb(ImageOps.exif_transpose(image) if is_turned else image)
    rgb.info = {}
    buffer = io.BytesIO()
    if is_lossy:
        rgb.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    else:
        rgb.save(buffer, "PNG")
    return CheckedImage(buffer.getvalue(), "jpeg" if is_lossy else "png", (rgb.height, rgb.width))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("32-bit float pixels have no known range; save the picture with 8 bits")
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.size and (values.min() < 0 or values.max() > 0xFFFF):
            raise ValueError("32-bit pixels have no known range; save the picture with 8 bits")
        image = Image.fromarray((values.astype(np.uint16) >> 8).astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")
