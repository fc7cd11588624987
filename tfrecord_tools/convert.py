"""The journey from annotations to TFRecords: read, split, check, write, report."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ssd import label_map as label_maps
from ssd.errors import GateError, InputError
from tfrecord_tools import coco, sharded_writer, splits, voc
from tfrecord_tools.annotations import AnnotationSet, ProblemLog, StatedAnnotation
from tfrecord_tools.class_names import choose_label_map
from tfrecord_tools.conversion_report import REPORT_NAME, ConversionReport, SplitCount
from tfrecord_tools.image_index import ImageIndex
from tfrecord_tools.image_record import ImageRecord, make_records
from tfrecord_tools.output_folder import whole_output

LABEL_MAP_NAME = "label_map.pbtxt"
DEFAULT_VAL_FRACTION = 0.2
MAX_DEFAULT_WORKERS = 8

Reader = Callable[[Path, ImageIndex, ProblemLog], AnnotationSet]
READERS: dict[str, Reader] = {
    "voc": voc.read_annotations,
    "coco": coco.read_annotations,
}


def convert(
    kind: str,
    *,
    images: str | Path,
    annotations: str | Path,
    output: str | Path,
    label_map: str | Path | None = None,
    val_fraction: float = DEFAULT_VAL_FRACTION,
    split_dir: str | Path | None = None,
    shards: int | None = None,
    workers: int | None = None,
    strict: bool = False,
    seed: int = 0,
    say: Callable[[str], None] = print,
) -> ConversionReport:
    """Writes shards, label_map.pbtxt and conversion_report.json, and returns the report.

    The same arguments and files give the same bytes, whatever `workers` is. Nothing appears in
    `output` before all of it is there; an earlier conversion in it is replaced then.

    Args:
      kind: "voc" or "coco".
      images: folder of pictures, searched with its sub-folders.
      annotations: folder of .xml files (voc) or one .json file (coco).
      output: folder to fill; files that no conversion wrote are left alone.
      label_map: label_map.pbtxt to number the classes by; derived from the annotations where None.
      val_fraction: share of images that go to val, in [0, 1]; ignored with `split_dir`.
      split_dir: folder of VOC ImageSets lists; see `splits.LIST_RULE_HELP`.
      shards: files per split; by size (128 MiB each) where None.
      workers: threads that decode; one per processor, 8 at most, where None.
      strict: anything that would be fixed or left out is an error.
      seed: of the split and of the order of records.
      say: gets the lines meant for the person.

    Raises:
      InputError: wrong folder, file or number; a class that `label_map` lacks; nothing usable.
      GateError: `strict`, and there were problems; nothing was written.
    """
    _check_numbers(val_fraction, shards, workers)
    log = ProblemLog()
    index = ImageIndex(Path(images))
    found = READERS[kind](Path(annotations), index, log)
    say(f"{len(found.images)} annotated images of {len(index.names)} below {images}")
    if not found.images:
        raise InputError(_nothing_usable(annotations, log))
    if split_dir is not None:
        split = splits.by_lists(found.images, Path(split_dir), log)
    else:
        split = splits.by_hash(found.images, val_fraction, seed)
    say(f"split {split.rule}")
    given = None if label_map is None else Path(label_map)
    used = (image for members in split.images.values() for image in members)
    classes = choose_label_map(found, used, given, log)
    settings: dict[str, object] = {
        "kind": kind,
        "images": str(images),
        "annotations": str(annotations),
    }
    settings |= {"label_map": given and str(given), "split": split.rule, "seed": seed}
    settings |= {"shards": shards, "strict": strict}
    report = ConversionReport(classes.names, {}, log, settings, found.source_category_ids)
    out = Path(output)
    is_in_place = given is not None and given.resolve() == (out / LABEL_MAP_NAME).resolve()
    with whole_output(out, _owned_names(is_in_place), seal=REPORT_NAME) as folder:
        for name, members in split.images.items():
            ordered = splits.record_order(members, seed)
            report.splits[name] = _write_split(folder, name, ordered, classes, shards, workers, log)
        _complete(report, annotations, strict, say)
        if given is not None and is_in_place:
            shutil.copyfile(given, folder / LABEL_MAP_NAME)
        else:
            label_maps.save(classes, folder / LABEL_MAP_NAME)
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


def _check_numbers(val_fraction: float, shards: int | None, workers: int | None) -> None:
    if not 0.0 <= val_fraction <= 1.0:
        raise InputError(f"--val-fraction is {val_fraction}; expected a number from 0 to 1")
    for flag, value in (("--shards", shards), ("--workers", workers)):
        if value is not None and value < 1:
            raise InputError(f"{flag} is {value}; expected 1 or more")


def _write_split(
    folder: Path,
    name: str,
    images: Sequence[StatedAnnotation],
    classes: label_maps.LabelMap,
    num_shards: int | None,
    workers: int | None,
    log: ProblemLog,
) -> SplitCount:
    count = SplitCount()

    def tally(made: ImageRecord) -> bytes | None:
        log.problems.extend(made.problems)
        if made.record is not None:
            count.images += 1
            count.boxes.update(made.class_names)
        return made.record

    if num_shards is None:
        num_shards = sharded_writer.default_shard_count(sum(_bytes_of(i) for i in images))
    threads = workers or min(os.cpu_count() or 1, MAX_DEFAULT_WORKERS)
    made = _with_progress(make_records(images, classes, threads), len(images), name)
    records = (tally(one) for one in made)
    count.shards = sharded_writer.write(folder, name, records, len(images), num_shards)
    return count


def _bytes_of(image: StatedAnnotation) -> int:
    try:
        return image.image_path.stat().st_size
    except OSError:
        return 0  # It went away; the check of the picture says so by name.


def _with_progress(records: Iterable[ImageRecord], total: int, name: str) -> Iterable[ImageRecord]:
    if not sys.stderr.isatty():
        return records
    from tqdm import tqdm  # Only where somebody is looking: the import takes time.

    return tqdm(records, desc=name, total=total, unit="image", leave=False)


def _complete(
    report: ConversionReport, annotations: str | Path, strict: bool, say: Callable[[str], None]
) -> None:
    """Sorts and completes the problems, prints the report, and stops what must not be written."""
    log = report.log
    for name in report.class_names:
        if not report.boxes_of(name) and report.images:
            log.add("class-without-boxes", "label map", f"no box of {name!r} in any split")
    log.problems.sort(key=lambda p: (p.rule, p.file, p.object or 0))
    if not report.images:
        raise InputError(_nothing_usable(annotations, log))
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


def _nothing_usable(annotations: str | Path, log: ProblemLog) -> str:
    counts = ", ".join(f"{count} {rule}" for rule, count in log.counts().items() if count)
    first = next((p for p in log.problems if p.fails_strict), None)
    example = f"; the first: {first}" if first else ""
    return f"{annotations}: not one usable image ({counts or 'it lists none'}){example}"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
