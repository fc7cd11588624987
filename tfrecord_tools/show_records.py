"""What is in records, or in a folder of pictures and VOC files: counts, pictures with boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ssd.errors import InputError
from tfrecord_tools import image_check, tf_example, voc
from tfrecord_tools.annotations import ImageAnnotation, ProblemLog, RefusedError
from tfrecord_tools.image_index import ImageIndex, extensions_below, files_below, stem
from tfrecord_tools.record_file import read_records
from tfrecord_tools.validation import validate

DEFAULT_PICTURES = 16
_RECORD_EXTENSIONS = (".tfrecord", ".tfrecords", ".record")
_COLORS = ("#ff3b30", "#34c759", "#0a84ff", "#ff9f0a", "#bf5af2", "#64d2ff", "#ffd60a", "#ff6482")


@dataclass(frozen=True)
class _Shown:
    group: str  # split or file that the count is for
    place: str  # where the record or picture lies, for messages
    annotation: ImageAnnotation
    encoded_image: bytes


def show(
    path: str | Path,
    *,
    output: str | Path | None = None,
    pictures: int = DEFAULT_PICTURES,
    say: Callable[[str], None] = print,
) -> dict[str, Counter[str]]:
    """Prints images and boxes per class of every split or file; returns boxes by group and class.

    Args:
      path: a record file, a folder of records, or a folder with images/ and annotations/ (VOC).
      output: folder that gets pictures with their boxes drawn; None draws none.
      pictures: how many, from the beginning of every group in turn.
      say: gets the lines meant for the person.

    Raises:
      InputError: nothing to show there, a damaged record file, or a record that is no tf.Example
        with a picture; the message gives file and record number.
    """
    if pictures < 1:
        raise InputError(f"--pictures is {pictures}; expected 1 or more")
    images: Counter[str] = Counter()
    boxes: dict[str, Counter[str]] = {}
    for shown in _read(Path(path)):
        images[shown.group] += 1
        boxes.setdefault(shown.group, Counter()).update(shown.annotation.class_names)
        if output is not None and images.total() <= pictures:
            _write_picture(Path(output), images.total(), shown)
    for group, counts in boxes.items():
        say(f"{group}: {images[group]} images, {counts.total()} boxes")
        for name, count in sorted(counts.items()):
            say(f"  {name or '(no class text)'} {count}")
    if not boxes:
        raise InputError(f"{path}: 0 records; write it again with convert")
    if output is not None:
        say(f"wrote {min(pictures, images.total())} pictures to {output}")
    return boxes


def _read(path: Path) -> Iterator[_Shown]:
    if path.is_dir() and (path / "annotations").is_dir() and (path / "images").is_dir():
        return _read_voc(path)
    if path.is_dir():
        files = [path / name for name in files_below(path, frozenset(_RECORD_EXTENSIONS))]
        if not files:
            raise InputError(
                f"{path}: no .tfrecord or .record below it, but {extensions_below(path)}"
            )
        return (shown for file in files for shown in _read_file(file))
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    return _read_file(path)


def _read_file(path: Path) -> Iterator[_Shown]:
    group = path.name.split("-")[0] if "-of-" in path.name else path.name
    for number, record in enumerate(read_records(path), 1):
        try:
            annotation, encoded_image, _, class_ids = tf_example.decode(record)
        except ValueError as error:
            raise InputError(f"{path}: record {number}: {error}") from None
        names = annotation.class_names
        if class_ids and not any(names):
            names = tuple(f"id {class_id}" for class_id in class_ids)
        shown = replace(annotation, class_names=names)
        yield _Shown(group, f"{path}: record {number}", shown, encoded_image)


def _read_voc(path: Path) -> Iterator[_Shown]:
    log = ProblemLog()
    found = voc.read_annotations(path / "annotations", ImageIndex(path / "images"), log)
    for stated in found.images:
        try:
            image = image_check.check(stated, log)
        except RefusedError as refused:
            raise InputError(f"{stated.image_path}: {refused.detail}") from None
        annotation = validate(stated, image.size, log)
        yield _Shown(path.name, str(stated.image_path), annotation, image.encoded)


def _write_picture(folder: Path, number: int, shown: _Shown) -> None:
    annotation = shown.annotation
    name = f"{number:04d}_{stem(annotation.filename) or 'record'}.jpg"
    try:
        picture = draw_boxes(image_check.open_rgb(shown.encoded_image), annotation)
    except RefusedError as refused:
        raise InputError(f"{shown.place}: {refused.detail}") from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{name}.tmp"
        picture.save(part, "JPEG", quality=90)
        part.replace(folder / name)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror}") from None


def draw_boxes(image: Image.Image, annotation: ImageAnnotation) -> Image.Image:
    """Returns a copy of `image` (RGB) with every box and its class name; colours go by class name.

    Crowd regions are marked with *, difficult boxes with ?.
    """
    picture = image.copy()
    draw = ImageDraw.Draw(picture)
    line = max(round(min(picture.size) / 200), 1)
    font = ImageFont.load_default(max(min(picture.size) // 30, 10))
    scale = np.array([picture.height, picture.width, picture.height, picture.width])
    for i, (box, name) in enumerate(zip(annotation.boxes, annotation.class_names, strict=True)):
        ymin, xmin, ymax, xmax = (int(v) for v in np.round(np.nan_to_num(box * scale)))
        color = _COLORS[sum(name.encode()) % len(_COLORS)]
        draw.rectangle((xmin, ymin, max(xmax - 1, xmin), max(ymax - 1, ymin)), None, color, line)
        marks = "*" * bool(annotation.is_crowd[i]) + "?" * bool(annotation.difficult[i])
        text = name + marks
        left, top, right, bottom = draw.textbbox((xmin + line, ymin + line), text, font=font)
        draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), fill=color)
        draw.text((xmin + line, ymin + line), text, font=font, fill="white")
    return picture
