from __future__ import annotations

import numpy as np
import pytest

from ssd.training.batch_counts import BatchCounts, anchors_command, has_no_match

COMMAND = "./run.sh anchors data --config small_data"


def values(boxes: float, matched: float) -> dict[str, float]:
    return {"boxes": boxes, "matched_anchors": matched, "total_loss": 1.0}


def batch(names: str = "a b", dropped=(0, 0), truncated=(0, 0)) -> dict[str, np.ndarray]:
    return {
        "source_id": np.array([name.encode() for name in names.split()], object),
        "num_dropped_boxes": np.array(dropped, np.int32),
        "num_truncated_boxes": np.array(truncated, np.int32),
    }


@pytest.mark.parametrize(
    ("boxes", "matched", "expected"), [(3, 0, True), (3, 1, False), (0, 0, False)]
)
def test_no_match_needs_boxes(boxes, matched, expected):
    assert has_no_match(values(boxes, matched)) is expected


def test_nothing_to_say():
    counts = BatchCounts(COMMAND)
    assert counts.add(values(3, 5), batch()) == []
    assert counts.summary() == [
        "boxes left out: 0 that are no numbers (NaN), 0 beyond "
        "train_input_reader.max_number_of_boxes"
    ]


def test_batches_that_teach_nothing():
    counts = BatchCounts(COMMAND)
    for boxes, matched in ((3, 0), (0, 0), (2, 0), (2, 7), (0, 0), (0, 0)):
        assert counts.add(values(boxes, matched), batch()) == []
    assert counts.summary()[:-1] == [
        "in 2 of 6 batches no anchor matched any box; the boxes are too small for the anchors, or "
        "of other shapes: ./run.sh anchors data --config small_data",
        "3 of 6 batches held no box (images without objects, or all cropped away)",
    ]


def test_boxes_left_out_are_named_once():
    counts = BatchCounts(COMMAND)
    assert counts.add(values(3, 5), batch("a b", dropped=(0, 2))) == [
        "b: 2 boxes left out: no number (NaN)"
    ]
    # Once per image, however often it comes; the other way is counted apart.
    assert counts.add(values(3, 5), batch("b c", dropped=(2, 0), truncated=(0, 4))) == [
        "c: 4 boxes left out: beyond max_number_of_boxes"
    ]
    assert counts.summary() == [
        "boxes left out: 2 that are no numbers (NaN) (b), 4 beyond "
        "train_input_reader.max_number_of_boxes (c)"
    ]


def test_many_images_are_counted_and_some_named():
    counts = BatchCounts(COMMAND)
    lines = [
        line
        for n in range(7)
        for line in counts.add(values(3, 5), batch(f"p{n} q", dropped=(1, 0)))
    ]
    assert len(lines) == 5
    assert counts.summary() == [
        "boxes left out: 7 that are no numbers (NaN) (p0, p1, p2, p3, p4, ...), 0 beyond "
        "train_input_reader.max_number_of_boxes"
    ]


def test_the_command():
    assert anchors_command("small_data", "data") == COMMAND
    assert anchors_command("small_data", None) == "./run.sh anchors DATA --config small_data"
