from __future__ import annotations

from pathlib import Path

import pytest

from ssd.config import pipeline
from ssd.shipped_configs import find_config
from ssd.training.length import fit_length, steps_for
from ssd.training.options import TrainOptions

ZOO = "ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8"


def fitted(name: str, num_images: int, *, place: str | None = None, **flags):
    """The train_config that comes out, and what is said."""
    options = TrainOptions(**flags)
    path = find_config(name)
    config = pipeline.load(path, options.overrides).message
    lines = fit_length(config, Path(place) if place else path, options, num_images=num_images)
    return config.train_config, lines


def cosine(train_config):
    return train_config.optimizer.momentum_optimizer.learning_rate.cosine_decay_learning_rate


@pytest.mark.parametrize(
    ("num_images", "batch_size", "expected"),
    [
        (1, 16, 200),  # 60 times 1 / 16: the least there is
        (101, 16, 379),  # 378.75: no picture is seen less often than 60 times
        (292, 16, 800),  # 44 times
        (640, 16, 800),  # 20 times
        (2000, 16, 2500),
        (292, 4, 1460),
        (292, 64, 274),
    ],
)
def test_steps_for(num_images, batch_size, expected):
    assert steps_for(800, num_images, batch_size) == expected


def test_short_configs_stay_short():
    assert steps_for(30, 5, 16) == 30


def test_a_recipe_follows_the_data_and_its_schedule_follows():
    train_config, lines = fitted("small_data", 106)
    assert (train_config.num_steps, train_config.batch_size) == (398, 16)
    assert (cosine(train_config).total_steps, cosine(train_config).warmup_steps) == (398, 49)
    assert lines[0].startswith("398 steps of 16 images: 60 times through the data")
    assert lines[1].startswith("learning rate fitted to this run: total_steps 400 -> 398")


def test_for_the_data_it_was_made_for_nothing_changes():
    train_config, lines = fitted("small_data", 292)
    assert (train_config.num_steps, train_config.batch_size) == (400, 16)
    assert [line[:44] for line in lines] == ["400 steps of 16 images: 22 times through the"]


def test_a_zoo_config_is_brought_to_fine_tuning():
    train_config, lines = fitted(ZOO, 1600)
    assert (train_config.num_steps, train_config.batch_size) == (2000, 16)
    # 1/25 of the steps.
    rates = cosine(train_config)
    assert (rates.total_steps, rates.warmup_steps) == (2000, 40)
    assert rates.learning_rate_base == pytest.approx(0.08)
    assert rates.warmup_learning_rate == pytest.approx(0.026666)
    assert lines[0].startswith("learning rate 0.08 for 16 images")
    assert lines[1].startswith("2000 steps of 16 images: 20 times through the data")


def test_a_rate_for_512_images_is_brought_down():
    train_config, _ = fitted("ssd_mobilenet_v2_320x320_coco17_tpu-8", 1600)
    assert cosine(train_config).learning_rate_base == pytest.approx(0.08)
    assert cosine(train_config).warmup_learning_rate == pytest.approx(0.013333)


def test_another_batch_size_is_another_rate():
    train_config, lines = fitted(ZOO, 1600, batch_size=4)
    assert cosine(train_config).learning_rate_base == pytest.approx(0.02)
    # 20 times 1600 / 4; of the zoo's 50000 steps 1000 are warm-up.
    assert (train_config.num_steps, cosine(train_config).warmup_steps) == (8000, 160)
    assert "learning_rate_base 0.08 -> 0.02" in lines[-1]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"steps": 70}, (70, 16)),
        ({"batch_size": 8}, (2000, 8)),
        ({"steps": 70, "batch_size": 8}, (70, 8)),
        ({"overrides": ("train_config.num_steps=90",)}, (90, 128)),
        ({"overrides": ("train_config.batch_size=24",)}, (50000, 24)),
    ],
)
def test_flags_decide_for_a_zoo_config(flags, expected):
    train_config, _ = fitted(ZOO, 300, **flags)
    assert (train_config.num_steps, train_config.batch_size) == expected


def test_a_learning_rate_by_hand_leaves_a_recipe_fitted():
    path = "train_config.optimizer.momentum_optimizer.learning_rate.cosine_decay_learning_rate"
    train_config, _ = fitted("small_data", 106, overrides=(f"{path}.learning_rate_base=0.03",))
    assert train_config.num_steps == 398
    assert cosine(train_config).learning_rate_base == pytest.approx(0.03)


def test_a_config_of_ones_own_keeps_its_numbers():
    train_config, lines = fitted("small_data", 10_000, place="elsewhere/my.config")
    assert (train_config.num_steps, train_config.batch_size, lines) == (400, 16, [])
