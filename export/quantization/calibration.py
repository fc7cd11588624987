"""Calibration images: the real, preprocessed images that set the ranges of an int8 file."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from export.detection_op import input_size
from ssd.data import input_pipeline, record_index
from ssd.data.example_order import epoch_order
from ssd.data.record_files import expand
from ssd.data.record_index import RecordIndex
from ssd.errors import InputError
from ssd.label_map import LabelMap
from ssd.models.detector import Detector
from ssd.standard_fields import InputFields

_FEW_IMAGES = 50
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


def choose(records: Sequence[str], num_images: int, *, seed: int = 0, place: str) -> CalibrationSet:
    """Returns `num_images` records, drawn without repetition; all of them where there are fewer.

    The same files, number and seed give the same records. Fewer than 50 are used with a warning.

    Args:
      records: TFRecord files or patterns.
      num_images: at least 1.
      seed: any int.
      place: where `records` was written (a flag, a field), for messages.

    Raises:
      InputError: there is no record in them, or they are no TFRecord files.
    """
    files = expand(records, place)
    if not any(os.path.getsize(file) for file in files):
        raise InputError(
            f"{', '.join(files)}: 0 records. Int8 export needs calibration images; "
            "give --calibration a non-empty file."
        )
    index = record_index.index_records(records, place)
    numbers = np.sort(epoch_order(len(index), seed, 0)[:num_images])
    if len(numbers) < _FEW_IMAGES:
        print(
            f"warning: {len(numbers)} calibration images ({place}); int8 ranges want at least "
            f"{_FEW_IMAGES}: the accuracy may suffer",
            file=sys.stderr,
        )
    chosen = RecordIndex(
        index.files, index.file_numbers[numbers], index.offsets[numbers], index.lengths[numbers]
    )
    return CalibrationSet(tuple(records), chosen, len(index), seed)


def batches(calibration: CalibrationSet, detector: Detector, label_map: LabelMap) -> Batches:
    """Returns what yields the images as the network gets them: resized and in [-1, 1].

    The first image has one black and one white pixel in its corner: only ranges that reach -1 and 1
    make the input of an int8 file take pixels as they are.
    """

    def images() -> Iterator[np.ndarray]:
        dataset = input_pipeline.eval_dataset(
            record_index=calibration.index,
            label_map=label_map,
            num_classes=_ANY_NUMBER_OF_CLASSES,
            image_size=input_size(detector),
        )
        for number, batch in enumerate(input_pipeline.explained(dataset)):
            image = np.array(detector.preprocess(batch[InputFields.image]), np.float32)
            if number == 0:
                image[0, 0, 0], image[0, 0, 1] = -1.0, 1.0
            yield image

    return images
