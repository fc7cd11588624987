from __future__ import annotations

import json

import numpy as np
import pytest

from ssd.demo import tables
from ssd.demo.comparison import Choice
from ssd.demo.contestants import Contest

CHOICE = Choice(0.3, 20)


@pytest.fixture
def findings(contest):
    return contest.look(np.zeros((120, 200, 3), np.uint8), "part.png")


def test_models(contest, findings):
    rows = tables.model_rows(contest, findings, CHOICE)
    assert tables.model_headers(contest) == [
        *("model", "input", "ms", "boxes"),
        *("in both", "only A", "only this"),
    ]
    without_time = [row[:2] + row[3:] for row in rows]
    assert without_time == [
        ["A: float", "any", 2, "", "", ""],
        ["B: int8", "96x64", 2, 1, 1, 1],
    ]
    assert all(float(row[2]) >= 0 for row in rows)


def test_one_model_is_compared_with_nothing(contest):
    alone = Contest(contest.contestants[:1])
    findings = alone.look(np.zeros((120, 200, 3), np.uint8), "part.png")
    assert tables.model_headers(alone) == ["model", "input", "ms", "boxes"]
    (row,) = tables.model_rows(alone, findings, CHOICE)
    assert len(row) == 4
    assert tables.difference_rows(alone, findings, CHOICE) == []
    (model,) = tables.document(alone, findings, CHOICE)["models"]
    assert "compared_with_first" not in model


def test_detections_in_pixels(contest, findings):
    # y times 120, x times 200.
    assert tables.detection_rows(contest, findings, CHOICE) == [
        ["A", "bolt", "0.750", 12, 40, 48, 140],
        ["A", "nut", "0.500", 60, 20, 108, 60],
        ["B", "washer", "0.625", 0, 160, 24, 200],
        ["B", "bolt", "0.500", 12, 60, 48, 160],
    ]


def test_differences(contest, findings):
    assert tables.difference_rows(contest, findings, CHOICE) == [
        ["only A, not B", "nut", "0.500", "0.250, not shown", ""],
        ["only B, not A", "washer", "nothing", "0.625", ""],
        ["A and B", "bolt", "0.750", "0.500", "0.67"],
    ]


def test_the_document(contest, findings):
    document = tables.document(contest, findings, Choice(0.3, 1, frozenset({"bolt", "nut"})))
    assert json.loads(json.dumps(document)) == document
    models = document.pop("models")
    assert document == {
        "file": "part.png",
        "height": 120,
        "width": 200,
        "score_threshold": 0.3,
        "max_boxes": 1,
        "classes": ["bolt", "nut"],
    }
    assert [one["model"] for one in models] == ["models/float", "models/int8"]
    (bolt,) = models[0]["detections"]
    assert {key: bolt[key] for key in ("class", "class_id", "score", "box_pixels")} == {
        "class": "bolt",
        "class_id": 1,
        "score": 0.75,
        "box_pixels": [12, 40, 48, 140],
    }
    np.testing.assert_allclose(bolt["box"], [0.1, 0.2, 0.4, 0.7], atol=1e-6)
    assert models[1]["compared_with_first"] == {
        "matched": [{"class": "bolt", "score_first": 0.75, "score": 0.5, "iou": 0.6667}],
        "only_first": [],
        "only_this": [],
    }
    full = tables.document(contest, findings, CHOICE)["models"][1]["compared_with_first"]
    (nut,), (washer,) = full["only_first"], full["only_this"]
    assert (nut["class"], nut["score"], nut["score_not_shown"]) == ("nut", 0.5, 0.25)
    assert (washer["class"], washer["score_not_shown"]) == ("washer", None)
