"""pipeline.config: file -> message with lines, and back."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import text_format

from ssd.config import overrides as command_line
from ssd.config import text_reader
from ssd.config.messages import TrainEvalPipelineConfig
from ssd.config.refusals import Refusal, place
from ssd.config.refusals import refusals as find_refusals
from ssd.config.text_source import Source, read_text, write_text
from ssd.errors import InputError

# What counts when a finished model is only evaluated, exported or used.
_MODEL_SECTIONS = ("model", "graph_rewriter")


@dataclass(frozen=True)
class LoadedPipeline:
    """A pipeline.config in memory.

    Attributes:
      message: TrainEvalPipelineConfig.
      path: of the file, as the person wrote it.
      positions: dotted path of every field the file sets -> its line, counted from 1.
      overrides: dotted path of every field the command line sets -> its `path=value`.
    """

    message: Any
    path: str
    positions: dict[str, int] = field(default_factory=dict)
    overrides: dict[str, str] = field(default_factory=dict)

    def refusals(self) -> list[Refusal]:
        """Returns every setting this kit does not act on; empty means all are obeyed."""
        return find_refusals(self.message, self.positions, self.overrides)

    def where(self, path: str) -> str:
        """Returns the beginning of an error about one setting: `file:line: path`.

        The line is that of the setting or, when the file does not set it, of the section around
        it; a setting of the command line is shown as its `--set`.
        """
        return place(path, "", self.positions, self.overrides).where(self.path)


def load(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> LoadedPipeline:
    """Returns the config of a file, changed by the `--set` arguments of a command line.

    Settings that are not acted on do not raise here; see `require_obeyed`.

    Args:
      path: a pipeline.config in text form.
      overrides: `section.field=value`, applied in order.

    Raises:
      InputError: no such file, no text, a setting that does not exist, a value of the wrong type,
        a setting given twice, a brace not closed; the message begins with `file:line` or `--set`.
    """
    text = read_text(path, "a pipeline.config")
    message = TrainEvalPipelineConfig()
    positions = text_reader.parse(text, message, Source(str(path)))
    if not positions:
        raise InputError(f"{path}: no setting in it; expected a pipeline.config with a model.")
    applied: dict[str, str] = {}
    for override in overrides:
        changed = command_line.apply(message, override)
        applied.pop(changed, None)
        applied[changed] = override
    return LoadedPipeline(message, str(path), positions, applied)


def require_obeyed(loaded: LoadedPipeline, for_training: bool = True) -> None:
    """Returns if every setting is acted on.

    Args:
      loaded: what `load` returned.
      for_training: False looks at the model only, for a finished model that is evaluated,
        exported or used.

    Raises:
      InputError: names the first refused setting and says how many more there are.
    """
    found = loaded.refusals()
    if not for_training:
        found = [refusal for refusal in found if refusal.path.startswith(_MODEL_SECTIONS)]
    if not found:
        return
    more = len(found) - 1
    rest = f" And {more} more: see `config check {loaded.path}`." if more else ""
    raise InputError(found[0].message(loaded.path) + rest)


def fine_tune_checkpoint_type(train_config: Any) -> str:
    """Returns "classification", "detection", "fine_tune", "full" or "matching".

    Where the config does not say, `from_detection_checkpoint` decides, and without that it is
    "classification", as in the TF Object Detection API. `load_all_detection_checkpoint_vars` turns
    "detection" into "matching": heads are restored too where they fit.
    """
    kind = str(train_config.fine_tune_checkpoint_type)
    if not kind:
        kind = "detection" if train_config.from_detection_checkpoint else "classification"
    if kind == "detection" and train_config.load_all_detection_checkpoint_vars:
        return "matching"
    return kind


def to_text(config: Any) -> str:
    """Returns a message in text form; `load` reads the identical message from it.

    Floats are the shortest decimals that mean the same 32 bits: 0.08, 1e-08.
    """
    return str(text_format.MessageToString(config, as_utf8=True))


def save(config: Any, path: str | os.PathLike[str]) -> None:
    """Writes a message in text form; the file is whole or absent."""
    write_text(to_text(config), path)
