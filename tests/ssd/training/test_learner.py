from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from ssd.config import pipeline
from ssd.core.image_resizer import resize_bilinear_legacy
from ssd.fine_tune import restore_fine_tune
from ssd.standard_fields import InputFields
from ssd.training import learner as learner_module
from ssd.training.learner import Learner, evaluates_averages
from ssd.variable_names import names_of_variables


def with_optimizer(config, text: str):
    """The tiny config with another `train_config.optimizer`, and nothing said about evaluation."""
    config.train_config.ClearField("optimizer")
    text_format.Parse(text, config.train_config.optimizer)
    config.eval_config.ClearField("use_moving_averages")
    return config


ADAM = "adam_optimizer { learning_rate { constant_learning_rate {} } }"


@pytest.mark.parametrize(
    ("is_kept", "said", "expected"),
    [
        (None, None, True),  # the schema's default keeps them
        (True, None, True),
        (True, True, True),
        (True, False, False),
        (False, None, False),
        (False, False, False),
    ],
)
def test_which_weights_are_evaluated(tiny_config, is_kept, said, expected):
    config = with_optimizer(tiny_config, ADAM)
    if is_kept is not None:
        config.train_config.optimizer.use_moving_average = is_kept
    if said is not None:
        config.eval_config.use_moving_averages = said
    assert evaluates_averages(config) is expected


def test_a_learner_goes_on_with_its_averages(tiny_config, tmp_path):
    config = with_optimizer(tiny_config, ADAM + " moving_average_decay: 0.75")
    config.train_config.freeze_variables.append("^Conv1/")
    learner = Learner(config, seed=3)
    assert learner.notes == [
        "moving averages of the weights are kept (decay 0.75): evaluation, best/ and exports use "
        "them",
        "frozen: 1 of 232 variables (432 values)",
    ]
    weights = learner.detector.network.trainable_variables
    averages = learner._averages.averages
    for n, average in enumerate(averages):
        average.assign(np.full(average.shape, n, np.float32))
    learner._optimizer.iterations.assign(5)
    assert learner.step == 5
    own = [weight.numpy() for weight in weights]
    with learner.evaluated_weights():
        assert all(np.all(weight.numpy() == n) for n, weight in enumerate(weights))
    assert all(np.array_equal(w.numpy(), before) for w, before in zip(weights, own, strict=True))

    prefix = learner.save(tmp_path, 5)
    again = Learner(config, seed=4)
    assert again.restore(prefix) == again.step == 5
    for n, (weight, before) in enumerate(
        zip(again.detector.network.trainable_variables, own, strict=True)
    ):
        np.testing.assert_array_equal(weight.numpy(), before)
        assert np.all(again._averages.averages[n].numpy() == n)


def test_what_the_config_says_reaches_the_step(tiny_config, monkeypatch):
    given = {}
    monkeypatch.setattr(learner_module, "make_train_step", lambda *_, **said: given.update(said))
    config = with_optimizer(tiny_config, ADAM)
    text_format.Merge(
        "gradient_clipping_by_norm: 10 bias_grad_multiplier: 2 add_regularization_loss: false "
        'update_trainable_variables: "BoxPredictor" freeze_variables: "biases"',
        config.train_config,
    )
    learner = Learner(config, seed=3)
    assert learner.notes[-1].startswith("frozen: 180 of 232 variables (")
    # 4 separable convolutions, 20 normalizations, 2 separable heads without their biases.
    assert len(given.pop("trained")) == 4 * 2 + 20 * 2 + 2 * 2
    assert (
        given.items()
        >= {
            "seed": 3,
            "averages": learner._averages,
            "gradient_clipping_by_norm": 10.0,
            "bias_grad_multiplier": 2.0,
            "add_regularization_loss": False,
        }.items()
    )
    assert len(learner._averages.averages) == 232


def test_without_averages_the_weights_are_evaluated(tiny_config):
    learner = Learner(tiny_config, seed=3)
    assert learner.notes == []
    before = learner.detector.network.trainable_variables[0].numpy()
    with learner.evaluated_weights():
        np.testing.assert_array_equal(
            learner.detector.network.trainable_variables[0].numpy(), before
        )


@pytest.mark.parametrize(
    ("kind", "note"), [("ssd_mobilenet_v2_fpn_keras", 1), ("ssd_mobilenet_v2_fpn", 0)]
)
def test_the_type_decides_between_tf1_and_tf2(tiny_config, kind, note):
    """Under TF2 rms_prop_optimizer.decay slows the learning rate down."""
    text = ADAM.replace("adam", "rms_prop").replace("{}", "{ learning_rate: 0.19 }")
    config = with_optimizer(tiny_config, text + " use_moving_average: false")
    config.model.ssd.feature_extractor.type = kind
    learner = Learner(config, seed=3)
    assert len(learner.notes) == note
    learner._optimizer.iterations.assign(1)
    # 0.19 / (1 + 0.9 * 1) = 0.1.
    rate = 0.1 if note else 0.19
    assert float(learner._optimizer.learning_rate) == pytest.approx(rate)
    assert np.all(learner._optimizer.slots["rms"][0].numpy() == (0.0 if note else 1.0))


@pytest.mark.slow
def test_three_steps_of_the_tf1_original(oracle):
    """SSDLite of a TF1 type from its TF1 checkpoint, RMSProp as under TF1, hard examples mined."""
    folder = oracle / "tf1/ssdlite_mobilenet_v2_narrow"
    golden = np.load(folder / "golden.npz")
    averages_off = "train_config.optimizer.use_moving_average=false"  # as in the recording
    learner = Learner(pipeline.load(folder / "pipeline.config", [averages_off]).message, seed=1)
    restore_fine_tune(learner.detector, folder / "model.ckpt", "full")
    batch = recorded_batch(golden)
    names = names_of_variables(learner.detector)
    rows = {name: row for row, name in enumerate(golden["keys"])}
    for step in range(3):
        losses = learner.train_step(batch)
        for name in ("localization_loss", "classification_loss", "total_loss"):
            expected = float(golden[f"train/Loss/{name}"][step])
            # The third step begins where the noise of two others has left the weights.
            assert float(losses[name]) == pytest.approx(expected, rel=1e-5), (step, name)
        if step == 0:
            for key, variable in learner.detector.checkpoint_variables().items():
                expected = golden["vars_first64/step_1"][rows[names[key].tf1]]
                first = variable.numpy().ravel()[:64]
                np.testing.assert_allclose(first, expected[: first.size], atol=1e-5, err_msg=key)


def recorded_batch(golden) -> dict[str, tf.Tensor]:
    """The two photos with 7 and 6 boxes, as our input pipeline gives them."""
    rows = 8
    boxes, one_hot = np.zeros((2, rows, 4), np.float32), np.zeros((2, rows, 3), np.float32)
    weights = np.zeros((2, rows), np.float32)
    for n, count in enumerate((7, 6)):
        boxes[n, :count] = golden[f"gt/boxes_{n}"]
        one_hot[n, np.arange(count), golden[f"gt/class_index_{n}"]] = 1.0
        weights[n, :count] = golden[f"gt/weights_{n}"]
    return {
        InputFields.image: tf.stack(
            [resize_bilinear_legacy(golden[f"in/image_{n}"], (300, 300)) for n in range(2)]
        ),
        InputFields.groundtruth_boxes: tf.constant(boxes),
        InputFields.groundtruth_classes_one_hot: tf.constant(one_hot),
        InputFields.groundtruth_weights: tf.constant(weights),
        InputFields.num_groundtruth_boxes: tf.constant([7, 6]),
    }
