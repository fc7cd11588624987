from __future__ import annotations

import pytest

from ssd.demo.comparison import Choice, differences, pairs, shown

BOX = [0.1, 0.2, 0.4, 0.7]  # 0.3 high, 0.5 wide
NEAR = [0.1, 0.3, 0.4, 0.8]  # shares 0.3 * 0.4: IoU 0.12 / 0.18 = 2 / 3
FAR = [0.1, 0.4, 0.4, 0.9]  # shares 0.3 * 0.3: IoU 0.09 / 0.21 = 3 / 7


def found(name: str, score: float, box: list[float]) -> dict:
    return {"class": name, "class_id": 1, "score": score, "box": box}


def test_threshold_number_and_classes():
    everything = [
        found(name, score, BOX)
        for name, score in (("nut", 0.9), ("bolt", 0.8), ("nut", 0.5), ("nut", 0.3))
    ]

    def scores(*choice):
        return [one["score"] for one in shown(everything, Choice(*choice))]

    assert scores(0.5, 10) == [0.9, 0.8, 0.5]  # the threshold itself is shown
    assert scores(0.0, 2) == [0.9, 0.8]
    # The number counts what the classes leave.
    assert scores(0.0, 2, frozenset({"nut"})) == [0.9, 0.5]
    assert scores(0.0, 9, frozenset({"nut", "bolt"})) == [0.9, 0.8, 0.5, 0.3]
    assert scores(0.0, 9, frozenset({"washer"})) == []
    assert shown([], Choice(0.0, 9)) == []


@pytest.mark.parametrize(
    ("other", "iou"),
    [
        pytest.param(found("bolt", 0.4, BOX), 1.0, id="the same"),
        pytest.param(found("bolt", 0.4, NEAR), 2 / 3, id="near"),
        pytest.param(found("bolt", 0.4, FAR), None, id="too far"),
        pytest.param(found("nut", 0.4, BOX), None, id="another class"),
    ],
)
def test_a_pair_is_of_one_class_and_one_place(other, iou):
    made = pairs([found("bolt", 0.9, BOX)], [other])
    assert [pair.iou for pair in made] == ([] if iou is None else [pytest.approx(iou)])
    back = pairs([other], [found("bolt", 0.9, BOX)])
    assert [pair.iou for pair in back] == [pair.iou for pair in made]


def test_a_box_is_in_one_pair_and_the_closest_come_first():
    better, worse = found("bolt", 0.5, NEAR), found("bolt", 0.9, BOX)
    # Both overlap it by half or more; the one with the lower score lies on it.
    (pair,) = pairs([worse, better], [found("bolt", 0.7, NEAR)])
    assert pair.first is better
    assert pairs([], [better]) == pairs([better], []) == []


def test_differences_name_the_score_that_is_not_shown():
    choice = Choice(0.5, 10)
    first = [found("bolt", 0.9, BOX), found("nut", 0.51, FAR), found("washer", 0.1, BOX)]
    other = [found("washer", 0.8, NEAR), found("bolt", 0.6, NEAR), found("nut", 0.49, FAR)]
    result = differences(first, other, choice)
    assert [(p.first["score"], p.other["score"]) for p in result.matched] == [(0.9, 0.6)]
    assert [(one["class"], hidden) for one, hidden in result.only_first] == [("nut", 0.49)]
    assert [(one["class"], hidden) for one, hidden in result.only_other] == [("washer", 0.1)]
    # Without anything below the threshold there is no such score.
    assert differences(first[:2], other[:2], choice).only_first == [(first[1], None)]


def test_what_is_in_a_pair_already_is_not_called_hidden():
    # Two boxes of the first lie on the one of the other, which is shown.
    first = [found("bolt", 0.9, BOX), found("bolt", 0.8, NEAR)]
    result = differences(first, [found("bolt", 0.7, NEAR)], Choice(0.5, 10))
    assert [pair.first for pair in result.matched] == [first[1]]
    assert result.only_first == [(first[0], None)]


def test_a_filter_of_classes_hides_from_both():
    choice = Choice(0.0, 10, frozenset({"bolt"}))
    result = differences([found("nut", 0.9, BOX)], [found("bolt", 0.9, BOX)], choice)
    assert (result.matched, result.only_first) == ([], [])
    assert [one["class"] for one, _ in result.only_other] == ["bolt"]
