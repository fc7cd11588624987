"""What one YOLO label file says, before anybody knows its picture or the names of its classes."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from tfrecord_tools.annotations import RefusedError

Corners = tuple[float, float, float, float]

_MAX_BYTES = 64 << 20
# Shares reach from 0 to 1. Boxes may reach over the edge; what is beyond this is in pixels.
_MAX_SHARE = 1.5
_COLUMNS = "expected class, center x, center y, width, height, or class and the points of a polygon"


@dataclass(frozen=True)
class YoloFile:
    """One parsed file.

    Attributes:
      class_indices, lines: of the boxes, in file order; lines count from 1.
      boxes: (ymin, xmin, ymax, xmax) each, in shares of the picture; nothing clipped.
      num_confidences: rows that end in the confidence of a detection.
    """

    class_indices: tuple[int, ...]
    lines: tuple[int, ...]
    boxes: tuple[Corners, ...]
    num_confidences: int = 0


def parse(path: str | Path, keypoint_numbers: int = 0) -> YoloFile:
    """Returns the boxes of one file: rows of a box, of a polygon, of a box with keypoints.

    Rows are `class cx cy w h`, with a confidence behind it in the output of a detector; or
    `class x y x y x y ...`, a polygon (the four corners of a turned box are one), whose bounding
    box is taken, also with a confidence behind it.

    Args:
      keypoint_numbers: numbers behind the box that are keypoints; see ClassNames.

    Raises:
      RefusedError: unreadable-row (the object is the line), or not-normalized.
    """
    class_indices, lines, boxes = [], [], []
    num_confidences = num_large = 0
    for line, row in enumerate(_text(path).splitlines(), 1):
        cells = row.split()
        if not cells:
            continue
        if len(cells) == 1 and "," in row:
            cells = row.strip().split(",")
        index, numbers = _numbers(cells, line)
        if keypoint_numbers and len(numbers) == 4 + keypoint_numbers:
            numbers = numbers[:4]
        elif len(numbers) % 2:
            numbers = _without_confidence(numbers, line)
            num_confidences += 1
        num_large += max(map(abs, numbers)) > _MAX_SHARE
        class_indices.append(index)
        lines.append(line)
        boxes.append(_box(numbers))
    if boxes and num_large == len(boxes):
        raise RefusedError(
            "not-normalized",
            f"no row of {len(boxes)} is in shares of the picture, 0 to 1; in pixels?",
        )
    return YoloFile(tuple(class_indices), tuple(lines), tuple(boxes), num_confidences)


def _text(path: str | Path) -> str:
    """Returns the text of a file, BOM cut off."""
    try:
        with open(path, "rb", buffering=0) as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise RefusedError("unreadable-row", f"cannot be read: {error.strerror}") from None
    if len(content) > _MAX_BYTES:
        raise RefusedError("unreadable-row", f"more than {_MAX_BYTES} bytes: no label file")
    try:
        is_wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
        return content.decode("utf-16" if is_wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise RefusedError("unreadable-row", f"byte {error.start}: not UTF-8 text") from None


def _numbers(cells: list[str], line: int) -> tuple[int, list[float]]:
    """Returns class index and numbers of one row."""
    try:
        numbers = [float(cell) for cell in cells]
    except ValueError:
        numbers = []
    if not numbers or not isfinite(sum(numbers)):
        wrong = next((cell for cell in cells if not _is_number(cell)), cells[0])
        raise RefusedError("unreadable-row", f"{wrong!r} is not a number", line)
    if len(numbers) < 5:
        raise RefusedError("unreadable-row", f"{len(numbers)} columns; {_COLUMNS}", line)
    if not numbers[0].is_integer() or numbers[0] < 0:
        detail = f"class index {cells[0]}; expected a whole number from 0"
        raise RefusedError("unreadable-row", detail, line)
    return int(numbers[0]), numbers[1:]


def _is_number(text: str) -> bool:
    try:
        return isfinite(float(text))
    except ValueError:
        return False


def _without_confidence(numbers: list[float], line: int) -> list[float]:
    if not 0 <= numbers[-1] <= 1:
        detail = f"{len(numbers) + 1} columns, the last is {numbers[-1]:g}, no confidence; "
        raise RefusedError("unreadable-row", detail + _COLUMNS, line)
    return numbers[:-1]


def _box(numbers: list[float]) -> Corners:
    if len(numbers) == 4:
        center_x, center_y, width, height = numbers
        half_width, half_height = width / 2, height / 2
        return (
            center_y - half_height,
            center_x - half_width,
            center_y + half_height,
            center_x + half_width,
        )
    xs, ys = numbers[0::2], numbers[1::2]
    return min(ys), min(xs), max(ys), max(xs)
