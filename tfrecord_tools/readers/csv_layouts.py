"""Which column of a .csv file means what: the layouts of the usual tools, known by their header."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from os.path import splitext

from ssd.errors import InputError
from tfrecord_tools.readers.image_index import IMAGE_EXTENSIONS

AUTO = "auto"
CORNERS = ("ymin", "xmin", "ymax", "xmax")

# Role -> what its column may be called; spaces, case and punctuation do not count.
_Names = dict[str, tuple[str, ...]]

_CORNER_NAMES: _Names = {
    "ymin": ("ymin", "y1", "top"),
    "xmin": ("xmin", "x1", "left"),
    "ymax": ("ymax", "y2", "bottom"),
    "xmax": ("xmax", "x2", "right"),
}
_TENSORFLOW: _Names = {
    "image": ("filename", "file", "image", "imagename", "imagepath", "filepath", "path"),
    "class": ("class", "label", "classname", "labelname", "category", "name"),
    **_CORNER_NAMES,
    "width": ("width", "imagewidth"),
    "height": ("height", "imageheight"),
}
_OPEN_IMAGES: _Names = {
    "image": ("imageid",),
    "class": ("labelname",),
    **{corner: (corner,) for corner in CORNERS},
    "confidence": ("confidence",),
    "truncated": ("istruncated",),
    "group_of": ("isgroupof",),
}
_VIA: _Names = {
    "image": ("filename",),
    "shape": ("regionshapeattributes",),
    "attributes": ("regionattributes",),
}
# Of a file without a header: the role of every column.
_RETINANET = ("image", "xmin", "ymin", "xmax", "ymax", "class")
_AUTOML = ("image", "class", "x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4")
_AUTOML_SETS = frozenset(("train", "training", "test", "validate", "validation", "unassigned"))
_OPTIONAL = frozenset(("width", "height", "confidence", "truncated", "group_of"))


@dataclass(frozen=True)
class Layout:
    """What the columns of a layout are called.

    Attributes:
      title: as the person sees it.
      names: by role; None where files have no header.
      is_normalized: boxes are shares of the picture, else pixels.
    """

    title: str
    names: _Names | None
    is_normalized: bool = False


LAYOUTS = {
    "open-images": Layout("ImageID,LabelName,XMin,XMax,YMin,YMax,...", _OPEN_IMAGES, True),
    "via": Layout("filename,...,region_shape_attributes,region_attributes", _VIA),
    "tensorflow": Layout("filename,width,height,class,xmin,ymin,xmax,ymax", _TENSORFLOW),
    "tensorflow-normalized": Layout("the same in shares of the picture", _TENSORFLOW, True),
    "vott": Layout("filename,xmin,ymin,xmax,ymax,class", _TENSORFLOW),
    "keras-retinanet": Layout("no header: path,x1,y1,x2,y2,class", None),
    "automl": Layout("no header: SET,path,label,x1,y1,,,x2,y2,,", None, True),
}


@dataclass(frozen=True)
class Columns:
    """Where the columns of one file are.

    Attributes:
      layout: a key of LAYOUTS.
      positions: role to column, from 0.
      count: columns that a row has.
      has_header: the first row names the columns.
      attribute: of VIA, the region attribute that holds the class; "" for the only one.
    """

    layout: str
    positions: dict[str, int]
    count: int
    has_header: bool
    attribute: str = ""

    @property
    def is_normalized(self) -> bool:
        """Whether boxes are shares of the picture."""
        return LAYOUTS[self.layout].is_normalized


def check_layout(layout: str) -> tuple[str, str]:
    """Returns the name of a layout, and the attribute of `via:ATTRIBUTE`.

    Raises:
      InputError: no such layout.
    """
    name, _, attribute = layout.partition(":")
    if name not in (AUTO, *LAYOUTS) or (attribute and name != "via"):
        known = ", ".join((AUTO, *LAYOUTS, "via:ATTRIBUTE"))
        raise InputError(f"--layout is {layout!r}; expected one of {known}")
    return name, attribute


def find_columns(cells: Sequence[str], layout: str = AUTO) -> Columns | None:
    """Returns the columns of a file by its first row; None where the row fits no layout.

    >>> find_columns(["filename", "class", "xmin", "xmax", "ymin", "ymax"]).layout
    'tensorflow'

    Args:
      cells: of the first row.
      layout: `auto`, or the one to try; see `check_layout`.
    """
    wanted, attribute = check_layout(layout)
    for name in LAYOUTS if wanted == AUTO else (wanted,):
        names = LAYOUTS[name].names
        if names is not None:
            positions = _named(cells, names)
        elif name == "automl":
            positions = _automl(cells)
        else:
            positions = _retinanet(cells, is_wanted=wanted == name)
        if positions is not None:
            count = max(len(cells), 1 + max(positions.values()))
            return Columns(name, positions, count, names is not None, attribute)
    return None


def describe_layouts(cells: Sequence[str], layout: str = AUTO) -> str:
    """Returns what the first row lacks to fit, for messages.

    Args:
      cells, layout: for which `find_columns` found nothing.
    """
    wanted, _ = check_layout(layout)
    if wanted != AUTO:
        return f"--layout {wanted} is {LAYOUTS[wanted].title}"
    near, missing = "", ["any"] * 3
    for name in LAYOUTS:
        lacking = _lacking(cells, LAYOUTS[name].names or {})
        if LAYOUTS[name].names and len(lacking) < len(missing):
            near, missing = name, lacking
    hint = f"the layout {near} also has {' and '.join(missing)}; " if near else ""
    return f"{hint}known are {'; '.join(f'{name}: {LAYOUTS[name].title}' for name in LAYOUTS)}"


def _lacking(cells: Sequence[str], names: _Names) -> list[str]:
    header = {_plain(cell) for cell in cells}
    required = {role: spellings for role, spellings in names.items() if role not in _OPTIONAL}
    return [role for role, spellings in required.items() if header.isdisjoint(spellings)]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _named(cells: Sequence[str], names: _Names) -> dict[str, int] | None:
    header = [_plain(cell) for cell in cells]
    positions = {}
    for role, spellings in names.items():
        found = next((header.index(name) for name in spellings if name in header), None)
        if found is not None:
            positions[role] = found
        elif role not in _OPTIONAL:
            return None
    return positions


def _retinanet(cells: Sequence[str], is_wanted: bool) -> dict[str, int] | None:
    """Six columns, four of them numbers or, for a picture without boxes, all but the first empty.

    Where the layout is asked for by name, numbers are not: a first row may be a bad one.
    """
    row = list(cells[:6])
    if len(row) < 6 or any(cell.strip() for cell in cells[6:]) or not row[0].strip():
        return None
    is_empty = not any(cell.strip() for cell in row[1:])
    if not (is_wanted or is_empty or all(_is_number(cell) for cell in row[1:5])):
        return None
    return {role: position for position, role in enumerate(_RETINANET)}


def _automl(cells: Sequence[str]) -> dict[str, int] | None:
    """Path, label and four corners, which may be empty, behind a column that names the set.

    With that column, a picture without boxes may end behind its path.
    """
    start = int(_plain(cells[0]) in _AUTOML_SETS) if cells else 0
    path, *rest = [cell.strip() for cell in cells[start : start + 10]] or [""]
    is_path = "://" in path or splitext(path)[1].lower() in IMAGE_EXTENSIONS
    is_bare = start == 1 and not any(rest)
    is_box = len(rest) == 9 and all(not cell or _is_number(cell) for cell in rest[1:])
    if not is_path or not (is_bare or is_box):
        return None
    return {role: start + position for position, role in enumerate(_AUTOML)}


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True
