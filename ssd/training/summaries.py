"""What TensorBoard and the report are made of: events and losses.jsonl, written on the way."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto.summary_pb2 import Summary
from tqdm import tqdm

from ssd.data.record_index import RecordIndex
from ssd.evaluated_image import EvaluatedImage
from ssd.label_map import LabelMap
from ssd.metric_names import COCO_NAMES
from ssd.run_report import pictures
from ssd.run_report.analysis import Analysis
from ssd.run_report.choice import chosen_rows
from ssd.training import step_lines
from ssd.training.event_file import EventFile, image, pr_curve, scalar

_STEPS_PER_POINT = 20
_POINTS_OF_A_SHORT_RUN = 100
_NUM_PICTURES = 8
_MIN_SCORE = 0.3
# More curves than this nobody looks at: those of the classes with most boxes.
_MAX_CURVES = 40
_THRESHOLDS = np.linspace(0.0, 1.0, 201)
_PREFIX = "DetectionBoxes_"  # the original's, as are all tags but AP/... and PrecisionRecall...


class Summaries:
    """Writes events and losses.jsonl of a run; a disk that is full ends them, not the training.

    Args:
      folder: of the run.
      step: where it stands; what was written of later steps is taken back.
      num_steps: where it ends; decides how many steps there are per point.
      label_map: names the classes.

    Attributes:
      losses: the lines of losses.jsonl: every so many steps the losses of that step's batch, its
        learning rate, and the seconds that the run has taken so far, all sessions together.
    """

    def __init__(self, folder: Path, step: int, *, num_steps: int, label_map: LabelMap) -> None:
        self._path, self._label_map = folder / "losses.jsonl", label_map
        self._every = min(_STEPS_PER_POINT, max(num_steps // _POINTS_OF_A_SHORT_RUN, 1))
        self.losses = step_lines.read_up_to(self._path, step)
        earlier = self.losses[-1]["seconds"] if self.losses else 0.0
        self._begun = time.monotonic() - earlier
        self._chosen: list[int] | None = None
        self._events: EventFile | None = EventFile(folder, step)

    @property
    def seconds(self) -> float:
        """That the run has taken so far."""
        return time.monotonic() - self._begun

    def add_losses(self, step: int, losses: dict[str, float]) -> None:
        """Takes what the train step returned; writes it if it is the turn of this step."""
        if step % self._every:
            return
        line = {"step": step, **losses, "seconds": round(self.seconds, 1)}
        self.losses.append(line)
        values = [
            scalar(f"Loss/{name}" if name.endswith("loss") else name, value)
            for name, value in losses.items()
        ]
        if self._events is not None:
            try:
                step_lines.append(self._path, line)
                self._events.add(step, *values)
            except OSError as error:
                self._give_up(error)

    def add_evaluation(
        self,
        step: int,
        summary: dict[str, Any],
        images: Sequence[EvaluatedImage],
        records: RecordIndex | None,
    ) -> None:
        """Writes metrics, precision-recall curves and pictures of an evaluation.

        Args:
          step: that was evaluated.
          summary: as `DetectionMetrics.summarize` gives it.
          images: as the evaluation's observer got them.
          records: that were evaluated, to read pictures from; None for no pictures.
        """
        if self._events is None:
            return
        try:
            self._events.add(step, *_metrics(summary))
            if images:
                self._events.add(step, *_curves(Analysis.of(images, self._label_map)))
            if records is not None:
                for value in self._pictures(images, records):
                    self._events.add(step, value)
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Ends the event file."""
        if self._events is not None:
            self._events.close()

    def _pictures(
        self, images: Sequence[EvaluatedImage], records: RecordIndex
    ) -> Iterator[Summary.Value]:
        """The same images at every evaluation, so that TensorBoard's slider shows progress."""
        if self._chosen is None:
            self._chosen = chosen_rows(images, _NUM_PICTURES)
        for place, row in enumerate(self._chosen):
            drawn = pictures.detections_and_groundtruth(
                pictures.read_picture(records, images[row].number),
                images[row],
                self._label_map,
                min_score=_MIN_SCORE,
            )
            about = f"{images[row].source_id}: detections from score {_MIN_SCORE} on | groundtruth"
            yield image(f"eval_side_by_side_{place}_0", drawn, about)

    def _give_up(self, error: OSError) -> None:
        """Says so once; the next session of the run tries again."""
        tqdm.write(
            f"no more curves and pictures for TensorBoard: {error.strerror or error}; training "
            "goes on"
        )
        self._events = None


def _metrics(summary: dict[str, Any]) -> Iterator[Summary.Value]:
    for name, value in summary.items():
        if isinstance(value, float):
            yield scalar(_PREFIX + COCO_NAMES[name] if name in COCO_NAMES else name, value)
    for name, numbers in summary.get("per_class", {}).items():
        if numbers["AP"] is not None:
            yield scalar(f"AP/{name}", numbers["AP"])


def _curves(analysis: Analysis) -> Iterator[Summary.Value]:
    counts = analysis.num_boxes
    ids = sorted((c for c in counts if counts[c]), key=lambda c: -counts[c])[:_MAX_CURVES]
    tag = "PrecisionRecall@.50IOU"
    for name, curve in (
        (tag, analysis.all_classes),
        *((f"{tag}/{analysis.names[class_id]}", analysis.curves[class_id]) for class_id in ids),
    ):
        hits, false = curve.counts(_THRESHOLDS)
        yield pr_curve(name, hits, false, curve.num_groundtruth)
