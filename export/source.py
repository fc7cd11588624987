"""What is exported: a run, a zoo folder or a checkpoint, with its labels and its records."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssd import label_map as label_maps
from ssd.config import pipeline
from ssd.data.record_files import PLACEHOLDER
from ssd.errors import InputError
from ssd.label_map import LabelMap
from ssd.models.detector import Detector
from ssd.predictor import CheckpointPredictor, load_checkpoint_predictor, local_model
from ssd.run_folder import config_beside, newest_run

EXPORTS = Path("exports")


@dataclass(frozen=True)
class Records:
    """Records that a config or a flag names.

    Attributes:
      patterns: TFRecord files or patterns; empty where there are none to be used.
      place: where they were written, for messages.
      missing: why there are none; "" where there are.
    """

    patterns: tuple[str, ...]
    place: str
    missing: str = ""


@dataclass(frozen=True)
class ExportSource:
    """One restored model and what belongs to it.

    Attributes:
      name: of its folder, such as the run's.
      predictor: runs the checkpoint itself.
      label_map: of its classes.
      config: its TrainEvalPipelineConfig message.
    """

    name: str
    predictor: CheckpointPredictor
    label_map: LabelMap
    config: Any

    @property
    def detector(self) -> Detector:
        """The restored detector."""
        detector: Detector = self.predictor.detector
        return detector

    @property
    def default_output(self) -> Path:
        """exports/<run>."""
        return EXPORTS / self.name

    def train_records(self) -> Records:
        """The records it was trained on, as far as they are here."""
        return _records([self.config.train_input_reader], "train_input_reader")

    def val_records(self) -> Records:
        """The records it was evaluated on, as far as they are here."""
        return _records(list(self.config.eval_input_reader), "eval_input_reader")


def load(run: str | None, label_map: str | None = None) -> ExportSource:
    """Returns the model in `run`, restored.

    Args:
      run: a run, a zoo or TFOD folder, a zoo archive or name, or a checkpoint prefix; None is the
        newest run.
      label_map: path; None takes the one beside pipeline.config, else the one the config names.

    Raises:
      InputError: nothing there, no label map, or one of another number of classes.
    """
    path = newest_run().path if run is None else local_model(run)
    predictor = load_checkpoint_predictor(path)
    config_path = config_beside(path)
    config = pipeline.load(config_path).message
    labels = label_maps.load(label_map) if label_map else predictor.label_map
    labels = labels or _label_map_of(config, config_path)
    num_classes = predictor.detector.num_classes
    if labels.num_classes > num_classes:
        last = f"{labels.num_classes} ({labels.name_of(labels.num_classes)})"
        raise InputError(
            f"{config_path}: num_classes is {num_classes}, but the label map goes up to id {last}; "
            "give --label-map the one it was trained with"
        )
    predictor.label_map = labels
    return ExportSource(config_path.resolve().parent.name, predictor, labels, config)


def _label_map_of(config: Any, config_path: Path) -> LabelMap:
    readers = [*config.eval_input_reader, config.train_input_reader]
    named = [reader.label_map_path for reader in readers if reader.label_map_path]
    for path in named:
        if os.path.isfile(path):
            return label_maps.load(path)
    raise InputError(
        f"{config_path}: no label_map.pbtxt beside it"
        + (f", and {named[0]} is not there" if named else "")
        + "; labels go into the export: give --label-map FILE"
    )


def _records(readers: Sequence[Any], section: str) -> Records:
    paths = [path for reader in readers for path in reader.tf_record_input_reader.input_path]
    place = f"{section}.tf_record_input_reader.input_path"
    if not paths:
        return Records((), place, f"the config's {section} names no records")
    if any(PLACEHOLDER in path for path in paths):
        return Records((), place, f"the config's {section} still says {PLACEHOLDER}")
    if not any(os.path.exists(path) or glob.glob(path, recursive=True) for path in paths):
        return Records((), place, f"{paths[0]} of the config's {section} is not here")
    return Records(tuple(paths), place)
