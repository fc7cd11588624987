"""Calibration by hand and against the recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ssd.core.calibration import Calibration, calibrated_scores, interpolate, interpolate_columns

RECORDING = np.load(Path(__file__).parents[2] / "data" / "core_score_conversion.npz")
CURVE = ([0.1, 0.35, 0.35, 0.5, 0.9], [0.02, 0.3, 0.4, 0.45, 0.99])
OTHER_CURVE = ([0.0, 0.3, 1.0], [0.0, 0.7, 0.9])
RECORDED = {
    "function": (Calibration(curve=CURVE), 1.7),
    # A curve for a class that does not exist changes nothing.
    "classes": (Calibration(class_curves={0: OTHER_CURVE, 2: CURVE, 9: OTHER_CURVE}), 1.0),
    "temperature": (Calibration(temperature=float(np.float32(2.3))), 1.7),
    "one_pair": (Calibration(curve=([0.4], [0.25])), 1.0),
    "negative_domain": (Calibration(curve=([-1.5, -0.5], [0.25, 0.75])), 1.0),
}
CASES = [(c, k) for k in list(RECORDED)[:3] for c in ("IDENTITY", "SIGMOID", "SOFTMAX")]
CASES += [("SIGMOID", "one_pair"), ("SIGMOID", "negative_domain")]


@pytest.mark.parametrize(("converter", "kind"), CASES)
def test_equals_the_recording(converter: str, kind: str) -> None:
    calibration, scale = RECORDED[kind]
    scores = calibrated_scores(
        RECORDING["logits"],
        calibration,
        score_converter=converter,
        logit_scale=float(np.float32(scale)),
    )
    # Equal to the bit but for the sigmoid before it, whose rounding the steepest line enlarges.
    tolerance = 5e-7 if converter == "SIGMOID" else 0.0
    expected = RECORDING[f"{converter}_{kind}_scores"]
    np.testing.assert_allclose(scores, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (0.0, 0.1),  # below the first point
        (0.2, 0.1),
        (0.3, 0.2),  # a quarter of the way from 0.1 to 0.5
        (0.6, 0.6),  # of two points at one x the later
        (0.7, 0.7),
        (0.9, 0.8),  # above the last
        (2.0, 0.1),  # and more than 1 above it, where the original begins again
    ],
)
def test_interpolation_by_hand(score: float, expected: float) -> None:
    y = interpolate(tf.constant([score]), [0.2, 0.6, 0.6, 0.8], [0.1, 0.5, 0.6, 0.8])
    np.testing.assert_allclose(y, [expected], atol=1e-6)


def test_columns_have_curves_of_their_own() -> None:
    scores = tf.constant([[[0.5, 0.5, 0.5]]])
    mapped = interpolate_columns(scores, {0: ([0.0, 1.0], [0.0, 0.4]), 2: ([0.5], [0.9])})
    np.testing.assert_allclose(mapped, [[[0.2, 0.5, 0.9]]])


def test_a_temperature_comes_before_the_converter_and_a_curve_after_it() -> None:
    logits = tf.constant([[2.0, 0.0]])
    scores = calibrated_scores(logits, Calibration(temperature=2.0), score_converter="SIGMOID")
    np.testing.assert_allclose(scores, [[1 / (1 + np.exp(-1)), 0.5]], rtol=1e-6)
    halved = Calibration(curve=([0.0, 1.0], [0.0, 0.5]))
    scores = calibrated_scores(logits, halved, score_converter="SIGMOID")
    np.testing.assert_allclose(scores, [[0.5 / (1 + np.exp(-2)), 0.25]], rtol=1e-6)
    scores = calibrated_scores(logits, None, score_converter="IDENTITY")
    np.testing.assert_array_equal(scores, logits)


class Exported(tf.Module):
    """Calibrated scores of any number of images."""

    @tf.function(input_signature=[tf.TensorSpec([None, 11, 4])])
    def convert(self, logits: tf.Tensor) -> tf.Tensor:
        calibration = Calibration(class_curves={1: CURVE, 3: OTHER_CURVE})
        return calibrated_scores(logits, calibration, score_converter="SIGMOID")


def test_a_saved_model_scores_the_same(tmp_path: Path) -> None:
    logits = RECORDING["logits"][:, :11]
    tf.saved_model.save(Exported(), str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    np.testing.assert_allclose(loaded.convert(logits), Exported().convert(logits), rtol=1e-6)
    assert loaded.convert(logits[:0]).shape == (0, 11, 4)
