"""Run by test_devices.py in a process of its own: CPUs have to be divided before they are used.

    python logical_devices.py CASE OUTPUT.npz

Trains one step on one device and on several logical CPUs, from the same weights with the same
batch, and stores what came of both.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ssd.config import pipeline
from ssd.core import replicas
from ssd.models.normalization import FusedBatchNormalization
from ssd.standard_fields import InputFields
from ssd.training.devices import ONE_DEVICE, Devices, choose_devices
from ssd.training.learner import Learner
from ssd.training.train_step import Batch, compute_losses

PROJECT = Path(__file__).resolve().parents[3]
CONFIG = PROJECT / "pipeline_configs/ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8.config"
CASES: dict[str, Callable[[Path], dict[str, Any]]] = {}


def case(function: Callable[[Path], dict[str, Any]]) -> Callable[[Path], dict[str, Any]]:
    CASES[function.__name__] = function
    return function


def config(*overrides: str, batch_size: int = 4) -> Any:
    return pipeline.load(
        CONFIG,
        (
            "model.ssd.num_classes=3",
            "model.ssd.feature_extractor.depth_multiplier=0.25",
            "model.ssd.image_resizer.fixed_shape_resizer.height=64",
            "model.ssd.image_resizer.fixed_shape_resizer.width=96",
            f"train_config.batch_size={batch_size}",
            *overrides,
        ),
    ).message


def batch(size: int = 4) -> Batch:
    """Pictures with two boxes, none, one, none and so on: replicas match different numbers."""
    images = np.random.default_rng(8).uniform(0, 255, (size, 64, 96, 3)).astype(np.float32)
    boxes, one_hot = np.zeros((size, 3, 4), np.float32), np.zeros((size, 3, 3), np.float32)
    boxes[0, :2] = [[0.1, 0.2, 0.6, 0.5], [0.3, 0.4, 0.95, 0.9]]
    boxes[2, :1] = [[0.2, 0.1, 0.8, 0.7]]
    one_hot[0, [0, 1], [2, 0]] = one_hot[2, 0, 1] = 1.0
    return {
        InputFields.image: tf.constant(images),
        InputFields.groundtruth_boxes: tf.constant(boxes),
        InputFields.groundtruth_classes_one_hot: tf.constant(one_hot),
        InputFields.groundtruth_weights: tf.reduce_sum(tf.constant(one_hot), -1),
    }


def start(learner: Learner) -> dict[str, np.ndarray]:
    """Gives and returns weights that let every layer have its say; the initial ones hardly do."""
    random = np.random.default_rng(3)
    for key, variable in learner.detector.checkpoint_variables().items():
        if "kernel" in key:
            inputs = np.prod(variable.shape[: 2 if "depthwise" in key else 3])
            values = random.normal(0.0, np.sqrt(1.5 / inputs), variable.shape)
            variable.assign(values.astype(np.float32))
    return weights(learner)


def weights(learner: Learner) -> dict[str, np.ndarray]:
    return {k: v.numpy() for k, v in learner.detector.checkpoint_variables().items()}


def stepped(
    devices: Devices, settings: Any, given: Batch, precision: str = "float32"
) -> tuple[Learner, dict[str, np.ndarray], dict[str, float]]:
    """(learner after a step, change of its variables, what the step returned)."""
    learner = Learner(settings, seed=7, devices=devices, precision=precision)
    before = start(learner)
    returned = {name: float(value) for name, value in learner.train_step(given).items()}
    return learner, {k: v - before[k] for k, v in weights(learner).items()}, returned


def spread(devices: Devices, learner: Learner) -> float:
    """The largest difference between the replicas' copies of a variable, optimizer included."""
    assert devices.strategy is not None
    variables = [
        *learner.detector.checkpoint_variables().values(),
        *(v.value for v in learner._optimizer.variables),
        *(learner._averages.averages if learner._averages else ()),
    ]
    copies = [devices.strategy.experimental_local_results(v) for v in variables]
    assert all(len(own) == devices.num_replicas for own in copies)
    return max(float(np.max(np.ptp([v.numpy() for v in own], axis=0))) for own in copies)


