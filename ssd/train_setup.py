"""From the flags of `train` to one resolved config, its data, its checkpoint and its folder."""

from __future__ import annotations

import datetime
import difflib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssd import label_map as label_maps
from ssd import zoo
from ssd.config import pipeline
from ssd.config.schedule import fit_schedule
from ssd.data.record_files import PLACEHOLDER
from ssd.errors import InputError
from ssd.label_map import LabelMap
from ssd.run_folder import RUNS, RunFolder

SHIPPED_CONFIGS = Path(__file__).resolve().parents[1] / "pipeline_configs"
DEMO_CONFIG = "demo"
DEFAULT_CONFIG = "ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8"
FINE_TUNE_STEPS, FINE_TUNE_BATCH_SIZE = 2000, 16
SAMPLE_DATA = Path("data/sample")


@dataclass(frozen=True)
class TrainOptions:
    """Flags of the `train` verb; None means "not given"."""

    config: str | None = None
    data: str | None = None
    train_records: list[str] | None = None
    val_records: list[str] | None = None
    label_map: str | None = None
    checkpoint: str = "auto"
    output: str | None = None
    steps: int | None = None
    batch_size: int | None = None
    overrides: tuple[str, ...] = ()
    eval_every: int | None = None
    checkpoint_every: int | None = None
    patience: int | None = None
    seed: int = 0
    fresh: bool = False
    batch_norm_statistics: str = "reestimated"

    def identity(self) -> dict[str, Any]:
        """Returns the flags outside of the config that decide a run's weights."""
        return {
            "seed": self.seed,
            "checkpoint": self.checkpoint,
            "batch_norm_statistics": self.batch_norm_statistics,
        }


@dataclass(frozen=True)
class Plan:
    """A run, resolved.

    Attributes:
      config: TrainEvalPipelineConfig message with every path and number of this run.
      label_map: of the training records.
      run: its folder; not made yet.
      checkpoint: what to fine-tune from; None for random weights.
      resumes: `run` exists, is unfinished and has the same config.
      notes: lines for the screen: what was chosen and why.
    """

    config: Any
    label_map: LabelMap
    run: RunFolder
    checkpoint: str | None
    resumes: bool
    notes: tuple[str, ...]


def resolve(options: TrainOptions) -> Plan:
    """Returns the plan for `options`; touches nothing but the sample data set and the zoo cache.

    Raises:
      InputError: flags, config, label map or checkpoint do not fit together.
    """
    notes: list[str] = []
    config_path = _config_path(options)
    loaded = pipeline.load(config_path, options.overrides)
    config = loaded.message
    pipeline.require_obeyed(loaded)
    _fill_data(config, options, config_path)
    labels = label_maps.load(_label_map_path(config, config_path))
    _fit_num_classes(config, labels, config_path, notes)
    notes += _fit_length(config, config_path, options)
    if config.train_config.num_steps < 1:
        raise InputError(
            f"{config_path}: train_config.num_steps is {config.train_config.num_steps}; "
            "give --steps N"
        )
    run, resumes = _choose_run(config, config_path, options)
    # Killed before its first save: it begins again, from the same weights.
    has_saved = resumes and any(run.checkpoints.glob("ckpt-*.index"))
    checkpoint = None if has_saved else _choose_checkpoint(config, config_path, options, notes)
    return Plan(config, labels, run, checkpoint, resumes, tuple(notes))


def _fit_length(config: Any, config_path: Path, options: TrainOptions) -> list[str]:
    """Fits steps, batch and schedule to the flags; a zoo config without flags to fine-tuning."""
    steps, batch_size, notes = options.steps, options.batch_size, []
    is_zoo = _is_shipped(config_path) and config_path.stem != DEMO_CONFIG
    is_changed = any(o.startswith("train_config.") for o in options.overrides)
    if is_zoo and steps is None and batch_size is None and not is_changed:
        steps, batch_size = FINE_TUNE_STEPS, FINE_TUNE_BATCH_SIZE
        notes.append(
            f"{steps} steps of {batch_size} images (the zoo's {config.train_config.num_steps} "
            f"of {config.train_config.batch_size} are for 8 TPU cores); --steps and "
            "--batch-size decide otherwise"
        )
    note = fit_schedule(config.train_config, num_steps=steps, batch_size=batch_size)
    return [*notes, note] if note else notes


