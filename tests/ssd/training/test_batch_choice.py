from __future__ import annotations

import json
from pathlib import Path

import pytest

from ssd.config import pipeline
from ssd.errors import InputError
from ssd.training import memory_probe
from ssd.training.batch_choice import candidates, gigabytes, largest_fitting
from ssd.training.memory import StepMemory
from ssd.training.memory_probe import Probe
from ssd.training.options import TrainOptions
from ssd.training.plan import resolve

GB = 1e9


@pytest.fixture(autouse=True)
def _here(in_temporary_folder: Path) -> None:
    """Runs go below the current folder."""


@pytest.fixture
def machine(monkeypatch):
    """What the probe finds: 0.2 GB and 0.1 GB per image; all can be set."""
    memory = StepMemory(0.2 * GB, 0.1 * GB)
    found = {"memory": memory, "free": 3.0 * GB, "replicas": 1, "asked": []}

    def probe(config, *, precision):
        found["asked"].append((config.train_config.batch_size, precision))
        return Probe(found["memory"], found["free"], found["replicas"])

    monkeypatch.setattr(memory_probe, "probe", probe)
    return found


def plan_of(tiny_data, config="small_data", **flags):
    flags = {"checkpoint": "none", "batch_size": "auto"} | flags
    options = TrainOptions(config=config, data=str(tiny_data), **flags)
    return resolve(options), options


def begin(plan, options) -> None:
    """Leaves the folder as a training that was killed does."""
    from ssd import label_map
    from ssd.config.text_source import write_text

    plan.run.path.mkdir(parents=True)
    write_text(json.dumps(options.stored()), plan.run.flags)
    write_text(json.dumps(plan.data), plan.run.data)
    label_map.save(plan.label_map, plan.run.label_map)
    pipeline.save(plan.config, plan.run.config)


def batch_line(plan) -> str:
    (line,) = [note for note in plan.notes if note.startswith("batch size")]
    return line


@pytest.mark.parametrize(
    ("most", "expected"), [(1, [1]), (2, [2, 1]), (12, [12, 8, 4, 2, 1]), (16, [16, 8, 4, 2, 1])]
)
def test_the_candidates(most, expected):
    assert candidates(most) == expected


@pytest.mark.parametrize(
    ("most", "free", "num_replicas", "expected"),
    [
        (100, 20, 1, 100),  # 1 + 100 * 0.1 = 11 of 14
        (100, 15, 1, 64),  # 7.4 of 10.5
        (64, 10.6, 1, 64),  # 7.4 of 7.42
        (64, 10.5, 1, 32),  # 7.4 of 7.35
        (64, 1.5, 1, 0),  # 1.1 of 1.05
        (64, 1.6, 1, 1),  # 1.1 of 1.12
        (64, 1.6, 2, 0),  # 1.2 of 1.12
        (100, 15, 5, 0),  # no power of two is five equal parts
        (100, 20, 5, 100),
    ],
)
def test_the_largest_that_takes_70_percent(most, free, num_replicas, expected):
    memory = StepMemory(1.0, 0.1)
    assert largest_fitting(memory, most, free, num_replicas=num_replicas) == expected


def test_gigabytes_are_decimal():
    assert gigabytes(5_149_999_999) == "5.1 GB"


def test_the_config_s_own_batch_where_it_fits(tiny_data, machine):
    plan, _ = plan_of(tiny_data)
    assert plan.config.train_config.batch_size == 16
    assert batch_line(plan) == "batch size 16: 1.8 GB of 3.0 GB free"
    assert machine["asked"] == [(16, "float32")]


def test_fewer_images_take_a_lower_rate(tiny_data, machine):
    machine["free"] = 1.0 * GB  # 0.7: 0.2 + 4 * 0.1 = 0.6, with 8 images 1.0
    plan, _ = plan_of(tiny_data, precision="mixed_bfloat16", steps=40)
    own = resolve(TrainOptions(config="small_data", data=str(tiny_data), checkpoint="none"))
    assert batch_line(plan) == "batch size 4: 0.6 GB of 1.0 GB free (16 would take 1.8 GB)"
    given = resolve(
        TrainOptions(
            config="small_data", data=str(tiny_data), checkpoint="none", batch_size=4, steps=40
        )
    )
    assert plan.config == given.config != own.config
    assert machine["asked"] == [(16, "mixed_bfloat16")]


