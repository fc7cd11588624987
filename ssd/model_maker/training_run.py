"""A specification and two loaders -> a trained run, through `ssd.training`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ssd import zoo
from ssd.config import pipeline
from ssd.data.record_files import PLACEHOLDER
from ssd.errors import InputError
from ssd.model_maker.data_loader import DataLoader
from ssd.model_maker.schedule import Length, length_of, with_learning_rate
from ssd.model_maker.specs import EfficientDetSpec
from ssd.run_folder import RunFolder
from ssd.shipped_configs import is_shipped
from ssd.training.options import TrainOptions

_RANDOM = "none"
_FROZEN = "train_whole_model=False: the backbone stays as it is; pyramid and heads are trained"


@dataclass(frozen=True)
class Start:
    """What training starts from.

    Attributes:
      checkpoint: as `train --checkpoint` takes it.
      why_random: why there are no weights to start from; "" where there are.
    """

    checkpoint: str
    why_random: str = ""


def train(
    spec: EfficientDetSpec,
    train_data: DataLoader,
    validation_data: DataLoader | None,
    *,
    epochs: int | None,
    batch_size: int | None,
    train_whole_model: bool,
    weights: str | None = None,
) -> RunFolder:
    """Trains, says what is done, and returns the run.

    Args:
      spec, train_data, validation_data, epochs, batch_size, train_whole_model: of `create`.
      weights: a run to go on from, instead of what `spec` starts from.

    Raises:
      InputError: data, specification and checkpoint do not fit together.
    """
    from ssd.training import plan as plans  # late: TensorFlow takes its time to load

    _require_same_labels(train_data, validation_data)
    length = length_of(spec, train_data.size, epochs, batch_size)
    start = Start(weights) if weights else starting_point(spec)
    for line in (length.note, *_starting_lines(spec, start, train_whole_model)):
        print(line, flush=True)
    is_frozen = not train_whole_model and spec.config.freezes_backbone and not start.why_random
    options = TrainOptions(
        config=str(spec.config_path),
        train_records=list(train_data.patterns),
        val_records=list(validation_data.patterns) if validation_data else None,
        label_map=str(train_data.label_map_file),
        checkpoint=start.checkpoint,
        output=spec.model_dir,
        moving_average_decay=spec.config.moving_average_decay or None,
        freeze="backbone" if is_frozen else None,
        seed=spec.tf_random_seed,
        fresh=_is_finished(spec.model_dir),
        **_length_options(spec, train_data, length),
    )
    plan = plans.resolve(options)

    from ssd.training import session  # late, as above

    session.run(plan, options)
    return plan.run


def starting_point(spec: EfficientDetSpec) -> Start:
    """Returns the checkpoint of a specification; fetches the zoo's, where that is meant."""
    path = spec.config_path
    if spec.checkpoint == _RANDOM:
        return Start(_RANDOM, "checkpoint='none' asks for it")
    if spec.checkpoint != "auto":
        return Start(spec.checkpoint)
    named = pipeline.load(path).message.train_config.fine_tune_checkpoint
    if PLACEHOLDER in named:
        named = ""
    if named and not is_shipped(path):
        return Start("auto")
    name = named or path.stem
    if not zoo.is_known(name):
        return Start(_RANDOM, f"{path.name} names no checkpoint; checkpoint= gives one")
    try:
        return Start(str(zoo.open_model(name)))
    except zoo.ZooUnavailable as error:
        return Start(_RANDOM, str(error))


def _starting_lines(spec: EfficientDetSpec, start: Start, train_whole_model: bool) -> list[str]:
    freezes = not train_whole_model and spec.config.freezes_backbone
    if not start.why_random:
        return [_FROZEN] if freezes else []
    lines = [f"RANDOM WEIGHTS: {start.why_random}. From a checkpoint it takes far fewer pictures"]
    if freezes:
        lines.append("train_whole_model=False is not obeyed: a random backbone has to be trained")
    return lines


def _length_options(spec: EfficientDetSpec, data: DataLoader, length: Length) -> dict:
    """Steps, batch size and overrides of TrainOptions."""
    overrides = spec.config_overrides(data.labels.num_classes)
    rate = spec.config.learning_rate
    if rate is None:
        return {
            "steps": length.steps,
            "batch_size": length.batch_size,
            "overrides": tuple(overrides),
        }
    config = pipeline.load(spec.config_path, overrides).message
    rates = with_learning_rate(config, rate, length, spec.config_path.stem)
    return {"overrides": (*overrides, *rates)}


def _is_finished(model_dir: str | None) -> bool:
    """Whether a script that is run again would train into a run that is done."""
    return model_dir is not None and RunFolder(Path(model_dir)).finished.is_file()


def _require_same_labels(train_data: DataLoader, validation_data: DataLoader | None) -> None:
    if validation_data is not None and validation_data.label_map != train_data.label_map:
        raise InputError(
            f"validation_data has the classes {validation_data.label_map}, train_data "
            f"{train_data.label_map}; give both the same label_map"
        )
