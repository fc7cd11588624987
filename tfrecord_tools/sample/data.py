"""The generated sample data set: parcels and shelves with codes, labels and badges.

Same seed and count, same pictures: each one has a random generator of its own. The annotations are
written in four forms that state the same, so that each gives the same records.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lxml import etree

from ssd.errors import InputError
from tfrecord_tools.output_folder import whole_output
from tfrecord_tools.sample.objects import DRAWERS
from tfrecord_tools.sample.scene import SceneObject, make_scene

DEFAULT_IMAGES = 360
CLASS_NAMES = tuple(DRAWERS)
SEAL = "sample_data.json"
COCO_NAME, CSV_NAME, YOLO_NAMES = "annotations_coco.json", "annotations.csv", "data.yaml"
_OWNED = ("images", "annotations", "labels", COCO_NAME, CSV_NAME, YOLO_NAMES, SEAL)


@dataclass(frozen=True)
class _Picture:
    name: str
    image_size: tuple[int, int]
    objects: list[SceneObject]


def write_sample_data(
    output: str | Path,
    *,
    images: int = DEFAULT_IMAGES,
    seed: int = 0,
    workers: int = 1,
    say: Callable[[str], None] = print,
) -> None:
    """Writes images/*.jpg and their annotations in four forms to `output`.

    These are annotations/*.xml (Pascal VOC), annotations_coco.json, annotations.csv (the columns
    of the TensorFlow tutorials), and labels/*.txt with data.yaml (YOLO).

    An earlier sample data set there is replaced; a folder with files of another origin by these
    names is refused. The pictures do not depend on `workers`, nor on `images`.

    Raises:
      InputError: a number below 1, or `output` cannot be used.
    """
    for flag, value in (("--images", images), ("--workers", workers)):
        if value < 1:
            raise InputError(f"{flag} is {value}; expected 1 or more")
    if seed < 0:
        raise InputError(f"--seed is {seed}; expected 0 or more")
    with whole_output(Path(output), _OWNED.__contains__, seal=SEAL) as folder:
        for name in ("images", "annotations", "labels"):
            (folder / name).mkdir()

        def make(index: int) -> _Picture:
            picture = _write_picture(folder, index, np.random.default_rng([seed, index]))
            bare = Path(picture.name).stem
            _write_voc(folder / "annotations" / f"{bare}.xml", picture)
            _write_text(folder / "labels" / f"{bare}.txt", _yolo(picture))
            return picture

        with ThreadPoolExecutor(workers) as pool:
            pictures = list(pool.map(make, range(images)))
        _write_json(folder / COCO_NAME, _coco(pictures))
        _write_csv(folder / CSV_NAME, pictures)
        _write_text(folder / YOLO_NAMES, _yolo_names())
        _write_json(folder / SEAL, {"images": images, "seed": seed})
    counts = dict.fromkeys(CLASS_NAMES, 0)
    for scene_object in (o for picture in pictures for o in picture.objects):
        counts[scene_object.class_name] += 1
    listed = ", ".join(f"{count} {name}" for name, count in counts.items())
    say(f"wrote {output}: {images} pictures, {sum(counts.values())} boxes ({listed})")


def _write_picture(folder: Path, index: int, rng: np.random.Generator) -> _Picture:
    image, objects = make_scene(rng)
    name = f"sample_{index:04d}.jpg"
    image.save(folder / "images" / name, quality=int(rng.integers(78, 93)))
    return _Picture(name, (image.height, image.width), objects)


def _write_voc(path: Path, picture: _Picture) -> None:
    root = etree.Element("annotation")
    _add(root, "folder", "images")
    _add(root, "filename", picture.name)
    height, width = picture.image_size
    size = etree.SubElement(root, "size")
    for tag, number in (("width", width), ("height", height), ("depth", 3)):
        _add(size, tag, str(number))
    _add(root, "segmented", "0")
    for scene_object in picture.objects:
        element = etree.SubElement(root, "object")
        _add(element, "name", scene_object.class_name)
        _add(element, "pose", "Unspecified")
        # Two of the other forms cannot say it.
        _add(element, "truncated", "0")
        _add(element, "difficult", "0")
        ymin, xmin, ymax, xmax = scene_object.box_pixels
        box = etree.SubElement(element, "bndbox")
        for tag, number in (("xmin", xmin), ("ymin", ymin), ("xmax", xmax), ("ymax", ymax)):
            _add(box, tag, str(number))
    etree.ElementTree(root).write(str(path), pretty_print=True, encoding="utf-8")


def _add(parent: etree._Element, tag: str, text: str) -> None:
    etree.SubElement(parent, tag).text = text


def _coco(pictures: Sequence[_Picture]) -> dict[str, object]:
    class_ids = {name: class_id for class_id, name in enumerate(CLASS_NAMES, 1)}
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for image_id, picture in enumerate(pictures, 1):
        height, width = picture.image_size
        images.append({"id": image_id, "file_name": picture.name, "width": width, "height": height})
        for scene_object in picture.objects:
            ymin, xmin, ymax, xmax = scene_object.box_pixels
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": class_ids[scene_object.class_name],
                    "bbox": [xmin, ymin, xmax - xmin, ymax - ymin],
                    # Of the box, as there is no segmentation.
                    "area": (xmax - xmin) * (ymax - ymin),
                    "iscrowd": 0,
                    "segmentation": [],
                }
            )
    categories = [{"id": class_id, "name": name} for name, class_id in class_ids.items()]
    return {
        "info": {"description": "generated sample data"},
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }


def _write_csv(path: Path, pictures: Sequence[_Picture]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"),
        )
        for picture in pictures:
            height, width = picture.image_size
            for scene_object in picture.objects:
                ymin, xmin, ymax, xmax = scene_object.box_pixels
                name = scene_object.class_name
                writer.writerow((picture.name, width, height, name, xmin, ymin, xmax, ymax))


def _yolo(picture: _Picture) -> str:
    height, width = picture.image_size
    rows = []
    for scene_object in picture.objects:
        ymin, xmin, ymax, xmax = scene_object.box_pixels
        center_x, center_y = (xmin + xmax) / 2 / width, (ymin + ymax) / 2 / height
        # All digits: the usual six would move the corners by a thousandth of a pixel.
        numbers = (center_x, center_y, (xmax - xmin) / width, (ymax - ymin) / height)
        rows.append(f"{CLASS_NAMES.index(scene_object.class_name)} {' '.join(map(repr, numbers))}")
    return "".join(f"{row}\n" for row in rows)


def _yolo_names() -> str:
    names = "".join(f"  {index}: {name}\n" for index, name in enumerate(CLASS_NAMES))
    return f"path: .\ntrain: images\nval: images\nnames:\n{names}"


def _write_json(path: Path, content: object) -> None:
    _write_text(path, json.dumps(content, indent=1) + "\n")


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
