"""Targets under every similarity, matcher, box coder and background of the schema."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ssd.core import bipartite_matcher, matcher, similarity, target_assigner
from ssd.core.box_coder import FasterRcnnBoxCoder, MeanStddevBoxCoder, SquareBoxCoder
from ssd.core.target_assigner import Targets, assign

ZOO = functools.partial(
    matcher.match, matched_threshold=0.5, unmatched_threshold=0.5, force_match_for_each_row=True
)
SIMILARITIES = {
    "iou": similarity.iou,
    "ioa": similarity.ioa,
    "neg_sq_dist": similarity.negative_squared_distance,
    "thresholded_iou": functools.partial(similarity.thresholded_iou, iou_threshold=0.3),
}
BOX_CODERS = {
    "faster_rcnn": FasterRcnnBoxCoder(),
    "mean_stddev": MeanStddevBoxCoder(0.1),
    "square": SquareBoxCoder((10.0, 8.0, 5.0)),
}


# The images have 5, 0 and 3 boxes.
@pytest.mark.parametrize("rows", [5, 9])
@pytest.mark.parametrize("case", range(10))
def test_every_setting_equals_the_recording(golden_data: Path, case: int, rows: int) -> None:
    data = np.load(golden_data / "core_assignments.npz")
    config = json.loads(str(data[f"case{case}_config"]))

    def padded(name: str) -> tf.Tensor:
        images = [data[f"{name}{n}"] for n in range(3)]
        widths = [[(0, rows - len(rows_))] + [(0, 0)] * (rows_.ndim - 1) for rows_ in images]
        return tf.constant(np.stack(list(map(np.pad, images, widths))))

    settings = {
        "match": functools.partial(
            matcher.match,
            matched_threshold=config["matched"],
            unmatched_threshold=config["unmatched"],
            negatives_lower_than_unmatched=config["lower"],
            force_match_for_each_row=config["force"],
        ),
        "similarity": SIMILARITIES[config["similarity"]],
        "box_coder": BOX_CODERS[config["coder"]],
        "has_background": config.get("background", True),
    }
    anchors, boxes, weights = data["anchors"], padded("boxes"), padded("weights")
    if "implicit" in config:
        targets = target_assigner.assign_confidences(
            anchors,
            boxes,
            padded("confidences"),
            weights,
            implicit_example_weight=config["implicit"],
            **settings,
        )
        cls_weights = targets.cls_weights
    else:
        targets = assign(
            anchors,
            boxes,
            padded("classes"),
            weights,
            unmatched_class_label=config["label"],
            negative_class_weight=config["negative"],
            **settings,
        )
        # Equal over classes, which is why there is one number per anchor.
        cls_weights = tf.ones_like(targets.cls_targets) * targets.cls_weights[..., tf.newaxis]
    prefix = f"case{case}"
    np.testing.assert_array_equal(targets.match, data[f"{prefix}_match"])
    np.testing.assert_array_equal(targets.cls_targets, data[f"{prefix}_cls_targets"])
    np.testing.assert_array_equal(cls_weights, data[f"{prefix}_cls_weights"])
    np.testing.assert_array_equal(targets.reg_weights, data[f"{prefix}_reg_weights"])
    np.testing.assert_allclose(
        targets.reg_targets, data[f"{prefix}_reg_targets"], rtol=2e-6, atol=2e-6
    )


def test_background_of_its_own_and_weight_of_negatives() -> None:
    # Anchor 0 is the box, 1 is elsewhere, 2 between the thresholds: IoU 0.3 / 0.5 = 0.6.
    anchors = np.array(
        [[0.1, 0.1, 0.5, 0.7], [0.7, 0.0, 0.9, 0.3], [0.2, 0.1, 0.6, 0.7]], np.float32
    )
    boxes, classes = tf.constant([[[0.1, 0.1, 0.5, 0.7]]]), tf.constant([[[0.0, 1.0]]])
    band = functools.partial(matcher.match, matched_threshold=0.7, unmatched_threshold=0.4)
    targets = assign(
        anchors,
        boxes,
        classes,
        tf.constant([[0.5]]),
        match=band,
        unmatched_class_label=[1.0, 0.0, 0.0],
        negative_class_weight=0.25,
    )
    assert targets.match.numpy().tolist() == [[0, -1, -2]]
    # An ignored anchor gets the label too, but no weight.
    assert targets.cls_targets.numpy().tolist() == [[[0, 0, 1], [1, 0, 0], [1, 0, 0]]]
    assert targets.cls_weights.numpy().tolist() == [[0.5, 0.25, 0.0]]
    without = assign(
        anchors, boxes, classes, tf.constant([[0.5]]), match=band, has_background=False
    )
    assert without.cls_targets.numpy().tolist() == [[[0, 1], [0, 0], [0, 0]]]


def test_other_coders_make_the_regression_targets() -> None:
    anchors = np.array([[0.1, 0.1, 0.5, 0.7]], np.float32)
    batch = tf.constant([[[0.2, 0.1, 0.5, 0.7]]]), tf.constant([[[1.0]]]), tf.constant([[1.0]])
    targets = assign(anchors, *batch, box_coder=MeanStddevBoxCoder(0.5), match=ZOO)
    np.testing.assert_allclose(targets.reg_targets, [[[0.2, 0.0, 0.0, 0.0]]], atol=1e-6)
    assert assign(anchors, *batch, box_coder=SquareBoxCoder(), match=ZOO).reg_targets.shape == (
        1,
        1,
        3,
    )


def test_padding_is_no_box_at_the_origin() -> None:
    # Anchor 0 is nearer to the origin than to the first image's only box.
    anchors = np.array([[0.0, 0.0, 0.1, 0.2], [0.6, 0.5, 0.9, 0.7]], np.float32)
    boxes = tf.constant([[[0.6, 0.5, 0.9, 0.8], [0.0] * 4], [[0.1, 0.1, 0.2, 0.4]] * 2])
    targets = assign(
        anchors,
        boxes,
        tf.constant([[[1.0], [0.0]], [[1.0], [1.0]]]),
        tf.constant([[1.0, 0.0], [1.0, 1.0]]),
        match=functools.partial(matcher.match, matched_threshold=None, unmatched_threshold=None),
        similarity=similarity.negative_squared_distance,
    )
    assert targets.match.numpy().tolist() == [[0, 0], [0, 0]]
    assert targets.reg_weights.numpy().tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_confidences_by_hand() -> None:
    # Anchor 0 is a box of class 0 that is certainly not class 2; anchor 1 is a box that is
    # certainly not class 1, and nothing else; anchor 2 is elsewhere.
    anchors = np.array(
        [[0.1, 0.1, 0.5, 0.7], [0.6, 0.0, 0.9, 0.3], [0.0, 0.8, 0.2, 0.9]], np.float32
    )
    targets = target_assigner.assign_confidences(
        anchors,
        tf.constant(anchors[np.newaxis, :2]),
        tf.constant([[[1.0, 0.0, -1.0], [0.0, -1.0, 0.0]]]),
        tf.constant([[0.5, 1.0]]),
        match=ZOO,
        implicit_example_weight=0.25,
    )
    assert targets.match.numpy().tolist() == [[0, 1, -1]]
    background = [1, 0, 0, 0]
    assert targets.cls_targets.numpy().tolist() == [[[0, 1, 0, 0], background, background]]
    # Weight 1: "no background" and both statements of box 0, the one of box 1.
    assert targets.cls_weights.numpy().tolist() == [
        [[1.0, 1.0, 0.25, 1.0], [0.25, 0.25, 1.0, 0.25], [0.25] * 4]
    ]
    # The box's weight of 0.5 is not used.
    assert targets.reg_weights.numpy().tolist() == [[1.0, 0.0, 0.0]]


def test_confidences_without_boxes_are_background() -> None:
    empty = (tf.zeros([2, 0, 4]), tf.zeros([2, 0, 3]), tf.zeros([2, 0]))
    targets = target_assigner.assign_confidences(np.zeros([7, 4], np.float32), *empty, match=ZOO)
    np.testing.assert_array_equal(targets.cls_targets, np.eye(4)[np.zeros([2, 7], int)])
    assert np.all(targets.cls_weights == 1.0)
    assert not np.any(targets.reg_weights)


def test_bipartite_gives_each_box_one_anchor_in_a_function() -> None:
    # Box 0 is both anchors 0 and 1, which are equal; box 1 is like none and gets what is left.
    anchors = np.array(
        [[0.1, 0.1, 0.5, 0.7], [0.1, 0.1, 0.5, 0.7], [0.6, 0.0, 0.9, 0.3]], np.float32
    )

    @tf.function
    def traced(boxes: tf.Tensor, weights: tf.Tensor) -> Targets:
        classes = tf.ones([1, tf.shape(boxes)[1], 1])
        return assign(anchors, boxes, classes, weights, match=bipartite_matcher.match)

    boxes = tf.constant([[anchors[0], [0.95, 0.95, 1.0, 0.99], [0.0] * 4]])
    assert traced(boxes, tf.constant([[1.0, 0.5, 0.0]])).match.numpy().tolist() == [[0, 1, -1]]
    assert traced(boxes[:, :0], tf.zeros([1, 0])).match.numpy().tolist() == [[-1, -1, -1]]
