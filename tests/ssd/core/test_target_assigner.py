"""Targets against the recording; padding and batching change nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ssd.core.target_assigner import Targets, assign

RECORDING = np.load(Path(__file__).parents[2] / "data" / "core_target_assigner.npz")
ZOO = {"matched_threshold": 0.5, "unmatched_threshold": 0.5, "force_match_for_each_row": True}


def case_batch(case: int, rows: int) -> list[tf.Tensor]:
    """boxes, one-hot classes and weights of a recorded image, padded to `rows`."""
    parts = []
    for name in ("boxes", "labels", "weights"):
        value = RECORDING[f"case{case}_{name}"]
        # The recorded labels have a background column, which is never a box's class.
        value = value[:, 1:] if name == "labels" else value
        padding = [(0, rows - value.shape[0]), *[(0, 0)] * (value.ndim - 1)]
        parts.append(tf.constant(np.pad(value, padding)[np.newaxis]))
    return parts


@pytest.mark.parametrize("rows", [6, 100])
@pytest.mark.parametrize("case", range(3))
def test_equals_the_recording(case: int, rows: int) -> None:
    targets = assign(RECORDING["anchors"], *case_batch(case, rows), **ZOO)
    prefix = f"case{case}_zoo"
    np.testing.assert_array_equal(targets.match[0], RECORDING[f"{prefix}_match"])
    np.testing.assert_array_equal(targets.cls_targets[0], RECORDING[f"{prefix}_cls_targets"])
    np.testing.assert_array_equal(targets.cls_weights[0], RECORDING[f"{prefix}_cls_weights"][:, 0])
    np.testing.assert_array_equal(targets.reg_weights[0], RECORDING[f"{prefix}_reg_weights"])
    # 1e-6 of codes up to 80 (a box without area).
    np.testing.assert_allclose(
        targets.reg_targets[0], RECORDING[f"{prefix}_reg_targets"], rtol=2e-6, atol=2e-6
    )


def test_a_batch_is_its_images_one_by_one() -> None:
    one, other = case_batch(0, 9), case_batch(2, 9)
    both = [tf.concat(pair, axis=0) for pair in zip(one, other, strict=True)]
    together = assign(RECORDING["anchors"], *both, **ZOO)
    for n, single in enumerate((one, other)):
        alone = assign(RECORDING["anchors"], *single, **ZOO)
        for name, value in together._asdict().items():
            np.testing.assert_array_equal(value[n], getattr(alone, name)[0], err_msg=name)


def test_in_a_function_it_is_the_same() -> None:
    eager = assign(RECORDING["anchors"], *case_batch(2, 20), **ZOO)
    traced = tf.function(lambda *batch: tuple(assign(RECORDING["anchors"], *batch, **ZOO)))(
        *case_batch(2, 20)
    )
    for a, b in zip(eager, Targets(*traced), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-6)


def test_no_boxes_anywhere_is_all_background() -> None:
    targets = assign(
        RECORDING["anchors"], tf.zeros([2, 5, 4]), tf.zeros([2, 5, 3]), tf.zeros([2, 5]), **ZOO
    )
    assert np.all(targets.match == -1)
    assert np.all(targets.cls_weights == 1.0)
    assert not np.any(targets.cls_targets)
    assert not np.any(targets.reg_weights)
