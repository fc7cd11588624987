"""The checks of finished records: framing, keys, picture, boxes, classes."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ssd import label_map as label_maps
from ssd.errors import InputError
from ssd.label_map import LabelMap
from ssd.standard_fields import LABEL_ID_OFFSET
from ssd.standard_fields import TfExampleFields as F
from tfrecord_tools import image_check, tf_example
from tfrecord_tools.annotations import ImageAnnotation, ProblemLog, RefusedError, StatedAnnotation
from tfrecord_tools.conversion_report import SplitCount
from tfrecord_tools.convert_options import ConvertOptions
from tfrecord_tools.found_boxes import FoundBoxes
from tfrecord_tools.image_record import ImageRecord
from tfrecord_tools.readers.image_index import extensions_below, files_below
from tfrecord_tools.record_file import read_records
from tfrecord_tools.validation import validate

RECORD_EXTENSIONS = frozenset({".tfrecord", ".tfrecords", ".record", ".records"})
_FORMATS = {"jpeg": "jpeg", "jpg": "jpeg", "png": "png"}


def is_records(path: Path) -> bool:
    """Returns whether `path` is a record file, or a folder that holds some."""
    if path.is_dir():
        return bool(files_below(path, RECORD_EXTENSIONS))
    return path.suffix.lower() in RECORD_EXTENSIONS or "-of-" in path.name


def check(
    path: Path, options: ConvertOptions, log: ProblemLog, boxes: FoundBoxes
) -> tuple[tuple[str, ...], dict[str, SplitCount]]:
    """Returns the class names, and what each split or file holds.

    Raises:
      InputError: no such file; the label map cannot be read.
    """
    classes = _label_map(path, options)
    counts: dict[str, SplitCount] = defaultdict(SplitCount)
    seen: dict[str, tuple[str, str]] = {}  # digest of the picture -> (group, place)
    names: dict[str, None] = dict.fromkeys(classes.names if classes else ())
    for file in _files(path):
        group = file.name.split("-")[0] if "-of-" in file.name else file.name
        for place, record in _records(file, log):
            one = _check_record(place, record, classes, options, log)
            if one is None:
                continue
            made, digest = one
            counts[group].add(made.class_names)
            names |= dict.fromkeys(made.class_names)
            boxes.add(place, made)
            first_group, first = seen.setdefault(digest, (group, place))
            if first != place:
                is_leak = first_group != group
                log.add("same-picture", place, f"has the picture of {first}", fixed=is_leak)
    return tuple(name for name in names if name), dict(counts)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        if not path.exists():
            raise InputError(f"{path}: no such file")
        return [path]
    found = [path / name for name in files_below(path, RECORD_EXTENSIONS)]
    if not found:
        raise InputError(f"{path}: no records below it, but {extensions_below(path)}")
    return found


def _label_map(path: Path, options: ConvertOptions) -> LabelMap | None:
    given = options.given_label_map
    beside = (path if path.is_dir() else path.parent) / "label_map.pbtxt"
    if given is not None or beside.exists():
        return label_maps.load(given or beside)
    return None


def _records(file: Path, log: ProblemLog) -> Iterator[tuple[str, bytes]]:
    number = 0
    try:
        for number, record in enumerate(read_records(file), 1):
            yield f"{file}: record {number}", record
    except InputError as error:
        log.add("record-damaged", str(file), str(error).removeprefix(f"{file}: "))
        return
    if not number:
        log.add("record-damaged", str(file), "0 records")


def _check_record(
    place: str, record: bytes, classes: LabelMap | None, options: ConvertOptions, log: ProblemLog
) -> tuple[ImageRecord, str] | None:
    """Returns what is in a record, and the digest of its picture; None where it is unusable."""
    try:
        annotation, encoded, image_format, class_ids = tf_example.decode(record)
    except ValueError as error:
        log.add("record-damaged", place, str(error))
        return None
    if not class_ids and F.object_bbox_xmin not in tf_example.parse_features(record):
        log.add("no-box-keys", place, f"no {F.object_bbox_xmin}")
    names = _class_names(place, annotation.class_names, class_ids, classes, log)
    stated = _stated(place, annotation, names)
    found = ProblemLog()
    try:
        image = image_check.check_encoded(encoded, stated, found, options.image_settings)
    except RefusedError as refused:
        log.add(refused.rule, place, refused.detail, refused.object)
        return None
    if _FORMATS.get(image_format.lower()) != image.format:
        log.add("wrong-extension", place, f"{F.image_format} says {image_format!r}")
    digest = hashlib.sha256(encoded).hexdigest()
    valid = validate(stated, image.size, found)
    log.problems.extend(found.problems)
    return ImageRecord(None, (), valid.class_names, valid.boxes, valid.image_size), digest


def _class_names(
    place: str,
    texts: Sequence[str],
    class_ids: Sequence[int],
    classes: LabelMap | None,
    log: ProblemLog,
) -> tuple[str, ...]:
    """Returns the class of every box by name, and notes ids and texts that no label map joins."""
    names = []
    for number, (text, class_id) in enumerate(zip(texts, class_ids, strict=True), 1):
        by_id = ""
        if classes is not None and 1 <= class_id <= len(classes.names):
            by_id = classes.names[class_id - LABEL_ID_OFFSET]
        if class_id < 1:
            log.add("unknown-class", place, f"class id {class_id}; ids begin at 1", number)
        elif classes is not None and not by_id:
            log.add("unknown-class", place, f"class id {class_id} is not in the label map", number)
        elif by_id and text and classes is not None and classes.id_of.get(text) != class_id:
            detail = f"the text is {text!r}, but id {class_id} is {by_id!r} in the label map"
            log.add("unknown-class", place, detail, number)
        names.append(text or by_id or f"id {class_id}")
    return tuple(names)


def _stated(place: str, annotation: ImageAnnotation, names: tuple[str, ...]) -> StatedAnnotation:
    n = len(names)
    has_size = min(annotation.image_size) > 0
    return StatedAnnotation(
        file=place,
        source_id=annotation.source_id,
        image_name=annotation.filename,
        image_path=Path(place),
        image_size=annotation.image_size if has_size else None,
        object_numbers=tuple(range(1, n + 1)),
        class_names=names,
        boxes_pixels=annotation.boxes.astype(np.float64),
        difficult=annotation.difficult,
        truncated=annotation.truncated,
        is_crowd=annotation.is_crowd,
        area=np.asarray(annotation.area, np.float64),
        is_normalized=True,
        group_of=annotation.group_of,
    )
