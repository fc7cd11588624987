"""AutoAugment: what is ours by hand; with the extra installed, every operation as recorded."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from ssd.data.augmentation import auto_augment
from ssd.data.augmentation import auto_augment_operations as operations
from ssd.data.augmentation.auto_augment_policies import POLICIES
from ssd.errors import InputError
from ssd.standard_fields import InputFields

_F = InputFields


@pytest.fixture(scope="module")
def garden() -> Any:
    pytest.importorskip("official", reason="requirements/modelgarden.txt is not installed")
    return auto_augment.load_model_garden()


def _example(boxes: Any) -> dict[str, tf.Tensor]:
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    image = np.random.default_rng(2).integers(0, 256, [120, 200, 3])
    return {
        _F.image: tf.constant(image, tf.float32),
        _F.groundtruth_boxes: tf.constant(boxes),
        _F.groundtruth_classes: tf.range(1, len(boxes) + 1, dtype=tf.int64),
        _F.groundtruth_weights: tf.range(len(boxes), dtype=tf.float32),
        _F.groundtruth_is_crowd: tf.range(len(boxes)) == 1,
    }


def _seed(number: int) -> tf.Tensor:
    return tf.constant([number, 31], tf.int64)


def _gray_window(image: tf.Tensor) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) of the one gray rectangle on a black image."""
    ys, xs = np.nonzero((image.numpy() == 128).all(axis=-1))
    window = int(ys.min()), int(xs.min()), int(ys.max()) + 1, int(xs.max()) + 1
    assert len(ys) == (window[2] - window[0]) * (window[3] - window[1])
    return window


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named '{name.partition('.')[0]}'")

    monkeypatch.setattr(importlib, "import_module", missing)
    message = r"No module named 'official'\); `pip install -r requirements/modelgarden.txt`"
    with pytest.raises(InputError, match=message) as caught:
        auto_augment.autoaugment_image(_example([]), _seed(0))
    assert "\n" not in str(caught.value)


def test_an_unknown_policy_is_named() -> None:
    with pytest.raises(InputError, match="policy_name is v4; expected one of v0, v1, v2, v3, test"):
        auto_augment.autoaugment_image(_example([]), _seed(0), policy_name="v4")


def test_sizes_of_the_policies() -> None:
    sizes = {name: len(policy) for name, policy in POLICIES.items()}
    assert sizes == {"v0": 5, "v1": 20, "v2": 15, "v3": 15, "test": 1}


def test_cutouts_by_hand() -> None:
    black, boxes = tf.zeros([120, 200, 3], tf.uint8), tf.constant([[0.25, 0.5, 0.5, 0.75]])
    for n in range(20):
        image, same = operations.apply_operation(None, "Cutout", 1.0, 4, black, boxes, _seed(n))
        top, left, bottom, right = _gray_window(image)
        # 40 to each side of a pixel, cut at the edge.
        assert (bottom - top == 80) or top == 0 or bottom == 120
        assert (right - left == 80) or left == 0 or right == 200
        assert 40 <= bottom - top <= 80
        assert 40 <= right - left <= 80
        np.testing.assert_array_equal(same, boxes)
        image, _ = operations.apply_operation(None, "BBox_Cutout", 1.0, 8, black, boxes, _seed(n))
        top, left, bottom, right = _gray_window(image)
        # Rows 30..60, columns 100..150: int(.6 * 31 / 2) = 9 and int(.6 * 51 / 2) = 15 each way.
        assert (bottom - top, right - left) == (18, 30)
        assert 30 <= top + 9 <= 60
        assert 100 <= left + 15 <= 150


def test_only_boxes_change_and_a_third_as_often() -> None:
    example = _example([[0.1, 0.2, 0.4, 0.45], [0.5, 0.5, 0.8, 0.9], [0.3, 1.2, 0.5, 1.4]])
    image = tf.cast(example[_F.image], tf.uint8)
    boxes = example[_F.groundtruth_boxes]
    before = image.numpy()
    # Rows int(.1 * 120) to int(.4 * 120), columns int(.2 * 200) to int(.45 * 200), both included.
    flipped = before.copy()
    flipped[12:49, 40:91] = flipped[12:49, 40:91][:, ::-1]

    def flip(number: int, probability: float) -> np.ndarray:
        after, same = operations.apply_operation(
            None, "Flip_Only_BBoxes", probability, 5, image, boxes, _seed(number)
        )
        np.testing.assert_array_equal(same, boxes)
        return after.numpy()

    always = flip(0, 3.0)
    np.testing.assert_array_equal(always[:55], flipped[:55])
    np.testing.assert_array_equal(always[60:97, 100:181], before[60:97, 100:181][:, ::-1])
    done = [np.array_equal(flip(n, 0.9)[:55], flipped[:55]) for n in range(150)]
    # 0.3 +- 4 sigma.
    assert 0.15 < np.mean(done) < 0.45
    none = operations.apply_operation(None, "Flip_Only_BBoxes", 3.0, 5, image, boxes[:0], _seed(0))
    np.testing.assert_array_equal(none[0], before)


@pytest.fixture(scope="module")
def recorded(golden_data: Path) -> dict[str, np.ndarray]:
    with np.load(golden_data / "augmentation_color_auto.npz") as arrays:
        return dict(arrays)


def test_operations_as_recorded(
    garden: Any, recorded: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    image, boxes = tf.constant(recorded["image"]), tf.constant(recorded["boxes"])
    keys = [key for key in recorded if key.endswith("/image")]
    for key in keys:
        name, level, sign, _ = key.split("/")
        monkeypatch.setattr(
            operations, "_either_way", lambda _, size, by=float(sign): tf.constant(by * size)
        )
        # Three times a third for the operations on single boxes.
        probability = 3.0 if "Only" in name else 1.0
        changed = operations.apply_operation(
            garden, name, probability, float(level), image, boxes, _seed(0)
        )
        np.testing.assert_array_equal(changed[0], recorded[key], err_msg=key)
        moved = recorded.get(key.replace("/image", "/boxes"), recorded["boxes"])
        np.testing.assert_allclose(changed[1], moved, atol=1e-6, err_msg=key)
    assert len(keys) == 43


@pytest.mark.slow
@pytest.mark.parametrize("policy_name", POLICIES)
@pytest.mark.parametrize("count", [3, 0])
def test_same_in_tf_data_and_out(garden: Any, policy_name: str, count: int) -> None:
    boxes = [[0.1, 0.2, 0.4, 0.7], [0.5, 0.05, 0.95, 0.9], [0.2, 0.3, 0.25, 0.35]][:count]
    example = _example(boxes)

    def change(number: tf.Tensor) -> Any:
        inside = {**example, _F.image: tf.ensure_shape(example[_F.image], [None, None, 3])}
        seed = tf.stack([number, tf.constant(31, tf.int64)])
        return auto_augment.autoaugment_image(inside, seed, policy_name=policy_name)

    results = []
    for number, inside in enumerate(tf.data.Dataset.range(8).map(change, num_parallel_calls=2)):
        outside = auto_augment.autoaugment_image(example, _seed(number), policy_name=policy_name)
        assert outside[_F.image].dtype == tf.float32
        for key, value in outside.items():
            np.testing.assert_array_equal(inside[key], value, err_msg=f"{number} {key}")
        for key in example.keys() - {_F.image, _F.groundtruth_boxes}:
            np.testing.assert_array_equal(outside[key], example[key])
        assert outside[_F.groundtruth_boxes].shape == (count, 4)
        results.append(outside[_F.image].numpy().tobytes())
    assert len(set(results)) > (1 if policy_name == "test" else 2)
