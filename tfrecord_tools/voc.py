"""Pascal VOC XML, as LabelImg, CVAT, Roboflow, RectLabel and the original data sets write it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from lxml import etree

from ssd.errors import InputError
from tfrecord_tools.annotations import AnnotationSet, ProblemLog, RefusedError, StatedAnnotation
from tfrecord_tools.image_index import (
    ImageIndex,
    basename,
    extensions_below,
    files_below,
    fold,
    stem,
)

_CORNERS = ("ymin", "xmin", "ymax", "xmax")
_MAX_BYTES = 64 << 20


@dataclass(frozen=True)
class _Object:
    class_name: str
    box_pixels: tuple[float, float, float, float]
    difficult: bool
    truncated: bool


@dataclass(frozen=True)
class VocFile:
    """One parsed file.

    Attributes:
      filename, path: the texts of those elements, "" where absent.
      image_size: (height, width) of <size>; None where absent or no number.
      objects: in file order; corners as written, no pixel shift, nothing clipped.
    """

    filename: str
    path: str
    image_size: tuple[int, int] | None
    objects: tuple[_Object, ...]


def read_annotations(folder: Path, index: ImageIndex, log: ProblemLog) -> AnnotationSet:
    """Returns the annotated pictures of every .xml file below `folder`, by picture name.

    Files that cannot be used are left out and noted in `log`. Classes are numbered by name.

    Raises:
      InputError: `folder` is none, or holds no .xml file.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; --annotations takes the folder of .xml files")
    names = files_below(folder, frozenset({".xml"}))
    if not names:
        raise InputError(f"{folder}: no .xml file below it, but {extensions_below(folder)}")
    own_stems = {fold(stem_of_xml(name)) for name in names}
    claims: dict[str, list[tuple[bool, str, VocFile]]] = {}
    for name in names:
        try:
            voc = parse(folder / name)
            image_name = find_image(voc, name, index, own_stems)
        except RefusedError as refused:
            log.add(refused.rule, str(folder / name), refused.detail, refused.object)
            continue
        is_namesake = fold(stem(image_name)) == fold(stem_of_xml(name))
        claims.setdefault(image_name, []).append((not is_namesake, name, voc))
    found: dict[str, StatedAnnotation] = {}
    for image_name in sorted(claims):
        (_, name, voc), *others = sorted(claims[image_name], key=lambda claim: claim[:2])
        found[image_name] = _stated(voc, folder / name, image_name, index.folder)
        for _, other, _ in others:
            detail = f"{image_name} is annotated by {folder / name} already; left out"
            log.add("duplicate-image", str(folder / other), detail)
    claimed = own_stems | {fold(stem(image_name)) for image_name in found}
    for image_name in index.names:
        if image_name not in found and fold(stem(image_name)) not in claimed:
            where = str(index.folder / image_name)
            log.add("annotation-missing", where, "no .xml file is about this picture; left out")
    classes = {class_name for stated in found.values() for class_name in stated.class_names}
    return AnnotationSet(images=tuple(found.values()), class_names=tuple(sorted(classes)))


def parse(path: Path) -> VocFile:
    """Returns what one file says; direct children only, so <part> boxes stay out.

    Raises:
      RefusedError: unreadable-xml (no XML, entities declared, a value missing or no number), or
        not-voc.
    """
    root = _root(path)
    if root.tag != "annotation":
        raise RefusedError("not-voc", f"the root is <{root.tag}>, Pascal VOC has <annotation>")
    objects = tuple(
        _object(element, number) for number, element in enumerate(root.findall("object"), 1)
    )
    return VocFile(_text(root, "filename"), _text(root, "path"), _size(root), objects)


