from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from ssd.errors import InputError
from ssd.training import devices as devices_module
from ssd.training.cluster import Cluster
from ssd.training.devices import ONE_DEVICE, Devices, choose_devices, gpu_line
from ssd.training.interrupts import Interrupts, Stopped
from ssd.training.worker_exchange import lost_worker

# Of a step's update: sums of float32 in another order. One device twice gives 0.
NOISE = 1e-4

Run = Callable[[str], Mapping[str, Any]]


@pytest.fixture
def on_logical_cpus(project: Path, tmp_path: Path) -> Run:
    """(case of logical_devices.py) -> what it stores."""

    def run(case: str) -> Mapping[str, Any]:
        script = Path(__file__).with_name("logical_devices.py")
        environment = {**os.environ, "PYTHONPATH": str(project), "CUDA_VISIBLE_DEVICES": ""}
        environment.pop("TF_CONFIG", None)
        done = subprocess.run(
            [sys.executable, str(script), case, str(tmp_path / "out.npz")],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return np.load(tmp_path / "out.npz")

    return run


def assert_one_step_is_the_same(found: Mapping[str, Any], noise: float = NOISE) -> None:
    assert found["update_norm"] > 1e-3
    assert found["relative_error"] < noise
    assert found["spread"] == 0.0  # every replica's copy of every variable
    assert found["steps"].tolist() == [1, 1]
    assert {"localization_loss", "regularization_loss", "boxes"} < set(found["names"])
    np.testing.assert_allclose(found["several"], found["one"], rtol=1e-5)


@pytest.mark.slow
def test_a_step_of_two_is_a_step_of_one(on_logical_cpus):
    """Loss normalizers, regularization, bias multiplier, clipping, averages; no batch statistics.

    The replicas match different numbers of anchors: the second one hardly any.
    """
    found = on_logical_cpus("everything_but_batch_norm")
    assert_one_step_is_the_same(found)
    assert found["moving_difference"] == 0.0
    assert found["average_difference"] < 1e-7


@pytest.mark.slow
def test_a_step_of_three_is_a_step_of_one(on_logical_cpus):
    assert_one_step_is_the_same(on_logical_cpus("three_replicas"))


def test_a_synchronized_layer_is_one_layer_over_all(on_logical_cpus):
    """Values are around 5; gradients by gamma are sums over 120 of them."""
    found = on_logical_cpus("synchronized_layer")
    limits = {"outputs": 1e-5, "by_inputs": 1e-5, "by_gamma": 1e-4, "by_beta": 1e-5}
    for name, limit in {**limits, "moving_mean": 1e-6, "moving_variance": 1e-6}.items():
        assert found[name] < limit, name


@pytest.mark.slow
def test_a_synchronized_step_of_two_is_a_step_of_one(on_logical_cpus):
    found = on_logical_cpus("synchronized")
    assert_one_step_is_the_same(found, noise=max(NOISE, found["noise"]))
    assert found["moving_difference"] < 1e-5


@pytest.mark.slow
def test_moving_statistics_are_the_mean_of_the_replicas(on_logical_cpus):
    found = on_logical_cpus("own_batch_norm")
    assert found["statistics"] > 100
    assert found["between"] > 1e-2  # the halves differ
    assert found["difference"] < 1e-5 * max(1.0, found["largest"])
    assert found["spread"] == 0.0


@pytest.mark.slow
def test_half_precision_on_two(on_logical_cpus):
    """A half that is no number stops both from being updated."""
    found = on_logical_cpus("half_precision")
    assert_one_step_is_the_same(found, noise=1e-2)  # float16 has 11 bits
    assert np.isnan(found["nan_loss"])
    assert found["nan_scale"] == 2.0**14
    assert (found["nan_moved"], found["nan_spread"], found["nan_step"]) == (0.0, 0.0, 1)


@pytest.mark.slow
def test_checkpoints_do_not_depend_on_the_devices(on_logical_cpus):
    found = on_logical_cpus("checkpoints")
    assert found["keys"] > 500
    assert found["different"].tolist() == []
    assert found["spread"] == 0.0
    assert found["losses"][0] == found["losses"][1]


def test_one_device_is_nothing_special():
    assert (ONE_DEVICE.num_replicas, ONE_DEVICE.num_workers, ONE_DEVICE.worker_index) == (1, 1, 0)
    assert ONE_DEVICE.is_chief
    assert ONE_DEVICE.part(6) is None
    assert ONE_DEVICE.batch_line(6) == ""
    assert ONE_DEVICE.exchange({"a": 1}) == [{"a": 1}]
    ONE_DEVICE.check_batch_size(7)
    ONE_DEVICE.barrier()
    batch = {"x": tf.constant([3.0])}
    assert ONE_DEVICE.run(lambda given: given, batch) is batch
    with ONE_DEVICE.scope():
        assert type(tf.Variable(1.0)) is type(tf.Variable(1.0))
    assert not tf.distribute.has_strategy()


class FakeStrategy:
    def __init__(self, count: int) -> None:
        self.num_replicas_in_sync = count


CLUSTER = Cluster(("a:1", "b:2"), 1, (("worker", 0), ("worker", 1)))


@pytest.mark.parametrize(
    ("count", "batch_size", "sizes"), [(4, 6, "4 or 8"), (4, 3, "4"), (3, 64, "63 or 66")]
)
def test_batches_that_do_not_divide(count, batch_size, sizes):
    devices = Devices(FakeStrategy(count))
    devices.check_batch_size(4 * 3 * 5)
    with pytest.raises(
        InputError,
        match=f"train_config.batch_size: {batch_size} images are not {count} equal parts for "
        f"{count} replicas; give --batch-size {sizes}$",
    ):
        devices.check_batch_size(batch_size)


def test_what_is_said_of_a_batch():
    assert Devices(FakeStrategy(4)).batch_line(64) == (
        "batch 64 = 4 x 16: 4 replicas on this machine"
    )
    workers = Devices(FakeStrategy(4), CLUSTER)
    assert workers.batch_line(64) == "batch 64 = 4 x 16: 4 replicas on 2 workers"
    part = workers.part(64)
    assert (part.first, part.count, workers.is_chief) == (32, 32, False)
    assert workers.name(0) == "worker 0 (a:1)"


def test_only_the_chief_prints(capsys):
    for devices, expected in ((ONE_DEVICE, "heard\n"), (Devices(FakeStrategy(2), CLUSTER), "")):
        with devices.quiet():
            print("heard")
        assert capsys.readouterr().out == expected


def test_the_end_of_one_worker_alone():
    with Interrupts() as interrupts:
        assert not ONE_DEVICE.agree_to_end(False, interrupts)
        assert ONE_DEVICE.agree_to_end(True, interrupts)
        interrupts.asked = "SIGTERM"
        assert ONE_DEVICE.agree_to_end(True, interrupts)  # over is over
        with pytest.raises(Stopped, match="SIGTERM"):
            ONE_DEVICE.agree_to_end(False, interrupts)


@pytest.mark.parametrize(
    ("own", "others", "expected"),
    [(0, [0], False), (0, [1], True), (1, [0], True), (0, [2], "a signal to another worker")],
)
def test_workers_end_together(monkeypatch, own, others, expected):
    class Exchange:
        def highest(self, number: int) -> int:
            return max(number, *others)

    monkeypatch.setattr(Devices, "_workers", Exchange())
    with Interrupts() as interrupts:
        workers = Devices(FakeStrategy(2), CLUSTER)
        if isinstance(expected, str):
            with pytest.raises(Stopped, match=expected):
                workers.agree_to_end(bool(own), interrupts)
        else:
            assert workers.agree_to_end(bool(own), interrupts) is expected


GONE = (
    "Collective ops is aborted by: Error reported from /job:worker/task:{}: The following tasks are"
    " unhealthy (stopped sending heartbeats):\n/job:worker/replica:0/task:{}\n"
)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (tf.errors.UnavailableError(None, None, GONE.format(0, 0)), "worker 0 (a:1)"),
        # It is said by the one that is left, of the other.
        (
            tf.errors.AbortedError(None, None, "/job:worker/task:1: /job:worker/replica:0/task:0"),
            "worker 0 (a:1)",
        ),
        (tf.errors.UnavailableError(None, None, "Collective ops is aborted"), "another worker"),
        (tf.errors.InternalError(None, None, "an operation failed"), None),
        (tf.errors.InvalidArgumentError(None, None, GONE.format(0, 0)), None),
        (ValueError(GONE.format(0, 0)), None),
    ],
)
def test_who_is_gone(error, expected):
    assert lost_worker(CLUSTER, error) == expected


