"""What becomes of boxes that are inverted, outside, empty or doubled."""

from __future__ import annotations

import numpy as np
import pytest

from tfrecord_tools.annotations import ProblemLog
from tfrecord_tools.validation import validate

SIZE = (120, 200)  # height, width


def run(annotation, size=SIZE):
    log = ProblemLog()
    return validate(annotation, size, log), log


def test_normalized_by_the_decoded_size_without_a_shift(stated):
    made, log = run(stated([("cat", 20, 30, 90, 108), ("dog", 0, 0, 200, 120)]))
    # ymin 30/120, xmin 20/200, ymax 108/120, xmax 90/200.
    np.testing.assert_array_equal(
        made.boxes, np.array([[0.25, 0.1, 0.9, 0.45], [0, 0, 1, 1]], np.float32)
    )
    # 78 rows by 70 columns; the whole picture.
    np.testing.assert_allclose(made.area, [78 * 70, 120 * 200], rtol=1e-6)
    assert made.class_names == ("cat", "dog")
    assert made.image_size == SIZE
    assert log.problems == []


def test_area_of_a_mask_is_kept(stated):
    annotation = stated([("cat", 20, 30, 90, 108), ("cat", 1, 2, 11, 32)], area=np.array([7.5, 0]))
    made, _ = run(annotation)
    np.testing.assert_allclose(made.area, [7.5, 30 * 10], rtol=1e-6)


# Objects are (name, xmin, ymin, xmax, ymax) on 200 x 120; expected boxes in the same pixels.
@pytest.mark.parametrize(
    ("box", "expected", "rules", "said"),
    [
        ((90, 30, 20, 108), (20, 30, 90, 108), ["box-inverted"], "has max < min; swapped"),
        ((90, 108, 20, 30), (20, 30, 90, 108), ["box-inverted"], "xmin 90, ymin 108, xmax 20"),
        (
            (-5.5, 30, 90, 121),
            (0, 30, 90, 120),
            ["box-outside"],
            "clipped to (xmin 0, ymin 30, xmax 90, ymax 120)",
        ),
        ((150, 30, 230, 60), (150, 30, 200, 60), ["box-outside"], "outside 200x120; clipped"),
        ((230, 30, 150, 60), (150, 30, 200, 60), ["box-inverted", "box-outside"], "swapped"),
        ((20, 30, 200.04, 108), (20, 30, 200, 108), [], ""),
        ((-0.04, 30, 90, 108), (0, 30, 90, 108), [], ""),
        ((-0.06, 30, 90, 108), (0, 30, 90, 108), ["box-outside"], "xmin -0.06"),
        ((199, 119, 200, 120), (199, 119, 200, 120), [], ""),
        ((200, 30, 240, 60), None, ["box-outside"], "lies wholly outside 200x120; dropped"),
        ((-9, -9, -1, -1), None, ["box-outside"], "lies wholly outside"),
        ((20, 30, 20, 108), None, ["box-zero-area"], "has no area; dropped"),
        ((20, 30, 90, 30), None, ["box-zero-area"], "has no area; dropped"),
        ((50, 30, 50, 20), None, ["box-zero-area"], "has no area; dropped"),
        # 1e-7 / 200 is lost beside 100 / 200 in float32.
        ((100, 30, 100.0000001, 108), None, ["box-zero-area"], "has no area; dropped"),
    ],
)
def test_each_way_to_be_wrong(stated, box, expected, rules: list[str], said: str):
    # A sound box before it: numbers must be those of the object in the file.
    made, log = run(stated([("dog", 1, 2, 3, 5), ("cat", *box)]))
    assert [(p.rule, p.object, p.fixed, p.file) for p in log.problems] == [
        (rule, 2, True, "a.xml") for rule in rules
    ]
    assert said in "".join(p.detail for p in log.problems)
    if expected is None:
        assert made.class_names == ("dog",)
        return
    xmin, ymin, xmax, ymax = expected
    np.testing.assert_allclose(
        made.boxes[1], [ymin / 120, xmin / 200, ymax / 120, xmax / 200], rtol=1e-6
    )
    np.testing.assert_allclose(made.area[1], (xmax - xmin) * (ymax - ymin), rtol=1e-4)


def test_duplicates_need_the_same_class_and_box(stated):
    cat, dog = ("cat", 20, 30, 90, 108), ("dog", 20, 30, 90, 108)
    flags = np.array([False, False, True, False, False])
    made, log = run(stated([cat, dog, cat, ("cat", 90, 108, 20, 30), dog], is_crowd=flags))
    # Object 3 is a crowd region, so no copy; 4 is object 1 once swapped; 5 is object 2.
    assert made.class_names == ("cat", "dog", "cat")
    assert made.is_crowd.tolist() == [False, False, True]
    hits = [(p.rule, p.object, p.fixed) for p in log.problems if p.rule == "duplicate-box"]
    assert hits == [("duplicate-box", 4, True), ("duplicate-box", 5, True)]
    assert "is the box of object 1 again; dropped" in "".join(p.detail for p in log.problems)


