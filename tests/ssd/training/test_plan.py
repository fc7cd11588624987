from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ssd import label_map as label_maps
from ssd.config import pipeline
from ssd.errors import InputError
from ssd.training import plan as plans
from ssd.training import run_choice, run_data
from ssd.training.options import TrainOptions
from ssd.training.plan import resolve

NAME = "ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8"


@pytest.fixture(autouse=True)
def _here(in_temporary_folder: Path) -> None:
    """Runs go below the current folder."""


@pytest.fixture(autouse=True)
def zoo(monkeypatch):
    """Names that were opened; nothing is cached and nothing reaches a network."""
    opened: list[str] = []

    def open_model(name: str) -> str:
        opened.append(str(name))
        if not Path(name).exists():
            raise plans.zoo.ZooUnavailable(f"{name}: no network, no cache")
        return str(name)

    monkeypatch.setattr(plans.zoo, "open_model", open_model)
    return opened


def options(tiny_data: Path, **changes) -> TrainOptions:
    return TrainOptions(**({"data": str(tiny_data), "output": "run"} | changes))


def begin(plan, checkpoint_step: int | None = None, **flags) -> None:
    """Leaves the folder as a training that was killed does."""
    plan.run.path.mkdir(parents=True, exist_ok=True)
    identity = TrainOptions(**flags).identity()
    plan.run.flags.write_text(json.dumps(identity))
    plan.run.data.write_text(json.dumps(plan.data))
    label_maps.save(plan.label_map, plan.run.label_map)
    pipeline.save(plan.config, plan.run.config)
    if checkpoint_step is not None:
        plan.run.checkpoints.mkdir()
        (plan.run.checkpoints / f"ckpt-{checkpoint_step}.index").touch()


def test_a_data_folder_fills_the_config(tiny_data):
    plan = resolve(options(tiny_data))
    reader = plan.config.train_input_reader
    assert list(reader.tf_record_input_reader.input_path) == [f"{tiny_data}/train-*.tfrecord"]
    assert reader.label_map_path == f"{tiny_data}/label_map.pbtxt"
    (val,) = plan.config.eval_input_reader
    assert list(val.tf_record_input_reader.input_path) == [f"{tiny_data}/val-*.tfrecord"]
    assert val.label_map_path == f"{tiny_data}/label_map.pbtxt"
    assert plan.label_map.names == ("bolt", "nut", "washer")
    assert plan.config.model.ssd.num_classes == 3
    assert "num_classes 90 -> 3, as the label map has: bolt, nut, washer" in plan.notes
    assert (len(plan.train_records), len(plan.val_records)) == (4, 2)
    assert any(
        note.endswith("2 shards, as conversion_report.json lists them") for note in plan.notes
    )
    assert not any("no boxes" in note for note in plan.notes)
    assert plan.run.path == Path("run")
    assert not plan.resumes
    assert not Path("run").exists()


def test_single_flags_win_over_the_data_folder(tiny_data):
    other = f"{tiny_data}/train-0000*.tfrecord"
    plan = resolve(options(tiny_data, val_records=[other]))
    assert list(plan.config.eval_input_reader[0].tf_record_input_reader.input_path) == [other]
    assert (len(plan.train_records), len(plan.val_records)) == (4, 4)


def test_own_training_records_take_no_foreign_evaluation_records(tiny_data):
    plan = resolve(
        options(
            tiny_data,
            data=None,
            train_records=[f"{tiny_data}/train-*.tfrecord"],
            label_map=f"{tiny_data}/label_map.pbtxt",
        )
    )
    assert len(plan.config.eval_input_reader) == 0
    assert plan.val_records is None


def test_steps_and_batch_size_fit_the_schedule(tiny_data):
    plan = resolve(options(tiny_data, steps=500, batch_size=8))
    config = plan.config.train_config
    cosine = config.optimizer.momentum_optimizer.learning_rate.cosine_decay_learning_rate
    # 1/100 of the zoo's steps; a rate of 0.08 is for 16 images in fine-tuning.
    assert (config.num_steps, config.batch_size) == (500, 8)
    assert (cosine.total_steps, cosine.warmup_steps) == (500, 10)
    assert cosine.learning_rate_base == pytest.approx(0.04)
    assert any(note.startswith("learning rate fitted to this run") for note in plan.notes)


