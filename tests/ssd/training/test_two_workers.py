"""Two worker processes on loopback against one process with the same global batch."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

pytestmark = pytest.mark.slow

STEPS = 20
# Twenty steps from the same weights; sums of float32 in another order grow on the way.
NOISE = 1e-3
# With statistics of 2 images instead of 4 in every batch norm it is another network.
OWN_STATISTICS = 0.15


def rate(value: float) -> str:
    """At a high one 20 steps make a per cent out of a rounding error, on any number of devices."""
    constant = f"{{ constant_learning_rate {{ learning_rate: {value} }} }}"
    return f"train_config.optimizer.momentum_optimizer.learning_rate={constant}"


class Launcher:
    """Starts `train` on the tiny records, alone or as workers."""

    def __init__(self, project: Path, data: Path, config: Path, folder: Path) -> None:
        self.project, self.data, self.config, self.folder = project, data, config, folder

    def start(self, name: str, *flags: str, tf_config: Any = None) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(self.project), "CUDA_VISIBLE_DEVICES": ""}
        environment.pop("TF_CONFIG", None)
        if tf_config:
            environment["TF_CONFIG"] = json.dumps(tf_config)
        script = Path(__file__).with_name("worker_process.py")
        command = [sys.executable, str(script), str(self.log(name)), "--data", str(self.data)]
        return subprocess.Popen(
            [*command, "--config", str(self.config), *flags],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def alone(self, name: str, *flags: str) -> str:
        """What one process prints; it has to end well."""
        process = self.start(name, *flags)
        out, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
        return out

    @contextmanager
    def workers(
        self, name: str, *flags: str, second: tuple[str, ...] = ()
    ) -> Iterator[list[subprocess.Popen[str]]]:
        """Two workers; their logs are `name`-0 and `name`-1. None is left behind.

        `second` are flags of the second one alone.
        """
        with ExitStack() as stack:
            sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
            for one in sockets:
                one.bind(("127.0.0.1", 0))
            addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
        cluster = {"worker": addresses}
        processes = [
            self.start(
                f"{name}-{index}",
                *flags,
                *(second if index else ()),
                tf_config={"cluster": cluster, "task": {"type": "worker", "index": index}},
            )
            for index in range(2)
        ]
        try:
            yield processes
        finally:
            for process in processes:
                process.kill()
                process.communicate()

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.jsonl"

    def steps(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log(name).read_text().splitlines()]

    def wait_for(self, name: str, count: int, process: subprocess.Popen[str]) -> None:
        """Until so many steps are done."""
        end = time.monotonic() + 300
        while not self.log(name).is_file() or len(self.steps(name)) < count:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < end
            time.sleep(0.1)


@pytest.fixture(scope="module")
def launcher(project, tiny_data, tmp_path_factory) -> Launcher:
    """Every batch is all four pictures; the learning rate is the same in all steps."""
    from ssd.config import pipeline

    folder = tmp_path_factory.mktemp("two_workers")
    source = project / "pipeline_configs/ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8.config"
    overrides = (
        "model.ssd.feature_extractor.depth_multiplier=0.25",
        "model.ssd.num_classes=3",
        "model.ssd.image_resizer.fixed_shape_resizer.height=64",
        "model.ssd.image_resizer.fixed_shape_resizer.width=96",
        "train_config.batch_size=4",
        f"train_config.num_steps={STEPS}",
        rate(0.001),
    )
    config = folder / "tiny.config"
    pipeline.save(pipeline.load(source, overrides).message, config)
    return Launcher(project, tiny_data, config, folder)


@pytest.fixture(scope="module")
def begun(launcher: Launcher) -> str:
    """A checkpoint that every layer has learnt for, with the statistics of its weights."""
    launcher.alone("begun", "--checkpoint", "none", "--output", "begun", "--set", rate(0.02))
    return str(launcher.folder / "begun/best")


def settings(*overrides: str) -> tuple[str, ...]:
    return tuple(word for override in overrides for word in ("--set", override))


def frozen() -> tuple[str, ...]:
    return settings(
        "model.ssd.freeze_batchnorm=true", "train_config.fine_tune_checkpoint_type=full"
    )


def synchronized() -> tuple[str, ...]:
    """Towers have no normalization then: the checkpoint has tensors that the model has not."""
    norm = "{ decay: 0.9 scale: true epsilon: 0.001 }"
    parts = ("feature_extractor", "box_predictor.weight_shared_convolutional_box_predictor")
    return settings(
        *(f"model.ssd.{part}.conv_hyperparams.sync_batch_norm={norm}" for part in parts),
        "train_config.fine_tune_checkpoint_type=matching",
    )


def as_it_is() -> tuple[str, ...]:
    return settings("train_config.fine_tune_checkpoint_type=full")


@pytest.mark.parametrize(
    ("setting", "tolerance"),
    [(frozen, NOISE), (synchronized, NOISE), (as_it_is, OWN_STATISTICS)],
    ids=["frozen", "synchronized", "own statistics"],
)
def test_the_curve_of_one_process(launcher, begun, setting, tolerance):
    name = setting.__name__
    flags = ("--checkpoint", begun, *setting(), "--eval-every", "10")
    launcher.alone(name, *flags, "--output", f"{name}-alone")
    with launcher.workers(name, *flags, "--output", name) as (chief, other):
        out, err = chief.communicate(timeout=600)
        other_out, other_err = other.communicate(timeout=60)
    assert (chief.returncode, other.returncode) == (0, 0), err + other_err
    assert "batch 4 = 2 x 2: 2 replicas on 2 workers\n" in out
    assert out.count("AP50") == 2
    assert other_out.count("\n") == 1
    assert other_out.startswith("GPU: NO, training on CPU; worker 1 of 2; the chief is 127.0.0.1:")
    logs = [launcher.steps(f"{name}-{index}") for index in range(2)]
    alone = launcher.steps(name)
    assert [len(log) for log in (*logs, alone)] == [STEPS] * 3
    for first, second, whole in zip(*logs, alone, strict=True):
        # Each reads two, together those of the one process in its order, and none twice.
        assert first["source_ids"] + second["source_ids"] == whole["source_ids"]
        assert len(set(whole["source_ids"])) == 4
        # Both are told the losses of the whole batch, the same numbers.
        assert first["losses"] == second["losses"]
    curves = [np.array([step["losses"]["total_loss"] for step in log]) for log in (logs[0], alone)]
    assert np.ptp(curves[1]) > 10 * tolerance * curves[1].mean() or tolerance > NOISE
    np.testing.assert_allclose(*curves, rtol=tolerance)
    assert_written_by_the_chief_alone(launcher.folder / name, launcher.folder / f"{name}-alone")


def assert_written_by_the_chief_alone(run: Path, alone: Path) -> None:
    """The same files with the same keys as one process writes."""
    assert len(list(run.glob("events.out.tfevents.*"))) == 1
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2
    for folder in ("checkpoints", "best"):
        names = [sorted(p.name for p in (r / folder).glob("*.index")) for r in (run, alone)]
        assert names[0] == names[1] or folder == "best"
        shapes = [
            tf.train.load_checkpoint(str(r / folder)).get_variable_to_shape_map()
            for r in (run, alone)
        ]
        assert shapes[0] == shapes[1]


def wait_for_the_end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """(exit code, what it printed on stderr); it has to end by itself."""
    _, err = process.communicate(timeout=120)
    return process.returncode, err


@pytest.mark.parametrize("lost", [1, 0], ids=["a worker", "the chief"])
def test_a_worker_that_is_killed(launcher, lost):
    """The other one ends by itself and says so; all together go on, and so does one process."""
    name = f"killed-{lost}"
    flags = ("--checkpoint", "none", "--checkpoint-every", "3", "--output", name)
    flags += ("--eval-every", str(STEPS))
    with launcher.workers(name, *flags) as processes:
        launcher.wait_for(f"{name}-{1 - lost}", 5, processes[1 - lost])
        processes[lost].send_signal(signal.SIGKILL)
        code, err = wait_for_the_end(processes[1 - lost])
    assert code == 2, err
    line = err.splitlines()[-1]
    assert line.startswith(f"train: worker {lost} (127.0.0.1:"), err
    assert f"is gone, its own screen may say why; last checkpoint {name}/checkpoints/ckpt-" in line
    assert line.endswith("; start all workers again with the same command")
    saved = int(line.split("ckpt-")[1].split(";")[0])
    before = launcher.steps(f"{name}-1" if lost == 0 else f"{name}-0")
    if lost == 0:
        out = launcher.alone(name, *flags)  # one process goes on with the batch of both
        losses = [step["losses"]["total_loss"] for step in launcher.steps(name)]
    else:
        with launcher.workers(f"{name}-again", *flags) as (chief, other):
            out, err = chief.communicate(timeout=600)
            assert (chief.returncode, other.wait(timeout=60)) == (0, 0), err
        losses = [step["losses"]["total_loss"] for step in launcher.steps(f"{name}-again-0")]
    assert f"resuming at step {saved} of {STEPS}\n" in out
    assert len(losses) == STEPS - saved
    # The step after the checkpoint had been done before; with two workers to the same result.
    if lost == 1 and len(before) > saved:
        assert losses[0] == pytest.approx(before[saved]["losses"]["total_loss"], rel=1e-5)


def test_a_signal_to_one_worker_ends_all_after_the_same_step(launcher):
    name = "signalled"
    flags = ("--checkpoint", "none", "--output", name, "--eval-every", str(STEPS))
    with launcher.workers(name, *flags) as (chief, other):
        launcher.wait_for(f"{name}-1", 3, other)
        other.send_signal(signal.SIGTERM)
        (code, err), (other_code, other_err) = map(wait_for_the_end, (chief, other))
    assert (code, other_code) == (130, 130), err + other_err
    steps = {len(launcher.steps(f"{name}-{index}")) for index in range(2)}
    assert len(steps) == 1
    step = steps.pop()
    assert f"stopped at step {step}, saved {name}/checkpoints/ckpt-{step}; the same" in err
    assert f"SIGTERM: stopped at step {step}, where the chief saves; the same command" in other_err
    assert (launcher.folder / name / f"checkpoints/ckpt-{step}.index").is_file()


def test_workers_with_different_commands(launcher):
    flags = ("--checkpoint", "none", "--output", "different")
    with launcher.workers("different", *flags, second=("--seed", "5")) as processes:
        found = [wait_for_the_end(process) for process in processes]
    for code, err in found:
        assert code == 2, err
        assert "has other flags than the chief; start all workers with the same command" in err
    assert not (launcher.folder / "different").exists()
