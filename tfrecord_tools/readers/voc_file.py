"""What one Pascal VOC file says, whatever tool wrote it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from lxml import etree

from tfrecord_tools.annotations import RefusedError

_CORNERS = ("ymin", "xmin", "ymax", "xmax")
_FALSE = frozenset(("", "0", "0.0", "false", "no", "none", "unspecified"))
_MAX_BYTES = 64 << 20
# A stated size beyond this is a mistake, and more than the table of annotations holds.
_MAX_SIDE = 1 << 30
_DECLARATION = re.compile(r"\s*<\?xml[^>]*\?>")
_PARSER = etree.XMLParser(
    resolve_entities=False,
    no_network=True,
    load_dtd=False,
    dtd_validation=False,
    huge_tree=False,
    remove_comments=True,
    remove_pis=True,
)

Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class VocFile:
    """One parsed file.

    Attributes:
      filename, path: the texts of those elements, "" where absent.
      image_size: (height, width) of <size>; None where absent or no number.
      class_names: of the objects, in file order.
      boxes_pixels: (ymin, xmin, ymax, xmax) each, as written: no pixel shift, nothing clipped.
      difficult, truncated: of the objects.
    """

    filename: str
    path: str
    image_size: tuple[int, int] | None
    class_names: tuple[str, ...]
    boxes_pixels: tuple[Corners, ...]
    difficult: tuple[bool, ...]
    truncated: tuple[bool, ...]


def parse(path: str | Path, one_based: bool = False) -> VocFile:
    """Returns what one file says; direct children only, so <part> boxes stay out.

    Raises:
      RefusedError: unreadable-xml (no XML, entities declared, a value missing or no number), or
        not-voc.
    """
    root = _root(path)
    if root.tag != "annotation":
        raise RefusedError("not-voc", f"the root is <{root.tag}>, Pascal VOC has <annotation>")
    texts: dict[str, str] = {}
    size: tuple[int, int] | None = None
    objects: list[tuple[str, Corners, bool, bool]] = []
    for child in root:
        tag = child.tag
        if tag == "object":
            objects.append(_object(child, len(objects) + 1))
        elif tag == "size":
            size = _size({part.tag: part.text for part in child})
        elif tag == "filename" or tag == "path":
            texts.setdefault(tag, (child.text or "").strip())
    if not objects:
        _refuse_hidden_objects(root)
    class_names, boxes, difficult, truncated = zip(*objects, strict=True) if objects else ((),) * 4
    if one_based:
        boxes = tuple((ymin - 1, xmin - 1, ymax, xmax) for ymin, xmin, ymax, xmax in boxes)
    return VocFile(
        filename=texts.get("filename", ""),
        path=texts.get("path", ""),
        image_size=size,
        class_names=class_names,
        boxes_pixels=boxes,
        difficult=difficult,
        truncated=truncated,
    )


def _root(path: str | Path) -> etree._Element:
    """Returns the root, tags without namespaces."""
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            if size > _MAX_BYTES:
                raise RefusedError("unreadable-xml", f"{size} bytes; at most {_MAX_BYTES}")
            content = file.read()
    except OSError as error:
        raise RefusedError("unreadable-xml", f"cannot be read: {error.strerror}") from None
    try:
        root = _tree(content)
    except (etree.XMLSyntaxError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise RefusedError("unreadable-xml", f"no well-formed XML: {reason}") from None
    dtd = root.getroottree().docinfo.internalDTD
    if dtd is not None and next(dtd.iterentities(), None) is not None:
        raise RefusedError("unreadable-xml", "declares XML entities, which no annotation needs")
    if b"xmlns" in content or root.nsmap:
        for element in root.iter():
            element.tag = etree.QName(element).localname
    return root


def _tree(content: bytes) -> etree._Element:
    try:
        return etree.fromstring(content, _PARSER)
    except etree.XMLSyntaxError:
        # Scripts write UTF-8 that is declared as UTF-16 or "ANSI", and lines above the declaration.
        text = content.decode("utf-16-le" if content[1:2] == b"\0" else "utf-8", "replace")
        bare = _DECLARATION.sub("", text, count=1)
        if bare.encode() == content:
            raise
        return etree.fromstring(bare.encode(), _PARSER)


def _object(element: etree._Element, number: int) -> tuple[str, Corners, bool, bool]:
    """Returns class name, corners, difficult, truncated."""
    children = list(element)
    texts = {child.tag: child.text for child in children}
    if len(texts) < len(children):
        children, texts = _first_of_each(children, number)
    name = (texts.get("name") or "").strip()
    if "bndbox" not in texts:
        tags = ", ".join(f"<{tag}>" for tag in texts) or "nothing"
        raise RefusedError(
            "not-voc", f"object {number} ({name}) has {tags}, but no <bndbox>", number
        )
    if not name:
        raise RefusedError("unreadable-xml", f"object {number} has no <name>", number)
    corners = {part.tag: part.text for part in children[list(texts).index("bndbox")]}
    try:
        ymin, xmin = float(corners["ymin"]), float(corners["xmin"])
        ymax, xmax = float(corners["ymax"]), float(corners["xmax"])
        is_number = isfinite(ymin + xmin + ymax + xmax)
    except (KeyError, ValueError, TypeError):
        is_number = False
    if not is_number:
        _refuse_corners(corners, f"object {number} ({name})", number)
    is_difficult = texts.get("difficult", "0") not in _FALSE and _flag(texts["difficult"])
    is_truncated = texts.get("truncated", "0") not in _FALSE and _flag(texts["truncated"])
    return name, (ymin, xmin, ymax, xmax), is_difficult, is_truncated


def _first_of_each(
    children: list[etree._Element], number: int
) -> tuple[list[etree._Element], dict[str, str | None]]:
    """Returns the children without repetitions, and their texts."""
    first: dict[str, etree._Element] = {}
    for child in children:
        if first.setdefault(child.tag, child) is not child and child.tag == "bndbox":
            raise RefusedError("unreadable-xml", f"object {number} has two <bndbox>", number)
    return list(first.values()), {tag: child.text for tag, child in first.items()}


def _flag(text: str | None) -> bool:
    return text is not None and text.strip().lower() not in _FALSE


def _refuse_corners(bndbox: dict[str, str | None], where: str, number: int) -> None:
    """Says which corner is no number."""
    for tag in _CORNERS:
        text = (bndbox.get(tag) or "").strip()
        try:
            is_number = isfinite(float(text))
        except ValueError:
            is_number = False
        if not is_number:
            raise RefusedError(
                "unreadable-xml", f"{where}: <{tag}> is {text!r}, not a number", number
            )


def _refuse_hidden_objects(root: etree._Element) -> None:
    """Stops a file without objects in their place from passing as one without objects."""
    for element in root.iter():
        if element.tag.lower() in ("object", "bndbox", "polygon"):
            place = f"<{element.tag}> in <{element.getparent().tag}>"
            raise RefusedError("not-voc", f"{place}; Pascal VOC has <object> in <annotation>")


def _size(texts: dict[str, str | None]) -> tuple[int, int] | None:
    try:
        height, width = float(texts["height"] or ""), float(texts["width"] or "")
    except (KeyError, ValueError):
        return None
    is_size = 0 <= height < _MAX_SIDE and 0 <= width < _MAX_SIDE
    return (int(height), int(width)) if is_size else None
