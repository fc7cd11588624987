from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from export.quantization.distillation import OutputDifference, UnitAdam
from export.quantization.fake_quantized_network import Weight

SCALES = np.array([10.0, 8.0, 5.0, 4.0])


def outputs_of(scores, boxes=None) -> dict[str, tf.Tensor]:
    scores = tf.constant(scores, tf.float32)
    boxes = np.zeros((*scores.shape[:2], 4)) if boxes is None else boxes
    return {"scores": scores, "box_encodings": tf.constant(boxes, tf.float32)}


@pytest.mark.parametrize("gives_logits", [True, False])
def test_equal_outputs_differ_by_nothing(gives_logits):
    rng = np.random.default_rng(0)
    scores = rng.uniform(0, 1, (2, 7, 3))
    outputs = outputs_of(scores, rng.uniform(-1, 1, (2, 7, 4)))
    difference = OutputDifference(gives_logits, SCALES)(outputs, outputs)
    assert float(difference) == pytest.approx(0, abs=1e-5)


def test_scores_by_hand():
    # one anchor, one class: 0.5 is wanted, the logit says 0.75 (log 3)
    # divergence 0.5 log(0.5 / 0.75) + 0.5 log(0.5 / 0.25) = 0.1438410; times 10
    # squared difference of logits 1.0986123^2 = 1.2069490; times 0.05
    given, wanted = outputs_of([[[np.log(3.0)]]]), outputs_of([[[0.0]]])
    assert float(OutputDifference(True, SCALES)(given, wanted)) == pytest.approx(
        1.438410 + 0.0603474, abs=1e-5
    )


def test_scores_that_are_no_logits_give_the_same():
    given, wanted = outputs_of([[[0.75]]]), outputs_of([[[0.5]]])
    assert float(OutputDifference(False, SCALES)(given, wanted)) == pytest.approx(
        1.498757, abs=1e-5
    )


def test_boxes_by_hand():
    # off by 0.2, 0.4, 0.1 and 0.8 -> 0.02, 0.05, 0.1 / 5 / 2 = 0.01 and 0.8 / 4 / 2 = 0.1
    # squares 0.0004 + 0.0025 + 0.0001 + 0.01 = 0.013; times 100
    given = outputs_of([[[1.0, -2.0]]], [[[0.2, 0.4, -0.1, 0.8]]])
    difference = OutputDifference(True, SCALES)(given, outputs_of([[[1.0, -2.0]]]))
    assert float(difference) == pytest.approx(1.3, abs=1e-5)


def test_boxes_beyond_reach_are_wanted_at_the_border():
    scores = [[[1.0, -2.0]]]
    given = outputs_of(scores, [[[1.0, -1.0, 0.5, 0.0]]])
    wanted = outputs_of(scores, [[[3.0, -1.5, 0.5, 0.0]]])
    assert float(OutputDifference(True, SCALES)(given, wanted)) == pytest.approx(0, abs=1e-6)


def test_boxes_of_likely_anchors_count_more():
    # scores 0.9 and 0.1: weights 0.92 and 0.12, over their mean 0.52
    scores = [[[np.log(9.0)], [-np.log(9.0)]]]
    off = [
        outputs_of(scores, [[[0.2 * (a == anchor), 0, 0, 0] for a in range(2)]])
        for anchor in range(2)
    ]
    likely, unlikely = (float(OutputDifference(True, SCALES)(o, outputs_of(scores))) for o in off)
    # 0.02^2 * 100 / 2 anchors = 0.02, by weight
    assert likely == pytest.approx(0.02 * 0.92 / 0.52, abs=1e-5)
    assert unlikely == pytest.approx(0.02 * 0.12 / 0.52, abs=1e-5)


def test_an_anchor_that_only_int8_finds_is_compared_too():
    # 300 anchors, of which 256 are compared: number 299 is last in float, first in int8
    wanted = np.linspace(-3, -5, 300).reshape(1, 300, 1)
    given = wanted.copy()
    given[0, 299] = 2.0
    difference = OutputDifference(True, SCALES)
    assert float(difference(outputs_of(given), outputs_of(wanted))) > 0.01
    given = wanted.copy()
    given[0, 299] = -7.0  # in neither among the best
    assert float(difference(outputs_of(given), outputs_of(wanted))) == pytest.approx(0, abs=1e-5)


def test_the_first_step_moves_by_the_rate_in_units():
    # Adam's first step is the sign of the gradient, whatever its size; 0 where there is none.
    unit = np.array([[2.0], [10.0]], np.float32)
    weight = Weight(tf.Variable([[1.0, 1.0, 1.0], [5.0, 5.0, 5.0]]), unit, 0)
    gradient = tf.constant([[0.001, -3.0, 0.0], [100.0, -0.2, 0.0]])
    UnitAdam([weight]).apply([gradient], tf.constant(0.01))
    np.testing.assert_allclose(weight.variable, [[0.98, 1.02, 1.0], [4.9, 5.1, 5.0]], rtol=1e-5)


def test_steps_follow_the_mean_of_gradients():
    # gradients 1 and -1: means 0.1, then 0.09 - 0.1 = -0.01; squares 0.01, then 0.0199
    # step 2: -0.01 / (1 - 0.9^2) / sqrt(0.0199 / (1 - 0.99^2)) = -0.0526316
    weight = Weight(tf.Variable([0.0]), np.array(1.0, np.float32), None)
    optimizer = UnitAdam([weight])
    for gradient in (1.0, -1.0):
        optimizer.apply([tf.constant([gradient])], tf.constant(1.0))
    assert float(weight.variable[0]) == pytest.approx(-1.0 + 0.0526316, abs=1e-5)
    assert int(optimizer.steps) == 2
