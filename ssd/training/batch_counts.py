"""Batches that teach nothing, and boxes that never reach the model: counted, and said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ssd.data.decoder import NUM_DROPPED_BOXES
from ssd.data.groundtruth import NUM_TRUNCATED_BOXES
from ssd.standard_fields import InputFields

_MOST_NAMES = 5


class BatchCounts:
    """What became of the boxes of the batches so far.

    Args:
      command: that shows which anchors would match the boxes.
    """

    def __init__(self, command: str) -> None:
        self._command = command
        self._batches = self._without_boxes = self._without_match = 0
        self._dropped: dict[str, int] = {}
        self._truncated: dict[str, int] = {}

    def add(self, values: Mapping[str, float], batch: Mapping[str, Any]) -> list[str]:
        """Counts one batch; returns lines about images whose boxes are left out for the first time.

        Args:
          values: of the train step: boxes, matched_anchors.
          batch: source_id [B], num_dropped_boxes and num_truncated_boxes int32 [B].
        """
        self._batches += 1
        self._without_boxes += not values["boxes"]
        self._without_match += has_no_match(values)
        lines: list[str] = []
        for key, known, what in (
            (NUM_DROPPED_BOXES, self._dropped, "no number (NaN)"),
            (NUM_TRUNCATED_BOXES, self._truncated, "beyond max_number_of_boxes"),
        ):
            counts = np.asarray(batch[key])
            if counts.any():
                ids = np.asarray(batch[InputFields.source_id])
                lines += _new_images(known, ids, counts, what)
        return lines

    def summary(self) -> list[str]:
        """Returns lines for the end of a run."""
        lines = []
        if self._without_match:
            lines.append(
                f"in {self._without_match} of {self._batches} batches no anchor matched any box; "
                f"the boxes are too small for the anchors, or of other shapes: {self._command}"
            )
        if self._without_boxes:
            lines.append(
                f"{self._without_boxes} of {self._batches} batches held no box (images without "
                "objects, or all cropped away)"
            )
        dropped, truncated = (
            f"{sum(known.values())} {what}{_names(known)}"
            for known, what in (
                (self._dropped, "that are no numbers (NaN)"),
                (self._truncated, "beyond train_input_reader.max_number_of_boxes"),
            )
        )
        return [*lines, f"boxes left out: {dropped}, {truncated}"]


def has_no_match(values: Mapping[str, float]) -> bool:
    """Whether a batch has boxes, and no anchor that learns one; `values` are the train step's."""
    return bool(values["boxes"]) and not values["matched_anchors"]


def anchors_command(config_name: str, data: str | None) -> str:
    """Returns the command that shows which anchors would match the boxes of a run."""
    return f"./run.sh anchors {data or 'DATA'} --config {config_name}"


def _new_images(known: dict[str, int], ids: np.ndarray, counts: np.ndarray, what: str) -> list[str]:
    lines = []
    for row in np.flatnonzero(counts):
        name, count = ids[row].decode("utf-8", "replace"), int(counts[row])
        if name not in known and len(known) < _MOST_NAMES:
            lines.append(f"{name}: {count} box{'es' * (count > 1)} left out: {what}")
        known[name] = max(known.get(name, 0), count)
    return lines


def _names(images: dict[str, int]) -> str:
    if not images:
        return ""
    more = ", ..." if len(images) > _MOST_NAMES else ""
    return f" ({', '.join(list(images)[:_MOST_NAMES])}{more})"
