"""Boxes around polygons and masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pycocotools import mask as reference

from tfrecord_tools.readers.coco_segments import SegmentError, box_of


def test_polygons():
    # x 10 to 40, y 20 to 60; a second part left of it.
    assert box_of([[10, 20, 40, 20, 10, 60]]) == [10, 20, 30, 40]
    assert box_of([[10, 20, 40, 20, 10, 60], [5, 30, 6, 31, 5, 32]]) == [5, 20, 35, 40]
    assert box_of([10.5, 20, 40, 20, 10.5, 60]) == [10.5, 20, 29.5, 40]
    assert box_of([[7, 9]]) == [7, 9, 0, 0]
    assert box_of([[-3, 2, 4, 5]]) == [-3, 2, 7, 3]


def test_a_mask_by_hand():
    # Columns one after another, of 3 pixels each: 3 + 1 empty, 2 set (column 1, rows 1 and 2),
    # 1 empty, 1 set (column 2, row 1), 4 empty.
    assert box_of({"size": [3, 4], "counts": [4, 2, 1, 1, 4]}) == [1, 1, 2, 2]
    assert box_of({"size": [3, 4], "counts": [12]}) == [0, 0, 0, 0]


@pytest.mark.parametrize("seed", range(8))
def test_masks_in_both_forms_agree_with_their_pixels(seed: int):
    random = np.random.default_rng(seed)
    height, width = 23, 41
    pixels = np.zeros((height, width), np.uint8)
    top, left = random.integers(0, 15), random.integers(0, 30)
    pixels[top : top + 6, left : left + 9] = random.random((6, 9)) < 0.5
    rows, columns = np.nonzero(pixels)
    x, y = columns.min(), rows.min()
    expected = [x, y, columns.max() + 1 - x, rows.max() + 1 - y]
    text = reference.encode(np.asfortranarray(pixels))["counts"].decode()
    flat = pixels.flatten(order="F")
    changes = np.flatnonzero(np.diff(flat, prepend=0))
    counts = np.diff(changes, prepend=0, append=flat.size).tolist()
    assert box_of({"size": [height, width], "counts": text}) == expected
    assert box_of({"size": [height, width], "counts": counts}) == expected


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        (None, "no segmentation either"),
        ([], "no segmentation either"),
        ({}, "no segmentation either"),
        ([[]], "polygons without a point"),
        ([[1, 2, 3]], r"a polygon that is no list of x, y, x, y: \[1, 2, 3\]"),
        ([["1", "2"]], "a polygon that is no list of x, y"),
        ([[1, float("nan")]], "a polygon that is no list of x, y"),
        ([{"x": 1, "y": 2}], "a polygon that is no list of x, y"),
        ("polygon", "segmentation is 'polygon'"),
        ({"counts": [9]}, "an RLE mask of size None .* its size is not height, width"),
        ({"size": [3, 3, 1], "counts": [9]}, "its size is not height, width"),
        ({"size": ["3", 3], "counts": [9]}, "its size is not height, width"),
        ({"size": [3, 3], "counts": [4, 4]}, "its counts make 8 pixels"),
        ({"size": [3, 3], "counts": [-1, 10]}, "its counts are neither text nor whole numbers"),
        ({"size": [3, 3]}, "its counts are neither text nor whole numbers"),
        ({"size": [3, 3], "counts": "garbage~~~"}, "an RLE mask .* cannot be read: RLE counts"),
        ({"size": [3, 3], "counts": "o"}, "an RLE mask .* cannot be read: RLE string"),
    ],
)
def test_segmentations_without_a_box(segmentation: Any, message: str):
    with pytest.raises(SegmentError, match=message):
        box_of(segmentation)