def test_the_first_line(monkeypatch):
    lines: list[str] = []
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    assert choose_devices(say=lines.append) is ONE_DEVICE
    assert lines == ["GPU: NO, training on CPU"]

    class Gpu:
        name = "/physical_device:GPU:0"

    details = {"device_name": "NVIDIA T4"}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [Gpu()])
    assert gpu_line() == "GPU: yes, NVIDIA T4"
    assert choose_devices(say=lines.append) is ONE_DEVICE
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [Gpu(), Gpu()])
    monkeypatch.setattr(tf.distribute, "MirroredStrategy", lambda: FakeStrategy(2))
    assert choose_devices(say=lines.append).num_replicas == 2
    assert lines[1:] == ["GPU: yes, NVIDIA T4", "GPU: yes, 2 x NVIDIA T4"]


def test_workers_have_their_place_in_the_first_line(monkeypatch):
    lines: list[str] = []
    cluster = Cluster(("a:1", "b:2", "c:3"), 0, CLUSTER.tasks)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    monkeypatch.setattr(devices_module, "_connected", lambda cluster: FakeStrategy(3))
    for number in (0, 2):
        own = Cluster(cluster.addresses, number, cluster.tasks)
        monkeypatch.setattr(devices_module.clusters, "from_environment", lambda own=own: own)
        assert choose_devices(say=lines.append).worker_index == number
    assert lines == [
        "GPU: NO, training on CPU; worker 0 of 3, the chief; waiting for b:2, c:3",
        "GPU: NO, training on CPU; worker 2 of 3; the chief is a:1",
    ]
