"""The boxes that a conversion keeps, in columns, and what a model would make of them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssd.errors import InputError
from ssd.shipped_configs import find_config
from tfrecord_tools.annotations import ProblemLog
from tfrecord_tools.image_record import ImageRecord

# What most models of the zoo take; pictures are squeezed to it.
DEFAULT_INPUT_SIZE = (320, 320)
_TINY_PIXELS = 1.0 - 1e-4  # a side of 2 pixels in 640 is one pixel, whatever float32 makes of it


class FoundBoxes:
    """Boxes, the size of their pictures and the files that state them: 28 bytes a box."""

    def __init__(self) -> None:
        self._files: list[str] = []
        self._owners = array("i")
        self._boxes = array("f")
        self._sizes = array("i")

    def add(self, file: str, made: ImageRecord) -> None:
        """Adds the boxes of one image, which `file` states."""
        n = len(made.boxes)
        if n:
            self._owners.extend([len(self._files)] * n)
            self._boxes.frombytes(made.boxes.tobytes())
            self._sizes.extend(made.image_size * n)
            self._files.append(file)

    def __len__(self) -> int:
        return len(self._owners)

    @property
    def boxes(self) -> np.ndarray:
        """Float32 [M, 4], yxyx normalized."""
        return np.array(self._boxes, np.float32).reshape(-1, 4)

    @property
    def image_sizes(self) -> np.ndarray:
        """Int32 [M, 2], (height, width) of the picture of each box."""
        return np.array(self._sizes, np.int32).reshape(-1, 2)

    def by_file(self, is_hit: np.ndarray) -> list[tuple[str, np.ndarray, int]]:
        """Returns file, row numbers of the hits in it, and how many boxes it has; hits only.

        Args:
          is_hit: bool [M].
        """
        owners = np.array(self._owners, np.int64)
        totals = np.bincount(owners, minlength=len(self._files))
        hits = np.flatnonzero(is_hit)
        # Boxes of a file follow each other.
        groups = np.split(hits, np.flatnonzero(np.diff(owners[hits])) + 1) if len(hits) else []
        return [
            (self._files[owners[rows[0]]], rows, int(totals[owners[rows[0]]])) for rows in groups
        ]


@dataclass(frozen=True)
class ModelView:
    """What a model sees of M boxes.

    Attributes:
      sides_pixels: float32 [M, 2], height and width at the model's input.
      input_name: what that input is called in messages.
      best_iou: float32 [M], with the anchor that fits best; None where no config is known.
      matched_threshold: IoU from which an anchor is matched to a box.
    """

    sides_pixels: np.ndarray
    input_name: str
    best_iou: np.ndarray | None = None
    matched_threshold: float = 0.5


def default_view(boxes: FoundBoxes) -> ModelView:
    """Returns what a model of DEFAULT_INPUT_SIZE sees."""
    height, width = DEFAULT_INPUT_SIZE
    sides = (boxes.boxes[:, 2:] - boxes.boxes[:, :2]) * np.array([height, width], np.float32)
    return ModelView(sides, f"{width}x{height} (--config gives another)")


def check_config(config: str, overrides: Sequence[str] = ()) -> None:
    """Stops before any work on a config that cannot be read; its anchors come later.

    Raises:
      InputError: no such file or shipped config, or it does not parse; the line is the engine's.
    """
    command = [sys.executable, "-m", "ssd", "config", "show", str(find_config(config))]
    command += [part for override in overrides for part in ("--set", override)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise InputError(_last_line(done).removeprefix("run.sh config: "))


def view_of_config(boxes: FoundBoxes, config: str, overrides: Sequence[str] = ()) -> ModelView:
    """Returns what the model of a pipeline.config sees; the engine computes it with its anchors.

    In a process of its own, because the data tools never load TensorFlow.

    Raises:
      InputError: the config is refused; the line is the engine's.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, answer = Path(folder, "boxes.npz"), Path(folder, "recall.npz")
        np.savez(given, boxes=boxes.boxes, image_sizes=boxes.image_sizes)
        command = [sys.executable, "-m", "ssd", "anchor-recall", "--config", config]
        command += [part for override in overrides for part in ("--set", override)]
        command += ["--boxes", str(given), "--output", str(answer)]
        done = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True)
        if done.returncode or not answer.exists():
            raise InputError(_last_line(done).removeprefix("anchor-recall: "))
        with np.load(answer) as values:
            return ModelView(
                values["sides_pixels"],
                f"the input of {config}",
                values["best_iou"],
                float(values["matched_threshold"]),
            )


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = done.stderr.strip().splitlines() or [f"ended with code {done.returncode}"]
    return lines[-1]


def note_what_a_model_misses(
    boxes: FoundBoxes, config: str | None, overrides: Sequence[str], log: ProblemLog
) -> None:
    """Notes what the model of a config misses, or else one of the usual input size."""
    view = view_of_config(boxes, config, overrides) if config else default_view(boxes)
    note_misses(boxes, view, log)


def note_misses(boxes: FoundBoxes, view: ModelView, log: ProblemLog) -> None:
    """Notes boxes under a pixel at the model's input, and those that no anchor overlaps enough."""
    for file, rows, total in boxes.by_file(view.sides_pixels.min(axis=1) < _TINY_PIXELS):
        smallest = view.sides_pixels[rows].min()
        detail = f"{len(rows)} of {total} boxes under one pixel at {view.input_name}"
        log.add("box-tiny", file, f"{detail}; the smallest side is {smallest:.2f}")
    if view.best_iou is None:
        return
    for file, rows, total in boxes.by_file(view.best_iou < view.matched_threshold):
        worst = view.best_iou[rows].min()
        detail = f"{len(rows)} of {total} boxes have no anchor at IoU {view.matched_threshold:g}"
        log.add("box-unmatched", file, f"{detail}; the worst has {worst:.2f} at best")
