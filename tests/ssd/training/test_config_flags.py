from __future__ import annotations

from pathlib import Path

import pytest

from ssd.config import pipeline
from ssd.errors import InputError
from ssd.models.builder import build_detector
from ssd.training.config_flags import apply_flags, freeze_pattern
from ssd.training.options import TrainOptions
from ssd.training.trainable import choose_trained


@pytest.fixture
def config(project: Path):
    return pipeline.load(project / "pipeline_configs/small_data.config").message


def test_nothing_asked_nothing_changed(config):
    before = config.SerializeToString(deterministic=True)
    apply_flags(config, TrainOptions())
    assert config.SerializeToString(deterministic=True) == before


def test_averages_are_kept_and_evaluated(config):
    assert config.eval_config.use_moving_averages is False
    apply_flags(config, TrainOptions(moving_average_decay=0.75))
    optimizer = config.train_config.optimizer
    assert (optimizer.use_moving_average, optimizer.moving_average_decay) == (True, 0.75)
    assert config.eval_config.use_moving_averages is True


def test_a_pattern_is_added_once(config):
    config.train_config.freeze_variables.append("BoxPredictor")
    for _ in range(2):
        apply_flags(config, TrainOptions(freeze="backbone"))
    assert len(config.train_config.freeze_variables) == 2


# Of MobileNetV2: 3 variables of the first convolution, 6 of block 1, which does not expand, 9 of
# each other one, 3 of the last convolution, which belongs to no block. Of V1: 3, then 6 a block.
@pytest.mark.parametrize(
    ("version", "part", "expected"),
    [
        (2, "1", 3 + 6),
        (2, "2", 3 + 6 + 9),
        (2, "17", 3 + 6 + 16 * 9),
        (2, "backbone", 3 + 6 + 16 * 9 + 3),
        (1, "1", 3 + 6),
        (1, "11", 3 + 11 * 6),
        (1, "13", 3 + 13 * 6),
        (1, "backbone", 3 + 13 * 6),
    ],
)
def test_what_is_frozen(config, version, part, expected):
    extractor = config.model.ssd.feature_extractor
    extractor.type = f"ssd_mobilenet_v{version}_fpn_keras"
    extractor.depth_multiplier = 0.25
    detector = build_detector(config.model)
    trainable = detector.network.trainable_variables
    pattern = freeze_pattern(part, extractor.type)
    trained = choose_trained(detector, freeze_variables=[pattern])
    assert len(trainable) - len(trained) == expected


@pytest.mark.parametrize(("version", "count"), [(1, 13), (2, 17)])
def test_more_blocks_than_there_are(version, count):
    with pytest.raises(InputError, match=f"--freeze {count + 1}: .* has {count} blocks"):
        freeze_pattern(str(count + 1), f"ssd_mobilenet_v{version}_keras")