@pytest.mark.parametrize(
    "config", [None, NAME, NAME.removesuffix("_coco17_tpu-8"), NAME + ".config"]
)
def test_names_of_shipped_configs(tiny_data, config):
    plan = resolve(options(tiny_data, config=config, output=None))
    assert plan.run.path.parent == Path("runs")
    assert plan.run.path.name.startswith(NAME + "-20")


def write_config(tiny_config, path: str = "my.config") -> str:
    pipeline.save(tiny_config, path)
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param(
            {"config": "ssd_mobilenet_v2_fpnlite_320"},
            rf"--config ssd_mobilenet_v2_fpnlite_320: no such file .* did you mean {NAME}\?",
            id="misspelt config",
        ),
        pytest.param(
            {"config": "yolo"},
            r"--config yolo: no such file and no shipped config; "
            rf"shipped: .*{NAME}",
            id="unknown config",
        ),
        pytest.param(
            {"data": "nowhere"},
            r"--data nowhere: no such folder; `\./run\.sh convert` "
            r"makes one",
            id="no data folder",
        ),
        pytest.param(
            {"data": None, "config": NAME},
            r"train_input_reader names no records; give "
            r"--data DIR",
            id="no records",
        ),
        pytest.param(
            {"data": None, "train_records": ["x-*.tfrecord"]},
            r"train_input_reader\.label_map_path still says PATH_TO_BE_CONFIGURED; give "
            r"--label-map FILE",
            id="no label map",
        ),
        pytest.param(
            {"overrides": ("model.ssd.num_clases=3",)},
            r"--set model\.ssd\.num_clases.*"
            r"num_classes",
            id="misspelt --set",
        ),
        pytest.param(
            {"overrides": ("model.ssd.explicit_background_class=true",)},
            r"explicit_background_class",
            id="refused setting",
        ),
        pytest.param(
            {"checkpoint": "nowhere/ckpt-0"},
            r"nowhere/ckpt-0: no network, no cache",
            id="named checkpoint that is not there",
        ),
    ],
)
def test_flags_that_do_not_fit(tiny_data, changes, message):
    with pytest.raises(InputError, match=message):
        resolve(options(tiny_data, **changes))


def test_a_persons_config_keeps_its_number_of_classes(tiny_data, tiny_config):
    tiny_config.model.ssd.num_classes = 4
    with pytest.raises(
        InputError,
        match=r"my\.config: num_classes is 4, but the label map has 3 "
        r"\(bolt, nut, washer\); correct one of them, or give --set "
        r"model\.ssd\.num_classes=3",
    ):
        resolve(options(tiny_data, config=write_config(tiny_config)))


class TestResume:
    def test_the_same_command_goes_on(self, tiny_data):
        begin(resolve(options(tiny_data)), checkpoint_step=4)
        again = resolve(options(tiny_data))
        assert again.resumes
        assert again.run.path == Path("run")
        assert again.checkpoint is None

    def test_without_a_checkpoint_yet_it_fine_tunes_from_the_same_start(self, tiny_data):
        """Killed before the first save: starting from random weights would be another run."""
        Path("start").mkdir()
        begin(resolve(options(tiny_data, checkpoint="start")), checkpoint="start")
        again = resolve(options(tiny_data, checkpoint="start"))
        assert again.run.path == Path("run")
        assert again.checkpoint == "start"

    def test_without_output_it_goes_on_the_next_day(self, tiny_data, monkeypatch):
        first = resolve(options(tiny_data, output=None))
        begin(first, checkpoint_step=4)

        class Tomorrow(run_choice.datetime.date):
            @classmethod
            def today(cls):
                return cls(2199, 1, 2)

        monkeypatch.setattr(run_choice.datetime, "date", Tomorrow)
        again = resolve(options(tiny_data, output=None))
        assert again.resumes
        assert again.run.path == first.run.path

    def test_a_finished_run_is_left_alone(self, tiny_data):
        plan = resolve(options(tiny_data))
        begin(plan, checkpoint_step=4)
        plan.run.finished.touch()
        with pytest.raises(
            InputError,
            match=r"^run: this run is finished, nothing was done. To train on from its weights: "
            r"--checkpoint run --steps N with another --output; to train again: --fresh$",
        ):
            resolve(options(tiny_data))
        assert resolve(options(tiny_data, fresh=True)).run.path == Path("run-2")

    def test_a_finished_run_without_output_gets_a_neighbour(self, tiny_data):
        plan = resolve(options(tiny_data, output=None))
        begin(plan, checkpoint_step=4)
        plan.run.finished.touch()
        again = resolve(options(tiny_data, output=None))
        assert again.run.path == plan.run.path.with_name(plan.run.path.name + "-2")
        assert not again.resumes

    def test_another_config_does_not_go_on(self, tiny_data):
        begin(resolve(options(tiny_data)), checkpoint_step=4)
        other = "model.ssd.matcher.argmax_matcher.matched_threshold=0.625"
        with pytest.raises(
            InputError,
            match=r"^run: holds a run with another config \(2 lines differ, first: "
            r"- matched_threshold: 0\.5\); give another --output, or --fresh",
        ):
            resolve(options(tiny_data, overrides=(other,)))

    def test_another_length_does_not_go_on(self, tiny_data):
        begin(resolve(options(tiny_data, steps=40)), checkpoint_step=4)
        with pytest.raises(
            InputError,
            match=r"^run: holds a run of 40 steps, not 77: its learning rates follow from its "
            r"length; give --steps 40 to go on with it; give another --output, or --fresh",
        ):
            resolve(options(tiny_data, steps=77))

    def test_another_seed_does_not_go_on(self, tiny_data):
        begin(resolve(options(tiny_data, seed=1)), checkpoint_step=4)
        with pytest.raises(InputError, match="seed"):
            resolve(options(tiny_data, seed=2))

    def test_fresh_starts_beside(self, tiny_data):
        begin(resolve(options(tiny_data)), checkpoint_step=4)
        plan = resolve(options(tiny_data, fresh=True))
        assert (plan.run.path, plan.resumes) == (Path("run-2"), False)


