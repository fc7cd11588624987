"""Checkpoints of a detector, restored and written with the keys of the TF Object Detection API.

Reading goes by key alone; writing also stores the object graph that those keys imply, so that the
original, which restores by object, finds every variable in our files too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from ssd import checkpoint_folder
from ssd.checkpoint_file import CheckpointFile, first_line, open_checkpoint
from ssd.errors import InputError
from ssd.models.detector import Detector
from ssd.optimizers import stored_state
from ssd.optimizers.moving_average import MovingAverages
from ssd.optimizers.slot_optimizer import SlotOptimizer
from ssd.tf1.shortcuts import require_same_shortcuts


def assign_all(values: dict[str, tuple[tf.Variable, np.ndarray]]) -> None:
    """Assigns what was read; reading is over by then, so that a damaged file changes nothing."""
    for variable, value in values.values():
        variable.assign(value)


def restore_model(
    detector: Detector, path: str | os.PathLike[str], *, prefers_averages: bool = False
) -> CheckpointFile:
    """Restores every variable of the detector from `path`; returns the opened checkpoint.

    Args:
      detector: of the same model.
      path: anything `checkpoint_file.find_prefix` takes.
      prefers_averages: take the moving averages of the weights where a training checkpoint holds
        them (`eval_config.use_moving_averages`).

    Raises:
      InputError: a variable is missing or of another shape; nothing has been assigned then.
    """
    variables = {f"model/{key}": v for key, v in detector.checkpoint_variables().items()}
    file = open_checkpoint(path).aligned_to(variables)
    if file.is_tf1:
        require_same_shortcuts(file.prefix, detector)
    _require(file, {key: tuple(v.shape) for key, v in variables.items()})
    sources = {key: key for key in variables}
    if prefers_averages:
        averages = {key: f"{key}{stored_state.AVERAGE_SLOT}" for key in variables}
        sources |= {key: name for key, name in averages.items() if name in file.shapes}
    assign_all({key: (variables[key], file.read(source)) for key, source in sources.items()})
    return file


def restore_training(
    detector: Detector,
    optimizer: SlotOptimizer,
    path: str | os.PathLike[str],
    averages: MovingAverages | None = None,
    *,
    loss_scale: Mapping[str, tf.Variable] | None = None,
) -> int:
    """Restores variables, the optimizer's slots, moving averages and step; returns the step.

    `loss_scale` is set, too, where given: see `save`.

    Raises:
      InputError: anything is missing: this is no training checkpoint of this model and optimizer.
    """
    slots = stored_state.slot_variables(optimizer, averages, _trained_paths(detector))
    slots |= {f"loss_scale/{name}": variable for name, variable in (loss_scale or {}).items()}
    file = open_checkpoint(path)
    _require(file, {key: tuple(slot.shape) for key, slot in slots.items()})
    wanted = {key: (slot, file.read(key)) for key, slot in slots.items()}
    restore_model(detector, file.prefix)
    assign_all(wanted)
    optimizer.iterations.assign(file.step())
    return file.step()


def save(
    folder: str | os.PathLike[str],
    detector: Detector,
    step: int,
    optimizer: SlotOptimizer | None = None,
    averages: MovingAverages | None = None,
    *,
    loss_scale: Mapping[str, tf.Variable] | None = None,
    keep: int = 5,
) -> str:
    """Writes `folder`/ckpt-`step` whole or not at all; returns its prefix.

    Args:
      folder: made if missing; its `checkpoint` state file then names the new checkpoint.
      detector, step, optimizer, averages: what is stored; without optimizer the model alone.
      loss_scale: {name: variable}, stored as `loss_scale/<name>`; None: there is none.
      keep: older checkpoints beyond this many are deleted, after the new one is in place.

    Raises:
      InputError: a value is not finite, or the files cannot be written. Earlier checkpoints stay.
    """
    _require_numbers(f"{folder}/ckpt-{step}", detector, optimizer, averages)
    root = tf.train.Checkpoint(
        step=tf.Variable(step, dtype=tf.int64), model=_tree(detector.checkpoint_variables())
    )
    if optimizer is not None:
        trained = [v.value for v in detector.network.trainable_variables]
        root.optimizer = stored_state.tree(optimizer, averages, trained, step)
    if loss_scale is not None:
        root.loss_scale = _tree(loss_scale)
    root.save_counter.assign(step)
    try:
        with checkpoint_folder.written(Path(folder), step, keep=keep) as prefix:
            root.write(prefix)
    except (OSError, tf.errors.OpError) as error:
        raise InputError(
            f"{folder}/ckpt-{step}: cannot be written ({first_line(error)}); earlier "
            "checkpoints are untouched: free or mend the disk, and the same command goes on"
        ) from error
    return f"{folder}/ckpt-{step}"


def _require_numbers(
    prefix: str,
    detector: Detector,
    optimizer: SlotOptimizer | None,
    averages: MovingAverages | None,
) -> None:
    """Raises where a value is infinite or NaN: nobody could train on, or detect, from that."""
    variables = {f"model/{key}": v for key, v in detector.checkpoint_variables().items()}
    if optimizer is not None:
        variables |= stored_state.slot_variables(optimizer, averages, _trained_paths(detector))
    wrong = [key for key, v in variables.items() if not tf.reduce_all(tf.math.is_finite(v))]
    if wrong:
        raise InputError(
            f"{prefix}: not written: {len(wrong)} of {len(variables)} variables are not finite, "
            f"the first is {wrong[0]}; lower the learning rate (--set train_config.optimizer...) "
            "or clip gradients (--set train_config.gradient_clipping_by_norm=10); earlier "
            "checkpoints are untouched"
        )


def _trained_paths(detector: Detector) -> list[str]:
    """Of the trained variables, in the order of the optimizer's slots."""
    paths = {id(v): f"model/{key}" for key, v in detector.checkpoint_variables().items()}
    return [paths[id(v.value)] for v in detector.network.trainable_variables]


def _tree(variables: Mapping[str, tf.Variable]) -> tf.Module:
    """Returns nested modules whose attribute paths are the keys of `variables`."""
    root = tf.Module()
    for path, variable in variables.items():
        *folders, leaf = path.split("/")
        node = root
        for folder in folders:
            if not hasattr(node, folder):
                setattr(node, folder, tf.Module())
            node = getattr(node, folder)
        setattr(node, leaf, variable)
    return root


def _require(file: CheckpointFile, shapes: dict[str, tuple[int, ...]]) -> None:
    wrong = [key for key, shape in shapes.items() if file.shapes.get(key) != shape]
    if wrong:
        key = wrong[0]
        found = file.shapes.get(key, "missing")
        raise InputError(
            f"{file.prefix}: {key} is {found}, the model expects {shapes[key]} ({len(wrong)} of "
            f"{len(shapes)} variables differ): checkpoint and pipeline.config do not fit"
        )
