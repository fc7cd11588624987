from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from export import source
from ssd import checkpoint
from ssd import label_map as label_maps
from ssd.config import pipeline
from ssd.errors import InputError
from ssd.predictor import CheckpointPredictor


def exported(config) -> source.ExportSource:
    return source.ExportSource("run", SimpleNamespace(), label_maps.from_names(["cat"]), config)


def set_records(config, train: list[str], val: list[str]) -> None:
    config.train_input_reader.tf_record_input_reader.input_path[:] = train
    config.eval_input_reader[0].tf_record_input_reader.input_path[:] = val


@pytest.fixture
def run(tiny_detector, tiny_config, tiny_label_map, tmp_path):
    """A folder with pipeline.config, label_map.pbtxt and a checkpoint."""
    folder = tmp_path / "bolts"
    checkpoint.save(folder / "best", tiny_detector, 8)
    set_records(tiny_config, ["PATH_TO_BE_CONFIGURED"], ["PATH_TO_BE_CONFIGURED"])
    pipeline.save(tiny_config, folder / "pipeline.config")
    label_maps.save(tiny_label_map, folder / "label_map.pbtxt")
    return folder


def test_records_of_the_config(tiny_config, tmp_path):
    (tmp_path / "train-00000-of-00001.tfrecord").touch()
    (tmp_path / "val.tfrecord").touch()
    train, val = f"{tmp_path}/train-*.tfrecord", f"{tmp_path}/val.tfrecord"
    set_records(tiny_config, [train], [val])
    assert exported(tiny_config).train_records() == source.Records(
        (train,), "train_input_reader.tf_record_input_reader.input_path"
    )
    assert exported(tiny_config).val_records().patterns == (val,)


@pytest.mark.parametrize(
    ("paths", "why"),
    [
        pytest.param([], "names no records", id="none"),
        pytest.param(["PATH_TO_BE_CONFIGURED"], "still says PATH_TO_BE_CONFIGURED", id="template"),
        pytest.param(["/content/val.record"], "/content/val.record of .* is not here", id="else"),
    ],
)
def test_records_that_are_not_here(tiny_config, paths, why):
    set_records(tiny_config, paths, paths)
    for records in (exported(tiny_config).train_records(), exported(tiny_config).val_records()):
        assert records.patterns == ()
        assert re.search(why, records.missing)


def test_load(run, tiny_label_map):
    loaded = source.load(str(run))
    assert loaded.name == "bolts"
    assert str(loaded.default_output) == "exports/bolts"
    assert loaded.label_map == loaded.predictor.label_map == tiny_label_map
    assert loaded.detector.num_classes == 3
    assert loaded.predictor.name.endswith("best/ckpt-8")
    assert loaded.config.model.ssd.num_classes == 3


@pytest.fixture
def without_restoring(monkeypatch, tiny_detector):
    """Loading gives `tiny_detector` as it is, with the label map beside it."""

    def load(path):
        beside = Path(path) / "label_map.pbtxt"
        labels = label_maps.load(beside) if beside.is_file() else None
        return CheckpointPredictor(tiny_detector, labels, f"{path}/best/ckpt-8")

    monkeypatch.setattr(source, "load_checkpoint_predictor", load)


@pytest.mark.usefixtures("without_restoring")
def test_newest_run(run, in_temporary_folder):
    (in_temporary_folder / "runs").mkdir()
    run.rename(in_temporary_folder / "runs/bolts")
    assert source.load(None).name == "bolts"


def test_no_run_yet(in_temporary_folder):
    with pytest.raises(InputError, match=r"runs/: no run with a checkpoint yet"):
        source.load(None)


@pytest.mark.usefixtures("without_restoring")
def test_label_map_flag_wins(run, tmp_path):
    other = label_maps.from_names(["a", "b", "c"])
    label_maps.save(other, tmp_path / "other.pbtxt")
    assert source.load(str(run), str(tmp_path / "other.pbtxt")).label_map == other


@pytest.mark.usefixtures("without_restoring")
def test_label_map_that_the_config_names(run, tiny_label_map, tiny_config, tmp_path):
    (run / "label_map.pbtxt").rename(tmp_path / "elsewhere.pbtxt")
    tiny_config.train_input_reader.label_map_path = str(tmp_path / "elsewhere.pbtxt")
    tiny_config.eval_input_reader[0].label_map_path = "/content/gone.pbtxt"
    pipeline.save(tiny_config, run / "pipeline.config")
    assert source.load(str(run)).label_map == tiny_label_map


@pytest.mark.usefixtures("without_restoring")
def test_no_label_map(run):
    (run / "label_map.pbtxt").unlink()
    with pytest.raises(InputError, match=r"bolts/pipeline\.config: no label_map\.pbtxt beside it"):
        source.load(str(run))


@pytest.mark.usefixtures("without_restoring")
def test_label_map_of_another_model(run, tmp_path):
    names = ["a", "b", "c", "spring"]
    label_maps.save(label_maps.from_names(names), tmp_path / "four.pbtxt")
    message = r"bolts/pipeline\.config: num_classes is 3, .* goes up to id 4 \(spring\); give"
    with pytest.raises(InputError, match=message):
        source.load(str(run), str(tmp_path / "four.pbtxt"))


def test_no_such_run(tmp_path):
    with pytest.raises(InputError, match=r"nowhere: no such file or folder"):
        source.load(str(tmp_path / "nowhere"))
