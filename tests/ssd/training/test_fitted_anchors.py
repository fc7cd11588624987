from __future__ import annotations

from pathlib import Path

import pytest

from ssd import label_map as label_maps
from ssd.config import pipeline
from ssd.data.record_index import index_records
from ssd.shipped_configs import find_config
from ssd.training.fitted_anchors import fit_anchors
from ssd.training.options import TrainOptions

SCALE = "model.ssd.anchor_generator.multiscale_anchor_generator.anchor_scale"
# The tiny pictures' boxes have sides of a third of the picture: far below 16 * 8 pixels.
LARGE = f"{SCALE}=16"


@pytest.fixture
def fit(tiny_data: Path, tmp_path: Path):
    """(options, is it a config of one's own) -> (anchor_scale, lines)."""

    def fit(options: TrainOptions, *, is_own: bool, overrides: tuple[str, ...] = (LARGE,)):
        path = find_config("small_data")
        config = pipeline.load(path, overrides).message
        records = index_records([f"{tiny_data}/train-*.tfrecord"])
        labels = label_maps.load(tiny_data / "label_map.pbtxt")
        place = tmp_path / "my.config" if is_own else path
        lines = fit_anchors(config, place, options, records, labels)
        return config.model.ssd.anchor_generator.multiscale_anchor_generator.anchor_scale, lines

    return fit


def test_a_shipped_config_is_fitted(fit):
    scale, lines = fit(TrainOptions(), is_own=False)
    assert scale < 16
    (line,) = lines
    assert line.startswith(f"anchor_scale 16 -> {scale:g}, fitted to the boxes: ")
    assert line.endswith("(--anchors config keeps 16)")


def test_a_config_of_ones_own_is_obeyed(fit):
    scale, lines = fit(TrainOptions(), is_own=True)
    assert scale == 16
    assert lines[0].startswith("these anchors are too large for the boxes; with --anchors fit (")
    scale, lines = fit(TrainOptions(anchors="fit"), is_own=True)
    assert scale < 16
    assert "fitted to the boxes" in lines[0]


@pytest.mark.parametrize("is_own", [True, False])
@pytest.mark.parametrize(
    "options", [TrainOptions(anchors="config"), TrainOptions(overrides=(LARGE,))]
)
def test_what_a_person_decided_stays(fit, options, is_own):
    assert fit(options, is_own=is_own) == (16, [])


def test_other_generators_are_left_alone(fit, tiny_data):
    config = pipeline.load(find_config("ssd_mobilenet_v2_320x320_coco17_tpu-8")).message
    before = config.SerializeToString(deterministic=True)
    records = index_records([f"{tiny_data}/train-*.tfrecord"])
    labels = label_maps.load(tiny_data / "label_map.pbtxt")
    options = TrainOptions(anchors="fit")
    assert fit_anchors(config, Path("my.config"), options, records, labels) == []
    assert config.SerializeToString(deterministic=True) == before
