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
from ssd.models.detector import Detector

RECORDING = np.load(Path(__file__).parents[2] / "data" / "models_switches.npz")
PARTS = ("box_encodings", "class_predictions_with_background")
# Between them these have every kind of layer; the others take two minutes.
QUICK = ("v1_ssd_deep_heads", "v1_fpn_lite_explicit", "v2_ssd_shared_heads_bias")
CASES = [
    pytest.param(case, marks=() if case in QUICK else pytest.mark.slow)
    for case in sorted({key.split("/")[0] for key in RECORDING})
]
# Synchronized batch norms of the original compute a variance as E[x^2] - E[x]^2, which cancels.
TOLERANCES = {"v1_ssd_sync": 3e-4}


def uniform(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers in [0, 1) from the raw bits of Philox, which no version of NumPy changes."""
    stream = np.random.Philox(key=zlib.crc32(name.encode()))
    bits = stream.random_raw(int(np.prod(shape))) >> np.uint64(11)
    return (bits * 2.0**-53).reshape(shape)


def drawn(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """The values of a variable: conditioned so that no layer vanishes or explodes."""
    values = uniform(key, shape)
    leaf = key.split("/")[-1]
    if leaf == "gamma":
        values = 0.5 + values
    elif leaf == "moving_variance":
        values = 0.5 + 1.5 * values
    elif leaf in ("beta", "moving_mean", "bias"):
        values = values - 0.5
    else:
        fan = np.prod(shape[:2] if "depthwise" in leaf else shape[:-1])
        values = (2 * values - 1) * np.sqrt(6 / fan)
    return values.astype(np.float32)


def checksum(names: list[str]) -> int:
    return zlib.crc32("\n".join(sorted(names)).encode())


def predictions_of(detector: Detector, images: np.ndarray, training: bool) -> list[np.ndarray]:
    predictions = detector.predict(images, training=training, seed=np.array([3, 4]))
    return [predictions[part].numpy() for part in PARTS]


def assert_close(
    found: list[np.ndarray], rows: np.ndarray, step: int, norms: np.ndarray, tolerance: float
) -> None:
    """Every step-th row within `tolerance` of the largest value, and the norm of all."""
    columns = np.split(rows, [found[0].shape[-1]], axis=-1)
    for part, ours, theirs, norm in zip(PARTS, found, columns, norms, strict=False):
        error = np.max(np.abs(ours[:, ::step] - theirs)) / max(1.0, np.max(np.abs(theirs)))
        assert error <= tolerance, part
        assert np.linalg.norm(ours.astype(np.float64)) == pytest.approx(norm, rel=tolerance), part


def assert_drawn_alike(key: str, ours: np.ndarray, mean: float, deviation: float) -> None:
    """The configs' initializers have mean 0.5 and deviation 0.01, or are those of Keras."""
    if key.endswith("/bias"):
        np.testing.assert_allclose(ours, mean, rtol=1e-3, err_msg=key)  # Stored as float16.
        return
    assert (abs(ours.mean() - 0.5) < 0.05) == (abs(mean - 0.5) < 0.05), key
    # Five standard errors of an estimated deviation, and the rounding of float16.
    allowed = 5 / np.sqrt(2 * ours.size) + 0.01
    assert abs(np.log(ours.std() / deviation)) < allowed or deviation == ours.std() == 0, key


@pytest.mark.parametrize("case", CASES)
def test_network_equals_the_original(case: str) -> None:
    recorded = {k.split("/", 1)[1]: v for k, v in RECORDING.items() if k.startswith(f"{case}/")}
    step, keys, trainable, num_terms, regularization, *is_random = recorded["facts"]
    model = message_class("DetectionModel")()
    text_format.Parse(recorded["config"].item().decode(), model)
    detector = build_detector(model, seed=3)
    variables = {f"model/{key}": v for key, v in sorted(detector.checkpoint_variables().items())}

    assert checksum([f"{key} {list(v.shape)}" for key, v in variables.items()]) == keys
    learnt = {id(v.value) for v in detector.network.trainable_variables}
    assert checksum([key for key, v in variables.items() if id(v) in learnt]) == trainable
    begun = [key for key in variables if key.endswith(("kernel", "/bias"))]
    for key, (mean, deviation) in zip(begun, recorded["initial"].astype(float), strict=True):
        assert_drawn_alike(key, variables[key].numpy(), mean, deviation)

    for key, variable in variables.items():
        variable.assign(drawn(key, tuple(variable.shape)))
    # The count tells which kernels are regularized, the sum by how much.
    assert len(detector.network.losses) == num_terms
    assert float(detector.regularization_loss()) == pytest.approx(regularization, rel=1e-5)
    images = (2 * uniform("images", (2, *detector.image_size, 3)) - 1).astype(np.float32)
    norms, tolerance = recorded["norms"], TOLERANCES.get(case, 1e-4)
    found = predictions_of(detector, images, training=False)
    assert_close(found, recorded["infer"], int(step), norms[:2], tolerance)
    found = predictions_of(detector, images, training=True)
    # Dropout is another draw on either side, and the class heads are behind it.
    compared = slice(0, 1 if any(is_random) else 2)
    assert_close(found[compared], recorded["train"], int(step), norms[2:][compared], tolerance)
    moving = [key for key in variables if "/moving_" in key]
    for key, norm in zip(moving, recorded["moving_norms"], strict=True):
        if not any(is_random) or PARTS[1] not in key:
            ours = np.linalg.norm(variables[key].numpy().astype(np.float64))
            assert ours == pytest.approx(norm, rel=2 * tolerance, abs=1e-5), key
