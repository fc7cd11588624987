from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from ssd.checkpoint_file import open_checkpoint
from ssd.config import pipeline
from ssd.errors import InputError
from ssd.standard_fields import InputFields
from ssd.training.learner import Learner
from ssd.training.loss_scale import LossScale, all_finite, finite_fault, skipped_lines

TINY = (
    "model.ssd.num_classes=3",
    "model.ssd.feature_extractor.depth_multiplier=0.25",
    "model.ssd.image_resizer.fixed_shape_resizer.height=64",
    "model.ssd.image_resizer.fixed_shape_resizer.width=96",
)


def batch(brightness: float = 255.0) -> dict[str, tf.Tensor]:
    images = np.random.default_rng(9).uniform(0, brightness, (2, 64, 96, 3)).astype(np.float32)
    boxes = np.zeros((2, 3, 4), np.float32)
    boxes[:, 0] = [[0.1, 0.2, 0.6, 0.5], [0.3, 0.4, 0.95, 0.9]]
    one_hot = np.zeros((2, 3, 3), np.float32)
    one_hot[[0, 1], 0, [2, 1]] = 1.0
    return {
        InputFields.image: tf.constant(images),
        InputFields.groundtruth_boxes: tf.constant(boxes),
        InputFields.groundtruth_classes_one_hot: tf.constant(one_hot),
        InputFields.groundtruth_weights: tf.reduce_sum(tf.constant(one_hot), -1),
    }


def run(scale: LossScale, outcomes: list[bool]) -> tuple[list[str], list[float]]:
    """What was done after each outcome, and the scale then."""
    done: list[str] = []
    scales = []
    for is_finite in outcomes:
        results = scale.update_if(
            tf.constant(is_finite),
            update=lambda: done.append("update"),
            skip=lambda: done.append("skip"),
        )
        assert float(results["is_skipped"]) == (not is_finite)
        scales.append(float(results["loss_scale"]))
        assert scales[-1] == float(scale.state["scale"])
    return done, scales


def test_the_scale_doubles_after_finite_steps_in_a_row_and_halves_after_any_other():
    done, scales = run(
        LossScale(initial=8.0, growth_steps=3),
        [True, True, True, True, True, False, True, True, False, False, True, True, True],
    )
    #           1  2  3: doubled     1   2  overflow 1  2  overflow twice  1  2  3: doubled
    assert scales == [8, 8, 16, 16, 16, 8, 8, 8, 4, 2, 2, 2, 4]
    assert [n for n, what in enumerate(done) if what == "skip"] == [5, 8, 9]


def test_it_starts_at_2_to_the_15th_and_waits_2000_steps():
    scale = LossScale()
    assert float(scale.state["scale"]) == 32768.0
    scale.state["finite_steps"].assign(1998)
    assert run(scale, [True, True])[1] == [32768.0, 65536.0]
    assert int(scale.state["finite_steps"]) == 0


def test_a_gradient_is_divided_by_what_the_loss_was_multiplied_with():
    scale = LossScale(initial=4.0)
    assert float(scale.scaled(tf.constant(1.5))) == 6.0
    gradients = scale.unscaled([tf.constant([2.0, -8.0]), None])
    np.testing.assert_array_equal(gradients[0], [0.5, -2.0])
    assert gradients[1] is None


@pytest.mark.parametrize(
    ("loss", "gradients", "expected"),
    [
        (1.0, [[2.0, -3e15], [0.0]], True),
        (float("nan"), [[1.0]], False),
        (1.0, [[1.0], [float("-inf"), 0.0]], False),
        (1.0, [[float("nan")], [1.0]], False),
    ],
)
def test_which_gradients_are_finite(loss, gradients, expected):
    tensors = [tf.constant(g) for g in gradients]
    assert bool(all_finite(tf.constant(loss), [*tensors, None])) is expected


def everything(learner: Learner) -> dict[str, np.ndarray]:
    slots = [slot.numpy() for slots in learner._optimizer.slots.values() for slot in slots]
    averages = [average.numpy() for average in learner._averages.averages]
    found = {k: v.numpy() for k, v in learner.detector.checkpoint_variables().items()}
    return found | dict(enumerate([*slots, *averages]))


@pytest.fixture(scope="module")
def config(project):
    """The tiny config with moving averages."""
    config = pipeline.load(project / "pipeline_configs/small_data.config", TINY).message
    config.train_config.optimizer.use_moving_average = True
    config.train_config.optimizer.moving_average_decay = 0.9
    return config


@pytest.fixture(scope="module")
def learner(config) -> Learner:
    """Its step is traced once for all tests."""
    return Learner(config, seed=3, precision="mixed_float16")


def set_scale(learner: Learner, scale: float, finite_steps: int = 0) -> None:
    learner._loss_scale.state["scale"].assign(scale)
    learner._loss_scale.state["finite_steps"].assign(finite_steps)


