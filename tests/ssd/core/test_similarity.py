from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from ssd.core import similarity
from ssd.core.box_coder import MeanStddevBoxCoder, SquareBoxCoder


@pytest.fixture(scope="module")
def data(golden_data):
    return np.load(golden_data / "core_other_targets.npz")


@pytest.mark.parametrize(
    ("name", "function", "tolerance"),
    [
        ("ioa", similarity.ioa, 1e-6),
        ("neg_sq_dist", similarity.negative_squared_distance, 1e-6),
        (
            "thresholded_iou",
            lambda b, a: similarity.thresholded_iou(b, a, iou_threshold=0.2),
            0.0,
        ),
    ],
)
def test_similarities_are_those_of_the_original(data, name, function, tolerance):
    groundtruth, anchors = tf.constant(data["groundtruth"]), tf.constant(data["anchors"])
    found = function(groundtruth[tf.newaxis], anchors)
    assert found.shape == (1, 5, 12)
    np.testing.assert_allclose(found[0], data[name], atol=tolerance)


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
    # IoU 0.5; 0.25 / 0.75
    found = similarity.thresholded_iou(boxes, anchors, iou_threshold=0.4)
    assert found.numpy().tolist() == [[[1.0, 0.0, 0.0]]]


@pytest.mark.parametrize(
    ("name", "coder"),
    [("mean_stddev", MeanStddevBoxCoder(0.05)), ("square", SquareBoxCoder((10.0, 8.0, 5.0)))],
)
def test_other_box_coders_are_those_of_the_original(data, name, coder):
    boxes, anchors = tf.constant(data["boxes"]), tf.constant(data["anchors"])
    encoded = coder.encode(boxes, anchors)
    assert encoded.shape == (12, coder.code_size)
    np.testing.assert_allclose(encoded, data[f"{name}_encoded"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        coder.decode(encoded, anchors), data[f"{name}_decoded"], rtol=1e-5, atol=1e-5
    )
