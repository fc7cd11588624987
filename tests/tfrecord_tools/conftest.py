"""Small pictures and annotations, written where a test asks for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfrecord_tools.annotations import StatedAnnotation

VocObject = tuple[str, float, float, float, float]  # name, xmin, ymin, xmax, ymax


@pytest.fixture
def write_image() -> Callable[..., Path]:
    """Returns a function that writes a picture of coloured patches; width before height."""

    def write(path: Path, size: tuple[int, int] = (200, 120), mode: str = "RGB", **save) -> Path:
        width, height = size
        path.parent.mkdir(parents=True, exist_ok=True)
        seed = sum(path.name.encode())
        cells = np.random.default_rng(seed).integers(0, 255, (4, 5, 3), np.uint8)
        image = Image.fromarray(cells).resize((width, height), Image.Resampling.BILINEAR)
        image.convert(mode).save(path, **save)
        return path

    return write


@pytest.fixture
def write_voc() -> Callable[..., Path]:
    """Returns a function that writes one Pascal VOC file; size is (width, height) or None."""

    def write(
        path: Path,
        objects: Sequence[VocObject] = (),
        filename: str | None = None,
        size: tuple[int, int] | None = (200, 120),
        extra: str = "",
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        parts = [f"<filename>{filename or path.stem + '.jpg'}</filename>", extra]
        if size is not None:
            parts.append(f"<size><width>{size[0]}</width><height>{size[1]}</height></size>")
        for name, xmin, ymin, xmax, ymax in objects:
            parts.append(
                f"<object><name>{name}</name><bndbox><xmin>{xmin}</xmin><ymin>{ymin}</ymin>"
                f"<xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox></object>"
            )
        path.write_text(f"<annotation>{''.join(parts)}</annotation>", encoding="utf-8")
        return path

    return write


@pytest.fixture
def stated() -> Callable[..., StatedAnnotation]:
    """Returns a function that makes a StatedAnnotation of (name, xmin, ymin, xmax, ymax) boxes."""

    def make(
        objects: Sequence[VocObject] = (),
        image_size: tuple[int, int] | None = None,
        path: Path = Path("images/a.jpg"),
        source_id: str = "a.jpg",
        **changes,
    ) -> StatedAnnotation:
        n = len(objects)
        boxes = [(ymin, xmin, ymax, xmax) for _, xmin, ymin, xmax, ymax in objects]
        fields = {
            "file": "a.xml",
            "source_id": source_id,
            "image_name": path.name,
            "image_path": path,
            "image_size": image_size,
            "object_numbers": tuple(range(1, n + 1)),
            "class_names": tuple(name for name, *_ in objects),
            "boxes_pixels": np.array(boxes, np.float64).reshape(n, 4),
            "difficult": np.zeros(n, bool),
            "truncated": np.zeros(n, bool),
            "is_crowd": np.zeros(n, bool),
            "area": np.full(n, np.nan),
        }
        return StatedAnnotation(**(fields | changes))

    return make


@pytest.fixture
def data_set(tmp_path: Path, write_image, write_voc) -> Path:
    """Six 200x120 pictures with 0 to 2 boxes of three classes: images/, annotations/."""
    boxes = (
        [("cat", 20, 30, 90, 110)],
        [("dog", 10, 12, 190, 60), ("cat", 100, 20, 150, 119)],
        [("cow", 0, 0, 200, 120)],
        [],
        [("cat", 5, 6, 7, 9), ("cow", 50, 10, 51, 11)],
        [("dog", 33, 44, 55, 77)],
    )
    for number, objects in enumerate(boxes):
        write_image(tmp_path / "images" / f"p{number}.jpg")
        write_voc(tmp_path / "annotations" / f"p{number}.xml", objects)
    return tmp_path
