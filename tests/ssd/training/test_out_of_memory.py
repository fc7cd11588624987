from __future__ import annotations

import dataclasses

import pytest
import tensorflow as tf

from ssd.errors import InputError
from ssd.training import out_of_memory
from ssd.training.memory import StepMemory
from ssd.training.options import TrainOptions
from ssd.training.out_of_memory import MemoryAdvice
from ssd.training.plan import resolve
from ssd.training.session import TrainingSession

GB = 1e9
SET = "--set model.ssd.image_resizer.fixed_shape_resizer."
SMALLER = f"or {SET}height=128 {SET}width=192 about a quarter of it"


def advice(config, folder, batch_size=64, free=8 * GB, memory=(0.5, 0.3), **more) -> MemoryAdvice:
    """0.5 GB and 0.3 GB per image: 19.7 GB for 64 images, 5.3 GB for 16, 2.9 GB for 8."""
    resizer = config.model.ssd.image_resizer.fixed_shape_resizer
    resizer.height, resizer.width = 256, 416
    config.train_config.batch_size = batch_size
    estimate = StepMemory(*(GB * part for part in memory)) if memory else None
    return MemoryAdvice(config, folder, (256, 416), estimate, free, **more)


@pytest.mark.parametrize(
    "error",
    [
        tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"),
        MemoryError("std::bad_alloc"),
    ],
    ids=["TensorFlow", "Python"],
)
def test_running_out_ends_with_numbers(tiny_config, tmp_path, error):
    with pytest.raises(InputError) as caught, advice(tiny_config, tmp_path).given(1):
        raise error
    # 70 % of 8.0 GB are 5.6 GB.
    assert str(caught.value) == (
        "step 1: out of memory with batches of 64 at 256x416 (about 19.7 GB by estimate, 8.0 GB "
        f"free); --batch-size 16 would take 5.3 GB, {SMALLER}"
    )
    (tmp_path / "ckpt-20.index").touch()
    with (
        pytest.raises(InputError, match=r"^step 21: out .*; the last checkpoint is kept$"),
        advice(tiny_config, tmp_path).given(21),
    ):
        raise error


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        # It fits by estimate, yet it did not: less all the same.
        ({"free": 100 * GB}, "--batch-size 32 would take 10.1 GB, or"),
        ({"free": 1 * GB}, "--batch-size 1 would take 0.8 GB, or"),
        ({"batch_size": 12}, "--batch-size 8 would take 2.9 GB, or"),
        ({"memory": None}, r"416 \(8.0 GB free\); --batch-size 32, or"),
        ({"memory": None, "free": None}, "256x416; --batch-size 32, or"),
        ({"batch_size": 1}, rf"batches of 1 at 256x416 \(.*\); {SET}height=128"),
        ({"batch_size": 24, "num_replicas": 3}, rf"free\); {SET}"),
        ({"batch_size": 24, "num_replicas": 4}, "--batch-size 16 would take 5.3 GB, or"),
    ],
)
def test_what_would_take_less(tiny_config, tmp_path, changed, expected):
    with (
        pytest.raises(InputError, match=expected),
        advice(tiny_config, tmp_path, **changed).given(1),
    ):
        raise MemoryError


def test_images_of_any_size_have_no_numbers(tiny_config, tmp_path):
    made = dataclasses.replace(
        advice(tiny_config, tmp_path, memory=None, batch_size=1), image_size=None
    )
    tiny_config.model.ssd.image_resizer.keep_aspect_ratio_resizer.max_dimension = 512
    with (
        pytest.raises(
            InputError,
            match=r"^step 1: out of memory with batches of 1 \(8.0 GB free\); a smaller "
            r"model.ssd.image_resizer$",
        ),
        made.given(1),
    ):
        raise MemoryError


def test_other_errors_pass(tiny_config, tmp_path):
    with pytest.raises(ZeroDivisionError), advice(tiny_config, tmp_path).given(1):
        raise ZeroDivisionError


def test_the_warning_before_the_first_step(tiny_config, tmp_path):
    assert advice(tiny_config, tmp_path).warning() == (
        "WARNING: batches of 64 at 256x416 take about 19.7 GB by estimate, 8.0 GB free; a system "
        "without memory ends the run without a word. --batch-size 16 would take 5.3 GB, "
        f"{SMALLER}"
    )
    assert advice(tiny_config, tmp_path, batch_size=25).warning() == ""
    assert advice(tiny_config, tmp_path, free=None).warning() == ""
    assert advice(tiny_config, tmp_path, memory=None).warning() == ""


@pytest.mark.slow
def test_a_run_that_runs_out(tiny_data, in_temporary_folder, monkeypatch, capsys):
    resizer = "model.ssd.image_resizer.fixed_shape_resizer"
    options = TrainOptions(
        config="small_data",
        data=str(tiny_data),
        checkpoint="none",
        output="run",
        steps=3,
        batch_size=2,
        checkpoint_every=1,
        overrides=(
            "model.ssd.feature_extractor.depth_multiplier=0.25",
            f"{resizer}.height=64",
            f"{resizer}.width=96",
        ),
    )
    monkeypatch.setattr(out_of_memory, "free_bytes", lambda: 0.1 * GB)
    run = TrainingSession(resolve(options), options)
    lines = capsys.readouterr().out.splitlines()
    (warning,) = [line for line in lines if line.startswith("WARNING")]
    assert warning.startswith(
        "WARNING: batches of 2 at 64x96 take about 0.2 GB by estimate, 0.1 GB free; a system "
    )
    step = run.learner.train_step

    def second_fails(batch):
        if run.step == 1:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return step(batch)

    run.learner.train_step = second_fails
    with pytest.raises(InputError, match=r"^step 2: out of memory .*; the last checkpoint is kept"):
        run.train()
    assert (in_temporary_folder / "run/checkpoints/ckpt-1.index").is_file()
    # The same command goes on where there is more memory.
    capsys.readouterr()
    assert TrainingSession(resolve(options), options).step == 1
    assert "resuming at step 1 of 3" in capsys.readouterr().out
