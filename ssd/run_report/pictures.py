"""Images of an evaluation, read again from their records and drawn on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssd.data.record_index import RecordIndex
from ssd.errors import InputError
from ssd.evaluated_image import EvaluatedImage
from ssd.label_map import LabelMap
from ssd.run_report.analysis import Judged
from ssd.standard_fields import LABEL_ID_OFFSET, InputFields
from ssd.visualize import draw_boxes

# Pixels of a drawing's half: larger pictures are scaled down, smaller ones up, so that tags can be
# read.
_MAX_SIDE, _MIN_WIDTH = 480, 320
_GAP = 6
_GAP_COLOR = (255, 255, 255)
# Colours of `visualize.class_color`.
_FOUND, _MISSED, _FALSE = 2, 1, 6

Picture = NDArray[np.uint8]


def read_picture(records: RecordIndex, number: int) -> Picture:
    """Returns uint8 [h, w, 3], record `number` as the model gets to see it, at its own size.

    Raises:
      InputError: the record cannot be read any more.
    """
    import tensorflow as tf  # late: `--help` answers without it

    from ssd.data.decoder import Decoder

    try:
        return Decoder(None)(tf.constant(records.read(number)))[InputFields.image].numpy()
    except tf.errors.OpError as error:
        raise InputError(f"{records.place(number)}: cannot be decoded any more") from error


def fitted(picture: Picture) -> Picture:
    """Returns the picture at a size to look at: width and height at most 480 pixels."""
    height, width = picture.shape[:2]
    scale = min(_MAX_SIDE / width, _MAX_SIDE / height, max(1.0, _MIN_WIDTH / width))
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def side_by_side(left: Picture, right: Picture) -> Picture:
    """Returns uint8 [h, w, 3], two pictures of one size with a gap between them."""
    gap = np.full((left.shape[0], _GAP, 3), _GAP_COLOR, np.uint8)
    return np.concatenate([left, gap, right], axis=1)


def detections_and_groundtruth(
    picture: Picture, image: EvaluatedImage, label_map: LabelMap, *, min_score: float
) -> Picture:
    """Returns detections from `min_score` on (left) beside groundtruth (right), by class."""
    kept = image.detection_scores >= min_score
    picture = fitted(picture)
    classes = image.detection_classes[kept]
    detections = draw_boxes(
        picture,
        image.detection_boxes[kept],
        [label_map.name_of(class_id) for class_id in classes.tolist()],
        classes - LABEL_ID_OFFSET,
        image.detection_scores[kept],
    )
    truth = image.groundtruth_classes
    groundtruth = draw_boxes(
        picture,
        image.groundtruth_boxes,
        [label_map.name_of(class_id) for class_id in truth.tolist()],
        truth - LABEL_ID_OFFSET,
    )
    return side_by_side(detections, groundtruth)


def mistakes(
    picture: Picture, image: EvaluatedImage, judged: Judged, names: dict[int, str]
) -> tuple[Picture, Picture]:
    """Returns detections, and groundtruth, coloured by what they came to.

    Green is found and has no tag; red are detections that are no hit, with class and score; orange
    are boxes that were not found, with their class.
    """
    picture = fitted(picture)
    wrong = np.concatenate([judged.confused[:, 0], judged.false])
    classes, scores = image.detection_classes, image.detection_scores
    detections = _drawn(
        picture,
        image.detection_boxes,
        (judged.hits[:, 0], wrong),
        [f"{names[int(classes[row])]} {scores[row]:.2f}" for row in wrong],
        _FALSE,
    )
    missed = np.concatenate([judged.confused[:, 1], judged.missed])
    groundtruth = _drawn(
        picture,
        image.groundtruth_boxes,
        (judged.hits[:, 1], missed),
        [names[int(image.groundtruth_classes[row])] for row in missed],
        _MISSED,
    )
    return detections, groundtruth


def _drawn(
    picture: Picture,
    boxes: NDArray[np.floating],
    rows: tuple[NDArray[np.intp], NDArray[np.intp]],
    labels: Sequence[str],
    color: int,
) -> Picture:
    found, wrong = rows
    return draw_boxes(
        picture,
        boxes[np.concatenate([found, wrong])],
        [""] * len(found) + list(labels),
        [_FOUND] * len(found) + [color] * len(wrong),
    )
