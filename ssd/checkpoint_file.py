"""Checkpoint files: found by what a person names, read by key.

A key is the attribute path of a variable plus `/.ATTRIBUTES/VARIABLE_VALUE`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from ssd.errors import InputError

_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"


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
                f"{self.prefix}: {path} cannot be read ({first_line(error)}): the .data file is "
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
            f"{prefix}.index: not a readable checkpoint ({first_line(error)})"
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


def first_line(error: Exception) -> str:
    """Returns what TensorFlow says went wrong, without the op and the path in front."""
    return str(error).strip().split("\n")[0].rsplit("; ", 1)[-1][:200]