class TestCheckpoint:
    def test_auto_takes_the_zoos(self, tiny_data, zoo):
        plan = resolve(options(tiny_data, config=NAME))
        assert zoo == [NAME]
        assert plan.checkpoint is None
        assert any(note.startswith("RANDOM WEIGHTS: ") and NAME in note for note in plan.notes)

    def test_none_asks_nobody(self, tiny_data, zoo):
        plan = resolve(options(tiny_data, checkpoint="none"))
        assert (plan.checkpoint, zoo) == (None, [])
        assert "random weights, as --checkpoint none asks" in plan.notes

    def test_what_a_persons_config_names_must_be_there(self, tiny_data, tiny_config, zoo):
        tiny_config.train_config.fine_tune_checkpoint = "somewhere/ckpt-0"
        with pytest.raises(InputError, match=r"somewhere/ckpt-0"):
            resolve(options(tiny_data, config=write_config(tiny_config)))

    def test_a_path(self, tiny_data, zoo):
        Path("model").mkdir()
        assert resolve(options(tiny_data, checkpoint="model")).checkpoint == "model"


TRAIN, VAL = "train-00000-of-00001.tfrecord", "val-00000-of-00001.tfrecord"


@pytest.fixture
def data(tiny_data) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(tiny_data, "data"))


def flip_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


REPORT_SAYS = "conversion_report.json beside it"
BEFORE_TRAINING = {
    "cut off": (lambda d: os.truncate(d / TRAIN, 700), rf"{TRAIN}: 700 bytes; {REPORT_SAYS} says"),
    "0 bytes": (lambda d: os.truncate(d / TRAIN, 0), rf"{TRAIN}: 0 bytes; {REPORT_SAYS} says"),
    "flipped bit": (lambda d: flip_bit(d / TRAIN), rf"{TRAIN}: SHA-256 .*; {REPORT_SAYS} says"),
    "val flipped bit": (lambda d: flip_bit(d / VAL), rf"{VAL}: SHA-256 .*; {REPORT_SAYS} says"),
    "no train": (lambda d: (d / TRAIN).unlink(), rf"{TRAIN}: no such file; {REPORT_SAYS} lists"),
    "no val": (lambda d: (d / VAL).unlink(), rf"{VAL}: no such file; {REPORT_SAYS} lists"),
    "mixed": (
        lambda d: shutil.copy(d / TRAIN, d / "train-00001-of-00002.tfrecord"),
        rf"train-00001-of-00002.tfrecord: {REPORT_SAYS} does not list it, but {TRAIN}",
    ),
    "label map": (
        lambda d: (d / "label_map.pbtxt").write_text('item { id: 1 name: "bolt" }'),
        r"label_map.pbtxt: class id 2 is absent, but 'nut' in the records of data",
    ),
    "report": (
        lambda d: os.truncate(d / "conversion_report.json", 30),
        r"conversion_report.json:\d+: damaged JSON: ",
    ),
}