def find_image(voc: VocFile, xml_name: str, index: ImageIndex, own_stems: set[str]) -> str:
    """Returns the picture of a file: by <filename>, else by the XML's own stem, else by <path>.

    A <filename> of another stem is stale (the pair was renamed) where that picture has an XML of
    its own name and a picture is named as this XML.

    Args:
      xml_name: path of the file below the annotations folder.
      own_stems: folded stems of all XML files.

    Raises:
      RefusedError: image-missing or image-ambiguous.
    """
    near = PurePosixPath(xml_name).parent.as_posix()
    own = stem_of_xml(xml_name)
    named = index.by_name(voc.filename, near) if voc.filename else None
    if named is None and voc.filename and stem(voc.filename) == basename(voc.filename):
        named = index.by_stem(voc.filename, near)
    if named is not None and fold(stem(named)) in own_stems - {fold(own)}:
        named = index.by_stem(own, near) or named
    if named is None:
        named = index.by_stem(own, near)
    if named is None and voc.path:
        named = index.by_name(voc.path, near)
    if named is None and voc.filename:
        named = index.by_stem(voc.filename, near)
    if named is None:
        wanted = " or ".join(dict.fromkeys(n for n in (voc.filename, f"{own}.*") if n))
        raise RefusedError("image-missing", f"no {wanted} below {index.folder}")
    return named


def stem_of_xml(name: str) -> str:
    """Returns the name of an XML file without folder and .xml."""
    return basename(name)[: -len(".xml")]


def _stated(voc: VocFile, file: Path, image_name: str, images: Path) -> StatedAnnotation:
    n = len(voc.objects)
    return StatedAnnotation(
        file=str(file),
        source_id=image_name,
        image_name=image_name,
        image_path=images / image_name,
        image_size=voc.image_size,
        object_numbers=tuple(range(1, n + 1)),
        class_names=tuple(o.class_name for o in voc.objects),
        boxes_pixels=np.array([o.box_pixels for o in voc.objects], np.float64).reshape(n, 4),
        difficult=np.array([o.difficult for o in voc.objects], bool),
        truncated=np.array([o.truncated for o in voc.objects], bool),
        is_crowd=np.zeros(n, bool),
        area=np.full(n, np.nan),
    )


def _root(path: Path) -> etree._Element:
    if path.stat().st_size > _MAX_BYTES:
        raise RefusedError("unreadable-xml", f"{path.stat().st_size} bytes; at most {_MAX_BYTES}")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(path.read_bytes(), parser)
    except OSError as error:
        raise RefusedError("unreadable-xml", f"cannot be read: {error.strerror}") from None
    except (etree.XMLSyntaxError, ValueError) as error:
        raise RefusedError("unreadable-xml", f"no well-formed XML: {_one_line(error)}") from None
    dtd = root.getroottree().docinfo.internalDTD
    if dtd is not None and next(dtd.iterentities(), None) is not None:
        raise RefusedError("unreadable-xml", "declares XML entities, which no annotation needs")
    return root


def _object(element: etree._Element, number: int) -> _Object:
    name = _text(element, "name")
    bndbox = element.find("bndbox")
    if bndbox is None:
        children = ", ".join(f"<{child.tag}>" for child in element) or "nothing"
        raise RefusedError(
            "not-voc", f"object {number} ({name}) has {children}, but no <bndbox>", number
        )
    if not name:
        raise RefusedError("unreadable-xml", f"object {number} has no <name>", number)
    corners = [_number(bndbox, tag, f"object {number} ({name})", number) for tag in _CORNERS]
    return _Object(
        class_name=name,
        box_pixels=(corners[0], corners[1], corners[2], corners[3]),
        difficult=_flag(element, "difficult"),
        truncated=_flag(element, "truncated"),
    )


def _text(element: etree._Element, tag: str) -> str:
    return (element.findtext(tag) or "").strip()


def _number(element: etree._Element, tag: str, where: str, number: int) -> float:
    text = _text(element, tag)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise RefusedError("unreadable-xml", f"{where}: <{tag}> is {text!r}, not a number", number)
    return value


def _flag(element: etree._Element, tag: str) -> bool:
    return _text(element, tag).lower() not in ("", "0", "0.0", "false", "no", "unspecified")


def _size(root: etree._Element) -> tuple[int, int] | None:
    try:
        height, width = (float(_text(root, f"size/{tag}")) for tag in ("height", "width"))
        return int(height), int(width)
    except (ValueError, OverflowError):
        return None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
