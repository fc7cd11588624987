"""The checks of `convert` over annotations or finished records; nothing is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ssd import label_map as label_maps
from ssd.errors import GateError, InputError
from tfrecord_tools import found_boxes, lint_records, same_pictures
from tfrecord_tools.annotation_table import AnnotationTable
from tfrecord_tools.annotations import ProblemLog
from tfrecord_tools.class_names import note_similar, unknown_classes
from tfrecord_tools.conversion_report import ConversionReport, SplitCount
from tfrecord_tools.convert_options import ConvertOptions
from tfrecord_tools.image_record import check_image
from tfrecord_tools.readers import by_name
from tfrecord_tools.readers.image_index import IMAGE_EXTENSIONS, ImageIndex, files_below
from tfrecord_tools.worker_pool import WorkerPool, worker_pool

# Where pictures lie, seen from the annotations, if nobody says it.
_USUAL_IMAGE_FOLDERS = (".", "images", "../images", "JPEGImages", "../JPEGImages", "..")


def lint(
    paths: Sequence[str | Path],
    *,
    images: str | Path | None = None,
    is_json: bool = False,
    say: Callable[[str], None] = print,
    **choices: Any,
) -> ConversionReport:
    """Prints what `convert` would mend, drop or refuse, and returns it; writes nothing.

    Args:
      paths: annotations (a folder of .xml or YOLO .txt files, .json, .csv) or records (files,
        folders).
      images: folder of pictures; beside the annotations where None.
      is_json: one JSON object is said, with the fields of conversion_report.json, and nothing else.
      say: gets the lines meant for the person.
      choices: fields of ConvertOptions.

    Raises:
      InputError: nothing to check at a path.
      GateError: something is wrong that conversion would have to mend or leave out.
    """
    options = ConvertOptions(**choices)
    if options.config:
        found_boxes.check_config(options.config, options.overrides)
    log = ProblemLog()
    boxes = found_boxes.FoundBoxes()
    names: list[str] = []
    groups: dict[str, SplitCount] = {}
    for path in map(Path, paths):
        if lint_records.is_records(path):
            named, counts = lint_records.check(path, options, log, boxes)
            groups |= counts
        else:
            with worker_pool(options.workers) as pool:
                named, groups[str(path)] = _check_annotations(
                    path, images, options, pool, log, boxes
                )
        names += [name for name in named if name not in names]
    found_boxes.note_what_a_model_misses(boxes, options.config, options.overrides, log)
    log.problems.sort(key=lambda p: (p.rule, p.file, p.object or 0))
    report = ConversionReport(tuple(names), groups, log, {"paths": [str(p) for p in paths]}, {})
    report.note_rare_classes()
    if is_json:
        content = report.as_json()
        say(json.dumps({name: content[name] for name in content if name != "label_map"}))
    else:
        say(report.as_text(all_in="--json lists them"))
    failing = [problem for problem in log.problems if problem.fails_strict]
    if failing:
        raise GateError(f"{len(failing)} problems; the first: {failing[0]} ({failing[0].rule})")
    return report


def _check_annotations(
    path: Path,
    images: str | Path | None,
    options: ConvertOptions,
    pool: WorkerPool,
    log: ProblemLog,
    boxes: found_boxes.FoundBoxes,
) -> tuple[tuple[str, ...], SplitCount]:
    """Returns the class names and what was counted."""
    kind = by_name.kind_of(path)
    folder = Path(images) if images is not None else _images_beside(path)
    index = ImageIndex(folder)
    found = by_name.read(kind, path, index, log, options.reader, pool)
    table = found.images
    if not isinstance(table, AnnotationTable):
        table = AnnotationTable(index.folder, table)
    names = found.class_names
    given = options.given_label_map
    if given is not None:
        classes = label_maps.load(given)
        log.problems.extend(unknown_classes(table, classes, given).problems)
    note_similar(names, log)
    copies = same_pictures.find_copies(index.folder, table.image_names)
    for name, first in sorted(copies.items()):
        log.add("same-picture", str(index.folder / name), f"has the bytes of {first}")
    count = SplitCount()
    made = pool.map(partial(check_image, settings=options.image_settings), table)
    for file, one in zip(table.files, made, strict=True):
        log.problems.extend(one.problems)
        if one.is_usable:
            count.add(one.class_names)
            boxes.add(file, one)
    return names, count


def _images_beside(path: Path) -> Path:
    home = path if path.is_dir() else path.parent
    for folder in (home / name for name in _USUAL_IMAGE_FOLDERS):
        if folder.is_dir() and files_below(folder, IMAGE_EXTENSIONS):
            return folder
    raise InputError(f"{path}: no pictures in it or beside it; give --images DIR")
