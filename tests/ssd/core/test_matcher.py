"""Matches by hand and against the recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ssd.core.matcher import IGNORED, UNMATCHED, match
from ssd.errors import InputError

RECORDING = np.load(Path(__file__).parents[2] / "data" / "core_argmax_matcher.npz")


def matched(similarity: list[list[float]], valid: list[bool], **switches: object) -> list[int]:
    settings = {"matched_threshold": 0.5, "unmatched_threshold": 0.4, **switches}
    result = match(tf.constant(similarity), tf.constant(valid), **settings)  # type: ignore[arg-type]
    return result.numpy().tolist()


@pytest.mark.parametrize(
    ("switches", "expected"),
    [
        pytest.param({}, [1, IGNORED, UNMATCHED, 0], id="thresholds"),
        pytest.param(
            {"negatives_lower_than_unmatched": False}, [1, UNMATCHED, IGNORED, 0], id="swapped"
        ),
        pytest.param(
            {"matched_threshold": None, "unmatched_threshold": None},
            [1, 0, 0, 0],
            id="no thresholds",
        ),
        # Row 2 is best at anchor 1 (0.44).
        pytest.param({"force_match_for_each_row": True}, [1, 2, UNMATCHED, 0], id="forced"),
    ],
)
def test_switches_by_hand(switches: dict, expected: list[int]) -> None:
    similarity = [[0.2, 0.45, 0.3, 0.9], [0.8, 0.1, 0.2, 0.6], [0.1, 0.44, 0.3, 0.2]]
    assert matched(similarity, [True, True, True], **switches) == expected


def test_thresholds_are_reached_by_equality() -> None:
    # 0.5 and 0.25 are exact in float32.
    thresholds = {"matched_threshold": 0.5, "unmatched_threshold": 0.25}
    assert matched([[0.5, 0.25, 0.2]], [True], **thresholds) == [0, IGNORED, UNMATCHED]


def test_ties_go_to_the_lower_row_and_the_lower_anchor() -> None:
    similarity = [[0.7, 0.0, 0.0], [0.7, 0.3, 0.3]]
    assert matched(similarity, [True, True]) == [0, UNMATCHED, UNMATCHED]
    # Row 2 is equally like anchors 1 and 2.
    forced = [[0.7, 0.0, 0.0], [0.7, 0.1, 0.1], [0.0, 0.3, 0.3]]
    expected = [0, 2, UNMATCHED]
    assert matched(forced, [True] * 3, force_match_for_each_row=True) == expected


def test_forced_rows_by_hand() -> None:
    # Both want anchor 1: the lower row has it; an invalid row forces nothing.
    similarity = [[0.1, 0.2, 0.0], [0.1, 0.3, 0.0], [0.39, 0.0, 0.0]]
    forced = {"force_match_for_each_row": True}
    assert matched(similarity, [True, True, False], **forced) == [UNMATCHED, 0, UNMATCHED]


def test_a_forced_row_takes_an_anchor_from_a_better_one() -> None:
    # Row 0 has anchors 0 and 1; row 1 is best at anchor 1, less than row 0 is.
    similarity = [[0.9, 0.8], [0.1, 0.2]]
    assert matched(similarity, [True, True], force_match_for_each_row=True) == [0, 1]


def test_no_similarity_forces_the_first_anchor() -> None:
    assert matched([[0.0, 0.0]], [True], force_match_for_each_row=True) == [0, UNMATCHED]


# Thresholds, negatives_lower_than_unmatched, force_match_for_each_row of the recorded matchers.
SWITCHES = {
    "zoo": (0.5, 0.5, True, True),
    "noforce": (0.5, 0.5, True, False),
    "band": (0.7, 0.3, True, True),
    "band_inverted": (0.7, 0.3, False, False),
    "nothreshold": (None, None, True, True),
}


@pytest.mark.parametrize("case", range(5))
@pytest.mark.parametrize("name", SWITCHES)
def test_equals_the_recording(name: str, case: int) -> None:
    # Case 4 has no rows.
    matched_threshold, unmatched_threshold, lower, force = SWITCHES[name]
    ours = match(
        RECORDING[f"sim{case}"],
        RECORDING[f"valid{case}"],
        matched_threshold=matched_threshold,
        unmatched_threshold=unmatched_threshold,
        negatives_lower_than_unmatched=lower,
        force_match_for_each_row=force,
    )
    assert ours.dtype == tf.int32
    np.testing.assert_array_equal(ours, RECORDING[f"match_{name}_{case}"])


@pytest.mark.parametrize("rows", [0, 3])
def test_a_batch_in_a_function_is_its_images_one_by_one(rows: int) -> None:
    rng = np.random.default_rng(5)
    similarity = rng.uniform(size=(2, rows, 11)).astype(np.float32)
    valid = np.array([[True, False, True], [True, True, False]])[:, :rows]
    settings = {"matched_threshold": 0.7, "unmatched_threshold": 0.5}

    # The number of rows is not known while tracing, as in target assignment.
    @tf.function(
        input_signature=[tf.TensorSpec([None, None, 11]), tf.TensorSpec([None, None], tf.bool)]
    )
    def together(similarity: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
        return match(similarity, valid, force_match_for_each_row=True, **settings)

    ours = together(similarity, valid)
    for n in range(2):
        alone = match(similarity[n], valid[n], force_match_for_each_row=True, **settings)
        np.testing.assert_array_equal(ours[n], alone)


@pytest.mark.parametrize(
    ("switches", "message"),
    [
        pytest.param(
            {"matched_threshold": 0.3},
            r"^argmax_matcher\.unmatched_threshold: 0\.4 is more than matched_threshold \(0\.3\)",
            id="crossed",
        ),
        pytest.param(
            {"unmatched_threshold": None},
            r"^argmax_matcher: matched_threshold is 0\.5 and unmatched_threshold is None; give",
            id="one only",
        ),
        pytest.param(
            {"unmatched_threshold": 0.5, "negatives_lower_than_unmatched": False},
            r"^argmax_matcher\.negatives_lower_than_unmatched: false .* but both are 0\.5; give",
            id="nothing between",
        ),
    ],
)
def test_thresholds_that_contradict_each_other(switches: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        matched([[0.2]], [True], **switches)
