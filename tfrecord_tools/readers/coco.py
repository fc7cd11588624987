"""COCO detection JSON: instances_*.json, and what annotation tools and data sets call so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ssd.errors import InputError
from tfrecord_tools.annotation_table import AnnotationTable
from tfrecord_tools.annotations import AnnotationSet, ProblemLog, RefusedError, StatedAnnotation
from tfrecord_tools.readers.coco_columns import CocoColumns, ImageBoxes
from tfrecord_tools.readers.coco_file import Category, CocoFile, Identifier, Image, plain_id
from tfrecord_tools.readers.image_index import ImageIndex

# A stated size beyond this is a mistake, and more than the table holds.
_MAX_SIDE = 1 << 30


def read_annotations(file: Path, index: ImageIndex, log: ProblemLog) -> AnnotationSet:
    """Returns the pictures that a COCO file lists, in the order of their ids.

    Images without annotations stay (they are negatives), crowd regions stay and are flagged. Boxes
    that are not stated are made from the segmentations. Class names are in the order of the
    category ids, which may have gaps or begin at 0; a category without boxes that only names the
    others' supercategory (Roboflow writes one) is left out. `source_category_ids` holds the ids.

    Raises:
      InputError: no such file, no COCO detection file (the message says what is wrong and where),
        or a box of a category that the file does not list.
    """
    coco = CocoFile(file)
    columns = CocoColumns(coco, file)
    coco.free()
    used = columns.used_classes()
    is_used = [columns.classes.of(category.id) in used for category in coco.categories]
    classes = _classes(coco.categories, is_used, log, file)
    names: dict[int, str] = {}
    for category in coco.categories:
        names.setdefault(columns.classes.of(category.id), str(category.name).strip())
    table = AnnotationTable(index.folder)
    seen: set[str] = set()
    doubtful = _doubtful_ids(coco.images)
    for image in sorted(coco.images, key=lambda image: _id_order(image.id)):
        try:
            image_name = _find_image(image, doubtful, index)
            if image_name in seen:
                detail = f"image {image.id} is {image_name} again; left out"
                raise RefusedError("duplicate-image", detail)
            seen.add(image_name)
            boxes = columns.of_image(columns.images.of(image.id))
        except RefusedError as refused:
            log.add(refused.rule, f"{file}: {image.name}", refused.detail, refused.object)
            continue
        table.append(_stated(f"{file}: {image.name}", image, image_name, boxes, names, index))
    for unknown in sorted(columns.orphans, key=_id_order):
        detail = f"{columns.orphans[unknown]} boxes of image {unknown}; left out"
        log.add("orphan-annotation", str(file), detail)
    return AnnotationSet(table, tuple(classes), classes)


def _id_order(identifier: Identifier) -> tuple[bool, int, str]:
    plain = plain_id(identifier)
    return (True, 0, plain) if isinstance(plain, str) else (False, plain, "")


def _classes(
    categories: Sequence[Category], is_used: Sequence[bool], log: ProblemLog, file: Path
) -> dict[str, int | str]:
    """Returns class name -> category id in the order of the ids, without those that only group."""
    parents = {c.supercategory for c in categories if c.supercategory != c.name}
    classes: dict[str, int | str] = {}
    pairs = zip(categories, is_used, strict=True)
    for category, has_boxes in sorted(pairs, key=lambda pair: _id_order(pair[0].id)):
        name = str(category.name).strip()
        if not name:
            raise InputError(f"{file}: category {category.id} has an empty name")
        if not has_boxes and category.name in parents:
            detail = f"{name!r} (id {category.id}) only groups other categories; left out"
            log.add("class-without-boxes", str(file), detail)
        elif name in classes:
            detail = f"{name!r} has the ids {classes[name]} and {category.id}; made one class"
            log.add("similar-classes", str(file), detail)
        else:
            classes[name] = plain_id(category.id)
    return classes


def _doubtful_ids(images: Sequence[Image]) -> dict[int | str, set[str]]:
    """Returns the ids that several pictures have, with the names of these."""
    first: dict[int | str, str] = {}
    doubtful: dict[int | str, set[str]] = {}
    for image in images:
        identifier = plain_id(image.id)
        name = first.setdefault(identifier, image.name)
        if name != image.name:
            doubtful.setdefault(identifier, {name}).add(image.name)
    return doubtful


def _find_image(image: Image, doubtful: Mapping[int | str, set[str]], index: ImageIndex) -> str:
    """Returns the name of a picture below the images folder.

    Raises:
      RefusedError: image-missing, image-ambiguous, or duplicate-image.
    """
    if plain_id(image.id) in doubtful:
        listed = " and ".join(sorted(doubtful[plain_id(image.id)]))
        detail = f"image id {image.id} is that of {listed}; nobody knows whose its boxes are"
        raise RefusedError("duplicate-image", detail)
    if not image.name:
        raise RefusedError("image-missing", f"image {image.id} has no file_name")
    image_name = index.by_name(image.name)
    if image_name is None:
        raise RefusedError("image-missing", f"no {image.name} below {index.folder}")
    return image_name


def _stated(
    file: str,
    image: Image,
    image_name: str,
    boxes: ImageBoxes,
    names: Mapping[int, str],
    index: ImageIndex,
) -> StatedAnnotation:
    height, width = image.height or 0, image.width or 0
    has_size = 0 < height < _MAX_SIDE and 0 < width < _MAX_SIDE
    return StatedAnnotation(
        file=file,
        source_id=image_name,
        image_name=image_name,
        image_path=index.folder / image_name,
        image_size=(int(height), int(width)) if has_size else None,
        object_numbers=tuple(boxes.numbers),
        class_names=tuple([names[i] for i in boxes.classes]),
        boxes_pixels=boxes.boxes_pixels,
        difficult=np.zeros(len(boxes.numbers), bool),
        truncated=np.zeros(len(boxes.numbers), bool),
        is_crowd=boxes.is_crowd,
        area=boxes.area,
    )
