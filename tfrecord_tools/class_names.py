"""Which classes a conversion writes: those of a given label map, or those of the annotations."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from ssd import label_map as label_maps
from ssd.errors import InputError
from ssd.label_map import LabelMap
from tfrecord_tools.annotations import ProblemLog, StatedAnnotation


def choose_label_map(
    names: tuple[str, ...], given: Path | None, annotations: Path, log: ProblemLog
) -> LabelMap:
    """Returns the label map of a conversion.

    Args:
      names: class names of the annotations; in their order they get the ids 1..C where no label
        map is given.
      given: label_map.pbtxt, or None.
      annotations: where they are from, for messages.
      log: gets names that differ by case, space or dash alone.

    Raises:
      InputError: annotations without any class.
    """
    note_similar(names, log)
    if given is not None:
        return label_maps.load(given)
    if not names:
        raise InputError(f"{annotations}: no box, so no class; nothing could be learned")
    return label_maps.from_names(names)


def unknown_classes(
    images: Iterable[StatedAnnotation], classes: LabelMap, source: object
) -> ProblemLog:
    """Returns one problem for every object whose class the label map lacks.

    Args:
      source: what the label map is called in messages.
    """
    log = ProblemLog()
    hints: dict[str, str] = {}
    for image in images:
        for number, name in zip(image.object_numbers, image.class_names, strict=True):
            if name in classes.id_of:
                continue
            if name not in hints:
                near = difflib.get_close_matches(name, list(classes.id_of), 1, cutoff=0.5)
                hints[name] = f"; did you mean {near[0]!r}?" if near else ""
            detail = f"{name!r}: not among the {len(classes.items)} of {source}{hints[name]}"
            log.add("unknown-class", image.file, detail, number)
    return log


def refuse_unknown(unknown: ProblemLog) -> None:
    """Stops a conversion that cannot number its classes.

    Raises:
      InputError: there is a problem in `unknown`; the message is about the first.
    """
    if not unknown.problems:
        return
    first, *others = unknown.problems
    more = f" (and {len(others)} more objects; `lint` lists them)" if others else ""
    raise InputError(f"{first.file}: object {first.object}: unknown-class {first.detail}{more}")


def note_similar(names: Iterable[str], log: ProblemLog) -> None:
    """Notes groups of names that differ by case, space or dash alone."""

    def plain(name: str) -> str:
        return "".join(c for c in name.casefold() if c.isalnum()) or name

    for _, group in groupby(sorted(names, key=lambda n: (plain(n), n)), key=plain):
        alike = list(group)
        if len(alike) > 1:
            log.add("similar-classes", "label map", f"{', '.join(map(repr, alike))}: one class?")
