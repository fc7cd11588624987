"""Ops with their random draws pinned: by hand, then as the TF Object Detection API recorded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from ssd.config.messages import message_class
from ssd.data import augmentation_builder
from ssd.data.augmentation import aspect_ratios, boxes, crops, draws, labels, pads, square
from ssd.standard_fields import InputFields

_F = InputFields
_BOX = [0.1, 0.2, 0.4, 0.7]
_ANY_SEED = tf.constant([3, 4], tf.int64)

RECORDING = Path(__file__).parents[2] / "data" / "augmentation_geometry.npz"
NUM_RECORDED = 37

# Where draws are made by name.
_DRAWING = (aspect_ratios, boxes, crops, draws, labels, pads, square)


def _example(*rows: list[float]) -> dict[str, tf.Tensor]:
    """An example whose image holds each pixel's row and column."""
    y, x = np.mgrid[0:120, 0:200]
    count = len(rows)
    return {
        _F.image: tf.constant(np.stack([y, x, y], -1), tf.float32),
        _F.groundtruth_boxes: tf.reshape(tf.constant(rows, tf.float32), [-1, 4]),
        _F.groundtruth_classes: tf.range(1, count + 1, dtype=tf.int64),
        _F.groundtruth_weights: tf.range(1, count + 1, dtype=tf.float32) / 10,
    }


@pytest.fixture
def pin(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[float]], list[float]]:
    """(numbers in [0, 1)) -> the same list, used up draw by draw in place of chance."""

    def pin_to(numbers: list[float]) -> list[float]:
        def uniform(
            seed: Any, minval: Any = 0.0, maxval: Any = 1.0, *, shape: Any = (), dtype: Any = None
        ) -> tf.Tensor:
            count = int(np.prod(np.array(shape))) if len(shape) else 1
            share = tf.reshape([numbers.pop(0) for _ in range(count)], shape)
            if dtype == tf.int32:
                width = tf.cast(maxval - minval, tf.float32)
                return minval + tf.cast(tf.floor(share * width), tf.int32)
            return minval + share * (maxval - minval)

        for module in _DRAWING:
            monkeypatch.setattr(module, "uniform", uniform)
        return numbers

    return pin_to


def test_boxes_that_a_crop_to_an_aspect_ratio_leaves_outside(
    pin: Callable[[list[float]], list[float]],
) -> None:
    example = _example([0.2, 0.0, 0.4, 0.2], [0.2, 0.5, 0.4, 0.7], [0.2, 0.3, 0.4, 0.3])
    # Columns 70 to 129 of 200, (0.35, 0.65): the first is outside, half of the second inside.
    for clip_boxes, expected in (
        (True, [[0.2, 0.5, 0.4, 1.0]]),
        # (0 - .35) / .3, (.2 - .35) / .3; (.7 - .35) / .3.
        (False, [[0.2, -7 / 6, 0.4, -0.5], [0.2, 0.5, 0.4, 7 / 6]]),
    ):
        pin([0.0, 70 / 141 + 1e-4])
        cropped = aspect_ratios.random_crop_to_aspect_ratio(
            example, _ANY_SEED, aspect_ratio=0.5, overlap_thresh=0.0, clip_boxes=clip_boxes
        )
        assert cropped[_F.image][0, 0, 1] == 70
        np.testing.assert_allclose(cropped[_F.groundtruth_boxes], expected, atol=1e-5)


def test_a_square_that_reaches_outside_is_black_there(
    pin: Callable[[list[float]], list[float]],
) -> None:
    left = pin([0.0, 0.0, 0.0])
    example = _example([0.0, 0.0, 0.25, 0.1], [0.3, 0.5, 0.9, 0.6])
    squared = square.random_square_crop_by_scale(
        example, _ANY_SEED, scale_min=0.4, scale_max=0.4, num_scales=1, max_border=16
    )
    assert left == []
    image = squared[_F.image].numpy()
    # 0.4 * 200 = 80 pixels around (16, 16): rows and columns -24 to 55.
    assert image.shape == (80, 80, 3)
    assert (image[:24] == 0).all()
    assert (image[:, :24] == 0).all()
    assert image[30, 44].tolist() == [6, 20, 6]
    # Rows 0 to 30 are 24 to 54 of 80, columns 0 to 20 are 24 to 44; the other box is outside.
    np.testing.assert_allclose(squared[_F.groundtruth_boxes], [[0.3, 0.3, 0.675, 0.55]], atol=1e-6)


