"""Text with every default filled in."""

from __future__ import annotations

from pathlib import Path

from google.protobuf import text_format

from ssd.config import pipeline
from ssd.config.filled_text import to_filled_text
from ssd.config.messages import TrainEvalPipelineConfig

ROOT = Path(__file__).resolve().parents[3]
ZOO = ROOT / "pipeline_configs/ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8.config"


def test_defaults_are_filled_in_and_marked() -> None:
    config = text_format.Parse(
        "model { ssd { loss { localization_loss { weighted_smooth_l1 {} } } } }",
        TrainEvalPipelineConfig(),
    )
    lines = to_filled_text(config).splitlines()
    assert "        weighted_smooth_l1 {" in lines
    assert "          delta: 1.0  # default" in lines
    assert "      classification_weight: 1.0  # default" in lines


def test_what_is_given_is_not_marked() -> None:
    config = TrainEvalPipelineConfig()
    config.train_config.batch_size = 32
    assert "  batch_size: 32\n" in to_filled_text(config)


def test_fields_whose_absence_means_something_stay_absent() -> None:
    config = text_format.Parse(
        "model { ssd { loss { classification_loss { weighted_sigmoid_focal {} } } } }",
        TrainEvalPipelineConfig(),
    )
    text = to_filled_text(config)
    # No alpha is no weighting, alpha: 0 would be; a miner or a second model would be another run.
    assert "gamma: 2.0  # default" in text
    for absent in ("alpha", "hard_example_miner", "faster_rcnn", "num_classes"):
        assert absent not in text


def test_fields_the_original_asks_for_presence_stay_absent() -> None:
    text = to_filled_text(pipeline.load(ZOO).message)
    assert "num_layers:" not in text
    assert "replace_preprocessor_with_placeholder" not in text
    assert "num_layers_before_predictor: 4" in text


def test_the_text_is_a_config_and_filling_it_again_changes_nothing() -> None:
    message = pipeline.load(ZOO).message
    text = to_filled_text(message)
    again = text_format.Parse(text, TrainEvalPipelineConfig())
    assert to_filled_text(again) == text.replace("  # default", "")
    assert again.train_config.optimizer.HasField("moving_average_decay")
    assert again.model.ssd.loss.classification_loss.weighted_sigmoid_focal.alpha == 0.25


def test_lists_and_maps_are_written() -> None:
    config = TrainEvalPipelineConfig()
    config.eval_config.metrics_set.extend(["a", "b"])
    config.eval_config.super_categories["VEHICLE"] = "car"
    again = text_format.Parse(to_filled_text(config), TrainEvalPipelineConfig())
    assert list(again.eval_config.metrics_set) == ["a", "b"]
    assert dict(again.eval_config.super_categories) == {"VEHICLE": "car"}
