"""Checkpoint files: found by what a person names, read by key.

A key of a TF2 checkpoint is the attribute path of a variable plus `/.ATTRIBUTES/VARIABLE_VALUE`.
TF1 checkpoints, which go by variable name, are read under the same paths.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import tensorflow as tf

from ssd.errors import InputError
from ssd.tf1 import names as tf1_names

_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
_STEPS = ("step", "global_step")  # of TF2 and of TF1 checkpoints


@dataclass(frozen=True)
class CheckpointFile:
    """One opened checkpoint.

    Attributes:
      prefix: path without `.index`.
      shapes: {path: shape} of every stored variable, without the key suffix; slots included. Of a
        TF1 checkpoint, the weights of the model and the step, by the paths of TF2.
      keys: {path: key in the file}.
      left_out: {name: why} of the variables of a TF1 checkpoint that no layer takes.
      is_tf1: whether it goes by variable name.
      note: what a person should know about the file; empty if nothing.
    """

    prefix: str
    shapes: dict[str, tuple[int, ...]]
    keys: dict[str, str]
    reader: tf.train.CheckpointReader
    left_out: dict[str, str] = field(default_factory=dict)
    is_tf1: bool = False
    note: str = ""

    def read(self, path: str) -> np.ndarray:
        """Returns the value stored under `path`."""
        try:
            return self.reader.get_tensor(self.keys[path])
        except (tf.errors.OpError, RuntimeError, IndexError, ValueError) as error:
            # A data file that ends early is an IndexError here.
            raise InputError(
                f"{self.prefix}: {path} cannot be read ({first_line(error)}): the .data file is "
                "missing or damaged; copy the checkpoint again"
            ) from error

    def name(self, path: str) -> str:
        """Returns what the file itself calls `path`, without the key suffix."""
        return self.keys[path].removesuffix(_SUFFIX)

    def step(self) -> int:
        """Returns the training step it was written at; 0 where none is stored."""
        stored = [path for path in _STEPS if path in self.shapes]
        return int(self.read(stored[0])) if stored else 0

    def aligned_to(self, model_paths: Iterable[str]) -> CheckpointFile:
        """Returns the checkpoint with the paths that one model has; see `tf1.names.aligned`.

        Args:
          model_paths: of the model's variables, `model/` in front.
        """
        if not self.is_tf1:
            return self
        paths = tf1_names.aligned(self.shapes, model_paths)
        return replace(
            self,
            shapes={paths[path]: shape for path, shape in self.shapes.items()},
            keys={paths[path]: key for path, key in self.keys.items()},
        )


def find_prefix(path: str | os.PathLike[str]) -> str:
    """Returns the checkpoint prefix that `path` means.

    Args:
      path: a prefix, its `.index`, `.data-*` or `.meta` file, or a folder: a run (best/, else
        checkpoints/), a zoo or TFOD model folder (checkpoint/, ckpt or model.ckpt files), or one
        that holds such files.

    Raises:
      InputError: there is no such checkpoint.
    """
    path = str(path).rstrip("/")
    for folder in (path, *(f"{path}/{name}" for name in ("best", "checkpoints", "checkpoint"))):
        if os.path.isdir(folder) and (prefix := _newest(folder)):
            return prefix
    stripped = re.sub(r"\.(index|meta|data-\d{5}-of-\d{5})$", "", path)
    if os.path.isfile(stripped + ".index"):
        return stripped
    if os.path.isdir(path):
        raise InputError(
            f"{path}: no checkpoint (ckpt-N.index) in this folder, nor in best/, "
            "checkpoints/ or checkpoint/ below it, and none of TF1 (model.ckpt.index)"
        )
    raise InputError(
        f"{path}: no such checkpoint; give a run, a model folder, or a prefix such as "
        "DIR/ckpt-0 or DIR/model.ckpt whose .index and .data files exist"
    )


def _newest(folder: str) -> str | None:
    """The checkpoint that `folder`'s state file names, else the one with the highest number."""
    if named := _named_by_state(folder):
        # Of a copied folder, the path is often that of another machine.
        file_name = re.split(r"[/\\]", named)[-1]
        for prefix in (f"{folder}/{file_name}", named):
            if os.path.isfile(prefix + ".index"):
                return prefix
    indexes = [name[: -len(".index")] for name in os.listdir(folder) if name.endswith(".index")]
    number = {name: int(re.sub(r"\D", "", name.rsplit("-", 1)[-1]) or -1) for name in indexes}
    return f"{folder}/{max(indexes, key=lambda name: number[name])}" if indexes else None


def _named_by_state(folder: str) -> str | None:
    """`model_checkpoint_path` of the state file; None if there is none that can be read."""
    if not os.path.isfile(f"{folder}/checkpoint"):  # in model folders this is a folder
        return None
    try:
        state = tf.train.get_checkpoint_state(folder)
    except (tf.errors.OpError, ValueError):  # no text, or no path in it
        return None
    return state.model_checkpoint_path if state else None


def open_checkpoint(path: str | os.PathLike[str]) -> CheckpointFile:
    """Returns the opened checkpoint that `path` means (see `find_prefix`).

    Raises:
      InputError: none there, unreadable, or a TF1 checkpoint of another family of models.
    """
    prefix = find_prefix(path)
    try:
        reader = tf.train.load_checkpoint(prefix)
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        raise InputError(
            f"{prefix}.index: not a readable checkpoint ({first_line(error)})"
        ) from error
    all_shapes = {key: tuple(shape) for key, shape in reader.get_variable_to_shape_map().items()}
    keys = {key.removesuffix(_SUFFIX): key for key in all_shapes if key.endswith(_SUFFIX)}
    if not keys:
        return _opened_tf1(prefix, reader, all_shapes)
    return CheckpointFile(
        prefix, {path: all_shapes[key] for path, key in keys.items()}, keys, reader
    )


def _opened_tf1(
    prefix: str, reader: tf.train.CheckpointReader, all_shapes: dict[str, tuple[int, ...]]
) -> CheckpointFile:
    if family := tf1_names.other_family(all_shapes):
        raise InputError(
            f"{prefix}: a TF1 checkpoint of a {family} detector; of TF1 models, those on "
            "MobileNetV1 and MobileNetV2 with extra levels or a feature pyramid can be restored"
        )
    if not tf1_names.is_known_family(all_shapes):
        raise InputError(
            f"{prefix}: holds neither a detector (TF2: model/_feature_extractor/..., TF1: "
            "FeatureExtractor/...) nor a MobileNet classifier; "
            f"first key: {min(all_shapes, default='none, the file is empty')}"
        )
    found = tf1_names.translate(all_shapes)
    keys = found.names | {path: path for path in _STEPS if path in found.left_out}
    averages = sum(name.endswith("/ExponentialMovingAverage") for name in found.left_out)
    return CheckpointFile(
        prefix,
        {path: all_shapes[key] for path, key in keys.items()},
        keys,
        reader,
        left_out={name: why for name, why in found.left_out.items() if name not in _STEPS},
        is_tf1=True,
        note=f"of {averages} variables the file also holds moving averages; the variables "
        "themselves are taken, as the original does"
        if averages
        else "",
    )


def first_line(error: Exception) -> str:
    """Returns what TensorFlow says went wrong, without the path in front and the op behind."""
    line = str(error).strip().split("\n")[0].rsplit("; ", 1)[-1]
    return line.split(" [Op:")[0][:200]
