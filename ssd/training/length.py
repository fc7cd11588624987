"""How long a run is, in batches of how many images; the learning rate follows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ssd import zoo
from ssd.config.schedule import fit_schedule
from ssd.shipped_configs import is_shipped
from ssd.training.options import TrainOptions

# In place of the zoo's, which are for 8 TPU cores.
FINE_TUNE_STEPS, FINE_TUNE_BATCH_SIZE = 2000, 16
# Steps of the kit's own configs are for some 300 images; fewer need fewer, more need more.
_LEAST_EPOCHS, _MOST_EPOCHS, _LEAST_STEPS = 20, 100, 200


def fit_length(
    config: Any, config_path: Path, options: TrainOptions, *, num_images: int
) -> list[str]:
    """Fits steps, batch size and schedule of the config to the flags and to the data.

    A config of one's own keeps its numbers unless a flag says otherwise; those of the kit are
    fitted to the number of images where neither `--steps` nor `--set train_config.num_steps` is
    given.

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
    if is_shipped(config_path):
        own_steps, own_batch_size = train_config.num_steps, train_config.batch_size
        is_zoo = zoo.is_known(config_path.stem) and not _is_set(options, "")
        if is_zoo and batch_size is None:
            batch_size = FINE_TUNE_BATCH_SIZE
        if steps is None and not _is_set(options, "num_steps"):
            wanted = FINE_TUNE_STEPS if is_zoo else own_steps
            steps = steps_for(wanted, num_images, batch_size or own_batch_size)
            notes = _length_lines(steps, batch_size or own_batch_size, train_config, num_images)
    note = fit_schedule(train_config, num_steps=steps, batch_size=batch_size)
    return [*notes, note] if note else notes


def steps_for(num_steps: int, num_images: int, batch_size: int) -> int:
    """Returns `num_steps`, but no fewer than 20 epochs and no more than 100, and 200 or more.

    Example:
      >>> [steps_for(800, count, 16) for count in (10, 50, 106, 292, 2000)]
      [200, 313, 663, 800, 2500]
    """
    per_epoch = num_images / batch_size
    least, most = round(_LEAST_EPOCHS * per_epoch), -(-_MOST_EPOCHS * num_images // batch_size)
    return max(min(max(num_steps, least), most), min(_LEAST_STEPS, num_steps))


def _length_lines(steps: int, batch_size: int, own: Any, num_images: int) -> list[str]:
    if (steps, batch_size) == (own.num_steps, own.batch_size):
        return []
    return [
        f"{steps} steps of {batch_size} images, {steps * batch_size / num_images:.0f} times "
        f"through the data (the config's {own.num_steps} of {own.batch_size} are for other data); "
        "--steps and --batch-size decide otherwise"
    ]


def _is_set(options: TrainOptions, field: str) -> bool:
    """Whether a `--set` speaks of this field of train_config, or of any for ""."""
    return any(o.startswith(f"train_config.{field}") for o in options.overrides)
