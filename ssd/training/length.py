"""How long a run is, in batches of how many images; the learning rate follows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ssd import zoo
from ssd.config.schedule import fit_schedule
from ssd.shipped_configs import is_shipped
from ssd.training.options import AUTO, TrainOptions

# In place of the zoo's, which are for training from an ImageNet backbone on 8 TPU cores. Rates that
# follow from those by the linear rule are too low for a few thousand steps: docs/results.md.
FINE_TUNE_STEPS, FINE_TUNE_BATCH_SIZE, FINE_TUNE_RATE = 2000, 16, 0.08
# Steps of the kit's own configs are for some 300 images; fewer need fewer, more need more.
_LEAST_EPOCHS, _MOST_EPOCHS, _LEAST_STEPS = 20, 60, 200


def fit_length(
    config: Any, config_path: Path, options: TrainOptions, *, num_images: int
) -> list[str]:
    """Fits steps, batch size and schedule of the config to the flags and to the data.

    A config of one's own keeps its numbers unless a flag says otherwise. Those of the kit are
    fitted to the number of images where neither `--steps` nor `--set train_config.num_steps` is
    given; the zoo's are brought to fine-tuning first, unless a `--set` speaks of train_config.

    Args:
      config: TrainEvalPipelineConfig; changed in place.
      config_path, options: where it is from, and the flags.
      num_images: records to train on.

    Returns:
      Lines for the screen.
    """
    train_config = config.train_config
    notes: list[str] = []
    steps, batch_size = options.steps, options.batch_size
    assert batch_size != AUTO  # it is a number by now
    is_zoo = zoo.is_known(config_path.stem)
    # Whoever sets a part of the zoo's schedule by hand is in charge of all of it.
    is_ours = is_shipped(config_path) and not (is_zoo and _is_set(options, ""))
    if is_ours:
        if is_zoo:
            notes += _brought_to_fine_tuning(train_config)
        if steps is None and not _is_set(options, "num_steps"):
            size = batch_size or train_config.batch_size
            steps = steps_for(train_config.num_steps, num_images, size)
            notes.append(
                f"{steps} steps of {size} images: {steps * size / num_images:.0f} times through "
                "the data; --steps and --batch-size decide otherwise"
            )
    note = fit_schedule(train_config, num_steps=steps, batch_size=batch_size)
    return [*notes, note] if note else notes


def steps_for(num_steps: int, num_images: int, batch_size: int) -> int:
    """Returns `num_steps`, but no fewer than 20 epochs and no more than 60, and 200 or more.

    Example:
      >>> [steps_for(400, count, 16) for count in (10, 50, 106, 292, 2000)]
      [200, 200, 398, 400, 2500]
    """
    per_epoch = num_images / batch_size
    least, most = round(_LEAST_EPOCHS * per_epoch), -(-_MOST_EPOCHS * num_images // batch_size)
    return max(min(max(num_steps, least), most), min(_LEAST_STEPS, num_steps))


def _brought_to_fine_tuning(train_config: Any) -> list[str]:
    """Makes a zoo schedule one of fine-tuning, in place; returns a line about it."""
    kind = train_config.optimizer.WhichOneof("optimizer")
    schedule = getattr(train_config.optimizer, kind).learning_rate.cosine_decay_learning_rate
    own_rate, own_batch_size = schedule.learning_rate_base, train_config.batch_size
    rate = min(own_rate, FINE_TUNE_RATE)
    schedule.learning_rate_base = rate
    schedule.warmup_learning_rate *= rate / own_rate
    train_config.batch_size = FINE_TUNE_BATCH_SIZE
    fit_schedule(train_config, num_steps=FINE_TUNE_STEPS, batch_size=None)
    return [
        f"learning rate {rate:g} for {FINE_TUNE_BATCH_SIZE} images, as measured for fine-tuning "
        f"(the zoo's {own_rate:g} for {own_batch_size} is for 8 TPU cores)"
    ]


def _is_set(options: TrainOptions, field: str) -> bool:
    """Whether a `--set` speaks of this field of train_config, or of any for ""."""
    return any(o.startswith(f"train_config.{field}") for o in options.overrides)