def test_flags_stay_with_their_boxes(stated):
    annotation = stated(
        [("cat", 5, 5, 5, 9), ("dog", 20, 30, 90, 108), ("cow", 1, 2, 3, 4)],
        difficult=np.array([False, True, False]),
        truncated=np.array([False, False, True]),
        object_numbers=(41, 42, 43),
    )
    made, log = run(annotation)
    assert made.class_names == ("dog", "cow")
    assert made.difficult.tolist() == [True, False]
    assert made.truncated.tolist() == [False, True]
    assert log.problems[0].object == 41


@pytest.mark.parametrize("objects", [[], [("cat", 5, 5, 5, 9)]], ids=["none", "all dropped"])
def test_images_without_boxes_are_kept_as_negatives(stated, objects):
    made, log = run(stated(objects))
    assert made.boxes.shape == (0, 4)
    assert made.boxes.dtype == np.float32
    assert log.problems[-1].rule == "no-objects"
    assert not log.problems[-1].fails_strict


@pytest.mark.parametrize(
    ("stated_size", "said"),
    [
        ((0, 0), "states 0x0, the picture is 200x120, whose size is used"),
        ((200, 120), "states 120x200, the picture is 200x120"),
        ((240, 400), "was it resized after annotation?"),
    ],
)
def test_a_wrong_stated_size_gives_way_to_the_decoded(stated, stated_size, said: str):
    made, log = run(stated([("cat", 20, 30, 90, 108)], image_size=stated_size))
    np.testing.assert_array_equal(made.boxes, np.array([[0.25, 0.1, 0.9, 0.45]], np.float32))
    (problem,) = log.problems
    assert (problem.rule, problem.fixed) == ("size-mismatch", True)
    assert said in problem.detail


def test_a_picture_that_was_evidently_resized_keeps_its_boxes(stated):
    # Annotated at 400x240; the second box, up to x = 390, cannot lie on 200x120.
    annotation = stated(
        [("cat", 40, 60, 180, 216), ("dog", 300, 24, 390, 120)],
        image_size=(240, 400),
        area=np.array([np.nan, 4000.0]),
    )
    made, log = run(annotation)
    # 60/240, 40/400, 216/240, 180/400; 24/240, 300/400, 120/240, 390/400.
    expected = np.array([[0.25, 0.1, 0.9, 0.45], [0.1, 0.75, 0.5, 0.975]], np.float32)
    np.testing.assert_array_equal(made.boxes, expected)
    # 0.65 * 120 by 0.35 * 200; the stated area is scaled by (1/2) squared.
    np.testing.assert_allclose(made.area, [78 * 70, 1000], rtol=1e-6)
    assert [p.rule for p in log.problems] == ["size-mismatch"]
    assert "resized after annotation, the boxes fit the stated size alone" in log.problems[0].detail


def test_another_shape_is_no_evidence_of_resizing(stated):
    made, log = run(stated([("cat", 20, 30, 390, 108)], image_size=(400, 400)))
    assert [p.rule for p in log.problems] == ["size-mismatch", "box-outside"]
    np.testing.assert_array_equal(made.boxes, np.array([[0.25, 0.1, 0.9, 1.0]], np.float32))


def test_the_callers_annotation_is_left_alone(stated):
    annotation = stated([("cat", 90, 30, -20, 300)])
    before = annotation.boxes_pixels.copy()
    run(annotation)
    np.testing.assert_array_equal(annotation.boxes_pixels, before)


def test_shares_become_the_same_boxes_as_pixels(stated):
    pixels = [("cat", 20, 30, 90, 108), ("dog", 0, 0, 210, 120)]
    shares = [(name, x / 200, y / 120, u / 200, v / 120) for name, x, y, u, v in pixels]
    by_pixels, log = run(stated(pixels))
    by_shares, other_log = run(stated(shares, is_normalized=True))
    np.testing.assert_array_equal(by_shares.boxes, by_pixels.boxes)
    np.testing.assert_array_equal(by_shares.area, by_pixels.area)
    assert log.problems == other_log.problems
    assert "xmax 210, ymax 120) reaches outside 200x120" in other_log.problems[0].detail


def test_shares_do_not_care_for_a_wrong_size(stated):
    shares = [("cat", 0.1, 0.25, 0.45, 0.9)]
    made, log = run(stated(shares, is_normalized=True, image_size=(60, 100)))
    np.testing.assert_array_equal(made.boxes, np.array([[0.25, 0.1, 0.9, 0.45]], np.float32))
    assert [(p.rule, p.fixed) for p in log.problems] == [("size-mismatch", True)]


def test_groups_stay_with_their_boxes(stated):
    boxes = [("cat", 5, 5, 5, 6), ("cat", 20, 30, 90, 108), ("dog", 1, 2, 3, 4)]
    made, _ = run(stated(boxes, group_of=np.array([True, False, True])))
    np.testing.assert_array_equal(made.group_of, [False, True])
    assert run(stated(boxes))[0].group_of is None
