from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ssd.demo.actions import Actions


@pytest.fixture
def actions(contest, tmp_path) -> Actions:
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    return Actions(contest, downloads)


def test_sliders_choose_without_the_models(actions, predictors, picture):
    findings, message, *_ = actions.look(str(picture), "part.png", 0.3, 20, [])
    assert message == "<p>part.png, 200 x 120 pixels</p>"
    calls = [one.calls for one in predictors]
    counts = {}
    for threshold in (0.0, 0.3, 0.7, 1.0):
        _, _, _, models, detections, _, document, _ = actions.choose(findings, threshold, 20, [])
        counts[threshold] = len(detections)
        assert [row[3] for row in models] == [len(m["detections"]) for m in document["models"]]
    assert counts == {0.0: 5, 0.3: 4, 0.7: 1, 1.0: 0}
    *_, document, _ = actions.choose(findings, 0.0, 20, ["nut"])
    assert [[d["class"] for d in m["detections"]] for m in document["models"]] == [["nut"]] * 2
    assert [one.calls for one in predictors] == calls


def test_each_model_has_its_drawing(actions, picture):
    findings, _, first, second, *_ = actions.look(str(picture), "part.png", 0.3, 20, [])
    assert first.shape == second.shape == (384, 640, 3)
    plain = np.full((384, 640, 3), 90, np.uint8)
    # The bolt's left edge at x = 0.2 of A, at 0.3 of B; y = 0.25 is the middle of that edge.
    row = 96
    assert not np.array_equal(first[row, 126:132], plain[row, 126:132])
    assert np.array_equal(second[row, 126:132], plain[row, 126:132])
    assert not np.array_equal(second[row, 190:196], plain[row, 190:196])
    _, first, second, *_ = actions.choose(findings, 1.0, 20, [])
    assert np.array_equal(first, plain)
    assert np.array_equal(second, plain)


def test_the_download_is_the_document(actions, picture):
    *_, document, file = actions.look(str(picture), "my part.v2.png", 0.3, 20, None)
    assert Path(file).name == "my part.v2_detections.json"
    assert json.loads(Path(file).read_text()) == document
    assert actions.detect(str(picture), "my part.v2.png", 0.3, 20, None) == document


def test_no_picture(actions):
    findings, *outputs = actions.look(None, "", 0.3, 20, [])
    assert findings is None
    assert outputs == list(actions.choose(None, 0.3, 20, []))
    assert outputs[0].startswith("<p>Drop a picture")
    assert outputs[1:] == [None, None, [], [], [], None, None]
    assert actions.detect(None, "", 0.3, 20, []).keys() == {"error"}


def test_a_bad_picture_is_told_on_the_page(actions, tmp_path, predictors):
    path = tmp_path / "deep" / "x.jpg"
    path.parent.mkdir()
    path.write_text("no picture")
    findings, message, *others = actions.look(str(path), "<b>holiday</b>.jpg", 0.3, 20, [])
    assert findings is None
    # Neither markup of a name nor a path of this machine.
    assert message.startswith("<p>&lt;b&gt;holiday&lt;/b&gt;.jpg: not a readable picture (")
    assert str(tmp_path) not in message
    assert others == [None, None, [], [], [], None, None]
    answer = actions.detect(str(path), "holiday.jpg", 0.3, 20, [])
    assert answer["error"].startswith("holiday.jpg: not a readable picture")
    assert predictors[0].calls == 0


def test_classes_without_a_name_can_be_chosen_once_they_are_found(actions, predictors, picture):
    assert actions.class_names(None) == ["bolt", "nut", "washer"]
    predictors[0].rows.append((7, 0.5, [0.1, 0.2, 0.4, 0.7]))
    findings, *_ = actions.look(str(picture), "part.png", 0.3, 20, [])
    assert actions.class_names(findings) == ["bolt", "nut", "washer", "7"]
