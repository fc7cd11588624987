"""From what a file states to one finished record: open the picture, validate, encode."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ssd.label_map import LabelMap
from ssd.standard_fields import LABEL_ID_OFFSET
from tfrecord_tools import image_check, tf_example
from tfrecord_tools.annotations import (
    ImageAnnotation,
    Problem,
    ProblemLog,
    RefusedError,
    StatedAnnotation,
)
from tfrecord_tools.image_check import DEFAULT_SETTINGS, CheckedImage, ImageSettings
from tfrecord_tools.validation import validate


def _no_boxes() -> np.ndarray:
    return np.zeros((0, 4), np.float32)


@dataclass(frozen=True, eq=False)
class ImageRecord:
    """What became of one image.

    Attributes:
      record: serialized tf.train.Example; None where the picture is unusable or none was asked for.
      problems: in the order in which they were found.
      class_names: of the boxes that are kept, as the label map spells them.
      boxes: float32 [N, 4], yxyx normalized, those boxes.
      image_size: (height, width) of the picture; (0, 0) where it is unusable.
    """

    record: bytes | None
    problems: tuple[Problem, ...]
    class_names: tuple[str, ...] = ()
    boxes: np.ndarray = field(default_factory=_no_boxes)
    image_size: tuple[int, int] = (0, 0)

    @property
    def is_usable(self) -> bool:
        """Whether the picture can be trained on."""
        return self.image_size != (0, 0)


def make_record(
    stated: StatedAnnotation,
    label_map: LabelMap,
    settings: ImageSettings = DEFAULT_SETTINGS,
) -> ImageRecord:
    """Returns the record of one image, and the problems found on the way.

    Args:
      stated: every class name of it is in `label_map`.
    """
    log = ProblemLog()
    checked = _checked(stated, settings, log)
    if checked is None:
        return ImageRecord(None, tuple(log.problems))
    image, annotation = checked
    record = tf_example.encode(annotation, image.encoded, image.format, label_map)
    class_ids = (label_map.id_of[name] for name in annotation.class_names)
    class_names = tuple(label_map.names[i - LABEL_ID_OFFSET] for i in class_ids)
    problems = tuple(log.problems)
    return ImageRecord(record, problems, class_names, annotation.boxes, annotation.image_size)


def check_image(
    stated: StatedAnnotation, settings: ImageSettings = DEFAULT_SETTINGS
) -> ImageRecord:
    """Returns what `make_record` finds, without making the record; any class name will do."""
    log = ProblemLog()
    checked = _checked(stated, settings, log)
    if checked is None:
        return ImageRecord(None, tuple(log.problems))
    _, annotation = checked
    names, size = annotation.class_names, annotation.image_size
    return ImageRecord(None, tuple(log.problems), names, annotation.boxes, size)


def _checked(
    stated: StatedAnnotation, settings: ImageSettings, log: ProblemLog
) -> tuple[CheckedImage, ImageAnnotation] | None:
    try:
        image = image_check.check(stated, log, settings)
    except RefusedError as refused:
        log.add(refused.rule, str(stated.image_path), refused.detail)
        return None
    return image, validate(stated, image.size, log)
