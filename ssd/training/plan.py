"""From the flags of `train` to one resolved config, its data, its checkpoint and its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssd import label_map as label_maps
from ssd import zoo
from ssd.config import pipeline
from ssd.data.record_files import PLACEHOLDER
from ssd.data.record_index import RecordIndex
from ssd.errors import InputError
from ssd.label_map import LabelMap
from ssd.run_folder import RunFolder
from ssd.shipped_configs import DEFAULT_CONFIG, DEMO_CONFIG, find_config, is_shipped
from ssd.training.batch_choice import with_batch_size
from ssd.training.config_flags import apply_flags
from ssd.training.data_identity import data_identity
from ssd.training.fitted_anchors import fit_anchors
from ssd.training.length import fit_length
from ssd.training.options import TrainOptions
from ssd.training.run_choice import Wanted, choose_run
from ssd.training.run_data import fill_data, fit_num_classes, label_map_path, open_records


@dataclass(frozen=True)
class Plan:
    """A run, resolved.

    Attributes:
      config: TrainEvalPipelineConfig message with every path and number of this run.
      label_map: of the training records.
      train_records, val_records: where each of them is; None where nothing is to be evaluated on.
      data: which records these are; see `data_identity`.
      run: its folder; not made yet.
      checkpoint: what to fine-tune from; None for random weights.
      resumes: `run` exists, is unfinished and has the same config.
      notes: lines for the screen: what was chosen and why.
      config_name: of the file that `config` began as.
    """

    config: Any
    label_map: LabelMap
    train_records: RecordIndex
    val_records: RecordIndex | None
    data: dict[str, Any]
    run: RunFolder
    checkpoint: str | None
    resumes: bool
    notes: tuple[str, ...]
    config_name: str = ""


def resolve(options: TrainOptions) -> Plan:
    """Returns the plan for `options`; touches nothing but the sample data set and the zoo cache.

    Raises:
      InputError: flags, config, records, label map or checkpoint do not fit together.
    """
    notes: list[str] = []
    has_data = options.data or options.train_records
    name = options.config or (DEFAULT_CONFIG if has_data else DEMO_CONFIG)
    config_path = find_config(name)
    loaded = pipeline.load(config_path, options.overrides)
    config = loaded.message
    pipeline.require_obeyed(loaded)
    fill_data(config, options, config_path)
    labels = label_maps.load(label_map_path(config, config_path))
    notes += fit_num_classes(config, labels, config_path)
    train_records, val_records, record_notes = open_records(config, labels)
    notes += record_notes
    apply_flags(config, options)
    notes += fit_anchors(config, config_path, options, train_records, labels)
    sized, batch_notes = with_batch_size(
        config, config_path, options, num_images=len(train_records)
    )
    notes += batch_notes
    notes += fit_length(config, config_path, sized, num_images=len(train_records))
    if config.train_config.num_steps < 1:
        raise InputError(
            f"{config_path}: train_config.num_steps is {config.train_config.num_steps}; "
            "give --steps N"
        )
    data = data_identity(train_records, val_records)
    choice = choose_run(Wanted(config, options.identity(), labels, data), config_path, options)
    run, resumes = choice.run, choice.resumes
    notes += choice.notes
    # Killed before its first save: it begins again, from the same weights.
    has_saved = resumes and any(run.checkpoints.glob("ckpt-*.index"))
    checkpoint = None if has_saved else _choose_checkpoint(config, config_path, options, notes)
    return Plan(
        config,
        labels,
        train_records,
        val_records,
        data,
        run,
        checkpoint,
        resumes,
        tuple(notes),
        config_path.stem,
    )


def _choose_checkpoint(
    config: Any, config_path: Path, options: TrainOptions, notes: list[str]
) -> str | None:
    """What to fine-tune from. A checkpoint that a person named must be there."""
    if options.checkpoint == "none":
        notes.append("random weights, as --checkpoint none asks")
        return None
    if options.checkpoint != "auto":
        return str(zoo.open_model(options.checkpoint))
    named = config.train_config.fine_tune_checkpoint
    if named and PLACEHOLDER not in named and not is_shipped(config_path):
        return str(zoo.open_model(named))
    name = named if named and PLACEHOLDER not in named else config_path.stem
    if not zoo.is_known(name):
        notes.append(f"RANDOM WEIGHTS: {config_path} names no checkpoint; --checkpoint gives one")
        return None
    try:
        return str(zoo.open_model(name))
    except zoo.ZooUnavailable as error:
        notes.append(
            f"RANDOM WEIGHTS: {error}. Training from a checkpoint needs far fewer images and steps"
        )
        return None
