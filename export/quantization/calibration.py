"""Calibration images: the real, preprocessed images that set the ranges of an int8 file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from export.detection_op import input_size
from ssd.data import input_pipeline, record_index
from ssd.data.example_order import epoch_order
from ssd.data.record_files import expand
from ssd.data.record_index import RecordIndex
from ssd.errors import InputError
from ssd.label_map import LabelMap
from ssd.models.detector import Detector
from ssd.standard_fields import InputFields, TfExampleFields

MIN_IMAGES = 50
# Records that are looked through for each that is taken, so that rare classes are found.
_LOOKED_THROUGH = 10
# Records of any classes may calibrate: only their images count.
_ANY_NUMBER_OF_CLASSES = 2**31 - 1

# Called once for every pass over the images: float32 [1, H, W, 3] in [-1, 1].
Batches = Callable[[], Iterator[np.ndarray]]


@dataclass(frozen=True)
class CalibrationSet:
    """The records chosen for calibration.

    Attributes:
      records: their files or patterns, as given.
      index: the chosen records.
      available: how many there were to choose from.
      seed: of the choice.
    """

    records: tuple[str, ...]
    index: RecordIndex
    available: int
    seed: int


def choose(
    records: Sequence[str],
    num_images: int,
    *,
    seed: int = 0,
    place: str,
    is_forced: bool = False,
) -> CalibrationSet:
    """Returns `num_images` records; all of them where there are fewer.

    The classes take turns, the rarest first, and records without objects have a turn, too: ranges
    come from what the model is there to find. The same files, number and seed give the same records
    in the same order.

    Args:
      records: TFRecord files or patterns.
      num_images: at least 1.
      seed: any int.
      place: where `records` was written (a flag, a field), for messages.
      is_forced: take what is refused otherwise.

    Raises:
      InputError: there is no record in them, they are no TFRecord files, fewer than 50, or all the
        same picture.
    """
    files = expand(records, place)
    if not any(os.path.getsize(file) for file in files):
        raise InputError(
            f"{', '.join(files)}: 0 records. Int8 export needs calibration images; "
            "give --calibration a non-empty file."
        )
    index = record_index.index_records(records, place)
    looked = epoch_order(len(index), seed, 0)[: num_images * _LOOKED_THROUGH]
    examples = [_Example(index.read(int(number))) for number in looked]
    chosen = looked[_in_turns([example.classes for example in examples], num_images)]
    if not is_forced:
        _require_enough(len(chosen), len({example.picture for example in examples}), place)
    return CalibrationSet(
        tuple(records),
        RecordIndex(
            index.files, index.file_numbers[chosen], index.offsets[chosen], index.lengths[chosen]
        ),
        len(index),
        seed,
    )


class _Example:
    """Which classes a record has, by number and by name, and a digest of its picture."""

    def __init__(self, record: bytes) -> None:
        features = tf.train.Example.FromString(record).features.feature
        names = features[TfExampleFields.object_class_text].bytes_list.value
        numbers = features[TfExampleFields.object_class_label].int64_list.value
        self.classes: frozenset[object] = frozenset(names or numbers)
        picture = features[TfExampleFields.image_encoded].bytes_list.value
        self.picture = hashlib.sha256(b"".join(picture)).digest()


def _in_turns(classes: Sequence[frozenset[object]], number: int) -> np.ndarray:
    """Returns int [min(N, number)], rows of `classes`: one class after the other picks its next."""
    rows_of: dict[object, list[int]] = {}
    for row, found in enumerate(classes):
        for one in found or {None}:
            rows_of.setdefault(one, []).append(row)
    turns = sorted(rows_of, key=lambda one: (len(rows_of[one]), str(one)))
    waiting: dict[object, Iterator[int]] = {one: iter(rows_of[one]) for one in turns}
    taken: dict[int, None] = {}  # in the order of picking
    while len(taken) < min(number, len(classes)):
        for one in turns:
            picked = next((row for row in waiting[one] if row not in taken), None)
            if picked is not None and len(taken) < number:
                taken[picked] = None
    return np.fromiter(taken, np.int64, len(taken))


def _require_enough(number: int, num_pictures: int, place: str) -> None:
    if number < MIN_IMAGES:
        raise InputError(
            f"{place}: {number} calibration images; int8 ranges need at least {MIN_IMAGES}: give "
            "--calibration more records, or --force-calibration to go on with a worse file"
        )
    if num_pictures == 1:
        raise InputError(
            f"{place}: all calibration images are the same picture; give --calibration real "
            "records, or --force-calibration to go on with a worse file"
        )


def batches(calibration: CalibrationSet, detector: Detector, label_map: LabelMap) -> Batches:
    """Returns what yields the images as the network gets them: resized and in [-1, 1]."""

    def images() -> Iterator[np.ndarray]:
        dataset = input_pipeline.eval_dataset(
            record_index=calibration.index,
            label_map=label_map,
            num_classes=_ANY_NUMBER_OF_CLASSES,
            image_size=input_size(detector),
        )
        for batch in input_pipeline.explained(dataset):
            yield np.array(detector.preprocess(batch[InputFields.image]), np.float32)

    return images
