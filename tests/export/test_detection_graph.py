from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from export import detection_graph
from export.converter import convert_graph
from export.detection_graph import DetectionGraph, class_moves, takes_logits
from export.detection_op import options_of
from ssd.core.calibration import Calibration


def test_classes_lie_in_a_grid():
    # 5 classes: 3 columns; class 4 is the second of the second row
    moves = class_moves(5)
    assert moves.tolist() == [[0, 0], [0, 4], [0, 8], [4, 0], [4, 4]]
    assert moves.dtype == np.float32
    assert class_moves(1).tolist() == [[0, 0]]
    assert class_moves(90).max() == 36


def end_of(detector, **options: object) -> Interpreter:
    """The class-wise end of a file, by itself."""
    graph = DetectionGraph(detector, replace(options_of(detector), **options), is_class_wise=True)
    interpreter = Interpreter(model_content=convert_graph(graph))
    interpreter.allocate_tensors()
    return interpreter


def detections(interpreter: Interpreter, logits: np.ndarray) -> list[tuple[int, float]]:
    """(class index, score) of every detection where all boxes are their anchors."""
    found = interpreter.get_signature_runner()(
        box_encodings=np.zeros((1, 48, 4), np.float32), scores=logits[np.newaxis]
    )
    count = int(found["count"][0])
    rows = zip(found["classes"][0][:count], found["scores"][0][:count], strict=True)
    return [(int(index), round(float(score), 4)) for index, score in rows]


def logits_of(scores: dict[tuple[int, int], float]) -> np.ndarray:
    """float32 [48, 3]: these scores by (anchor, class index), and none anywhere else."""
    logits = np.full((48, 3), -20.0, np.float32)
    for place, score in scores.items():
        logits[place] = np.log(score / (1 - score))
    return logits


# A cell's two anchors, 0.3 x 0.2 and 0.25 x 0.4: their IoU is 0.05 / 0.11. Two cells apart: none.
def test_the_same_box_of_two_classes_is_two_detections(small_detector):
    end = end_of(small_detector)
    logits = logits_of({(0, 0): 0.9, (0, 2): 0.8, (9, 1): 0.6})
    assert detections(end, logits) == [(0, 0.9), (2, 0.8), (1, 0.6)]


def test_boxes_of_one_class_suppress_each_other(small_detector):
    end = end_of(small_detector, nms_iou_threshold=0.4)
    logits = logits_of({(0, 0): 0.9, (1, 0): 0.8, (1, 1): 0.7})
    assert detections(end, logits) == [(0, 0.9), (1, 0.7)]


def test_scores_below_the_threshold_are_left_out(small_detector):
    end = end_of(small_detector)  # 0.1
    assert detections(end, logits_of({(0, 0): 0.11, (9, 0): 0.09})) == [(0, 0.11)]
    assert detections(end, logits_of({})) == []


def test_no_more_pairs_than_there_may_be(small_detector, monkeypatch):
    """Of four pairs two are looked at, those with the highest scores."""
    monkeypatch.setattr(detection_graph, "NUM_PAIRS", 2)
    scores = {(0, 0): 0.5, (4, 1): 0.9, (20, 2): 0.7, (40, 0): 0.6}
    assert detections(end_of(small_detector), logits_of(scores)) == [(1, 0.9), (2, 0.7)]


def test_no_more_anchors_than_there_may_be(small_detector, monkeypatch):
    """The anchor with the highest score gives both pairs; the other is not looked at."""
    monkeypatch.setattr(detection_graph, "FEWEST_ANCHORS", 1)
    monkeypatch.setattr(detection_graph, "NUM_SCORES", 3)
    scores = {(0, 0): 0.9, (0, 1): 0.3, (40, 2): 0.8}
    assert detections(end_of(small_detector), logits_of(scores)) == [(0, 0.9), (1, 0.3)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"score_converter": "IDENTITY"}, True),
        ({"score_converter": "SOFTMAX"}, False),
        ({"logit_scale": -1.0}, False),
        ({"calibration": Calibration(temperature=2.0)}, True),
        ({"calibration": Calibration(curve=((0.0, 1.0), (0.0, 0.5)))}, False),
        ({"calibration": Calibration(class_curves={1: ((0.0, 1.0), (0.0, 0.5))})}, False),
    ],
)
def test_logits_where_their_order_is_that_of_the_scores(
    small_detector, monkeypatch, changes, expected
):
    processor = replace(small_detector.post_processor, **changes)
    monkeypatch.setattr(small_detector, "post_processor", processor)
    assert takes_logits(small_detector, is_class_wise=True) is expected
    assert takes_logits(small_detector, is_class_wise=False) is False