@pytest.mark.parametrize(
    ("mode", "numbers", "expected"),
    [
        # Height 0.3, width 0.5, centre (0.25, 0.45); 0 and 1 are the ends of the range 1 -+ 0.2.
        ("DEFAULT", [0, 0, 1, 1], [0.25 - 0.12, 0.45 - 0.2, 0.25 + 0.18, 0.45 + 0.3]),
        ("EXPAND", [0, 0.5, 1, 1], [0.25 - 0.15, 0.45 - 0.275, 0.25 + 0.18, 0.45 + 0.3]),
        ("SHRINK", [0, 0.5, 1, 1], [0.25 - 0.12, 0.45 - 0.225, 0.25 + 0.15, 0.45 + 0.25]),
        ("EXPAND_SYMMETRIC", [1, 0.5], [0.25 - 0.18, 0.45 - 0.275, 0.25 + 0.18, 0.45 + 0.275]),
        ("SHRINK_SYMMETRIC", [0, 0.5], [0.25 - 0.12, 0.45 - 0.225, 0.25 + 0.12, 0.45 + 0.225]),
        ("EXPAND_SYMMETRIC_XY", [1, 0.5], [0.25 - 0.18, 0.45 - 0.3, 0.25 + 0.18, 0.45 + 0.3]),
        ("SHRINK_SYMMETRIC_XY", [0, 0.5], [0.25 - 0.12, 0.45 - 0.2, 0.25 + 0.12, 0.45 + 0.2]),
    ],
)
def test_jitter_by_hand(
    mode: str,
    numbers: list[float],
    expected: list[float],
    pin: Callable[[list[float]], list[float]],
) -> None:
    pin([float(number) for number in numbers])
    jittered = boxes.random_jitter_boxes(_example(_BOX), _ANY_SEED, ratio=0.2, jitter_mode=mode)
    np.testing.assert_allclose(jittered[_F.groundtruth_boxes], [expected], atol=1e-6)


def test_labels_by_hand(pin: Callable[[list[float]], list[float]]) -> None:
    example = _example(_BOX, _BOX, _BOX)
    renamed = labels.remap_labels(example, _ANY_SEED, original_labels=(3, 1), new_label=7)
    assert renamed[_F.groundtruth_classes].numpy().tolist() == [7, 2, 7]
    pin([0.1, 0.2, 0.3])
    fewer = labels.drop_label_probabilistically(renamed, _ANY_SEED, label=7, drop_probability=0.2)
    assert fewer[_F.groundtruth_classes].numpy().tolist() == [2, 7]
    np.testing.assert_allclose(fewer[_F.groundtruth_weights], [0.2, 0.3], rtol=1e-6)


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    with np.load(RECORDING) as arrays:
        return dict(arrays)


def test_all_recordings_are_compared(recorded: dict[str, np.ndarray]) -> None:
    assert recorded["cases"] == NUM_RECORDED


@pytest.mark.parametrize("case", range(NUM_RECORDED))
def test_as_recorded_with_the_same_draws(
    recorded: dict[str, np.ndarray], case: int, pin: Callable[[list[float]], list[float]]
) -> None:
    of_case = {
        key.removeprefix(f"case{case}_"): value
        for key, value in recorded.items()
        if key.startswith(f"case{case}_")
    }
    text = f"data_augmentation_options {{ {of_case['step']} }}"
    config = text_format.Parse(text, message_class("TrainConfig")())
    (op,) = augmentation_builder.build(config.data_augmentation_options)
    # Where the original has nothing to choose from it draws nothing; here the first draw chooses.
    left = pin([0.0] * int(of_case["extra"]) + of_case["u"].tolist())
    changed = op(
        {
            _F.image: tf.constant(recorded["image"], tf.float32),
            _F.groundtruth_boxes: tf.constant(recorded["boxes"]),
            _F.groundtruth_classes: tf.constant(recorded["labels"]),
            _F.groundtruth_weights: tf.constant(recorded["weights"]),
        },
        _ANY_SEED,
    )
    assert left == []
    image = changed[_F.image].numpy()
    assert image.shape == tuple(of_case["image_shape"])
    # Values up to 255, float32; the kernels differ between versions of TensorFlow.
    np.testing.assert_allclose(image[::13, ::17], of_case["image_sample"], atol=1e-4)
    np.testing.assert_allclose(
        image.astype(np.float64).mean((0, 1)), of_case["image_mean"], rtol=1e-6
    )
    np.testing.assert_allclose(
        changed[_F.groundtruth_boxes], of_case["boxes"], rtol=1e-6, atol=3e-7
    )
    np.testing.assert_array_equal(changed[_F.groundtruth_classes], of_case["labels"])
    np.testing.assert_array_equal(changed[_F.groundtruth_weights], of_case["weights"])
