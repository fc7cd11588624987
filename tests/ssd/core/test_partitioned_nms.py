"""Suppression in tiles: where it differs from the op, and that it agrees with it elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from ssd.core.partitioned_nms import partitioned_nms


def select(boxes: object, scores: object, **settings: object) -> tuple[list[int], int]:
    """The anchors that count, and how many there are."""
    settings = {"max_output_size": 4, "iou_threshold": 0.5, "score_threshold": 0.1, **settings}
    anchors, _, count = partitioned_nms(
        tf.constant(boxes, tf.float32), tf.constant(scores, tf.float32), **settings
    )
    return anchors.numpy().tolist()[: int(count)], int(count)


def test_an_overlap_of_exactly_the_threshold_suppresses() -> None:
    # 0.25 * 0.5 of 0.5 * 0.5 is 0.5 exactly; adding 1e-8 to 0.25 changes nothing in float32.
    boxes = [[0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 0.25, 0.5], [0.5, 0.5, 0.75, 1.0]]
    assert select(boxes, [0.9, 0.8, 0.7]) == ([0, 2], 2)
    assert select(boxes, [0.9, 0.8, 0.7], iou_threshold=0.51) == ([0, 1, 2], 3)


def test_a_chain_is_cut_at_every_second_box() -> None:
    # Each box overlaps the next by 0.15 / 0.25 = 0.6, the one after that by 0.1 / 0.3 = 1/3.
    boxes = [[0.0, 0.05 * n, 0.3, 0.05 * n + 0.2] for n in range(9)]
    scores = np.linspace(0.9, 0.5, 9)
    assert select(boxes, scores, max_output_size=9) == ([0, 2, 4, 6, 8], 5)


def test_rows_beyond_are_the_lowest_score() -> None:
    boxes = [[0.0, 0.0, 0.5, 0.4], [0.6, 0.0, 0.9, 0.3], [0.6, 0.5, 0.9, 0.8]]
    anchors, kept, count = partitioned_nms(
        tf.constant(boxes),
        tf.constant([0.05, 0.9, 0.07]),
        max_output_size=3,
        iou_threshold=0.5,
        score_threshold=0.06,
    )
    assert anchors.numpy().tolist() == [1, 2, 0]
    assert int(count) == 2
    # What is under the threshold has been moved out of the image.
    np.testing.assert_allclose(kept, [boxes[1], boxes[2], [-1.0] * 4], atol=1e-6)


def test_a_box_left_of_and_above_the_image_has_no_part() -> None:
    # IoU of the two 0.02 * 0.02 / 0.0025 = 0.16: more than the threshold, and yet the second stays.
    boxes = [[-0.07, -0.07, -0.02, -0.02], [-0.05, -0.05, 0.0, 0.01]]
    assert select(boxes, [0.9, 0.8], iou_threshold=0.05) == ([1], 1)


@pytest.mark.parametrize("max_output_size", [30, 900])
@pytest.mark.parametrize("crowding", [0.05, 0.9])
def test_agrees_with_the_op_over_several_tiles(crowding: float, max_output_size: int) -> None:
    rng = np.random.default_rng(5)
    size = rng.uniform(0.05, 0.3, (1200, 2))
    corner = rng.uniform(0, 1 - crowding, (1200, 2)) * (1 - size)
    boxes = np.concatenate([corner, corner + size], axis=-1).astype(np.float32)
    scores = rng.uniform(0, 1, 1200).astype(np.float32)
    expected = tf.image.non_max_suppression(boxes, scores, max_output_size, 0.5, 0.1)
    ours, _ = select(boxes, scores, max_output_size=max_output_size)
    assert ours == expected.numpy().tolist()
