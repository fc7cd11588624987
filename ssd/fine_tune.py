"""Starting from somebody's checkpoint: what is restored, what is not, and why."""

from __future__ import annotations

import os

import tensorflow as tf

from ssd.checkpoint import assign_all
from ssd.checkpoint_file import CheckpointFile, open_checkpoint
from ssd.errors import InputError
from ssd.models.detector import Detector
from ssd.restore_report import RestoreReport
from ssd.tf1.shortcuts import require_same_shortcuts

_BACKBONE = "model/_feature_extractor/classification_backbone/"
_EXTRACTOR = "model/_feature_extractor/"
# A checkpoint of the classification network alone holds the backbone under this path.
_CLASSIFIER_BACKBONE = "feature_extractor/"
_CLASS_HEAD = "/_class_predictor_layers/"
CHECKPOINT_TYPES = ("classification", "detection", "fine_tune", "full", "matching")

Variables = dict[str, tf.Variable]
# {path in the model: path in the file}, {path in the model: why it stays new}
Plan = tuple[dict[str, str], dict[str, str]]


def restore_fine_tune(
    detector: Detector, path: str | os.PathLike[str], checkpoint_type: str
) -> RestoreReport:
    """Restores the part of a checkpoint that `checkpoint_type` names; returns the account.

    A type that the file cannot serve is replaced by the nearest one that it can, and the report's
    note says so. Of a TF1 checkpoint, as under TF1, `classification` and `detection` leave new what
    does not fit, as long as most of the backbone does.

    Args:
      detector: freshly built.
      path: anything `checkpoint_file.find_prefix` takes; a TF2 or a TF1 checkpoint.
      checkpoint_type: `classification`: the backbone; `detection`: backbone, pyramid and coarse
        layers, predictor new; `fine_tune`: the original's later word for the same; `full`:
        everything, but a class head of another number of classes stays at its initial values;
        `matching`: every tensor whose path and shape agree, a class head whole or not at all.

    Raises:
      InputError: the file is no checkpoint of this family or its shapes do not fit; nothing
        has been assigned then.
    """
    if checkpoint_type not in CHECKPOINT_TYPES:
        raise InputError(
            f"fine_tune_checkpoint_type: {checkpoint_type!r}; one of "
            f"{', '.join(CHECKPOINT_TYPES)} was expected"
        )
    variables = {f"model/{key}": v for key, v in detector.checkpoint_variables().items()}
    file = open_checkpoint(path).aligned_to(variables)
    if file.is_tf1:
        require_same_shortcuts(file.prefix, detector)
    served, note = _served_type(file, checkpoint_type)
    sources, kept = _plan(file, variables, served)
    assign_all({key: (variables[key], file.read(source)) for key, source in sources.items()})
    used = set(sources.values())
    unused = {
        file.name(path): _why_not_used(path, variables) for path in file.shapes if path not in used
    }
    return RestoreReport(
        file.prefix,
        served,
        note="; ".join(filter(None, (note, file.note))),
        restored=sorted(sources),
        renamed={
            key: name
            for key, source in sorted(sources.items())
            if (name := file.name(source)) != key
        },
        kept_at_init=kept,
        not_used=dict(sorted((unused | file.left_out).items())),
    )


def _served_type(file: CheckpointFile, wanted: str) -> tuple[str, str]:
    """The type to restore, and why it is not the one asked for."""
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
    if wanted == "fine_tune":
        return "detection", 'fine_tune_checkpoint_type "fine_tune" is "detection" for an SSD'
    return wanted, ""


def _plan(file: CheckpointFile, variables: Variables, checkpoint_type: str) -> Plan:
    """Decides about every variable of the model; nothing is read yet."""
    takes_parts = checkpoint_type == "matching" or (file.is_tf1 and checkpoint_type != "full")
    new_heads = _new_class_heads(file, variables, checkpoint_type)
    sources: dict[str, str] = {}
    kept: dict[str, str] = {}
    for key, variable in variables.items():
        source = _source(key, checkpoint_type)
        if source is None:
            kept[key] = f"type {checkpoint_type} leaves it new"
        elif reason := new_heads.get(_class_head_of(key)):
            kept[key] = reason
        elif file.shapes.get(source) == tuple(variable.shape):
            sources[key] = source
        elif takes_parts:
            kept[key] = f"{'of another shape' if source in file.shapes else 'not'} in the file"
        else:
            raise _misfit(file, source, tuple(variable.shape))
    _require_most_of_the_backbone(file, variables, sources, checkpoint_type)
    return sources, kept


def _source(key: str, checkpoint_type: str) -> str | None:
    """Path in the file for the model's `key`; None if this type leaves it new."""
    if checkpoint_type in ("full", "matching"):
        return key
    if checkpoint_type == "detection":
        return key if key.startswith(_EXTRACTOR) else None
    if not key.startswith(_BACKBONE):
        return None
    return _CLASSIFIER_BACKBONE + key[len(_BACKBONE) :]


def _class_head_of(key: str) -> str:
    """The class head that a variable belongs to, of one level or of all; empty if to none."""
    head, found, _ = key.partition(_CLASS_HEAD)
    return head if found else ""


def _new_class_heads(
    file: CheckpointFile, variables: Variables, checkpoint_type: str
) -> dict[str, str]:
    """{class head: why all of it stays new}; half a head of another task would be of no use."""
    if checkpoint_type not in ("full", "matching"):
        return {}
    heads = {head for key in variables if (head := _class_head_of(key))}
    misfits = {
        key: file.shapes.get(key)
        for key, variable in variables.items()
        if _class_head_of(key) and file.shapes.get(key) != tuple(variable.shape)
    }
    if checkpoint_type == "matching":
        reason = "class head of another shape in the file"
        return dict.fromkeys(map(_class_head_of, misfits), reason)
    # What is missing altogether is no matter of the number of classes: it will be refused.
    has_other_classes = any(shape is not None for shape in misfits.values())
    reason = "class head of another number of classes"
    return dict.fromkeys(heads, reason) if has_other_classes else {}


def _require_most_of_the_backbone(
    file: CheckpointFile, variables: Variables, sources: dict[str, str], checkpoint_type: str
) -> None:
    """Refuses what fits by chance: widths of another depth_multiplier agree here and there."""
    backbone = [key for key in variables if key.startswith(_BACKBONE)]
    missing = [key for key in backbone if key not in sources]
    if 2 * len(missing) > len(backbone):
        source = _source(missing[0], checkpoint_type) or missing[0]
        raise _misfit(file, source, tuple(variables[missing[0]].shape))


def _misfit(file: CheckpointFile, source: str, expected: tuple[int, ...]) -> InputError:
    found = file.shapes.get(source)
    came = f"is {found} in the file" if found is not None else "is not in the file"
    name = f"{source} ({file.name(source)})" if file.is_tf1 and found is not None else source
    hint = " (of a TF1 checkpoint: the one without _keras)" if file.is_tf1 else ""
    return InputError(
        f"{file.prefix}: {name} {came}, the model expects {expected}: the checkpoint belongs to "
        f"another model; check feature_extractor.type{hint}, depth_multiplier and fpn in "
        "pipeline.config"
    )


def _why_not_used(path: str, variables: Variables) -> str:
    if "/.OPTIMIZER_SLOT/" in path or path.startswith("optimizer/"):
        return "optimizer state"
    if path in ("step", "save_counter", "global_step"):
        return "counter"
    in_model = path
    if path.startswith(_CLASSIFIER_BACKBONE):
        in_model = _BACKBONE + path[len(_CLASSIFIER_BACKBONE) :]
    return "new in this run" if in_model in variables else "not part of the model"