def compared(
    devices: Devices, settings: Any, given: Batch, precision: str = "float32"
) -> dict[str, Any]:
    one, one_moved, one_returned = stepped(ONE_DEVICE, settings, given, precision)
    several, moved, returned = stepped(devices, settings, given, precision)
    trained = {k for k in moved if "moving" not in k}
    norm = np.sqrt(sum(np.sum(np.square(one_moved[k], dtype=np.float64)) for k in trained))
    error = np.sqrt(
        sum(np.sum(np.square(moved[k] - one_moved[k], dtype=np.float64)) for k in trained)
    )
    moving = [np.max(np.abs(moved[k] - one_moved[k])) for k in moved if "moving" in k]
    results = {
        "update_norm": norm,
        "relative_error": error / norm,
        "moving_difference": max(moving),
        "spread": spread(devices, several),
        "steps": [one.step, several.step],
        "names": list(one_returned),
        "one": list(one_returned.values()),
        "several": [returned[name] for name in one_returned],
    }
    if one._averages and several._averages:
        pairs = zip(one._averages.averages, several._averages.averages, strict=True)
        results["average_difference"] = max(np.max(np.abs(a - b)) for a, b in pairs)
    return results


FROZEN = "model.ssd.freeze_batchnorm=true"


@case
def everything_but_batch_norm(folder: Path) -> dict[str, Any]:
    settings = config(
        FROZEN,
        "train_config.gradient_clipping_by_norm=0.5",
        "train_config.bias_grad_multiplier=3",
        "train_config.optimizer.use_moving_average=true",
    )
    return compared(choose_devices(("CPU:0", "CPU:1")), settings, batch())


@case
def three_replicas(folder: Path) -> dict[str, Any]:
    settings = config(FROZEN, 'train_config.freeze_variables=["^Conv1/"]', batch_size=6)
    return compared(choose_devices(("CPU:0", "CPU:1", "CPU:2")), settings, batch(6))


@case
def synchronized(folder: Path) -> dict[str, Any]:
    settings = config()
    for part in (
        settings.model.ssd.feature_extractor,
        settings.model.ssd.box_predictor.weight_shared_convolutional_box_predictor,
    ):
        part.conv_hyperparams.sync_batch_norm.MergeFromString(
            part.conv_hyperparams.batch_norm.SerializeToString()
        )
    assert settings.model.ssd.feature_extractor.conv_hyperparams.HasField("sync_batch_norm")
    # So little noise in the images changes this network's step by more than several devices do.
    quiet, noisy = batch(), batch()
    noise = tf.random.stateless_normal(noisy[InputFields.image].shape, [1, 2])
    noisy[InputFields.image] *= 1.0 + 1e-6 * noise
    _, one, _ = stepped(ONE_DEVICE, settings, quiet)
    _, other, _ = stepped(ONE_DEVICE, settings, noisy)
    norm, error = (
        np.sqrt(sum(np.sum(np.square(v, dtype=np.float64)) for v in values))
        for values in (list(one.values()), [other[k] - one[k] for k in one])
    )
    results = compared(choose_devices(("CPU:0", "CPU:1")), settings, quiet)
    return {**results, "noise": error / norm}


@case
def own_batch_norm(folder: Path) -> dict[str, Any]:
    """Moving statistics against the mean of those of the two halves, each on its own."""
    devices, given = choose_devices(("CPU:0", "CPU:1")), batch()
    learner, moved, _ = stepped(devices, config(), given)
    halves = []
    for rows in (slice(0, 2), slice(2, 4)):
        alone = Learner(config(), seed=7)
        before = start(alone)
        half = {key: value[rows] for key, value in given.items()}
        tf.function(lambda b, d=alone.detector: compute_losses(d, b, training=True))(half)
        halves.append({k: v - before[k] for k, v in weights(alone).items() if "moving" in k})
    expected = {k: (halves[0][k] + halves[1][k]) / 2.0 for k in halves[0]}
    return {
        "statistics": len(expected),
        "largest": max(np.max(np.abs(v)) for v in expected.values()),
        "between": max(np.max(np.abs(halves[0][k] - halves[1][k])) for k in expected),
        "difference": max(np.max(np.abs(moved[k] - expected[k])) for k in expected),
        "spread": spread(devices, learner),
    }


