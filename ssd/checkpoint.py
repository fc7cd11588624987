"""Checkpoints with the keys of the TF Object Detection API: found, read and written by name.

A key is the attribute path of a variable plus `/.ATTRIBUTES/VARIABLE_VALUE`. Reading goes by key
alone; writing also stores the object graph that those keys imply, so that the original, which
restores by object, finds every variable in our files too.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from ssd.errors import InputError
from ssd.models.detector import Detector

_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
_SLOT = "/.OPTIMIZER_SLOT/optimizer/momentum"
# The original's optimizer keeps its decay beside the step counter; it is never anything but 0.
_OPTIMIZER_DECAY = 0.0


@dataclass(frozen=True)
class CheckpointFile:
    """One opened checkpoint.

    Attributes:
      prefix: path without `.index`.
      shapes: {path: shape} of every stored variable, without the key suffix; slots included.
    """

    prefix: str
    shapes: dict[str, tuple[int, ...]]
    reader: tf.train.CheckpointReader

    def read(self, path: str) -> np.ndarray:
        """Returns the value stored under `path`."""
        try:
            return self.reader.get_tensor(path + _SUFFIX)
        except (tf.errors.OpError, RuntimeError, IndexError, ValueError) as error:
            # A data file that ends early is an IndexError here.
            raise InputError(
                f"{self.prefix}: {path} cannot be read ({_first_line(error)}): the .data file is "
                "missing or damaged; copy the checkpoint again"
            ) from error

    def step(self) -> int:
        """Returns the training step it was written at; 0 where none is stored."""
        return int(self.read("step")) if "step" in self.shapes else 0


def find_prefix(path: str | os.PathLike[str]) -> str:
    """Returns the checkpoint prefix that `path` means.

    Args:
      path: a prefix, its `.index` or `.data-*` file, or a folder: a run (best/, else checkpoints/),
        a zoo or TFOD model folder (checkpoint/ or ckpt files), or one that holds ckpt files.

    Raises:
      InputError: there is no such checkpoint.
    """
    path = str(path).rstrip("/")
    for folder in (path, *(f"{path}/{name}" for name in ("best", "checkpoints", "checkpoint"))):
        if os.path.isdir(folder) and (prefix := _newest(folder)):
            return prefix
    stripped = re.sub(r"\.(index|data-\d{5}-of-\d{5})$", "", path)
    if os.path.isfile(stripped + ".index"):
        return stripped
    if os.path.isdir(path):
        raise InputError(
            f"{path}: no checkpoint (ckpt-N.index) in this folder, nor in best/, "
            "checkpoints/ or checkpoint/ below it"
        )
    raise InputError(
        f"{path}: no such checkpoint; give a run, a model folder, or a prefix such as "
        "DIR/ckpt-0 whose .index and .data files exist"
    )


def _newest(folder: str) -> str | None:
    """The checkpoint that `folder`'s state file names, else the one with the highest number."""
    has_state = os.path.isfile(f"{folder}/checkpoint")  # in model folders this is a folder
    latest = tf.train.latest_checkpoint(folder) if has_state else None
    if latest and os.path.isfile(latest + ".index"):
        return latest
    indexes = [name[: -len(".index")] for name in os.listdir(folder) if name.endswith(".index")]
    number = {name: int(re.sub(r"\D", "", name.rsplit("-", 1)[-1]) or -1) for name in indexes}
    return f"{folder}/{max(indexes, key=lambda name: number[name])}" if indexes else None


def open_checkpoint(path: str | os.PathLike[str]) -> CheckpointFile:
    """Returns the opened checkpoint that `path` means (see `find_prefix`).

    Raises:
      InputError: none there, unreadable, or of the TF1 kind.
    """
    prefix = find_prefix(path)
    try:
        reader = tf.train.load_checkpoint(prefix)
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        raise InputError(
            f"{prefix}.index: not a readable checkpoint ({_first_line(error)})"
        ) from error
    all_shapes = reader.get_variable_to_shape_map()
    shapes = {
        key[: -len(_SUFFIX)]: tuple(shape)
        for key, shape in all_shapes.items()
        if key.endswith(_SUFFIX)
    }
    if not shapes:
        raise InputError(
            f"{prefix}: a TF1 checkpoint ({min(all_shapes, default='no variables')}, ...)"
            "; the kit restores TF2 checkpoints (model/... keys)"
        )
    return CheckpointFile(prefix, shapes, reader)


def assign_all(values: dict[str, tuple[tf.Variable, np.ndarray]]) -> None:
    """Assigns what was read; reading is over by then, so that a damaged file changes nothing."""
    for variable, value in values.values():
        variable.assign(value)


def restore_model(detector: Detector, path: str | os.PathLike[str]) -> CheckpointFile:
    """Restores every variable of the detector from `path`; returns the opened checkpoint.

    Raises:
      InputError: a variable is missing or of another shape; nothing has been assigned then.
    """
    file = open_checkpoint(path)
    variables = {f"model/{key}": v for key, v in detector.checkpoint_variables().items()}
    _require(file, {key: tuple(v.shape) for key, v in variables.items()})
    assign_all({key: (variable, file.read(key)) for key, variable in variables.items()})
    return file


