from __future__ import annotations

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from ssd.config.messages import TrainEvalPipelineConfig
from ssd.config.schedule import fit_schedule
from ssd.errors import InputError
from ssd.optimizer import build_optimizer, rate_function, rate_note


def train_config(learning_rate: str, num_steps: int = 1000, batch_size: int = 32):
    config = TrainEvalPipelineConfig()
    text_format.Parse(
        f"num_steps: {num_steps} batch_size: {batch_size} optimizer {{ momentum_optimizer {{ "
        f"momentum_optimizer_value: 0.9 learning_rate {{ {learning_rate} }} }} }}",
        config.train_config,
    )
    return config.train_config


def schedule_of(config, kind: str):
    return getattr(config.optimizer.momentum_optimizer.learning_rate, kind)


def optimizer_message(text: str):
    message = TrainEvalPipelineConfig().train_config.optimizer
    text_format.Parse(text, message)
    return message


TF2_CASES = (
    "momentum",
    "momentum_0",
    "rms_prop",
    "rms_prop_momentum_0",
    "rms_prop_epsilon_0",
    "adam",
    "adam_defaults",
)
TF1_CASES = tuple(case for case in TF2_CASES if case != "rms_prop_epsilon_0")


@pytest.mark.parametrize(
    ("file", "case"),
    [("optimizers.npz", case) for case in TF2_CASES]
    + [("optimizers_tf1.npz", case) for case in TF1_CASES],
)
def test_updates_are_those_of_the_original(golden_data, file, case):
    """The rate of most cases changes on the way, which is where momentum differs under TF1."""
    golden = np.load(golden_data / file)
    optimizer = build_optimizer(
        optimizer_message(str(golden[f"{case}/config"])), is_tf1="tf1" in file
    )
    kernel, bias = keras.Variable(golden["kernel"]), keras.Variable(golden["bias"])
    optimizer.build([kernel, bias])
    update = tf.function(lambda g, h: optimizer.apply([g, h], [kernel, bias]))
    for n in range(6):
        update(tf.constant(golden["kernel_gradients"][n]), tf.constant(golden["bias_gradients"][n]))
        # TF1's Adam multiplies up the powers of beta: 2e-6 of a weight near 1.
        np.testing.assert_allclose(kernel.numpy(), golden[f"{case}/kernel"][n], atol=3e-6)
        np.testing.assert_allclose(bias.numpy(), golden[f"{case}/bias"][n], atol=3e-6)


@pytest.mark.parametrize("case", range(3))
def test_trajectories_of_the_shared_recording(oracle, case):
    golden = np.load(oracle / "ops/optimizers.npz")
    optimizer = build_optimizer(optimizer_message(str(golden[f"case{case}_config"])))
    variable = keras.Variable(golden["w0"])
    optimizer.build([variable])
    expected = golden[f"case{case}_trajectory"]
    for gradient, after in zip(golden["grads"], expected, strict=True):
        optimizer.apply([tf.constant(gradient)], [variable])
        np.testing.assert_allclose(variable.numpy(), after, atol=1e-6)


def test_a_subset_can_be_updated():
    """Frozen variables: their slots stay at their initial values."""
    optimizer = build_optimizer(
        optimizer_message("momentum_optimizer { learning_rate { constant_learning_rate {} } }")
    )
    first, second = keras.Variable([1.0, 2.0]), keras.Variable([5.0])
    optimizer.build([first, second])
    optimizer.apply([tf.constant([3.0])], [second])
    # The default rate is 0.002: v = -0.006.
    np.testing.assert_allclose(second.numpy(), [4.994], atol=1e-6)
    np.testing.assert_array_equal(first.numpy(), [1.0, 2.0])
    assert [slot.numpy().tolist() for slot in optimizer.slots["momentum"]] == [
        [0.0, 0.0],
        [pytest.approx(-0.006)],
    ]


RMS_PROP = "rms_prop_optimizer {{ learning_rate {{ constant_learning_rate {{}} }} {} }}"