def _config_path(options: TrainOptions) -> Path:
    has_data = options.data or options.train_records
    name = options.config or (DEFAULT_CONFIG if has_data else DEMO_CONFIG)
    if Path(name).is_file():
        return Path(name)
    shipped = {path.stem: path for path in SHIPPED_CONFIGS.glob("*.config")}
    for candidate in (name, name + "_coco17_tpu-8", name.removesuffix(".config")):
        if candidate in shipped:
            return shipped[candidate]
    close = difflib.get_close_matches(name, shipped, n=1)
    hint = f"did you mean {close[0]}?" if close else f"shipped: {', '.join(sorted(shipped))}"
    raise InputError(f"--config {name}: no such file and no shipped config; {hint}")


def _is_shipped(config_path: Path) -> bool:
    return config_path.resolve().parent == SHIPPED_CONFIGS


def _fill_data(config: Any, options: TrainOptions, config_path: Path) -> None:
    """Puts the data flags into the config; takes the sample data where neither names any."""
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
        val = val or ([f"{data}/val-*.tfrecord"] if any(Path(data).glob("val-*.tfrecord")) else [])
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


def _set_reader(reader: Any, records: list[str], labels: str | None) -> None:
    reader.tf_record_input_reader.input_path[:] = records
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


def _label_map_path(config: Any, config_path: Path) -> str:
    path = config.train_input_reader.label_map_path
    if not path or PLACEHOLDER in path:
        raise InputError(
            f"{config_path}: train_input_reader.label_map_path "
            f"{'still says ' + PLACEHOLDER if path else 'is not set'}; give "
            "--label-map FILE"
        )
    return path


def _fit_num_classes(config: Any, labels: LabelMap, config_path: Path, notes: list[str]) -> None:
    stated = config.model.ssd.num_classes
    if stated == labels.num_classes:
        return
    names = ", ".join(item.name for item in labels.items[:8])
    if not _is_shipped(config_path):
        raise InputError(
            f"{config_path}: num_classes is {stated}, but the label map has {labels.num_classes} "
            f"({names}); correct one of them, or give --set model.ssd.num_classes="
            f"{labels.num_classes}"
        )
    config.model.ssd.num_classes = labels.num_classes
    notes.append(f"num_classes {stated} -> {labels.num_classes}, as the label map has: {names}")


def _choose_run(config: Any, config_path: Path, options: TrainOptions) -> tuple[RunFolder, bool]:
    """The folder to write to, and whether a run in it goes on."""
    text = pipeline.to_text(config)
    today = datetime.date.today().isoformat()
    base = Path(options.output) if options.output else RUNS / f"{config_path.stem}-{today}"
    if not options.output and not options.fresh:
        # Unfinished since yesterday or earlier: the same command goes on all the same.
        for folder in sorted(RUNS.glob(f"{config_path.stem}-*"), reverse=True):
            earlier = RunFolder(folder)
            if _goes_on(earlier, text, options):
                return earlier, True
    run, number = RunFolder(base), 1
    while run.config.is_file():
        if not options.fresh and _goes_on(run, text, options):
            return run, True
        if options.output and not options.fresh:
            raise _not_resumable(run, text, options)
        number += 1
        run = RunFolder(base.with_name(f"{base.name}-{number}"))
    return run, False


def _goes_on(run: RunFolder, text: str, options: TrainOptions) -> bool:
    """Whether this run is unfinished and was started with this config and these flags."""
    return (
        run.config.is_file()
        and not run.finished.is_file()
        and run.config.read_text() == text
        and run.read_flags() == options.identity()
    )


def _not_resumable(run: RunFolder, text: str, options: TrainOptions) -> InputError:
    advice = "give another --output, or --fresh for a new folder beside"
    stored, flags = run.config.read_text(), run.read_flags()
    if stored != text:
        changed = [
            line
            for line in difflib.ndiff(stored.splitlines(), text.splitlines())
            if line[:2] in ("- ", "+ ")
        ]
        return InputError(
            f"{run.path}: holds a run with another config ({len(changed)} lines differ, "
            f"first: {' '.join(changed[0].split())}); {advice}"
        )
    for name, value in options.identity().items():
        if flags.get(name) != value:
            flag = "--" + name.replace("_", "-")
            return InputError(
                f"{run.path}: holds a run with {flag} {flags.get(name)}, not {value}; {advice}"
            )
    return InputError(
        f"{run.path}: this run is finished; give more --steps with another --output, or --fresh "
        "to train again into a new folder"
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
    if named and PLACEHOLDER not in named and not _is_shipped(config_path):
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
