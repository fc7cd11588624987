"""Networks of the original, built from the same config text and filled with the same values.

Variables are not stored: both sides draw them from a stream that the checkpoint key decides.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

from ssd.config.messages import message_class
from ssd.models.builder import build_detector

RECORDING = np.load(Path(__file__).parents[2] / "data" / "models_switches.npz")
CASES = sorted({key.split("/")[0] for key in RECORDING})
PARTS = ("box_encodings", "class_predictions_with_background")
# Dropout in training is another draw on either side.
RANDOM_IN_TRAINING = ("dropout_conv", "clip_sigmoid_nobackground")


def drawn(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """The values of a variable: conditioned so that no layer vanishes or explodes."""
    draw = np.random.default_rng(zlib.crc32(key.encode()))
    leaf = key.split("/")[-1]
    if leaf == "gamma":
        return draw.uniform(0.5, 1.5, shape).astype(np.float32)
    if leaf == "moving_variance":
        return draw.uniform(0.5, 2, shape).astype(np.float32)
    if leaf in ("beta", "moving_mean", "bias"):
        return draw.normal(0, 0.3, shape).astype(np.float32)
    fan = np.prod(shape[:2] if "depthwise" in leaf else shape[:-1])
    return (draw.normal(0, 1, shape) * np.sqrt(2 / fan)).astype(np.float32)


def close(ours: np.ndarray, theirs: np.ndarray) -> bool:
    """Within 1e-4 of the largest value; without batch norm values reach hundreds."""
    return bool(np.max(np.abs(ours - theirs)) <= 1e-4 * max(1.0, np.max(np.abs(theirs))))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_network_equals_the_original(case: str) -> None:
    recorded = {k.split("/", 1)[1]: v for k, v in RECORDING.items() if k.startswith(f"{case}/")}
    model = message_class("DetectionModel")()
    text_format.Parse(str(recorded["config"]), model)
    detector = build_detector(model)
    variables = {f"model/{key}": v for key, v in detector.checkpoint_variables().items()}
    keys = sorted(f"{key} {list(v.shape)}" for key, v in variables.items())
    assert zlib.crc32("\n".join(keys).encode()) == recorded["keys_crc32"], keys
    for key, variable in variables.items():
        variable.assign(drawn(key, tuple(variable.shape)))
    images = np.random.default_rng(1).uniform(-1, 1, (2, *detector.image_size, 3))
    images = images.astype(np.float32)
    rows = slice(None, None, 7)
    predictions = detector.predict(images)
    for part in PARTS:
        assert close(predictions[part].numpy()[:, rows], recorded[f"infer_{part}"]), part
    # Terms one by one are in the count: which kernels are regularized.
    assert len(detector.network.losses) == recorded["num_regularized"]
    regularization = float(detector.regularization_loss())
    assert regularization == pytest.approx(float(recorded["regularization"]), rel=1e-5)
    predictions = detector.predict(images, training=True)
    if case in RANDOM_IN_TRAINING:
        return
    for part in PARTS:
        assert close(predictions[part].numpy()[:, rows], recorded[f"train_{part}"]), part
    moving = [v.numpy() for key, v in sorted(variables.items()) if "/moving_" in key]
    norms = np.array([np.linalg.norm(value.astype(np.float64)) for value in moving])
    np.testing.assert_allclose(norms, recorded["moving_norms"], rtol=2e-4, atol=1e-5)