@pytest.mark.parametrize(
    ("text", "is_tf1", "note"),
    [
        pytest.param(
            RMS_PROP.format("decay: 0.25"),
            False,
            r"rms_prop_optimizer\.decay 0\.25: divides the learning rate by 1 \+ 0\.25 \* step",
            id="TF2",
        ),
        pytest.param(RMS_PROP.format("decay: 0"), False, "^$", id="TF2 without decay"),
        pytest.param(RMS_PROP.format(""), True, "^$", id="TF1"),
        pytest.param(
            "momentum_optimizer { learning_rate { constant_learning_rate {} } }",
            False,
            "^$",
            id="momentum",
        ),
    ],
)
def test_what_decay_does_to_the_rate_is_said(text, is_tf1, note):
    assert re.search(note, rate_note(optimizer_message(text), is_tf1=is_tf1))


def test_the_rate_that_is_reported_is_the_one_used():
    text = RMS_PROP.format("decay: 0.25").replace("rate {}", "rate { learning_rate: 0.3 }")
    optimizer = build_optimizer(optimizer_message(text))
    optimizer.iterations.assign(2)
    # 0.3 / (1 + 0.25 * 2)
    assert float(optimizer.learning_rate) == pytest.approx(0.2)


def test_no_optimizer():
    with pytest.raises(
        InputError, match=r"train_config\.optimizer: none given; expected momentum_"
    ):
        build_optimizer(optimizer_message("use_moving_average: false"))


@pytest.mark.parametrize("kind", ["momentum_optimizer", "rms_prop_optimizer", "adam_optimizer"])
def test_an_error_names_the_optimizer_it_is_in(kind):
    with pytest.raises(
        InputError, match=rf"train_config\.optimizer\.{kind}\.learning_rate: no sch"
    ):
        build_optimizer(optimizer_message(f"{kind} {{}}"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "", r"learning_rate: no schedule given; expected constant_learning_rate", id="none"
        ),
        pytest.param(
            "cosine_decay_learning_rate { total_steps: 50 warmup_steps: 40 "
            "hold_base_rate_steps: 11 }",
            r"cosine_decay_learning_rate: warmup_steps 40 \+ hold_base_rate_steps 11 are above "
            r"total_steps 50",
            id="no room for the cosine",
        ),
        pytest.param(
            "manual_step_learning_rate { schedule { step: 20 } schedule { step: 20 } }",
            r"manual_step_learning_rate: schedule steps \[20, 20\]; they must be positive "
            r"and increasing",
            id="equal steps",
        ),
        pytest.param(
            "manual_step_learning_rate { schedule { step: 30 } schedule { step: 20 } }",
            r"schedule steps \[30, 20\]",
            id="falling steps",
        ),
        pytest.param(
            "manual_step_learning_rate { schedule { step: 0 } }",
            r"schedule steps \[0\]",
            id="step 0",
        ),
    ],
)
def test_contradicting_schedules_are_refused(text, message):
    with pytest.raises(
        InputError, match=rf"train_config\.optimizer\.momentum_optimizer.*{message}"
    ):
        build_optimizer(train_config(text).optimizer)


COSINE = (
    "cosine_decay_learning_rate { learning_rate_base: 0.08 total_steps: 1000 "
    "warmup_learning_rate: 0.02 warmup_steps: 100 hold_base_rate_steps: 50 }"
)
EXPONENTIAL = (
    "exponential_decay_learning_rate { initial_learning_rate: 0.04 decay_steps: 200 "
    "decay_factor: 0.5 burnin_learning_rate: 0.01 burnin_steps: 40 "
    "min_learning_rate: 0.004 }"
)
MANUAL = (
    "manual_step_learning_rate { initial_learning_rate: 0.1 "
    "schedule { step: 400 learning_rate: 0.04 } schedule { step: 800 learning_rate: 0.02 } }"
)
CONSTANT = "constant_learning_rate { learning_rate: 0.4 }"