def step(learner: Learner, brightness: float = 255.0) -> dict[str, float]:
    return {name: float(v) for name, v in learner.train_step(batch(brightness)).items()}


@pytest.mark.slow
def test_a_step_that_overflows_changes_nothing_but_the_count(learner):
    set_scale(learner, 2.0**126)  # times any gradient: more than 65504
    before, count = everything(learner), learner.step
    losses = step(learner)
    assert np.isfinite(losses["total_loss"])
    assert (losses["is_skipped"], losses["loss_scale"]) == (1.0, 2.0**125)
    after = everything(learner)
    for key, value in before.items():
        np.testing.assert_array_equal(after[key], value, err_msg=str(key))
    assert learner.step == count + 1

    set_scale(learner, 2.0**10)
    losses = step(learner)
    assert (losses["is_skipped"], losses["loss_scale"]) == (0.0, 2.0**10)
    moved = everything(learner)
    assert all(np.any(moved[key] != before[key]) for key in before if "moving" in str(key))
    assert learner.step == count + 2


@pytest.mark.slow
def test_an_overflow_in_the_network_itself_leaves_no_nan_in_the_statistics(learner):
    set_scale(learner, 2.0**10)
    before = everything(learner)
    losses = step(learner, brightness=1e9)
    assert not np.isfinite(losses["total_loss"])
    assert losses["is_skipped"] == 1.0
    after = everything(learner)
    for key, value in before.items():
        np.testing.assert_array_equal(after[key], value, err_msg=str(key))


@pytest.mark.slow
def test_a_run_goes_on_with_its_scale_to_the_bit(learner, tmp_path):
    set_scale(learner, 2.0**11, finite_steps=1998)
    step(learner)
    count = learner.step
    prefix = learner.save(tmp_path, count)
    stored = open_checkpoint(prefix)
    state = (stored.read("loss_scale/scale"), stored.read("loss_scale/finite_steps"))
    assert state == (2.0**11, 1999)
    losses = step(learner)
    assert losses["loss_scale"] == 2.0**12
    expected = everything(learner)

    step(learner)
    set_scale(learner, 64.0, finite_steps=7)
    assert learner.restore(prefix) == learner.step == count
    assert step(learner) == pytest.approx(losses, rel=1e-5)  # threads add in any order
    assert int(learner._loss_scale.state["finite_steps"]) == 0
    for key, value in everything(learner).items():
        np.testing.assert_allclose(value, expected[key], rtol=1e-4, atol=1e-6, err_msg=str(key))


@pytest.mark.slow
def test_only_float16_has_more_keys_than_the_original(config, learner, tmp_path):
    scaled = set(open_checkpoint(learner.save(tmp_path / "a", 0)).keys)
    plain = Learner(config, seed=3, precision="mixed_bfloat16")
    keys = set(open_checkpoint(plain.save(tmp_path / "b", 0)).keys)
    assert scaled - keys == {"loss_scale/scale", "loss_scale/finite_steps"}
    assert keys < scaled
    with pytest.raises(InputError, match=r"ckpt-0: loss_scale/scale is missing, the model expects"):
        learner.restore(tmp_path / "b")


PARTS = {"localization_loss": 0.5, "classification_loss": 0.25, "regularization_loss": 0.125}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, ""),
        ({"loss_scale": 2.0, "is_skipped": 0.0}, ""),
        ({"loss_scale": 1.0, "is_skipped": 1.0}, ""),
        ({"loss_scale": 1.0, "is_skipped": 1.0, "total_loss": float("nan")}, ""),
        (
            {"loss_scale": 0.5, "is_skipped": 1.0},
            "gradients are not finite in float16, loss scale 1 (loss 0.875 = localization 0.500 "
            "+ classification 0.250 + regularization 0.125)",
        ),
        (
            {"loss_scale": 0.5, "is_skipped": 1.0, "total_loss": float("inf")},
            "loss inf = localization 0.500 + classification 0.250 + regularization 0.125 is not "
            "finite",
        ),
        (
            {"total_loss": float("nan")},
            "loss nan = localization 0.500 + classification 0.250 + regularization 0.125 is not "
            "finite",
        ),
    ],
)
def test_what_a_scale_may_still_mend(changed, expected):
    assert finite_fault(PARTS | {"total_loss": 0.875} | changed) == expected


def test_the_line_of_a_skipped_step():
    assert skipped_lines(17, {"is_skipped": 0.0, "loss_scale": 64.0}) == []
    assert skipped_lines(17, {}) == []
    assert skipped_lines(17, {"is_skipped": 1.0, "loss_scale": 64.0}) == [
        "step 17: gradients overflow float16 at loss scale 128: step skipped, scale 64 from here"
    ]
