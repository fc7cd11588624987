"""Starting from somebody's checkpoint: what is restored, what is not, and why."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import tensorflow as tf

from ssd.checkpoint import assign_all
from ssd.checkpoint_file import CheckpointFile, open_checkpoint
from ssd.errors import InputError
from ssd.models.detector import Detector

_BACKBONE = "model/_feature_extractor/classification_backbone/"
_EXTRACTOR = "model/_feature_extractor/"
# A checkpoint of the classification network alone holds the backbone under this path.
_CLASSIFIER_BACKBONE = "feature_extractor/"
_CLASS_HEAD = "/class_predictions_with_background/_class_predictor_layers/"
CHECKPOINT_TYPES = ("classification", "detection", "full")


@dataclass
class RestoreReport:
    """Accounts for every tensor on both sides; paths without the key suffix.

    Attributes:
      checkpoint: prefix of the file.
      checkpoint_type: classification, detection or full, as restored.
      note: why the type is not the one asked for; empty otherwise.
      restored: in the model, set from the file.
      kept_at_init: in the model, left at its initial value: {path: reason}.
      not_used: in the file, not wanted: {path: reason}.
    """

    checkpoint: str
    checkpoint_type: str
    note: str = ""
    restored: list[str] = field(default_factory=list)
    kept_at_init: dict[str, str] = field(default_factory=dict)
    not_used: dict[str, str] = field(default_factory=dict)

    def summary(self) -> str:
        """Returns one line for the screen."""
        total = len(self.restored) + len(self.kept_at_init)
        line = (
            f"restored {len(self.restored)} of {total} tensors from {self.checkpoint} "
            f"(type {self.checkpoint_type})"
        )
        if self.kept_at_init:
            reasons = sorted(set(self.kept_at_init.values()))
            line += f"; {len(self.kept_at_init)} new: {'; '.join(reasons)}"
        return line

    def save(self, path: Path) -> None:
        """Writes restore_report.json."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")


def restore_fine_tune(
    detector: Detector, path: str | os.PathLike[str], checkpoint_type: str
) -> RestoreReport:
    """Restores the part of a checkpoint that `checkpoint_type` names; returns the account.

    Args:
      detector: freshly built.
      path: anything `checkpoint_file.find_prefix` takes.
      checkpoint_type: `classification`: the backbone; `detection`: backbone, pyramid and coarse
        layers, predictor new; `full`: everything, but a class head of another number of classes
        stays at its initial values. A type that the file cannot serve is replaced by the nearest
        one that it can, and the report's note says so.

    Raises:
      InputError: the file is no TF2 checkpoint of this family or its shapes do not fit; nothing
        has been assigned then.
    """
    if checkpoint_type not in CHECKPOINT_TYPES:
        raise InputError(
            f"fine_tune_checkpoint_type: {checkpoint_type!r}; one of "
            f"{', '.join(CHECKPOINT_TYPES)} was expected"
        )
    file = open_checkpoint(path)
    report = RestoreReport(file.prefix, *_served_type(file, checkpoint_type))
    variables = {f"model/{key}": v for key, v in detector.checkpoint_variables().items()}
    assignments: dict[str, str] = {}
    is_new_head = report.checkpoint_type == "full" and _has_other_class_head(file, variables)
    for key, variable in variables.items():
        source = _source(file, key, report.checkpoint_type)
        if is_new_head and _CLASS_HEAD in key:
            report.kept_at_init[key] = "class head of another number of classes"
        elif source is None:
            report.kept_at_init[key] = f"type {report.checkpoint_type} leaves it new"
        elif file.shapes.get(source) == tuple(variable.shape):
            assignments[key] = source
        else:
            raise _misfit(file, source, key, variable)
    assign_all({key: (variables[key], file.read(source)) for key, source in assignments.items()})
    report.restored = sorted(assignments)
    used = set(assignments.values())
    report.not_used = {
        key: _why_not_used(key, variables) for key in sorted(file.shapes) if key not in used
    }
    return report


def _served_type(file: CheckpointFile, wanted: str) -> tuple[str, str]:
    is_detector = any(key.startswith(_EXTRACTOR) for key in file.shapes)
    is_classifier = any(key.startswith(_CLASSIFIER_BACKBONE) for key in file.shapes)
    if not is_detector and not is_classifier:
        raise InputError(
            f"{file.prefix}: holds neither a detector (model/_feature_extractor/...) "
            "nor a classifier backbone (feature_extractor/...); "
            f"first key: {min(file.shapes)}"
        )
    if wanted == "classification" and not is_classifier:
        return "detection", (
            'fine_tune_checkpoint_type is "classification", but the file holds a '
            'detector: restored as "detection"'
        )
    if wanted != "classification" and not is_detector:
        return "classification", (
            f'fine_tune_checkpoint_type is "{wanted}", but the file holds a '
            'classifier backbone: restored as "classification"'
        )
    return wanted, ""


def _source(file: CheckpointFile, key: str, checkpoint_type: str) -> str | None:
    """Path in the file for the model's `key`; None if this type leaves it new."""
    if checkpoint_type == "full":
        return key
    if checkpoint_type == "detection":
        return key if key.startswith(_EXTRACTOR) else None
    if not key.startswith(_BACKBONE):
        return None
    return _CLASSIFIER_BACKBONE + key[len(_BACKBONE) :]


def _has_other_class_head(file: CheckpointFile, variables: dict[str, tf.Variable]) -> bool:
    """Whether the file holds a class head, but one of other shapes; all of it stays new then."""
    return any(
        _CLASS_HEAD in key and file.shapes.get(key) not in (None, tuple(v.shape))
        for key, v in variables.items()
    )


def _misfit(file: CheckpointFile, source: str, key: str, variable: tf.Variable) -> InputError:
    found = file.shapes.get(source)
    came = f"is {found} in the file" if found else "is not in the file"
    return InputError(
        f"{file.prefix}: {source} {came}, the model expects {tuple(variable.shape)}: the "
        "checkpoint belongs to another model; check feature_extractor.type, depth_multiplier and "
        "fpn in pipeline.config"
    )


def _why_not_used(key: str, variables: dict[str, tf.Variable]) -> str:
    if "/.OPTIMIZER_SLOT/" in key or key.startswith("optimizer/"):
        return "optimizer state"
    if key in ("step", "save_counter", "global_step"):
        return "counter"
    return "new in this run" if key in variables else "not part of the model"
