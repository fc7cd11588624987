"""The data of a training run: flags and sample records into the config, classes checked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from ssd.data import input_reader, manifest
from ssd.data.record_files import PLACEHOLDER
from ssd.data.record_index import RecordIndex, index_records
from ssd.data.record_verification import verify
from ssd.errors import InputError
from ssd.label_map import LabelMap
from ssd.shipped_configs import DEMO_CONFIG, is_shipped
from ssd.training.options import TrainOptions

SAMPLE_DATA = Path("data/sample")


def fill_data(config: Any, options: TrainOptions, config_path: Path) -> None:
    """Puts the data flags into the config; takes the sample data where neither names any.

    Raises:
      InputError: the folder is not there, or a config of one's own names no records.
    """
    data = options.data
    named = config.train_input_reader.tf_record_input_reader.input_path
    is_open = not named or any(PLACEHOLDER in path for path in named)
    if not data and not options.train_records and is_open:
        if options.config and config_path.stem != DEMO_CONFIG:
            raise InputError(
                f"{config_path}: train_input_reader names no records; give --data DIR "
                "(made by `./run.sh convert`) or --train-records GLOB"
            )
        data = str(_sample_records())
    train, val, labels = options.train_records, options.val_records, options.label_map
    if data:
        if not Path(data).is_dir():
            raise InputError(f"--data {data}: no such folder; `./run.sh convert` makes one")
        train = train or [f"{data}/train-*.tfrecord"]
        pattern = f"{data}/val-*.tfrecord"
        # Validation records that were converted but are gone are no reason to go without.
        has_val = any(Path(data).glob("val-*.tfrecord")) or manifest.lists(pattern)
        val = val or ([pattern] if has_val else [])
        labels = labels or f"{data}/label_map.pbtxt"
    if train:
        _set_reader(config.train_input_reader, train, labels)
        # Evaluation records of somebody else's data would be scored with the wrong classes.
        del config.eval_input_reader[:]
    if val:
        if not config.eval_input_reader:
            config.eval_input_reader.add(shuffle=False, num_epochs=1)
        _set_reader(config.eval_input_reader[0], val, labels)
    if labels:
        config.train_input_reader.label_map_path = labels


def open_records(
    config: Any, labels: LabelMap
) -> tuple[RecordIndex, RecordIndex | None, list[str]]:
    """Returns the records to train on, those to evaluate on if any, and lines about them.

    Whatever is wrong with the files of training or validation is found here, before the model.

    Raises:
      InputError: records are missing, empty, damaged, from another conversion than the manifest
        beside them, or converted with other classes than `labels`.
    """
    train = _paths(config.train_input_reader)
    val = [path for reader in config.eval_input_reader for path in _paths(reader)]
    place = config.train_input_reader.label_map_path
    notes = verify([*train, *val], labels, place) + manifest.without_boxes(train, labels)
    train_records = input_reader.open_records(config.train_input_reader, "train_input_reader")
    val_place = "eval_input_reader.tf_record_input_reader.input_path"
    return train_records, index_records(val, val_place) if val else None, notes


def _paths(reader: Any) -> list[str]:
    """Returns the input_paths that are read: of weighted data sets only those with a weight."""
    paths = list(reader.tf_record_input_reader.input_path)
    weights = list(reader.sample_from_datasets_weights)
    if len(weights) != len(paths):
        return paths
    return [path for path, weight in zip(paths, weights, strict=True) if weight > 0]


def _set_reader(reader: Any, records: list[str], labels: str | None) -> None:
    reader.tf_record_input_reader.input_path[:] = records
    del reader.sample_from_datasets_weights[:]  # they were those of other paths
    if labels:
        reader.label_map_path = labels


def _sample_records() -> Path:
    """Returns the sample records' folder, made by the data tools if it is not there yet."""
    records = SAMPLE_DATA / "records"
    if (records / "conversion_report.json").is_file():
        return records
    pictures = str(SAMPLE_DATA / "pictures")
    # Processes, because the engine does not import the data tools.
    for arguments in (
        ["sample-data", "--output", pictures],
        [
            "convert",
            "voc",
            "--images",
            f"{pictures}/images",
            "--annotations",
            f"{pictures}/annotations",
            "--output",
            str(records),
        ],
    ):
        print(f"$ ./run.sh {' '.join(arguments)}", flush=True)
        done = subprocess.run([sys.executable, "-m", "tfrecord_tools", *arguments], check=False)
        if done.returncode:
            raise InputError(
                f"sample data: `{arguments[0]}` ended with code {done.returncode}; the "
                "lines above say why"
            )
    return records


def label_map_path(config: Any, config_path: Path) -> str:
    """Returns train_input_reader.label_map_path; InputError where it names none."""
    path = config.train_input_reader.label_map_path
    if not path or PLACEHOLDER in path:
        raise InputError(
            f"{config_path}: train_input_reader.label_map_path "
            f"{'still says ' + PLACEHOLDER if path else 'is not set'}; give "
            "--label-map FILE"
        )
    return path


def fit_num_classes(config: Any, labels: LabelMap, config_path: Path) -> list[str]:
    """Makes num_classes of a shipped config that of the label map; returns a line about it.

    Raises:
      InputError: they differ in a config of one's own.
    """
    stated = config.model.ssd.num_classes
    if stated == labels.num_classes:
        return []
    names = ", ".join(item.name for item in labels.items[:8])
    if not is_shipped(config_path):
        raise InputError(
            f"{config_path}: num_classes is {stated}, but the label map has {labels.num_classes} "
            f"({names}); correct one of them, or give --set model.ssd.num_classes="
            f"{labels.num_classes}"
        )
    config.model.ssd.num_classes = labels.num_classes
    return [f"num_classes {stated} -> {labels.num_classes}, as the label map has: {names}"]
