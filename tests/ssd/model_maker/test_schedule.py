from __future__ import annotations

import pytest

from ssd.config import pipeline
from ssd.errors import InputError
from ssd.model_maker import model_spec
from ssd.model_maker.schedule import Length, length_of, with_learning_rate


def test_epochs_to_steps():
    spec = model_spec.get("demo", epochs=6, batch_size=8)
    assert length_of(spec, 100, None, None) == Length(
        75, 8, "6 epochs of 100 pictures: 75 steps of 8"
    )
    assert length_of(spec, 100, 1, 30).steps == 3
    assert length_of(spec, 3, 1, 3).steps == 1


def test_a_batch_that_nobody_gave():
    spec = model_spec.get("demo")
    found = length_of(spec, 292, None, None)
    assert (found.steps, found.batch_size) == (912, 16)  # 50 * 292 / 16 = 912.5
    assert found.note.endswith("what the learning rates here were measured with (Model Maker: 64)")
    assert length_of(spec, 10, None, None).batch_size == 10


@pytest.mark.parametrize(
    ("epochs", "batch_size", "message"),
    [
        (None, 64, "batch_size=64, but train_data has 10 pictures; give a smaller one"),
        (0, None, "epochs=0: 1 or more"),
        (None, 0, "batch_size=0: 1 or more"),
    ],
)
def test_refused(epochs, batch_size, message):
    with pytest.raises(InputError, match=message):
        length_of(model_spec.get("demo"), 10, epochs, batch_size)


@pytest.mark.parametrize("name", ["small_data", "ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8"])
def test_a_learning_rate_is_taken_as_it_is(name):
    path = model_spec.get(name).config_path
    before = pipeline.load(path).message
    changes = with_learning_rate(before, 0.02, Length(200, 8, ""), name)
    train = pipeline.load(path, changes).message.train_config
    rates = train.optimizer.momentum_optimizer.learning_rate.cosine_decay_learning_rate
    own = before.train_config.optimizer.momentum_optimizer.learning_rate.cosine_decay_learning_rate
    assert (train.batch_size, train.num_steps, rates.total_steps) == (8, 200, 200)
    assert rates.learning_rate_base == pytest.approx(0.02)
    assert rates.warmup_learning_rate / 0.02 == pytest.approx(
        own.warmup_learning_rate / own.learning_rate_base
    )
    assert rates.warmup_steps == own.warmup_steps * 200 // own.total_steps


def test_another_schedule_is_refused():
    path = model_spec.get("demo").config_path
    schedule = "train_config.optimizer.momentum_optimizer.learning_rate"
    config = pipeline.load(path, [f"{schedule}.constant_learning_rate.learning_rate=0.1"]).message
    with pytest.raises(InputError, match="demo has constant_learning_rate; change it"):
        with_learning_rate(config, 0.02, Length(200, 8, ""), "demo")
