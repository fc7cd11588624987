"""`--batch-size auto`: the largest batch that fits well into the memory that is free."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssd.config import pipeline
from ssd.errors import InputError
from ssd.run_folder import RUNS, RunFolder
from ssd.training.length import fit_length
from ssd.training.options import AUTO, TrainOptions

if TYPE_CHECKING:
    from ssd.training.memory import StepMemory

# The rest is for evaluation, for what the estimate misses, and for other programs.
SHARE = 0.7


def with_batch_size(
    config: Any, config_path: Path, options: TrainOptions, *, num_images: int
) -> tuple[TrainOptions, list[str]]:
    """Returns the options with a number in place of `--batch-size auto`, and lines for the screen.

    A run that goes on keeps the number that it began with, whatever is free now.

    Args:
      config: complete but for its length; not changed.
      config_path, options: where it is from, and the flags.
      num_images: records to train on.

    Raises:
      InputError: the system does not say how much memory is free, or one image is too much.
    """
    if options.batch_size != AUTO:
        return options, []

    def fitted(batch_size: int | None) -> Any:
        copy = type(config)()
        copy.CopyFrom(config)
        sized = replace(options, batch_size=batch_size)
        fit_length(copy, config_path, sized, num_images=num_images)
        return copy

    if number := _of_earlier_run(fitted, config_path, options):
        return replace(options, batch_size=number), [f"batch size {number}, as this run began"]
    number, note = _chosen(fitted(None), options)
    return replace(options, batch_size=number), [note]


def largest_fitting(memory: StepMemory, most: int, free: float, *, num_replicas: int = 1) -> int:
    """Returns the largest of `most` and the powers of two below that takes 70 % of `free` or less.

    Of those that are equal parts for all replicas; 0 where the smallest takes more.
    """
    sizes = [n for n in candidates(most) if n % num_replicas == 0]
    return next((n for n in sizes if memory.of(n) <= SHARE * free), 0)


def candidates(most: int) -> list[int]:
    """Returns `most` and the powers of two below it, falling.

    Example:
      >>> candidates(12), candidates(8)
      ([12, 8, 4, 2, 1], [8, 4, 2, 1])
    """
    powers = [2**n for n in range(most.bit_length()) if 2**n < most]
    return [most, *reversed(powers)]


def gigabytes(count: float) -> str:
    """Returns "5.1 GB", of 10^9 bytes."""
    return f"{count / 1e9:.1f} GB"


def _chosen(config: Any, options: TrainOptions) -> tuple[int, str]:
    # Only here: TensorFlow takes its time to load.
    from ssd.training.memory_probe import probe

    found, most = probe(config, precision=options.precision), config.train_config.batch_size
    if found.memory is None:
        return 1, "batch size 1: with this model.ssd.image_resizer every image has its own size"
    if found.free is None:
        raise InputError(
            "--batch-size auto: this system does not say how much memory is free; give a number"
        )
    memory, replicas = found.memory, found.num_replicas
    number = largest_fitting(memory, most, found.free, num_replicas=replicas)
    free = f"{gigabytes(found.free)} free" + (" on each GPU" if replicas > 1 else "")
    if not number:
        raise InputError(
            f"--batch-size auto: even {_images(replicas)} {gigabytes(memory.of(replicas))} of "
            f"{free}; free memory, or give a smaller model.ssd.image_resizer"
        )
    note = f"batch size {number}: {gigabytes(memory.of(number))} of {free}"
    if number < most:
        note += f" ({most} would take {gigabytes(memory.of(most))})"
    return number, note


def _images(count: int) -> str:
    return "one image takes" if count == 1 else f"{count} images, one for each GPU, take"


def _of_earlier_run(
    fitted: Callable[[int | None], Any], config_path: Path, options: TrainOptions
) -> int | None:
    """The batch size of the run that this command would go on with."""
    for run in _unfinished_runs(config_path, options):
        text = run.config.read_text()
        stored = re.search(r"^  batch_size: (\d+)$", text, re.MULTILINE)
        if run.read_flags().get("batch_size") != AUTO or stored is None:
            continue
        number = int(stored[1])
        # In a folder that was asked for, whatever else differs is what will be complained about.
        if options.output or pipeline.to_text(fitted(number)) == text:
            return number
    return None


def _unfinished_runs(config_path: Path, options: TrainOptions) -> Iterator[RunFolder]:
    """Those that the same command would go on with, the newest first."""
    if options.fresh:
        return
    default = sorted(RUNS.glob(f"{config_path.stem}-*"), reverse=True)
    for folder in [Path(options.output)] if options.output else default:
        run = RunFolder(folder)
        if run.config.is_file() and not run.finished.is_file():
            yield run
