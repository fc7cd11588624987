"""Writes the records of every split: by worker processes, or by an Apache Beam pipeline."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tfrecord_tools import beam_pipeline, sharded_writer
from tfrecord_tools.annotations import ProblemLog
from tfrecord_tools.conversion_plan import Plan
from tfrecord_tools.conversion_report import SplitCount
from tfrecord_tools.convert_options import ConvertOptions
from tfrecord_tools.found_boxes import FoundBoxes
from tfrecord_tools.image_record import ImageRecord, make_record
from tfrecord_tools.worker_pool import WorkerPool


@dataclass(frozen=True)
class SplitWriter:
    """Writes what a plan says.

    Attributes:
      folder: exists; gets the shards.
      plan: which images, and how their classes are numbered.
      options: shards, checks and runner.
      log: gets the problems.
      boxes: gets the boxes that are kept.
    """

    folder: Path
    plan: Plan
    options: ConvertOptions
    log: ProblemLog
    boxes: FoundBoxes

    def write(self, pool: WorkerPool) -> dict[str, SplitCount]:
        """Returns what each split holds; `pool` works where no other runner is asked for."""
        if self.options.runner == "beam":
            return self._write_by_beam()
        return {name: self._write_split(name, pool) for name in self.plan.split.names}

    def _write_split(self, name: str, pool: WorkerPool) -> SplitCount:
        count = SplitCount()
        images, positions = self.plan.annotations, self.plan.positions(name)
        make = partial(
            make_record, label_map=self.plan.classes, settings=self.options.image_settings
        )
        made = pool.map(make, (images[i] for i in positions))

        def tallied() -> Iterator[bytes | None]:
            shown = _with_progress(made, len(positions), name)
            for i, one in zip(positions, shown, strict=True):
                self._tally(count, i, one)
                yield one.record

        count.shards = sharded_writer.write(
            self.folder, name, tallied(), len(positions), self._num_shards(positions)
        )
        return count

    def _write_by_beam(self) -> dict[str, SplitCount]:
        positions = {name: self.plan.positions(name) for name in self.plan.split.names}
        jobs = [
            beam_pipeline.SplitJob(
                name, [self.plan.annotations[i] for i in members], self._num_shards(members)
            )
            for name, members in positions.items()
        ]
        done = beam_pipeline.run(
            self.folder,
            jobs,
            self.plan.classes,
            self.options.image_settings,
            self.options.pipeline_options,
        )
        counts = {}
        for name, (shards, outcomes) in done.items():
            count = counts[name] = SplitCount(shards=shards)
            for i, one in zip(positions[name], outcomes, strict=True):
                self._tally(count, i, one)
        return counts

    def _tally(self, count: SplitCount, position: int, made: ImageRecord) -> None:
        self.log.problems.extend(made.problems)
        if made.is_usable:
            count.add(made.class_names)
            self.boxes.add(self.plan.annotations.files[position], made)

    def _num_shards(self, positions: Iterable[int]) -> int:
        images = self.plan.annotations
        paths = (images.folder / images.image_names[i] for i in positions)
        return self.options.shards or sharded_writer.default_shard_count(
            sum(_bytes_of(path) for path in paths)
        )


def _bytes_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # It went away; the check of the picture says so by name.


def _with_progress(records: Iterable[ImageRecord], total: int, name: str) -> Iterable[ImageRecord]:
    if not sys.stderr.isatty():
        return records
    from tqdm import tqdm  # Only where somebody is looking: the import takes time.

    return tqdm(records, desc=name, total=total, unit="image", leave=False)
