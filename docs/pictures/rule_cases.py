"""Annotations with something wrong in them, and how a person sees them; for draw_rules.py."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

Corners = tuple[float, float, float, float]  # xmin, ymin, xmax, ymax
Points = tuple[float, ...]  # x, y, x, y, ... of a polygon
Size = tuple[int, int]  # width, height

SIZE: Size = (480, 360)
TURNED_SIZE: Size = (360, 480)
# The scene that all cases show, and what is in it.
SCENE_SEED = (5, 18)
CODE: Corners = (196, 44, 407, 235)
BADGE: Corners = (78, 90, 198, 210)
# A second picture, so that a case whose own picture is left out has something to convert.
SOUND = "zz_sound"

_ZOO_CONFIG = "ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8"
_DIAMOND: Points = (300, 44, 407, 140, 300, 235, 196, 140)


@dataclass(frozen=True)
class Case:
    """One annotation file with something to say about it.

    Attributes:
      title: what is written in the file, in words.
      kind: "voc", "coco" or "yolo".
      text: the annotation file, of the picture case.jpg.
      drawn: what the annotating tool shows: corners, or the points of a polygon.
      size: of the stored picture.
      is_turned: the picture has EXIF orientation 6.
      is_seen_turned: and the annotating tool shows it turned.
      choices: further arguments of `convert`.
    """

    title: str
    kind: str
    text: str
    drawn: tuple[Corners | Points, ...]
    size: Size = SIZE
    is_turned: bool = False
    is_seen_turned: bool = False
    choices: dict[str, Any] = field(default_factory=dict)


def voc_text(boxes: tuple[Corners, ...], size: Size | None = SIZE, order: str = "") -> str:
    """Returns a Pascal VOC file of case.jpg; `order` is that of the corners' elements."""
    text = "<annotation><filename>case.jpg</filename>"
    if size:
        text += f"<size><width>{size[0]}</width><height>{size[1]}</height></size>"
    for corners in boxes:
        numbers = dict(zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True))
        tags = order.split() or list(numbers)
        box = "".join(f"<{tag}>{numbers[tag]:g}</{tag}>" for tag in tags)
        text += f"<object><name>code</name><bndbox>{box}</bndbox></object>"
    return text + "</annotation>"


def yolo_text(corners: Corners, size: Size = SIZE, unit: Size = (1, 1)) -> str:
    """Returns one row of class index, center and sides; in shares of the picture times `unit`."""
    (xmin, ymin, xmax, ymax), (width, height) = corners, size
    x, y = (xmin + xmax) / 2 / width * unit[0], (ymin + ymax) / 2 / height * unit[1]
    sides = (xmax - xmin) / width * unit[0], (ymax - ymin) / height * unit[1]
    return f"0 {x:.6g} {y:.6g} {sides[0]:.6g} {sides[1]:.6g}\n"


def _coco_text(annotation: dict[str, Any]) -> str:
    (width, height), names = SIZE, ("case.jpg", f"{SOUND}.jpg")
    sound = {"id": 2, "image_id": 2, "category_id": 1, "bbox": [10, 10, 50, 40]}
    content = {
        "images": [
            {"id": i, "file_name": name, "width": width, "height": height}
            for i, name in enumerate(names, 1)
        ],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, **annotation}, sound],
        "categories": [{"id": 1, "name": "code"}],
    }
    return json.dumps(content)


def _voc(title: str, *boxes: Corners, **changes: Any) -> Case:
    return Case(title, "voc", voc_text(boxes), boxes, **changes)


def _voc_as(title: str, text: str, *boxes: Corners, **changes: Any) -> Case:
    """Returns a case whose boxes are not drawn where the file's numbers say."""
    return Case(title, "voc", text, boxes, **changes)


def _yolo(title: str, text: str, *drawn: Corners | Points, **changes: Any) -> Case:
    return Case(title, "yolo", text, drawn, **changes)


def _shares(corners: Corners, times: float = 1.0) -> Corners:
    (xmin, ymin, xmax, ymax), (width, height) = corners, SIZE
    return (
        xmin / width * times,
        ymin / height * times,
        xmax / width * times,
        ymax / height * times,
    )


def _corner_cases() -> list[Case]:
    xmin, ymin, xmax, ymax = CODE
    other_order = voc_text((CODE,), order="xmin xmax ymin ymax")
    return [
        _voc_as("xmin and xmax exchanged", voc_text(((xmax, ymin, xmin, ymax),)), CODE),
        _voc_as("elements in the order xmin, xmax, ymin, ymax", other_order, CODE),
        _voc("a box without height beside a sound one", CODE, (xmin, 300, xmax, 300)),
        _voc("the same box twice", CODE, CODE),
    ]


def _frame_cases() -> list[Case]:
    half = (SIZE[0] // 2, SIZE[1] // 2)
    return [
        _voc("reaches outside the picture", (196, -22, 407, 235)),
        _voc("one box lies wholly outside", BADGE, (490, 100, 515, 200)),
        _voc("the picture was halved after annotation", CODE, size=half),
        _voc_as("the stated size is another picture's", voc_text((CODE,), size=(512, 512)), CODE),
    ]


def _unit_cases() -> list[Case]:
    width, height = SIZE
    points = " ".join(
        f"{x / width:.4f} {y / height:.4f}"
        for x, y in zip(_DIAMOND[::2], _DIAMOND[1::2], strict=True)
    )
    shares, percent = voc_text((_shares(CODE),)), voc_text((_shares(CODE, 100),))
    return [
        _yolo("YOLO, pixels instead of shares", yolo_text(CODE, unit=SIZE), CODE),
        _yolo("YOLO, a polygon", f"0 {points}\n", _DIAMOND),
        _voc_as("Pascal VOC, shares instead of pixels", shares, CODE),
        _voc_as("Pascal VOC, percent instead of pixels", percent, CODE),
    ]


def _turned_cases() -> list[Case]:
    xmin, ymin, xmax, ymax = CODE
    seen: Corners = (SIZE[1] - ymax, xmin, SIZE[1] - ymin, xmax)
    of_seen, shares = voc_text((seen,), TURNED_SIZE), yolo_text(seen, TURNED_SIZE)
    turned = {"is_turned": True, "is_seen_turned": True}
    named = {**turned, "choices": {"exif": "turned"}}
    return [
        _voc_as("EXIF 6, boxes and size of the turned view", of_seen, seen, **turned),
        _voc("EXIF 6, boxes and size as stored", CODE, is_turned=True),
        _yolo("EXIF 6, YOLO, annotated on the turned view", shares, seen, **turned),
        _yolo("the same with --exif turned", shares, seen, **named),
    ]


def _model_cases() -> list[Case]:
    long: Corners = (10, 290, 470, 318)
    polygon = _coco_text({"segmentation": [list(_DIAMOND)]})
    return [
        _voc("one pixel wide", CODE, (40, 60, 41, 200)),
        _voc("long and thin, with --config", BADGE, long, choices={"config": _ZOO_CONFIG}),
        _voc("no object"),
        Case("COCO, a polygon and no bbox", "coco", polygon, (_DIAMOND,)),
    ]


def all_cases() -> dict[str, list[Case]]:
    """Returns the cases of every contact sheet."""
    return {
        "corners": _corner_cases(),
        "frame": _frame_cases(),
        "units": _unit_cases(),
        "turned": _turned_cases(),
        "model": _model_cases(),
    }
