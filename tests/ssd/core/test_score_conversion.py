"""Logits -> scores, by hand and against the recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ssd.core.score_conversion import convert_scores, sigmoid_scores

RECORDING = np.load(Path(__file__).parents[2] / "data" / "core_score_conversion.npz")


def test_scores_are_the_sigmoid_of_scaled_logits() -> None:
    scores = sigmoid_scores(tf.constant([2.0]), logit_scale=2.0)
    np.testing.assert_allclose(scores, [1 / (1 + np.exp(-1))], rtol=1e-6)


def test_every_converter_scales_the_logits() -> None:
    logits = tf.constant([[0.0, 4.0, 4.0]])
    identity = convert_scores(logits, "IDENTITY", logit_scale=4.0)
    np.testing.assert_allclose(identity, [[0.0, 1.0, 1.0]])
    # 1 and twice e, of 1 + 2 e
    total = 1 + 2 * np.e
    softmax = convert_scores(logits, "SOFTMAX", logit_scale=4.0)
    np.testing.assert_allclose(softmax, [[1 / total, np.e / total, np.e / total]], rtol=1e-6)


@pytest.mark.parametrize("converter", ["IDENTITY", "SIGMOID", "SOFTMAX"])
@pytest.mark.parametrize("scale", ["1.0", "2.5", "0.3"])
def test_equals_the_recording(converter: str, scale: str) -> None:
    logit_scale = float(np.float32(scale))
    scores = convert_scores(RECORDING["logits"], converter, logit_scale=logit_scale)
    # The sigmoid of this TensorFlow differs from the recording's by a rounding; the rest is equal.
    tolerance = 2e-7 if converter == "SIGMOID" else 0.0
    expected = RECORDING[f"{converter}_{scale}_scores"]
    np.testing.assert_allclose(scores, expected, rtol=0, atol=tolerance)
