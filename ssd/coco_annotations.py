"""Detections as a COCO JSON that `convert coco` and labelling tools read."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ssd.errors import InputError

# How every file of ours begins; nobody's annotations are replaced.
_MARK = '{"info": {"description": "Detections'
_PIXEL_DIGITS = 2


def require_replaceable(path: str | os.PathLike[str]) -> None:
    """Raises InputError where a file is there already that this module did not write."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            start = file.read(len(_MARK))
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
    if start != _MARK:
        raise InputError(
            f"{path}: is there already, and not a file of `detect --annotations`; annotations are "
            "not replaced, give another name"
        )


def write(
    path: str | os.PathLike[str], pictures: Sequence[dict[str, Any]], *, model: str, score: float
) -> int:
    """Writes the file, whole or not at all; returns how many boxes are in it.

    Categories are the classes that were found, with the model's class ids. A box without area is
    left out. Pictures without detections are listed: they are negatives.

    Args:
      pictures: {"file", "height", "width", "detections"} each, as `detect --json` prints them.
      model: what they come from, for the description.
      score: the lowest one, for the same.

    Raises:
      InputError: it cannot be written.
    """
    names = _file_names([picture["file"] for picture in pictures])
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories: dict[int, str] = {}
    for image_id, (picture, name) in enumerate(zip(pictures, names, strict=True), start=1):
        height, width = picture["height"], picture["width"]
        images.append({"id": image_id, "file_name": name, "height": height, "width": width})
        for found in picture["detections"]:
            bbox = _bbox(found["box"], height, width)
            if min(bbox[2:]) <= 0:
                continue
            categories[found["class_id"]] = found["class"]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": found["class_id"],
                    "bbox": bbox,
                    "area": round(bbox[2] * bbox[3], _PIXEL_DIGITS),
                    "iscrowd": 0,
                    "score": round(found["score"], 4),
                }
            )
    listed = [{"id": class_id, "name": categories[class_id]} for class_id in sorted(categories)]
    info = {"description": f"Detections of {model}, score {score:g} and more, as they came"}
    _save(
        path,
        {"info": info, "images": images, "annotations": annotations, "categories": listed},
    )
    return len(annotations)


def _bbox(box: Sequence[float], height: int, width: int) -> list[float]:
    """Returns x, y, width, height in pixels of a yxyx normalized box."""
    ymin, xmin, ymax, xmax = (
        round(side * length, _PIXEL_DIGITS)
        for side, length in zip(box, (height, width, height, width), strict=True)
    )
    sides = (xmin, ymin, xmax - xmin, ymax - ymin)
    return [round(side, _PIXEL_DIGITS) for side in sides]


def _file_names(files: Sequence[str]) -> list[str]:
    """Returns names without folders; of pictures of one name, with the folders as given."""
    names = [Path(file).name for file in files]
    counts = Counter(names)
    pairs = zip(files, names, strict=True)
    return [name if counts[name] == 1 else Path(file).as_posix() for file, name in pairs]


def _save(path: str | os.PathLike[str], content: dict[str, Any]) -> None:
    path = Path(path)
    aside = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(json.dumps(content) + "\n", encoding="utf-8")
        os.replace(aside, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
