"""The records of a conversion made by an Apache Beam pipeline; the same bytes as without it.

Needs requirements/beam.txt. Pictures and output must lie under the same paths on every worker, as
on a network file system.
"""

from __future__ import annotations

import contextlib
import io
import pickle
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ssd.errors import InputError
from ssd.label_map import LabelMap
from tfrecord_tools import sharded_writer
from tfrecord_tools.annotations import StatedAnnotation
from tfrecord_tools.image_check import ImageSettings
from tfrecord_tools.image_record import ImageRecord, make_record
from tfrecord_tools.sharded_writer import Shard

# One element of the pipeline: a few seconds of work.
_IMAGES_PER_ELEMENT = 64
_OUTCOMES = ".outcomes"


@dataclass(frozen=True)
class SplitJob:
    """The records of one split to make.

    Attributes:
      split: its name.
      images: in the order of their records.
      num_shards: files to write, at least 1.
    """

    split: str
    images: Sequence[StatedAnnotation]
    num_shards: int


@dataclass(frozen=True)
class _Element:
    split: str
    shard: int
    first: int  # position of the first image in the split
    images: tuple[StatedAnnotation, ...]


def run(
    folder: Path,
    jobs: Sequence[SplitJob],
    label_map: LabelMap,
    settings: ImageSettings,
    pipeline_options: Sequence[str],
) -> dict[str, tuple[list[Shard], list[ImageRecord]]]:
    """Writes the shards of all splits into `folder`; returns them, and every image's outcome.

    Args:
      folder: exists; seen by every worker under this path.
      jobs: the splits.
      label_map: has every class of the images.
      settings: how pictures are checked.
      pipeline_options: flags of Apache Beam, as `--runner=FlinkRunner`; its DirectRunner where
        none are given.

    Raises:
      InputError: Apache Beam is not installed, or it refuses the options.
    """
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError:
        raise InputError(
            "--runner beam needs Apache Beam: pip install -r requirements/beam.txt, best into an "
            "environment of its own"
        ) from None
    said = io.StringIO()
    try:
        # It answers a wrong flag with two hundred lines of usage; the last says what is wrong.
        with contextlib.redirect_stderr(said):
            options = PipelineOptions(list(pipeline_options))
            options.get_all_options()
    except SystemExit:
        reason = said.getvalue().strip().rpartition("error: ")[2]
        raise InputError(f"Apache Beam refuses {' '.join(pipeline_options)}: {reason}") from None
    elements = [element for job in jobs for element in _elements(job)]
    with beam.Pipeline(options=options) as pipeline:
        (
            pipeline
            | "Images" >> beam.Create(elements)
            | "MakeRecords" >> beam.FlatMap(_make_records, label_map, settings)
            | "ByShard" >> beam.GroupByKey()
            | "WriteShard" >> beam.Map(_write_shard, str(folder))
        )
    return {job.split: _collect(folder, job) for job in jobs}


def _elements(job: SplitJob) -> Iterator[_Element]:
    for shard, part in enumerate(sharded_writer.slices(len(job.images), job.num_shards)):
        for first in range(part.start, part.stop, _IMAGES_PER_ELEMENT):
            end = min(first + _IMAGES_PER_ELEMENT, part.stop)
            images = tuple(job.images[i] for i in range(first, end))
            yield _Element(job.split, shard, first, images)


def _make_records(
    element: _Element, label_map: LabelMap, settings: ImageSettings
) -> Iterator[tuple[tuple[str, int], tuple[int, ImageRecord]]]:
    for position, stated in enumerate(element.images, element.first):
        made = make_record(stated, label_map, settings)
        yield (element.split, element.shard), (position, made)


def _write_shard(
    keyed: tuple[tuple[str, int], Iterable[tuple[int, ImageRecord]]], folder: str
) -> None:
    (split, index), made = keyed
    ordered = [one for _, one in sorted(made, key=lambda pair: pair[0])]
    shard = sharded_writer.write_part(Path(folder), split, index, (one.record for one in ordered))
    outcomes = [replace(one, record=None) for one in ordered]
    path = Path(folder, f"{split}-{index:05d}{_OUTCOMES}")
    path.write_bytes(pickle.dumps((shard, outcomes)))


def _collect(folder: Path, job: SplitJob) -> tuple[list[Shard], list[ImageRecord]]:
    parts, outcomes = [], []
    for index, part in enumerate(sharded_writer.slices(len(job.images), job.num_shards)):
        if not len(part):
            continue
        path = folder / f"{job.split}-{index:05d}{_OUTCOMES}"
        if not path.exists():
            raise InputError(
                f"{folder}: shard {index} of {job.split} is not there after the pipeline; do the "
                "workers see the output folder under this path?"
            )
        shard, made = pickle.loads(path.read_bytes())
        path.unlink()
        parts.append(shard)
        outcomes += made
    return sharded_writer.name_parts(folder, job.split, parts), outcomes
