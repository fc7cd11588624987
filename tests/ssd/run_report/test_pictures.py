"""Drawings of images that are read again from their records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssd import label_map as label_maps
from ssd.data.record_index import index_records
from ssd.errors import InputError
from ssd.run_report import pictures
from ssd.run_report.analysis import Analysis
from ssd.visualize import class_color

LABELS = label_maps.from_names(["bolt", "nut", "washer"])
BOX, OTHER = (0.1, 0.1, 0.6, 0.45), (0.3, 0.6, 0.9, 0.95)


def has_color(picture: np.ndarray, class_index: int) -> bool:
    return bool((picture == class_color(class_index)).all(axis=-1).any())


@pytest.fixture
def gray() -> np.ndarray:
    return np.full((90, 160, 3), 128, np.uint8)


def test_the_picture_of_a_record(tiny_data: Path):
    records = index_records([f"{tiny_data}/val-*.tfrecord"])
    shapes = {pictures.read_picture(records, n).shape for n in range(len(records))}
    assert shapes == {(130, 210, 3), (220, 150, 3)}


def test_a_record_that_is_gone(tiny_data: Path, tmp_path: Path):
    path = tmp_path / "val.tfrecord"
    path.write_bytes(next(tiny_data.glob("val-*.tfrecord")).read_bytes())
    records = index_records([str(path)])
    path.unlink()
    with pytest.raises(InputError, match=r"val.tfrecord: record at byte 0: No such file"):
        pictures.read_picture(records, 0)


@pytest.mark.parametrize(
    ("size", "fitted"),
    [
        ((90, 160), (180, 320)),
        ((1200, 1600), (360, 480)),
        ((1600, 1200), (480, 360)),
        ((4000, 40), (480, 5)),
        ((300, 400), (300, 400)),
        ((1, 1), (320, 320)),
    ],
    ids=["small", "large", "upright", "a strip", "just right", "a pixel"],
)
def test_sizes(size, fitted):
    found = pictures.fitted(np.zeros((*size, 3), np.uint8))
    assert (found.shape, found.dtype) == ((*fitted, 3), np.uint8)


def test_detections_beside_groundtruth(gray, make_image):
    """A nut at 0.3 and a washer at 0.29 on the left, a bolt on the right."""
    image = make_image(0, [(1, BOX)], [(2, 0.3, BOX), (3, 0.29, OTHER)])
    drawn = pictures.detections_and_groundtruth(gray, image, LABELS, min_score=np.float32(0.3))
    assert drawn.shape == (180, 320 + 6 + 320, 3)
    left, right = drawn[:, :320], drawn[:, 326:]
    assert [has_color(left, k) for k in range(3)] == [False, True, False]
    assert [has_color(right, k) for k in range(3)] == [True, False, False]
    assert (gray == 128).all()


def test_mistakes_have_colours_of_their_own(gray, make_image):
    """Found is green (2), false is red (6), missed is orange (1)."""
    image = make_image(0, [(1, BOX), (3, OTHER)], [(1, 0.9, BOX), (2, 0.8, OTHER)])
    analysis = Analysis.of([image], LABELS)
    judged = analysis.judged(0, {1: 0.5, 2: 0.5, 3: 0.5})
    detections, groundtruth = pictures.mistakes(gray, image, judged, analysis.names)
    assert [has_color(detections, k) for k in (2, 6, 1)] == [True, True, False]
    assert [has_color(groundtruth, k) for k in (2, 6, 1)] == [True, False, True]


def test_an_image_without_boxes(gray, make_image):
    image = make_image(0, [], [])
    drawn = pictures.detections_and_groundtruth(gray, image, LABELS, min_score=0.3)
    np.testing.assert_array_equal(drawn[:, :320], drawn[:, 326:])
