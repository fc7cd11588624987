from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from ssd.core import bipartite_matcher


def by_force(similarity: np.ndarray, valid: np.ndarray) -> list[int]:
    """The same, one pair after the other."""
    rows, anchors = similarity.shape
    found = [-1] * anchors
    pairs = sorted(
        (-similarity[r, a], r, a) for r in range(rows) if valid[r] for a in range(anchors)
    )
    done = set()
    for _, row, anchor in pairs:
        if row not in done and found[anchor] == -1:
            found[anchor] = row
            done.add(row)
    return found


@pytest.mark.parametrize(("rows", "anchors"), [(3, 7), (5, 4), (1, 1), (4, 4)])
@pytest.mark.parametrize("seed", range(3))
def test_equals_taking_one_pair_after_the_other(rows, anchors, seed):
    draw = np.random.default_rng(seed)
    # Steps of a tenth, so that there are ties.
    similarity = draw.integers(0, 6, (2, rows, anchors)).astype(np.float32) / 10
    valid = draw.uniform(size=(2, rows)) < 0.8
    found = bipartite_matcher.match(similarity, valid).numpy().tolist()
    assert found == [by_force(s, v) for s, v in zip(similarity, valid, strict=True)]


@pytest.mark.parametrize("shape", [(2, 0, 3), (2, 3, 0)])
def test_nothing_to_match(shape):
    @tf.function(input_signature=[tf.TensorSpec([None, None, None]), tf.TensorSpec([None, None])])
    def match(similarity, weights):
        return bipartite_matcher.match(similarity, weights > 0)

    found = match(np.zeros(shape, np.float32), np.ones(shape[:2], np.float32))
    assert found.numpy().tolist() == [[-1] * shape[2]] * 2


def test_by_hand():
    # Row 0 is best at anchor 2 (0.8), which leaves anchor 1 to row 1; in the second image only
    # row 1 may match, and it keeps its number.
    similarity = np.array([[0.5, 0.1, 0.8], [0.15, 0.2, 0.3]], np.float32)
    valid = [[True, True], [False, True]]
    found = bipartite_matcher.match(np.stack([similarity, similarity]), valid)
    assert found.dtype == tf.int32
    assert found.numpy().tolist() == [[-1, 1, 0], [-1, -1, 1]]


@pytest.mark.parametrize(
    ("similarity", "expected"),
    [
        pytest.param([[0.0, 0.0], [0.0, 0.0]], [0, 1], id="nothing alike"),
        pytest.param([[-3.0, -1.0], [-2.0, -1.0]], [1, 0], id="negative distances"),
        pytest.param([[0.2, 0.6], [0.6, 0.6]], [1, 0], id="the lower row first"),
        pytest.param([[0.1], [0.4], [0.4]], [1], id="more rows than anchors"),
    ],
)
def test_ties_and_extremes(similarity, expected):
    valid = [[True] * len(similarity)]
    assert bipartite_matcher.match([similarity], valid).numpy().tolist() == [expected]


def test_only_the_number_of_rows_is_unknown_while_tracing():
    # As in training: batch size and anchors are known.
    @tf.function(input_signature=[tf.TensorSpec([1, None, 3]), tf.TensorSpec([1, None], tf.bool)])
    def match(similarity, valid):
        return bipartite_matcher.match(similarity, valid)

    similarity = tf.constant([[[0.6, 0.5, 0.0], [0.9, 0.1, 0.2]]])
    assert match(similarity, tf.constant([[True, True]])).numpy().tolist() == [[1, 0, -1]]
