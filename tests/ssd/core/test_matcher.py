"""Matches by hand and against the recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ssd.core.matcher import IGNORED, UNMATCHED, match

RECORDING = np.load(Path(__file__).parents[2] / "data" / "core_argmax_matcher.npz")


def matched(similarity: list[list[float]], valid: list[bool], **switches: object) -> list[int]:
    settings = {"matched_threshold": 0.5, "unmatched_threshold": 0.4, **switches}
    result = match(tf.constant([similarity]), tf.constant([valid]), **settings)  # type: ignore[arg-type]
    return result[0].numpy().tolist()


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


def test_forced_rows_by_hand() -> None:
    # Both want anchor 1: the lower row has it; an invalid row forces nothing.
    similarity = [[0.1, 0.2, 0.0], [0.1, 0.3, 0.0], [0.39, 0.0, 0.0]]
    forced = {"force_match_for_each_row": True}
    assert matched(similarity, [True, True, False], **forced) == [UNMATCHED, 0, UNMATCHED]


def test_no_similarity_forces_the_first_anchor() -> None:
    assert matched([[0.0, 0.0]], [True], force_match_for_each_row=True) == [0, UNMATCHED]


SWITCHES = {
    "zoo": (0.5, 0.5, True, True),
    "noforce": (0.5, 0.5, True, False),
    "nothreshold": (None, None, True, True),
}


@pytest.mark.parametrize("case", range(4))
@pytest.mark.parametrize("name", SWITCHES)
def test_equals_the_recording(name: str, case: int) -> None:
    matched_threshold, unmatched_threshold, lower, force = SWITCHES[name]
    ours = match(
        tf.constant(RECORDING[f"sim{case}"][np.newaxis]),
        tf.constant(RECORDING[f"valid{case}"][np.newaxis]),
        matched_threshold=matched_threshold,
        unmatched_threshold=unmatched_threshold,
        negatives_lower_than_unmatched=lower,
        force_match_for_each_row=force,
    )
    np.testing.assert_array_equal(ours[0], RECORDING[f"match_{name}_{case}"])