@pytest.mark.parametrize(
    ("text", "steps", "batch", "expected"),
    [
        # Half the steps, a quarter of the batch.
        pytest.param(
            COSINE,
            500,
            8,
            {
                "learning_rate_base": 0.02,
                "total_steps": 500,
                "warmup_learning_rate": 0.005,
                "warmup_steps": 50,
                "hold_base_rate_steps": 25,
            },
            id="cosine",
        ),
        pytest.param(
            COSINE,
            500,
            None,
            {
                "learning_rate_base": 0.08,
                "total_steps": 500,
                "warmup_learning_rate": 0.02,
                "warmup_steps": 50,
                "hold_base_rate_steps": 25,
            },
            id="cosine, steps only",
        ),
        pytest.param(
            COSINE,
            None,
            64,
            {
                "learning_rate_base": 0.16,
                "total_steps": 1000,
                "warmup_learning_rate": 0.04,
                "warmup_steps": 100,
                "hold_base_rate_steps": 50,
            },
            id="cosine, batch only",
        ),
        pytest.param(
            EXPONENTIAL,
            3000,
            16,
            {
                "initial_learning_rate": 0.02,
                "decay_steps": 600,
                "decay_factor": 0.5,
                "burnin_learning_rate": 0.005,
                "burnin_steps": 120,
                "min_learning_rate": 0.002,
            },
            id="exponential",
        ),
        pytest.param(CONSTANT, 3000, 16, {"learning_rate": 0.2}, id="constant"),
        pytest.param(CONSTANT, 3000, None, {"learning_rate": 0.4}, id="constant, steps only"),
        # What the file leaves to the schema's defaults is scaled too: 0.002, 10,000, 0.0002.
        pytest.param(
            "cosine_decay_learning_rate { total_steps: 1000 }",
            500,
            16,
            {
                "learning_rate_base": 0.001,
                "total_steps": 500,
                "warmup_learning_rate": 0.0001,
                "warmup_steps": 5000,
            },
            id="defaults",
        ),
    ],
)
def test_fitting(text, steps, batch, expected):
    config = train_config(text)
    said = fit_schedule(config, num_steps=steps, batch_size=batch)
    assert (config.num_steps, config.batch_size) == (steps or 1000, batch or 32)
    found = schedule_of(config, text.split(" ")[0])
    assert {name: getattr(found, name) for name in expected} == pytest.approx(expected)
    assert said.startswith("learning rate fitted to this run: ") or found == schedule_of(
        train_config(text), text.split(" ")[0]
    )


def test_fitting_a_manual_schedule():
    config = train_config(MANUAL)
    said = fit_schedule(config, num_steps=250, batch_size=16)
    found = schedule_of(config, "manual_step_learning_rate")
    assert found.initial_learning_rate == pytest.approx(0.05)
    assert [(p.step, p.learning_rate) for p in found.schedule] == [
        (100, pytest.approx(0.02)),
        (200, pytest.approx(0.01)),
    ]
    assert said == (
        "learning rate fitted to this run: initial_learning_rate 0.1 -> 0.05, step 400 -> "
        "100, learning_rate 0.04 -> 0.02, step 800 -> 200, learning_rate 0.02 -> 0.01"
    )


@pytest.mark.parametrize(("steps", "batch"), [(None, None), (1000, 32), (None, 32), (1000, None)])
def test_fitting_to_what_it_is_changes_nothing(steps, batch):
    config = train_config(COSINE)
    assert fit_schedule(config, num_steps=steps, batch_size=batch) == ""
    assert config == train_config(COSINE)


@pytest.mark.parametrize("text", [COSINE, EXPONENTIAL, MANUAL, CONSTANT])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_run_of_few_steps_still_has_a_schedule(text, steps):
    config = train_config(text)
    fit_schedule(config, num_steps=steps, batch_size=1)
    rate = rate_function(config.optimizer.momentum_optimizer.learning_rate, "learning_rate")
    # 1 / 32 of the file's rate.
    first = float(rate(tf.constant(0.0)))
    assert 0.0 < first <= 0.4 / 32 * 1.001
