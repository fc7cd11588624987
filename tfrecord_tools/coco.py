"""COCO detection JSON, read with typed structs so that polygons and captions are never built."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import msgspec
import numpy as np

from ssd.errors import InputError
from tfrecord_tools.annotations import AnnotationSet, ProblemLog, RefusedError, StatedAnnotation
from tfrecord_tools.image_index import ImageIndex

Identifier = int | str


class _Image(msgspec.Struct, gc=False):
    id: Identifier
    file_name: str
    width: float | None = None
    height: float | None = None


class _Annotation(msgspec.Struct, gc=False):
    image_id: Identifier
    id: Identifier | None = None
    category_id: Identifier | None = None
    bbox: list[float] | None = None
    area: float | None = None
    iscrowd: int | bool | None = None


class _Category(msgspec.Struct):
    id: Identifier
    name: str
    supercategory: str | None = None


class _File(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


def read_annotations(file: Path, index: ImageIndex, log: ProblemLog) -> AnnotationSet:
    """Returns the pictures that a COCO file lists, in the order of their ids.

    Images without annotations stay (they are negatives), crowd regions stay and are flagged. Class
    names are in the order of the category ids, which may have gaps or begin at 0; a category
    without boxes that only names the others' supercategory (Roboflow writes one) is left out.

    Raises:
      InputError: no such file, no COCO detection file (the message says what is wrong and where),
        or a box of a category that the file does not list.
    """
    coco = _parse(file)
    names = {str(category.id): category.name.strip() for category in coco.categories}
    by_image: dict[str, list[_Annotation]] = defaultdict(list)
    for position, annotation in enumerate(coco.annotations):
        if str(annotation.category_id) not in names:
            raise InputError(
                f"{file}: annotations[{position}] has category_id {annotation.category_id}, "
                f"which is none of the {len(names)} categories"
            )
        by_image[str(annotation.image_id)].append(annotation)
    images: dict[str, StatedAnnotation] = {}
    seen_ids: set[str] = set()
    for image in sorted(coco.images, key=lambda image: _id_order(image.id)):
        try:
            if str(image.id) in seen_ids:
                raise RefusedError(
                    "duplicate-image", f"image id {image.id} is listed twice; left out"
                )
            seen_ids.add(str(image.id))
            stated = _stated(file, image, by_image.get(str(image.id), []), names, index)
            if stated.image_name in images:
                raise RefusedError(
                    "duplicate-image", f"image {image.id} is {stated.image_name} again"
                )
        except RefusedError as refused:
            log.add(refused.rule, f"{file}: {image.file_name}", refused.detail, refused.object)
            continue
        images[stated.image_name] = stated
    for unknown in sorted(set(by_image) - seen_ids):
        count = len(by_image[unknown])
        log.add("orphan-annotation", str(file), f"{count} boxes of image {unknown}; left out")
    classes = _classes(coco, log, file)
    return AnnotationSet(tuple(images.values()), tuple(classes), classes)


def _parse(file: Path) -> _File:
    if not file.is_file():
        raise InputError(f"{file}: no such file; --annotations takes one COCO .json file")
    content = file.read_bytes()
    try:
        coco = msgspec.json.decode(content, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: {_explain(content, error)}") from None
    if coco.annotations and not any(annotation.bbox for annotation in coco.annotations):
        raise InputError(
            f"{file}: none of the {len(coco.annotations)} annotations has a bbox (captions, labels "
            "or panoptic segments?); detection needs instances_*.json"
        )
    return coco


def _explain(content: bytes, error: Exception) -> str:
    """Says in one line what a file is that is no COCO detection file."""
    if isinstance(error, msgspec.ValidationError):
        if content.lstrip()[:1] == b"[":
            return "a JSON list, perhaps of detections; expected images, annotations, categories"
        return f"not the layout of COCO detection annotations: {error}"
    return f"not JSON: {error}"


def _id_order(identifier: Identifier) -> tuple[bool, int, str]:
    is_text = isinstance(identifier, str)
    return (is_text, 0 if is_text else int(identifier), str(identifier))


def _classes(coco: _File, log: ProblemLog, file: Path) -> dict[str, Identifier]:
    """Returns class name -> category id, in the order of the ids, placeholders left out."""
    used = {str(annotation.category_id) for annotation in coco.annotations}
    parents = {c.supercategory for c in coco.categories if c.supercategory != c.name}
    classes: dict[str, Identifier] = {}
    for category in sorted(coco.categories, key=lambda category: _id_order(category.id)):
        name = category.name.strip()
        if not name:
            raise InputError(f"{file}: category {category.id} has an empty name")
        if str(category.id) not in used and category.name in parents:
            detail = f"{name!r} (id {category.id}) only groups other categories; left out"
            log.add("class-without-boxes", str(file), detail)
        elif name in classes:
            detail = f"{name!r} has the ids {classes[name]} and {category.id}; made one class"
            log.add("similar-classes", str(file), detail)
        else:
            classes[name] = category.id
    return classes


def _stated(
    file: Path,
    image: _Image,
    annotations: list[_Annotation],
    names: dict[str, str],
    index: ImageIndex,
) -> StatedAnnotation:
    image_name = index.by_name(image.file_name)
    if image_name is None:
        raise RefusedError("image-missing", f"no {image.file_name} below {index.folder}")
    numbers = tuple(
        a.id if isinstance(a.id, int) else position for position, a in enumerate(annotations, 1)
    )
    for annotation, number in zip(annotations, numbers, strict=True):
        if not annotation.bbox:
            raise RefusedError(
                "bbox-missing", "an annotation has no bbox; the image is left out", number
            )
        if len(annotation.bbox) != 4:
            raise InputError(
                f"{file}: {image.file_name}: annotation {number}: bbox has "
                f"{len(annotation.bbox)} numbers; expected x, y, width, height"
            )
    n = len(annotations)
    xywh_pixels = np.array([a.bbox for a in annotations], np.float64).reshape(n, 4)
    x, y, width, height = xywh_pixels.T
    has_size = image.width is not None and image.height is not None
    return StatedAnnotation(
        file=f"{file}: {image.file_name}",
        source_id=image_name,
        image_name=image_name,
        image_path=index.folder / image_name,
        image_size=(int(image.height or 0), int(image.width or 0)) if has_size else None,
        object_numbers=numbers,
        class_names=tuple(names[str(a.category_id)] for a in annotations),
        boxes_pixels=np.stack([y, x, y + height, x + width], axis=-1),
        difficult=np.zeros(n, bool),
        truncated=np.zeros(n, bool),
        is_crowd=np.array([bool(a.iscrowd) for a in annotations], bool),
        area=np.array([np.nan if a.area is None else a.area for a in annotations], np.float64),
    )
