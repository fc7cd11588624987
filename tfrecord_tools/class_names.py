"""Which classes a conversion writes: those of a given label map, or those of the annotations."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from ssd import label_map as label_maps
from ssd.errors import InputError
from ssd.label_map import LabelMap
from tfrecord_tools.annotations import AnnotationSet, ProblemLog, StatedAnnotation


def choose_label_map(
    found: AnnotationSet, used: Iterable[StatedAnnotation], given: Path | None, log: ProblemLog
) -> LabelMap:
    """Returns the label map of a conversion.

    Args:
      found: its class names, in their order, get the ids 1..C where no label map is given.
      used: the images that are converted; with `given`, every class of theirs must be in it.
      given: label_map.pbtxt, or None.
      log: gets names that differ by case, space or dash alone.

    Raises:
      InputError: a class that `given` lacks (unknown-class), with the nearest name it has; or
        annotations without any class.
    """
    _note_similar(found.class_names, log)
    if given is None:
        if not found.class_names:
            raise InputError("the annotations hold no box, so no class; nothing could be learned")
        return label_maps.from_names(found.class_names)
    classes = label_maps.load(given)
    for image in used:
        for number, name in zip(image.object_numbers, image.class_names, strict=True):
            if name not in classes.id_of:
                near = difflib.get_close_matches(name, list(classes.id_of), 1, cutoff=0.5)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise InputError(
                    f"{image.file}: object {number}: unknown-class {name!r}: not among the "
                    f"{len(classes.items)} of {given}{hint}"
                )
    return classes


def _note_similar(names: Iterable[str], log: ProblemLog) -> None:
    def plain(name: str) -> str:
        return "".join(c for c in name.casefold() if c.isalnum()) or name

    for _, group in groupby(sorted(names, key=lambda n: (plain(n), n)), key=plain):
        alike = list(group)
        if len(alike) > 1:
            log.add("similar-classes", "label map", f"{', '.join(map(repr, alike))}: one class?")
