from __future__ import annotations

import functools

import numpy as np
import pytest
import tensorflow as tf

from ssd.core import similarity


@pytest.fixture(scope="module")
def data(golden_data):
    return np.load(golden_data / "core_other_targets.npz")


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("ioa", similarity.ioa),
        ("neg_sq_dist", similarity.negative_squared_distance),
        ("thresholded_iou", functools.partial(similarity.thresholded_iou, iou_threshold=0.2)),
    ],
)
def test_similarities_are_those_of_the_original(data, name, function):
    groundtruth, anchors = tf.constant(data["groundtruth"]), tf.constant(data["anchors"])
    found = function(tf.stack([groundtruth[::-1], groundtruth]), anchors)
    assert found.shape == (2, 5, 12)
    np.testing.assert_allclose(found[1], data[name], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found[0], data[name][::-1], rtol=1e-6, atol=1e-6)


def test_no_boxes():
    anchors = tf.constant([[0.0, 0.0, 0.5, 0.5]])
    for function in (similarity.iou, similarity.ioa, similarity.negative_squared_distance):
        assert function(tf.zeros([2, 0, 4]), anchors).shape == (2, 0, 1)


def test_similarity_by_hand():
    boxes = tf.constant([[[0.0, 0.0, 0.5, 1.0]]])
    # The second lies inside by half, the third has no area.
    anchors = tf.constant([[0.0, 0.0, 0.5, 0.5], [0.25, 0.0, 0.75, 1.0], [0.5, 0.5, 0.5, 0.5]])
    np.testing.assert_allclose(similarity.ioa(boxes, anchors)[0, 0], [1.0, 0.5, 0.0])
    # (0.5^2), (0.25^2 + 0.25^2), (0.5^2 + 0.5^2 + 0.5^2)
    np.testing.assert_allclose(
        similarity.negative_squared_distance(boxes, anchors)[0, 0],
        [-0.25, -0.125, -0.75],
        atol=1e-6,
    )
    # IoU 0.5, 0.25 / 0.75 and 0; the threshold itself is not enough.
    for threshold, expected in ((0.3, [1.0, 1.0, 0.0]), (0.4, [1.0, 0.0, 0.0]), (0.5, [0.0] * 3)):
        found = similarity.thresholded_iou(boxes, anchors, iou_threshold=threshold)
        assert found.numpy().tolist() == [[expected]]