@pytest.mark.parametrize("kind", BEFORE_TRAINING)
def test_damaged_records_are_found_before_training(data, kind):
    damage, message = BEFORE_TRAINING[kind]
    damage(data)
    with pytest.raises(InputError, match=f"^data/{message}") as caught:
        resolve(options(data))
    assert "\n" not in str(caught.value)
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        (
            TRAIN,
            700,
            rf"{TRAIN}: the record at byte \d+ is cut off by the end of the file at byte 700",
        ),
        (TRAIN, 0, rf"{TRAIN}: 0 bytes, so 0 records"),
        (VAL, 0, rf"{VAL}: 0 bytes, so 0 records"),
        (VAL, 5, rf"{VAL}: the record at byte 0 is cut off|{VAL}: byte 0: no TFRecord"),
    ],
)
def test_without_a_manifest_the_framing_counts(data, name, size, message):
    (data / "conversion_report.json").unlink()
    plan = resolve(options(data))
    assert not any("conversion_report" in note for note in plan.notes)
    os.truncate(data / name, size)
    with pytest.raises(InputError, match=f"data/{message}"):
        resolve(options(data))


def test_a_val_pattern_without_files(data):
    with pytest.raises(
        InputError, match=r"^eval_input_reader\..*input_path: 'other-\*' matches no file; expected"
    ):
        resolve(options(data, val_records=["other-*"]))


def test_a_class_without_boxes_is_said(data):
    report = data / "conversion_report.json"
    content = json.loads(report.read_text())
    content["splits"]["train"]["classes"]["nut"] = 0
    report.write_text(json.dumps(content))
    assert "class nut has no boxes in train" in resolve(options(data)).notes


def test_data_sets_of_no_weight_are_not_looked_at(data, tiny_config):
    reader = tiny_config.train_input_reader
    old = Path(shutil.copytree(data, "old"))
    flip_bit(old / TRAIN)
    reader.tf_record_input_reader.input_path[:] = [f"{data}/{TRAIN}", f"{old}/{TRAIN}"]
    reader.sample_from_datasets_weights.extend([1.0, 0.0])
    reader.label_map_path = f"{data}/label_map.pbtxt"
    tiny_config.eval_input_reader[0].tf_record_input_reader.input_path[:] = [f"{data}/{VAL}"]
    plan = resolve(TrainOptions(config=write_config(tiny_config), output="run"))
    assert len(plan.train_records) == 4
    flip_bit(data / TRAIN)
    with pytest.raises(InputError, match=f"{TRAIN}: SHA-256"):
        resolve(TrainOptions(config="my.config", output="run"))


def test_records_are_verified_without_tensorflow(data, project):
    code = (
        "import sys\n"
        "from ssd import evaluate\nfrom ssd.training import options, plan as plans\n"
        "given = options.TrainOptions(data='data', checkpoint='none', anchors='config')\n"
        "plan = plans.resolve(given)\n"
        "evaluate._data('', 'data', 'val', [], None)\n"
        "print(len(plan.train_records), sorted({'tensorflow', 'keras'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "4 []\n"
    assert done.stderr == (
        f"records: {(data / VAL).stat().st_size / 1e6:.1f} MB in 1 shard, as "
        "conversion_report.json lists them\n"
    )


def test_sample_data_is_made_once(monkeypatch, tiny_data):
    ran = []

    def fake(command, check):
        ran.append(command[3:])
        if "convert" in command:
            shutil.copytree(tiny_data, "data/sample/records")
        return type("Done", (), {"returncode": 0})

    monkeypatch.setattr(run_data.subprocess, "run", fake)
    plan = resolve(TrainOptions(checkpoint="none"))
    assert [command[0] for command in ran] == ["sample-data", "convert"]
    assert list(plan.config.train_input_reader.tf_record_input_reader.input_path) == [
        "data/sample/records/train-*.tfrecord"
    ]
    resolve(TrainOptions(checkpoint="none"))
    assert len(ran) == 2


def test_sample_data_that_fails(monkeypatch):
    monkeypatch.setattr(
        run_data.subprocess, "run", lambda *a, **k: type("Done", (), {"returncode": 2})
    )
    with pytest.raises(InputError, match=r"sample data: `sample-data` ended with code 2"):
        resolve(TrainOptions())