def test_several_gpus_share_the_batch(tiny_data, machine):
    machine["free"], machine["replicas"] = 1.0 * GB, 2
    plan, _ = plan_of(tiny_data)
    assert batch_line(plan) == (
        "batch size 4: 0.6 GB of 1.0 GB free on each GPU (16 would take 1.8 GB)"
    )


def test_a_zoo_config_takes_no_more_than_fine_tuning_does(tiny_data, machine):
    machine["free"] = 900 * GB
    plan, _ = plan_of(tiny_data, config="ssd_mobilenet_v2_320x320_coco17_tpu-8")
    assert batch_line(plan) == "batch size 16: 1.8 GB of 900.0 GB free"


@pytest.mark.parametrize(
    ("free", "replicas", "message"),
    [
        (None, 1, r"^--batch-size auto: this system does not say .* free; give a number$"),
        (0.4 * GB, 1, r"^--batch-size auto: even one image takes 0.3 GB of 0.4 GB free; free mem"),
        (0.6 * GB, 4, r"even 4 images, one for each GPU, take 0.6 GB of 0.6 GB free on each GPU;"),
    ],
)
def test_no_choice(tiny_data, machine, free, replicas, message):
    machine["free"], machine["replicas"] = free, replicas
    with pytest.raises(InputError, match=message):
        plan_of(tiny_data)


def test_images_of_any_size_go_one_by_one(tiny_data, machine):
    machine["memory"] = None
    plan, _ = plan_of(tiny_data)
    assert plan.config.train_config.batch_size == 1
    assert batch_line(plan) == (
        "batch size 1: with this model.ssd.image_resizer every image has its own size"
    )


@pytest.mark.parametrize("output", [None, "run"])
def test_a_run_that_goes_on_keeps_its_batch(tiny_data, machine, output):
    plan, options = plan_of(tiny_data, output=output)
    begin(plan, options)
    machine["free"] = 1.0 * GB
    again, _ = plan_of(tiny_data, output=output)
    assert (again.run, again.resumes) == (plan.run, True)
    assert again.config == plan.config
    assert batch_line(again) == "batch size 16, as this run began"
    fresh, _ = plan_of(tiny_data, output=output, fresh=True)
    assert (fresh.config.train_config.batch_size, fresh.resumes) == (4, False)
    assert fresh.run != plan.run


def test_only_what_auto_chose_is_kept(tiny_data, machine):
    """A number that a person gave may be what did not fit."""
    plan, options = plan_of(tiny_data, batch_size=12)
    begin(plan, options)
    again, _ = plan_of(tiny_data)
    assert (again.config.train_config.batch_size, again.resumes) == (16, False)


def test_another_run_s_batch_is_not_taken(tiny_data, machine):
    plan, options = plan_of(tiny_data, steps=30)
    begin(plan, options)
    machine["free"] = 1.0 * GB
    other, _ = plan_of(tiny_data, steps=60)
    assert (other.config.train_config.batch_size, other.resumes) == (4, False)


def test_what_else_differs_is_what_is_complained_about(tiny_data, machine):
    plan, options = plan_of(tiny_data, output="run")
    begin(plan, options)
    machine["free"] = 1.0 * GB
    with pytest.raises(InputError, match=r"^run: holds a run with --precision float32, not mixed_"):
        plan_of(tiny_data, output="run", precision="mixed_bfloat16")
    clipped = "train_config.gradient_clipping_by_norm=7"
    with pytest.raises(InputError, match=r"\(1 lines differ, first: \+ gradient_clipping"):
        plan_of(tiny_data, output="run", overrides=(clipped,))


@pytest.mark.slow
def test_the_probe_asks_a_process_of_its_own(tiny_config):
    found = memory_probe.probe(tiny_config, precision="float32")
    assert found.num_replicas >= 1
    assert found.free is None or found.free > 0
    assert found.memory.fixed > 150e6
    assert 1e6 < found.memory.per_image < 100e6


@pytest.mark.slow
def test_the_probe_of_images_of_any_size(tiny_config):
    resizer = tiny_config.model.ssd.image_resizer.keep_aspect_ratio_resizer
    resizer.min_dimension, resizer.max_dimension = 96, 128
    tiny_config.model.ssd.feature_extractor.pad_to_multiple = 32
    assert memory_probe.probe(tiny_config, precision="float32").memory is None
