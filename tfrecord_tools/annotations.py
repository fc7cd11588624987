"""What an annotation file states, what a record holds, and the problems found between the two."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True, eq=False)
class StatedAnnotation:
    """One image as its annotation file states it; nothing checked against the picture yet.

    Attributes:
      file: the annotation file, as messages name it.
      source_id: stable identity of the image.
      image_name: path below the images folder, with forward slashes.
      image_path: where the picture lies.
      image_size: (height, width) that the file states, None where it states none.
      object_numbers: int [N]; position in the file from 1 (VOC), line (CSV, YOLO) or annotation id
        (COCO).
      class_names: [N].
      boxes_pixels: float64 [N, 4], yxyx in pixels of the annotated picture, just as written; shares
        of that picture instead where `is_normalized`.
      difficult, truncated, is_crowd: bool [N].
      area: float64 [N], square pixels; NaN where the file states none.
      is_normalized: the format gives boxes in shares of the picture (YOLO, Open Images).
      group_of: bool [N], a box around many instances; None where the format knows no groups.
    """

    file: str
    source_id: str
    image_name: str
    image_path: Path
    image_size: tuple[int, int] | None
    object_numbers: tuple[int, ...]
    class_names: tuple[str, ...]
    boxes_pixels: np.ndarray
    difficult: np.ndarray
    truncated: np.ndarray
    is_crowd: np.ndarray
    area: np.ndarray
    is_normalized: bool = False
    group_of: np.ndarray | None = None

    def __post_init__(self) -> None:
        assert self.boxes_pixels.shape == (len(self.class_names), 4), self.boxes_pixels.shape


@dataclass(frozen=True, eq=False)
class ImageAnnotation:
    """One image as its record holds it.

    Attributes:
      source_id: stable identity of the image across convert, evaluate and reports.
      filename: path below the images folder, with forward slashes.
      image_size: (height, width) of the decoded picture.
      boxes: float32 [N, 4], yxyx normalized, every side > 0.
      class_names: [N].
      difficult, truncated, is_crowd: bool [N].
      area: float32 [N], square pixels.
      group_of: bool [N], or None where the annotations know no groups.
      weights: float32 [N] in [0, 1], or None where the annotations know no weights.
    """

    source_id: str
    filename: str
    image_size: tuple[int, int]
    boxes: np.ndarray
    class_names: tuple[str, ...]
    difficult: np.ndarray
    truncated: np.ndarray
    is_crowd: np.ndarray
    area: np.ndarray
    group_of: np.ndarray | None = None
    weights: np.ndarray | None = None

    def __post_init__(self) -> None:
        n = len(self.class_names)
        assert self.boxes.shape == (n, 4), self.boxes.shape
        assert self.boxes.dtype == np.float32, self.boxes.dtype
        for name in ("difficult", "truncated", "is_crowd", "area", "group_of", "weights"):
            values = getattr(self, name)
            assert values is None or values.shape == (n,), name


@dataclass(frozen=True)
class AnnotationSet:
    """All that a reader found.

    Attributes:
      images: in stable order, names unique; an AnnotationTable where there may be many.
      class_names: the order in which a derived label map numbers them.
      source_category_ids: class name to the id it has in the annotation file; empty for formats
        without ids.
    """

    images: Sequence[StatedAnnotation]
    class_names: tuple[str, ...]
    source_category_ids: dict[str, int | str] = field(default_factory=dict)


class Rule(NamedTuple):
    """What a check is called on screen, and whether `--strict` lets an unfixed hit pass."""

    text: str
    is_note: bool = False


# The stable names of the checks; the order is that of the report.
RULES = {
    "unreadable-xml": Rule("the file does not parse or lacks a value; its image is left out"),
    "not-voc": Rule("XML of another tool, not Pascal VOC; left out"),
    "unreadable-row": Rule("a row that lacks a value or holds no number; its image is left out"),
    "not-normalized": Rule("boxes evidently in pixels where shares are expected; left out"),
    "bbox-missing": Rule("an annotation without a bbox; its image is left out"),
    "image-missing": Rule("no such picture below --images; left out"),
    "image-by-other-name": Rule(
        "the stated name is not the picture's; found otherwise", is_note=True
    ),
    "image-ambiguous": Rule("several pictures fit the name; left out"),
    "duplicate-image": Rule("a second annotation of the same picture; left out"),
    "same-picture": Rule("the same bytes under two names; kept in one split", is_note=True),
    "image-unreadable": Rule("the picture does not decode; left out"),
    "image-too-large": Rule("more pixels than --max-megapixels; left out"),
    "orphan-annotation": Rule("a box of an image that the file does not list; left out"),
    "size-mismatch": Rule("the stated size is not the picture's; the picture's own is used"),
    "box-inverted": Rule("max < min; swapped"),
    "box-outside": Rule("reaches outside the picture; clipped, or dropped if wholly outside"),
    "box-zero-area": Rule("no area; dropped"),
    "duplicate-box": Rule("same class and box twice; the second is dropped"),
    "box-tiny": Rule("under one pixel at the model's input; kept", is_note=True),
    "box-unmatched": Rule("no anchor of the config overlaps it enough; kept", is_note=True),
    "image-reencoded": Rule("not 8-bit grey or RGB JPEG or PNG; stored as RGB"),
    "exif-orientation": Rule("the picture carries an EXIF orientation", is_note=True),
    "wrong-extension": Rule("the name says another format than the bytes", is_note=True),
    "unknown-class": Rule("a class that the label map lacks; stops the conversion"),
    "similar-classes": Rule("class names that differ by case, space or dash", is_note=True),
    "class-without-boxes": Rule("a class of the label map that no box has", is_note=True),
    "few-images": Rule("a class that few training images show", is_note=True),
    "no-objects": Rule("an image without boxes; kept as a negative", is_note=True),
    "column-ignored": Rule("numbers that no box needs, as a detector's confidence", is_note=True),
    "absent-class": Rule("a row that says a class is not in the picture; no box", is_note=True),
    "class-names-found": Rule("class names from a file that no flag named", is_note=True),
    "annotation-missing": Rule("a picture without annotation file; left out", is_note=True),
    "split-missing-image": Rule("a split list names an image that is not there"),
    "split-overlap": Rule("listed in two splits; kept in the first alone"),
    "no-box-keys": Rule("a record without the keys of boxes: for another task?", is_note=True),
    "record-damaged": Rule("a record or its file cannot be read; left out"),
    "not-in-split": Rule("no split list names the image; left out", is_note=True),
}


@dataclass(frozen=True)
class Problem:
    """One hit of one check.

    Attributes:
      rule: a key of RULES.
      file: the annotation file or picture, as the person named its folder.
      object: position of the object in the file from 1, or the annotation's id; None for the whole.
      fixed: True where something was corrected, dropped or re-encoded and the image is used; False
        where the file was left out, or for a mere note.
      detail: what was there and what became of it.
    """

    rule: str
    file: str
    object: int | None
    fixed: bool
    detail: str

    def __post_init__(self) -> None:
        assert self.rule in RULES, self.rule

    def __str__(self) -> str:
        place = self.file if self.object is None else f"{self.file}: object {self.object}"
        return f"{place}: {self.detail}"

    @property
    def fails_strict(self) -> bool:
        """True for anything that was fixed or left out; a note about a sound image passes."""
        return self.fixed or not RULES[self.rule].is_note


class ProblemLog:
    """Collects problems in the order in which they are found, and counts them by rule."""

    def __init__(self, problems: Iterable[Problem] = ()) -> None:
        self.problems = list(problems)

    def add(
        self, rule: str, file: str, detail: str, object: int | None = None, fixed: bool = False
    ) -> None:
        """Notes one hit of `rule`."""
        self.problems.append(Problem(rule, file, object, fixed, detail))

    def counts(self) -> dict[str, int]:
        """Hits of every rule, zeros included, in the order of RULES."""
        counts = dict.fromkeys(RULES, 0)
        for problem in self.problems:
            counts[problem.rule] += 1
        return counts

    def as_json(self) -> list[dict[str, object]]:
        """The problems as plain dictionaries, in the order in which they were found."""
        return [asdict(problem) for problem in self.problems]


class RefusedError(Exception):
    """An annotation or picture that cannot be used; a reader turns it into a Problem.

    Attributes:
      rule: a key of RULES.
      detail: what was found, what was expected.
      object: position of the object in the file from 1, None for the whole file.
    """

    def __init__(self, rule: str, detail: str, object: int | None = None) -> None:
        super().__init__(detail)
        self.rule = rule
        self.detail = detail
        self.object = object
