"""What a conversion is going to write: annotations read, split, numbered; no picture opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ssd.errors import InputError
from ssd.label_map import LabelMap
from tfrecord_tools import same_pictures, splits
from tfrecord_tools.annotation_table import AnnotationTable
from tfrecord_tools.annotations import ProblemLog
from tfrecord_tools.class_names import choose_label_map
from tfrecord_tools.readers import by_name
from tfrecord_tools.readers.image_index import ImageIndex
from tfrecord_tools.splits import Splits
from tfrecord_tools.worker_pool import WorkerPool


@dataclass(frozen=True)
class Source:
    """Where annotations and pictures are, as the person named it.

    Attributes:
      kind: a key of `by_name.READERS`.
      images: folder of pictures, searched with its sub-folders.
      annotations: what that reader takes.
      settings: of that reader alone.
    """

    kind: str
    images: Path
    annotations: Path
    settings: Mapping[str, object]


@dataclass(frozen=True)
class SplitWish:
    """How to split: by the lists in `lists`, else by hash."""

    val_fraction: float
    lists: Path | None
    seed: int


@dataclass(frozen=True)
class Plan:
    """Annotated images, and which of them go where.

    Attributes:
      annotations: every annotated image.
      split: image names by split, in the order of their records.
      classes: numbers the class names.
      source_category_ids: see AnnotationSet.
    """

    annotations: AnnotationTable
    split: Splits
    classes: LabelMap
    source_category_ids: dict[str, int | str]

    def positions(self, split_name: str) -> list[int]:
        """Returns where the images of one split stand in `annotations`, in record order."""
        position = {name: i for i, name in enumerate(self.annotations.image_names)}
        return [position[name] for name in self.split.names[split_name]]


def make_plan(
    source: Source, wish: SplitWish, label_map: Path | None, pool: WorkerPool, log: ProblemLog
) -> tuple[Plan, str]:
    """Returns the plan, and a line about what was found; `pool` does the parsing.

    Raises:
      InputError: a wrong folder or file, no usable image, no class.
    """
    index = ImageIndex(source.images)
    found = by_name.read(source.kind, source.annotations, index, log, source.settings, pool)
    table = found.images
    if not isinstance(table, AnnotationTable):
        table = AnnotationTable(index.folder, table)
    if not table:
        raise InputError(nothing_usable(source.annotations, log))
    names = table.image_names
    copies = same_pictures.find_copies(index.folder, names)
    if wish.lists is not None:
        split = splits.by_lists(names, wish.lists, index.folder, log, copies)
    else:
        split = splits.by_hash(names, wish.val_fraction, wish.seed, copies)
    _note_copies(split, copies, index.folder, log)
    ordered = {
        name: splits.record_order(members, wish.seed) for name, members in split.names.items()
    }
    classes = choose_label_map(found.class_names, label_map, source.annotations, log)
    plan = Plan(table, Splits(ordered, split.rule), classes, found.source_category_ids)
    return plan, f"{len(table)} annotated images of {len(index.names)} below {source.images}"


def _note_copies(split: Splits, copies: Mapping[str, str], folder: Path, log: ProblemLog) -> None:
    for members in split.names.values():
        present = set(members)
        for name in members:
            if copies.get(name) in present:
                detail = f"has the bytes of {copies[name]}; both are kept"
                log.add("same-picture", str(folder / name), detail)


def nothing_usable(annotations: object, log: ProblemLog) -> str:
    """Returns why nothing can be converted, in one line."""
    counts = ", ".join(f"{count} {rule}" for rule, count in log.counts().items() if count)
    first = next((p for p in log.problems if p.fails_strict), None)
    example = f"; the first: {first}" if first else ""
    return f"{annotations}: not one usable image ({counts or 'it lists none'}){example}"
