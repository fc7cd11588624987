"""YOLO label files, one .txt per picture, as darknet, Ultralytics, CVAT and Roboflow write them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np

from ssd.errors import InputError
from tfrecord_tools.annotations import (
    AnnotationSet,
    Problem,
    ProblemLog,
    RefusedError,
    StatedAnnotation,
)
from tfrecord_tools.readers.file_claims import FileClaims, bare_name, own_stem
from tfrecord_tools.readers.image_index import ImageIndex, extensions_below, files_below
from tfrecord_tools.readers.yolo_file import YoloFile, parse
from tfrecord_tools.readers.yolo_names import ClassNames, find_names, load_names

# Text files that lie with labels; one that a picture is named after is a label file nevertheless.
_NO_LABELS = re.compile(
    r"(predefined_)?classes|(class_|obj[._])?names|_?darknet|labels?|labelmap|labels_map|"
    r"train(val)?|val(id(ation)?)?|test|all|images?|filelist|list|read[-_ ]?me.*|notes?|license|"
    r"requirements|data(set)?",
    re.IGNORECASE,
)

# Applies a function to every path and yields the results in order, as `map` does.
Mapper = Callable[
    [Callable[[str], YoloFile | Problem], Iterable[str]], Iterable[YoloFile | Problem]
]


def read_annotations(
    folder: Path,
    index: ImageIndex,
    log: ProblemLog,
    *,
    names: str | Path | None = None,
    mapper: Mapper = map,
) -> AnnotationSet:
    """Returns the pictures that have a .txt file below `folder`, by picture name.

    A picture has the label file of its own name, in a folder of the same name where there are
    several; a `labels` in its path stands for `images`. An empty file says that the picture shows
    no object. Files that cannot be used are left out and noted in `log`. Classes are numbered in
    the order of their indices; `source_category_ids` holds these.

    Args:
      names: data.yaml, obj.data, or a file with one class name a line; where None, the one that
        lies with the labels or up to two folders above, which is noted in `log`.
      mapper: applies `parse_file` to every path and yields in order; a pool's `map` will do.

    Raises:
      InputError: `folder` is none, or holds no label file; no usable class names; a class index
        that they lack.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; --annotations takes the folder of .txt files")
    labels = _label_files(folder, index)
    classes = find_names(folder) if names is None else load_names(Path(names))
    if names is None:
        log.add("class-names-found", str(classes.file), _about_found(classes))
    own_stems = {own_stem(name) for name in labels}
    claims = FileClaims(index, log)
    files = [os.path.join(folder, name) for name in labels]
    parse_one = partial(parse_file, keypoint_numbers=classes.keypoint_numbers)
    num_confidences = 0
    for name, file, yolo in zip(labels, files, mapper(parse_one, files), strict=True):
        if isinstance(yolo, Problem):
            log.problems.append(yolo)
            continue
        num_confidences += yolo.num_confidences
        class_names = _class_names(yolo, classes, file)
        try:
            image_name = find_image(name, index)
        except RefusedError as refused:
            log.add(refused.rule, file, refused.detail)
            continue
        claims.add(_stated(yolo, class_names, file, image_name, index.folder / image_name))
    if num_confidences:
        detail = f"{num_confidences} rows end in the confidence of a detection, which is not used"
        log.add("column-ignored", str(folder), detail)
    ids = _ids(classes, log)
    return AnnotationSet(claims.settle(own_stems, ".txt"), tuple(ids), ids)


def _about_found(classes: ClassNames) -> str:
    names = list(classes.name_of.values())
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"names the classes ({shown}), as --names is not given"


def _ids(classes: ClassNames, log: ProblemLog) -> dict[str, int | str]:
    """Returns class name -> its first index."""
    ids: dict[str, int | str] = {}
    for index, name in classes.name_of.items():
        if name in ids:
            detail = f"{name!r} has the indices {ids[name]} and {index}; made one class"
            log.add("similar-classes", str(classes.file), detail)
        ids.setdefault(name, index)
    return ids


def parse_file(path: str | Path, keypoint_numbers: int = 0) -> YoloFile | Problem:
    """Returns what `parse` does, or the problem that keeps the file out; both can be pickled."""
    try:
        return parse(path, keypoint_numbers)
    except RefusedError as refused:
        place = str(path) if refused.object is None else f"{path}:{refused.object}"
        return Problem(refused.rule, place, None, False, refused.detail)


def find_image(label_name: str, index: ImageIndex) -> str:
    """Returns the picture of a label file.

    Args:
      label_name: path of the file below the labels folder.

    Raises:
      RefusedError: image-missing or image-ambiguous.
    """
    folders = label_name.split("/")[:-1]
    near = "/".join("images" if name.lower() == "labels" else name for name in folders)
    bare = bare_name(label_name)
    image_name = index.by_name(bare, near) or index.by_stem(bare, near)
    if image_name is None:
        raise RefusedError("image-missing", f"no {bare}.* below {index.folder}")
    return image_name


def _label_files(folder: Path, index: ImageIndex) -> list[str]:
    """Returns the .txt files that are about pictures."""
    texts = files_below(folder, frozenset({".txt"}))
    labels = []
    for name in texts:
        bare = bare_name(name)
        if not _NO_LABELS.fullmatch(bare) or _has_picture(name, index):
            labels.append(name)
    if not labels:
        raise InputError(
            f"{folder}: no .txt file of a picture below it, but {extensions_below(folder)}"
        )
    return labels


def _has_picture(name: str, index: ImageIndex) -> bool:
    try:
        find_image(name, index)
    except RefusedError as refused:
        return refused.rule != "image-missing"
    return True


def _class_names(yolo: YoloFile, classes: ClassNames, file: str) -> tuple[str, ...]:
    try:
        return tuple([classes.name_of[i] for i in yolo.class_indices])
    except KeyError as missing:
        line = yolo.lines[yolo.class_indices.index(missing.args[0])]
        raise InputError(
            f"{file}:{line}: class index {missing}; {classes.file.name} has "
            f"{len(classes.name_of)} names, so {classes.allowed()} are allowed"
        ) from None


def _stated(
    yolo: YoloFile, class_names: tuple[str, ...], file: str, image_name: str, image_path: Path
) -> StatedAnnotation:
    n = len(class_names)
    return StatedAnnotation(
        file=file,
        source_id=image_name,
        image_name=image_name,
        image_path=image_path,
        image_size=None,
        object_numbers=yolo.lines,
        class_names=class_names,
        boxes_pixels=np.array(yolo.boxes, np.float64).reshape(n, 4),
        difficult=np.zeros(n, bool),
        truncated=np.zeros(n, bool),
        is_crowd=np.zeros(n, bool),
        area=np.full(n, np.nan),
        is_normalized=True,
    )
