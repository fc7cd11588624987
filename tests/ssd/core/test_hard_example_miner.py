"""Hard example mining by hand and against the recording."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from ssd.core.hard_example_miner import HardExampleMiner, MinedLosses
from ssd.errors import InputError

RECORDED = np.load(Path(__file__).parents[2] / "data/core_hard_example_miner.npz")
_TYPES = {"cls": "CLASSIFICATION", "loc": "LOCALIZATION", "both": "BOTH"}


def make_miner(**settings: Any) -> HardExampleMiner:
    defaults = {
        "num_hard_examples": 0,
        "iou_threshold": 1.0,
        "loss_type": "CLASSIFICATION",
        "classification_weight": 1.0,
        "localization_weight": 1.0,
        "max_negatives_per_positive": 0,
        "min_negatives_per_image": 0,
    }
    return HardExampleMiner(**{**defaults, **settings})


def recorded_miner(case: int) -> HardExampleMiner:
    config = ast.literal_eval(str(RECORDED[f"case{case}_config"]))
    return make_miner(
        num_hard_examples=config["num_hard_examples"] or 0,
        iou_threshold=config["iou_threshold"],
        loss_type=_TYPES[config["loss_type"]],
        classification_weight=config.get("cls_loss_weight", 1.0),
        localization_weight=config.get("loc_loss_weight", 1.0),
        max_negatives_per_positive=config.get("max_negatives_per_positive", 0),
        min_negatives_per_image=config.get("min_negatives_per_image", 0),
    )


def mine_with_gradients(miner: HardExampleMiner) -> tuple[MinedLosses, tf.Tensor, tf.Tensor]:
    """Mined losses of the recording, and what each of the two depends on."""
    location_losses = tf.constant(RECORDED["location_losses"])
    cls_losses = tf.constant(RECORDED["cls_losses"])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([location_losses, cls_losses])
        mined = miner.mine(location_losses, cls_losses, RECORDED["boxes"], RECORDED["match"])
    return (
        mined,
        tape.gradient(mined.localization_loss, location_losses),
        tape.gradient(mined.classification_loss, cls_losses),
    )


# 0 to 4 are the settings people use; 5 and 6 have an iou_threshold of 1, 7 of 0.
@pytest.mark.parametrize("case", range(9))
def test_equals_the_recording(case: int) -> None:
    mined, location_gradient, cls_gradient = mine_with_gradients(recorded_miner(case))
    np.testing.assert_allclose(
        mined.localization_loss, RECORDED[f"case{case}_mined_loc"], rtol=1e-5
    )
    np.testing.assert_allclose(
        mined.classification_loss, RECORDED[f"case{case}_mined_cls"], rtol=1e-5
    )
    # A gradient of 1 is "selected": the same anchors, not only the same sums.
    np.testing.assert_array_equal(location_gradient, RECORDED[f"case{case}_loc_grad"])
    np.testing.assert_array_equal(cls_gradient, RECORDED[f"case{case}_cls_grad"])
    if f"case{case}_num_pos" in RECORDED:
        np.testing.assert_array_equal(mined.num_positives, RECORDED[f"case{case}_num_pos"])
        np.testing.assert_array_equal(mined.num_negatives, RECORDED[f"case{case}_num_neg"])


def test_in_a_function_the_same_for_any_batch_size() -> None:
    miner = recorded_miner(1)
    keys = ("location_losses", "cls_losses", "boxes", "match")

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 40], tf.float32),
            tf.TensorSpec([None, 40], tf.float32),
            tf.TensorSpec([None, 40, 4], tf.float32),
            tf.TensorSpec([None, 40], tf.int32),
        ]
    )
    def traced(*arguments: tf.Tensor) -> MinedLosses:
        return miner.mine(*arguments)

    both = traced(*(RECORDED[key] for key in keys))
    np.testing.assert_allclose(both.classification_loss, RECORDED["case1_mined_cls"], rtol=1e-5)
    one_by_one = [traced(*(RECORDED[key][i : i + 1] for key in keys)) for i in range(2)]
    np.testing.assert_allclose(
        sum(one.localization_loss for one in one_by_one), both.localization_loss, rtol=1e-6
    )
    np.testing.assert_array_equal(
        [int(one.num_negatives[0]) for one in one_by_one], both.num_negatives
    )


def test_negatives_are_limited_by_positives() -> None:
    # By falling loss: -1, -2, 0 (positive), -1, -1, -1. Two negatives for one positive: the
    # ignored anchor 1 comes before the limit is passed, anchors 4 and 5 after it.
    mined = make_miner(max_negatives_per_positive=2).mine(
        tf.constant([[1.0, 2.0, 4.0, 8.0, 16.0, 32.0]]),
        tf.constant([[0.9, 0.8, 0.7, 0.6, 0.5, 0.4]]),
        tf.zeros([1, 6, 4]),
        tf.constant([[-1, -2, 0, -1, -1, -1]]),
    )
    assert float(mined.localization_loss) == 1 + 2 + 4 + 8
    np.testing.assert_allclose(mined.classification_loss, 3.0, rtol=1e-6)
    assert mined.num_positives.numpy().tolist() == [1]
    assert mined.num_negatives.numpy().tolist() == [3]


@pytest.mark.parametrize(("at_least", "selected"), [(0, 0.0), (2, 1.7)])
def test_without_positives_only_min_negatives_per_image_train(
    at_least: int, selected: float
) -> None:
    miner = make_miner(max_negatives_per_positive=3, min_negatives_per_image=at_least)
    losses = tf.constant([[0.9, 0.8, 0.7]])
    mined = miner.mine(losses, losses, tf.zeros([1, 3, 4]), tf.fill([1, 3], -1))
    np.testing.assert_allclose(mined.classification_loss, selected, rtol=1e-6)


def test_overlapping_boxes_are_left_out() -> None:
    # Anchor 1 overlaps the harder anchor 0 by 0.3 / 0.4 = 0.75 (0.15 of 0.2), anchor 2 neither.
    boxes = tf.constant([[[0.1, 0.2, 0.5, 0.7], [0.1, 0.2, 0.4, 0.7], [0.6, 0.1, 0.9, 0.3]]])
    losses = tf.constant([[0.9, 0.8, 0.7]])
    match = tf.constant([[0, 0, 0]])
    for threshold, expected in ((0.7, 1.6), (0.8, 2.4)):
        mined = make_miner(iou_threshold=threshold).mine(losses, losses, boxes, match)
        np.testing.assert_allclose(mined.classification_loss, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("loss_type", "localization", "classification"),
    # Hardness 2 * cls + 3 * loc is 0.2 + 0.9, 1.2 + 0, 0.8 + 0.6: the third. Else the first, the
    # second.
    [("LOCALIZATION", 0.3, 0.1), ("CLASSIFICATION", 0.0, 0.6), ("BOTH", 0.2, 0.4)],
)
def test_loss_type(loss_type: str, localization: float, classification: float) -> None:
    miner = make_miner(
        num_hard_examples=1,
        loss_type=loss_type,
        classification_weight=2.0,
        localization_weight=3.0,
    )
    mined = miner.mine(
        tf.constant([[0.3, 0.0, 0.2]]),
        tf.constant([[0.1, 0.6, 0.4]]),
        tf.zeros([1, 3, 4]),
        tf.constant([[0, -1, 0]]),
    )
    np.testing.assert_allclose(mined.localization_loss, localization, rtol=1e-6)
    np.testing.assert_allclose(mined.classification_loss, classification, rtol=1e-6)


def test_a_loss_that_is_not_selected_may_be_infinite() -> None:
    location_losses = tf.constant([[1.0, np.inf]])
    cls_losses = tf.constant([[2.0, 0.5]])
    with tf.GradientTape() as tape:
        tape.watch(location_losses)
        mined = make_miner(num_hard_examples=1).mine(
            location_losses, cls_losses, tf.zeros([1, 2, 4]), tf.constant([[0, -1]])
        )
    assert float(mined.localization_loss) == 1.0
    gradient = tape.gradient(mined.localization_loss, location_losses)
    assert gradient.numpy().tolist() == [[1.0, 0.0]]


def test_a_loss_type_that_is_none_is_named() -> None:
    with pytest.raises(InputError, match=r"loss_type is 'cls'; expected one of BOTH, CLASS"):
        make_miner(loss_type="cls")
