"""The journey from annotations to TFRecords: plan, check, write, report."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ssd import label_map as label_maps
from ssd.errors import GateError, InputError
from tfrecord_tools import found_boxes, sharded_writer
from tfrecord_tools.annotations import ProblemLog
from tfrecord_tools.class_names import refuse_unknown, unknown_classes
from tfrecord_tools.conversion_plan import Source, make_plan, nothing_usable
from tfrecord_tools.conversion_report import REPORT_NAME, ConversionReport
from tfrecord_tools.convert_options import ConvertOptions
from tfrecord_tools.output_folder import whole_output
from tfrecord_tools.split_writer import SplitWriter
from tfrecord_tools.worker_pool import worker_pool

LABEL_MAP_NAME = "label_map.pbtxt"


def convert(
    kind: str,
    *,
    images: str | Path,
    annotations: str | Path,
    output: str | Path,
    say: Callable[[str], None] = print,
    **choices: Any,
) -> ConversionReport:
    """Writes shards, label_map.pbtxt and conversion_report.json, and returns the report.

    The same arguments and files give the same bytes, whatever the number of workers
    or the runner is. Nothing
    appears in `output` before all of it is there; an earlier conversion in it is replaced then.

    Args:
      kind: "voc", "coco", "csv" or "yolo".
      images: folder of pictures, searched with its sub-folders.
      annotations: folder of .xml files (voc) or .txt files (yolo), one .json (coco) or .csv file.
      output: folder to fill; files that no conversion wrote are left alone.
      say: gets the lines meant for the person.
      choices: fields of ConvertOptions.

    Raises:
      InputError: wrong folder, file or number; a class that the label map lacks; nothing usable.
      GateError: `strict`, and there were problems; nothing was written.
    """
    options = ConvertOptions(**choices)
    if options.config:
        found_boxes.check_config(options.config, options.overrides)
    log = ProblemLog()
    source = Source(kind, Path(images), Path(annotations), options.reader)
    given = options.given_label_map
    with worker_pool(options.workers) as pool:
        plan, found = make_plan(source, options.split_wish, given, pool, log)
        say(found)
        say(f"split {plan.split.rule}")
        if not plan.classes.id_of.keys() >= set(plan.annotations.class_names):
            used = sorted(i for name in plan.split.names for i in plan.positions(name))
            images_used = (plan.annotations[i] for i in used)
            refuse_unknown(unknown_classes(images_used, plan.classes, given))
        settings = options.as_settings(source, plan.split.rule)
        report = ConversionReport(plan.classes.names, {}, log, settings, plan.source_category_ids)
        out = Path(output)
        is_in_place = given is not None and given.resolve() == (out / LABEL_MAP_NAME).resolve()
        with whole_output(out, _owned_names(is_in_place), seal=REPORT_NAME) as folder:
            boxes = found_boxes.FoundBoxes()
            report.splits |= SplitWriter(folder, plan, options, log, boxes).write(pool)
            found_boxes.note_what_a_model_misses(boxes, options.config, options.overrides, log)
            _complete(report, annotations, options.strict, say)
            if given is not None and is_in_place:
                shutil.copyfile(given, folder / LABEL_MAP_NAME)
            else:
                label_maps.save(plan.classes, folder / LABEL_MAP_NAME)
            report.label_map_sha256 = _sha256(folder / LABEL_MAP_NAME)
            report.write(folder)
    say(f"wrote {out}")
    return report


def _owned_names(is_map_in_place: bool) -> Callable[[str], bool]:
    """Returns the test for names in the output folder that are a conversion's to replace."""

    def is_owned(name: str) -> bool:
        is_shard = sharded_writer.SHARD_NAME.fullmatch(name) is not None
        is_map = name == LABEL_MAP_NAME and not is_map_in_place
        return is_shard or is_map or name == REPORT_NAME

    return is_owned


def _complete(
    report: ConversionReport, annotations: str | Path, strict: bool, say: Callable[[str], None]
) -> None:
    """Sorts and completes the problems, prints the report, and stops what must not be written."""
    log = report.log
    report.note_rare_classes()
    log.problems.sort(key=lambda p: (p.rule, p.file, p.object or 0))
    if not report.images:
        raise InputError(nothing_usable(annotations, log))
    say(report.as_text())
    for name, split in report.splits.items():
        if not split.images:
            say(f"the split {name} is empty: no {name}-*.tfrecord is written")
    if not report.boxes:
        raise InputError(
            f"{annotations}: no usable box in {report.images} images; nothing to learn"
        )
    failing = [problem for problem in log.problems if problem.fails_strict]
    if strict and failing:
        raise GateError(
            f"--strict: {len(failing)} problems, so nothing was written; the first: "
            f"{failing[0]} ({failing[0].rule}). Mend them, or leave out --strict"
        )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