@case
def half_precision(folder: Path) -> dict[str, Any]:
    """A step in float16; then one with an image that is no number in the second replica's half."""
    devices, given = choose_devices(("CPU:0", "CPU:1")), batch()
    results = compared(devices, config(FROZEN), given, precision="mixed_float16")
    learner = Learner(config(), seed=7, devices=devices, precision="mixed_float16")
    before = start(learner)
    images = given[InputFields.image].numpy()
    images[3, 5, 7, 1] = np.nan
    returned = learner.train_step({**given, InputFields.image: tf.constant(images)})
    after = weights(learner)
    return {
        **results,
        "nan_loss": float(returned["total_loss"]),
        "nan_scale": float(returned["loss_scale"]),
        "nan_moved": max(np.max(np.abs(after[k] - before[k])) for k in after),
        "nan_spread": spread(devices, learner),
        "nan_step": learner.step,
    }


@case
def checkpoints(folder: Path) -> dict[str, Any]:
    """A checkpoint of two replicas, read by one device and written again; and the other way."""
    devices = choose_devices(("CPU:0", "CPU:1"))
    settings = config("train_config.optimizer.use_moving_average=true")
    two, _, _ = stepped(devices, settings, batch())
    first = two.save(folder / "two", 1)
    one = Learner(settings, seed=8)
    assert one.restore(first) == one.step == 1
    second = one.save(folder / "one", 1)
    again = Learner(settings, seed=9, devices=devices)
    assert again.restore(second) == again.step == 1
    third = again.save(folder / "again", 1)
    readers = [tf.train.load_checkpoint(prefix) for prefix in (first, second, third)]
    keys = [sorted(reader.get_variable_to_shape_map()) for reader in readers]
    assert keys[0] == keys[1] == keys[2]
    different = [
        key
        for key in keys[0]
        if key != "_CHECKPOINTABLE_OBJECT_GRAPH"
        and not all(np.array_equal(r.get_tensor(key), readers[0].get_tensor(key)) for r in readers)
    ]
    # What follows is the same, too.
    losses = [float(learner.train_step(batch())["total_loss"]) for learner in (two, again)]
    return {
        "keys": len(keys[0]),
        "different": different,
        "spread": spread(devices, again),
        "losses": losses,
    }


@case
def synchronized_layer(folder: Path) -> dict[str, Any]:
    """Outputs, gradients and moving statistics of one layer, with means far from zero."""
    devices = choose_devices(("CPU:0", "CPU:1"))
    assert devices.strategy is not None
    random = np.random.default_rng(1)
    inputs = tf.constant(random.normal(5.0, 2.0, (4, 5, 6, 7)), tf.float32)
    # What is made of the outputs differs from image to image, and so do the gradients.
    factors = tf.constant(random.normal(0.0, 1.0, (4, 5, 6, 7)), tf.float32)

    def layer() -> FusedBatchNormalization:
        made = FusedBatchNormalization(is_synchronized=True, momentum=0.75)
        made.build((None, 5, 6, 7))
        made.gamma.assign(np.linspace(0.5, 2.0, 7))
        made.beta.assign(np.linspace(-1.0, 1.0, 7))
        return made

    def differentiated(made: FusedBatchNormalization, x: tf.Tensor, by: tf.Tensor) -> list[Any]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = made(x, training=True)
            loss = tf.reduce_sum(outputs * by)
        by_x, by_gamma, by_beta = tape.gradient(loss, [x, made.gamma.value, made.beta.value])
        return [outputs, by_x, replicas.summed(by_gamma), replicas.summed(by_beta)]

    one = layer()
    expected = tf.function(lambda: differentiated(one, inputs, factors))()
    with devices.scope():
        several = layer()

    def of_replica() -> list[Any]:
        part = replicas.index()
        return differentiated(several, tf.split(inputs, 2)[part], tf.split(factors, 2)[part])

    parts = tf.function(lambda: devices.strategy.run(of_replica), autograph=False)()
    parts = [devices.strategy.experimental_local_results(part) for part in parts]
    found = [tf.concat(parts[0], 0), tf.concat(parts[1], 0), parts[2][1], parts[3][1]]
    names = ("outputs", "by_inputs", "by_gamma", "by_beta")
    results = {
        name: np.max(np.abs(a - b)) for name, a, b in zip(names, expected, found, strict=True)
    }
    for name in ("moving_mean", "moving_variance"):
        results[name] = np.max(np.abs(getattr(one, name).numpy() - getattr(several, name).numpy()))
    return results


if __name__ == "__main__":
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)
    name, output = sys.argv[1], Path(sys.argv[2])
    np.savez(output, **CASES[name](output.parent))
