from __future__ import annotations

import pytest

from ssd.errors import InputError
from ssd.model_maker import model_spec, training_run
from ssd.model_maker.data_loader import DataLoader
from ssd.model_maker.training_run import Start, starting_point
from ssd.run_folder import RunFolder
from ssd.training import plan as plans
from ssd.training import session

CKPT = 'fine_tune_checkpoint: "ckpt-0"'


@pytest.fixture(autouse=True)
def no_zoo(monkeypatch, tmp_path):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "no_cache"))
    monkeypatch.setenv("ZOO_MIRROR", str(tmp_path / "no_mirror"))


@pytest.fixture
def options_of(monkeypatch, tiny_data, tmp_path):
    """Returns the function that says with which TrainOptions `train` would train."""
    seen = []

    class Plan:
        run = RunFolder(tmp_path / "run")

    monkeypatch.setattr(plans, "resolve", lambda options: seen.append(options) or Plan())
    monkeypatch.setattr(session, "run", lambda plan, options: None)
    data, val = (DataLoader.from_cache(f"{tiny_data}/{name}") for name in ("train", "val"))

    def options(spec, **more):
        wanted = {"epochs": 3, "batch_size": 2, "train_whole_model": False} | more
        assert training_run.train(spec, data, val, **wanted) == Plan.run
        return seen.pop()

    return options


def test_what_train_is_told(options_of, tiny_data):
    spec = model_spec.get(
        "efficientdet_lite0", checkpoint="CKPT", model_dir="here", moving_average_decay=0.9
    )
    options = options_of(spec)
    assert (options.steps, options.batch_size) == (6, 2)
    assert options.config == str(spec.config_path)
    assert options.train_records == [f"{tiny_data}/train-*.tfrecord"]
    assert options.val_records == [f"{tiny_data}/val-*.tfrecord"]
    assert options.label_map == f"{tiny_data}/label_map.pbtxt"
    assert (options.checkpoint, options.output, options.fresh) == ("CKPT", "here", False)
    assert (options.freeze, options.seed, options.moving_average_decay) == ("backbone", 111111, 0.9)
    assert options.overrides[0] == "model.ssd.num_classes=3"


def test_what_is_frozen(options_of, capsys):
    started = model_spec.get("demo", checkpoint="CKPT")
    assert options_of(started, train_whole_model=True).freeze is None
    assert (
        "the backbone stays as it is; pyramid and heads are trained" not in capsys.readouterr().out
    )
    assert options_of(started).freeze == "backbone"
    assert "the backbone stays as it is; pyramid and heads are trained" in capsys.readouterr().out
    started.config.var_freeze_expr = None
    assert options_of(started).freeze is None


def test_a_random_backbone_is_not_frozen(options_of, capsys):
    options = options_of(model_spec.get("demo"))
    assert (options.freeze, options.checkpoint) == (None, "none")
    out = capsys.readouterr().out
    assert "RANDOM WEIGHTS: ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8: " in out
    assert "train_whole_model=False is not obeyed: a random backbone has to be trained" in out


def test_a_learning_rate_comes_with_its_length(options_of):
    options = options_of(model_spec.get("small_data", hparams="learning_rate=0.02"))
    assert (options.steps, options.batch_size) == (None, None)
    assert "train_config.num_steps=6" in options.overrides
    assert "train_config.batch_size=2" in options.overrides


def test_a_finished_run_is_left_alone(options_of, tmp_path):
    spec = model_spec.get("demo", model_dir=str(tmp_path))
    assert not options_of(spec).fresh
    (tmp_path / "finished").touch()
    assert options_of(spec).fresh


def test_where_weights_come_from(tmp_path, project):
    assert starting_point(model_spec.get("demo", checkpoint="DIR")) == Start("DIR")
    asked = starting_point(model_spec.get("demo", checkpoint="none"))
    assert asked == Start("none", "checkpoint='none' asks for it")
    unreachable = starting_point(model_spec.get("efficientdet_lite0"))
    assert unreachable.checkpoint == "none"
    assert "ssd_mobilenet_v2_fpnlite_320x320" in unreachable.why_random
    own = tmp_path / "own.config"
    text = (project / "pipeline_configs/small_data.config").read_text()
    own.write_text(text)
    for spec in (model_spec.get(str(own)), model_spec.get("small_data")):
        name = spec.config_path.name
        why = f"{name} names no checkpoint; checkpoint= gives one"
        assert starting_point(spec) == Start("none", why)
    own.write_text(text.replace('fine_tune_checkpoint: "PATH_TO_BE_CONFIGURED"', CKPT))
    assert starting_point(model_spec.get(str(own))) == Start("auto")


def test_both_loaders_have_the_same_classes(tiny_data):
    data = DataLoader.from_cache(str(tiny_data))
    other = DataLoader(data.patterns, 4, ["nut", "bolt", "washer"])
    with pytest.raises(InputError, match=r"validation_data has the classes \{1: 'nut'"):
        training_run.train(
            model_spec.get("demo"), data, other, epochs=1, batch_size=2, train_whole_model=True
        )