def restore_training(
    detector: Detector, optimizer: keras.optimizers.SGD, path: str | os.PathLike[str]
) -> int:
    """Restores variables, momentum slots and step; returns the step.

    Raises:
      InputError: anything is missing: this is no training checkpoint of this model.
    """
    slots = _momentum_slots(detector, optimizer)
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
    optimizer: keras.optimizers.SGD | None = None,
    *,
    keep: int = 5,
) -> str:
    """Writes `folder`/ckpt-`step` whole or not at all; returns its prefix.

    Args:
      folder: made if missing; its `checkpoint` state file then names the new checkpoint.
      detector, step, optimizer: what is stored; without optimizer no slots are.
      keep: older checkpoints beyond this many are deleted, after the new one is in place.
    """
    root = tf.train.Checkpoint(
        step=tf.Variable(step, dtype=tf.int64), model=_tree(detector.checkpoint_variables())
    )
    if optimizer is not None:
        root.optimizer = _OptimizerNode(step, optimizer, detector)
    root.save_counter.assign(step)
    name = f"ckpt-{step}"
    aside = ""
    try:
        os.makedirs(folder, exist_ok=True)
        for left_over in Path(folder).glob(".writing-*"):  # of a process that was killed
            shutil.rmtree(left_over, ignore_errors=True)
        aside = tempfile.mkdtemp(prefix=".writing-", dir=folder)
        root.write(f"{aside}/{name}")
        # The index goes last: a checkpoint exists once its index does.
        for file in sorted(os.listdir(aside)):
            if file.startswith(name + ".data"):
                os.replace(f"{aside}/{file}", f"{folder}/{file}")
        os.replace(f"{aside}/{name}.index", f"{folder}/{name}.index")
        _forget_old(Path(folder), name, keep)
    except (OSError, tf.errors.OpError) as error:
        raise InputError(
            f"{folder}/{name}: cannot be written ({_first_line(error)}); earlier "
            "checkpoints are untouched"
        ) from error
    finally:
        if aside:
            shutil.rmtree(aside, ignore_errors=True)
    return f"{folder}/{name}"


def _forget_old(folder: Path, newest: str, keep: int) -> None:
    numbered = sorted(
        int(path.stem[5:]) for path in folder.glob("ckpt-*.index") if path.stem[5:].isdigit()
    )
    others = [n for n in numbered if f"ckpt-{n}" != newest]
    kept = others[max(0, len(others) - (keep - 1)) :] if keep > 1 else []
    names = [f"ckpt-{n}" for n in kept] + [newest]
    lines = [f'model_checkpoint_path: "{newest}"']
    lines += [f'all_model_checkpoint_paths: "{name}"' for name in names]
    aside = folder / ".checkpoint.tmp"
    aside.write_text("\n".join(lines) + "\n")
    os.replace(aside, folder / "checkpoint")
    for number in set(others) - set(kept):
        for path in folder.glob(f"ckpt-{number}.*"):
            path.unlink(missing_ok=True)


class _OptimizerNode(tf.Module):
    """What the original's SGD stores: iter, decay, momentum, and a slot per trained variable."""

    def __init__(self, step: int, optimizer: keras.optimizers.SGD, detector: Detector) -> None:
        super().__init__()
        self.iter = tf.Variable(step, dtype=tf.int64)
        self.decay = tf.Variable(_OPTIMIZER_DECAY)
        self.momentum = tf.Variable(float(optimizer.momentum))
        # Under an untracked name: slots are reached through `get_slot` only.
        self._no_dependency_slots = None
        object.__setattr__(
            self,
            "_slots",
            {
                id(v): optimizer.momentums[n].value
                for n, v in enumerate(trainable_variables(detector))
            },
        )

    def get_slot_names(self) -> list[str]:
        """Asked by the checkpoint writer."""
        return ["momentum"]

    def get_slot(self, variable: tf.Variable, slot_name: str) -> tf.Variable | None:
        """Asked by the checkpoint writer for every object it stores."""
        return self._slots.get(id(variable))


def trainable_variables(detector: Detector) -> list[tf.Variable]:
    """Returns the trained variables in the order of the optimizer's slots."""
    return [v.value for v in detector.network.trainable_variables]


def _momentum_slots(detector: Detector, optimizer: keras.optimizers.SGD) -> dict[str, tf.Variable]:
    paths = {id(v): key for key, v in detector.checkpoint_variables().items()}
    return {
        f"model/{paths[id(variable)]}{_SLOT}": optimizer.momentums[n].value
        for n, variable in enumerate(trainable_variables(detector))
    }


def _tree(variables: dict[str, tf.Variable]) -> tf.Module:
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


def _first_line(error: Exception) -> str:
    """What TensorFlow says went wrong, without the name of the op and the path before it."""
    return str(error).strip().split("\n")[0].rsplit("; ", 1)[-1][:200]
