"""Pascal VOC XML, as LabelImg, CVAT, Roboflow, RectLabel and the original data sets write it."""

from __future__ import annotations

import os
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
from tfrecord_tools.readers.image_index import (
    ImageIndex,
    basename,
    extensions_below,
    files_below,
    fold,
    stem,
)
from tfrecord_tools.readers.voc_file import VocFile, parse

# Applies a function to every path and yields the results in order, as `map` does.
Mapper = Callable[[Callable[[str], VocFile | Problem], Iterable[str]], Iterable[VocFile | Problem]]


def read_annotations(
    folder: Path,
    index: ImageIndex,
    log: ProblemLog,
    *,
    one_based: bool = False,
    mapper: Mapper = map,
) -> AnnotationSet:
    """Returns the annotated pictures of every .xml file below `folder`, by picture name.

    Files that cannot be used are left out and noted in `log`. Classes are numbered by name.

    Args:
      one_based: corners are pixel numbers from 1, as in the VOC challenge's own data, whose boxes
        reach from the near edge of pixel xmin to the far edge of pixel xmax; 1 is taken off xmin
        and ymin.
      mapper: applies `parse_file` to every path and yields in order; a pool's `map` will do.

    Raises:
      InputError: `folder` is none, or holds no .xml file.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; --annotations takes the folder of .xml files")
    names = files_below(folder, frozenset({".xml"}))
    if not names:
        raise InputError(f"{folder}: no .xml file below it, but {extensions_below(folder)}")
    own_stems = {own_stem(name) for name in names}
    claims = FileClaims(index, log)
    parse_one = partial(parse_file, one_based=one_based)
    files = [os.path.join(folder, name) for name in names]
    for name, file, voc in zip(names, files, mapper(parse_one, files), strict=True):
        if isinstance(voc, Problem):
            log.problems.append(voc)
            continue
        try:
            image_name = find_image(voc, name, index, own_stems)
        except RefusedError as refused:
            log.add(refused.rule, file, refused.detail, refused.object)
            continue
        if fold(basename(voc.filename)) != fold(basename(image_name)):
            stated = f"<filename> is {voc.filename!r}" if voc.filename else "no <filename>"
            log.add("image-by-other-name", file, f"{stated}; taken for {image_name}")
        claims.add(_stated(voc, file, image_name, index.folder / image_name))
    table = claims.settle(own_stems, ".xml")
    return AnnotationSet(table, tuple(sorted(table.class_names)))


def parse_file(path: str | Path, one_based: bool = False) -> VocFile | Problem:
    """Returns what `parse` does, or the problem that keeps the file out; both can be pickled."""
    try:
        return parse(path, one_based)
    except RefusedError as refused:
        return Problem(refused.rule, str(path), refused.object, False, refused.detail)


def find_image(voc: VocFile, xml_name: str, index: ImageIndex, own_stems: set[str]) -> str:
    """Returns the picture of a file: by <filename>, else by the XML's own name, else by <path>.

    A <filename> of another stem is stale (the pair was renamed) where that picture has an XML of
    its own name and a picture is named as this XML.

    Args:
      xml_name: path of the file below the annotations folder.
      own_stems: `own_stem` of all XML files.

    Raises:
      RefusedError: image-missing or image-ambiguous.
    """
    near = xml_name.rpartition("/")[0]
    bare = bare_name(xml_name)
    named = index.by_name(voc.filename, near) if voc.filename else None
    if named is None and voc.filename and stem(voc.filename) == basename(voc.filename):
        named = index.by_stem(voc.filename, near)
    if named is not None:
        named_stem = fold(stem(named))
        if named_stem in own_stems and named_stem != own_stem(xml_name):
            return index.by_name(bare, near) or index.by_stem(bare, near) or named
        return named
    named = index.by_name(bare, near) or index.by_stem(bare, near)
    if named is None and voc.path:
        named = index.by_name(voc.path, near)
    if named is None and voc.filename:
        named = index.by_stem(voc.filename, near)
    if named is None:
        wanted = " or ".join(dict.fromkeys(n for n in (voc.filename, f"{bare}.*") if n))
        raise RefusedError("image-missing", f"no {wanted} below {index.folder}")
    return named


def _stated(voc: VocFile, file: str, image_name: str, image_path: Path) -> StatedAnnotation:
    n = len(voc.class_names)
    return StatedAnnotation(
        file=file,
        source_id=image_name,
        image_name=image_name,
        image_path=image_path,
        image_size=voc.image_size,
        object_numbers=tuple(range(1, n + 1)),
        class_names=voc.class_names,
        boxes_pixels=np.array(voc.boxes_pixels, np.float64).reshape(n, 4),
        difficult=np.array(voc.difficult, bool),
        truncated=np.array(voc.truncated, bool),
        is_crowd=np.zeros(n, bool),
        area=np.full(n, np.nan),
    )
