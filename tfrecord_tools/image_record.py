"""From what a file states to one finished record: decode, validate, encode; many at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from ssd.label_map import LabelMap
from ssd.standard_fields import LABEL_ID_OFFSET
from tfrecord_tools import image_check, tf_example
from tfrecord_tools.annotations import Problem, ProblemLog, RefusedError, StatedAnnotation
from tfrecord_tools.validation import validate


@dataclass(frozen=True)
class ImageRecord:
    """What became of one image.

    Attributes:
      record: serialized tf.train.Example; None where the picture is unusable.
      class_names: of the boxes in the record, as the label map spells them.
      problems: in the order in which they were found.
    """

    record: bytes | None
    class_names: tuple[str, ...]
    problems: tuple[Problem, ...]


def make_record(stated: StatedAnnotation, label_map: LabelMap) -> ImageRecord:
    """Returns the record of one image, and the problems found on the way."""
    log = ProblemLog()
    try:
        image = image_check.check(stated, log)
    except RefusedError as refused:
        log.add(refused.rule, str(stated.image_path), refused.detail)
        return ImageRecord(None, (), tuple(log.problems))
    annotation = validate(stated, image.size, log)
    record = tf_example.encode(annotation, image.encoded, image.format, label_map)
    class_ids = (label_map.id_of[name] for name in annotation.class_names)
    class_names = tuple(label_map.names[i - LABEL_ID_OFFSET] for i in class_ids)
    return ImageRecord(record, class_names, tuple(log.problems))


def make_records(
    images: Sequence[StatedAnnotation], label_map: LabelMap, workers: int
) -> Iterator[ImageRecord]:
    """Yields one ImageRecord per image, in the order of `images` whatever `workers` is.

    Workers are threads: decoding leaves the interpreter's lock, and nothing has to be copied
    between processes. A few images per worker are in memory at a time.
    """
    if workers == 1:
        yield from (make_record(stated, label_map) for stated in images)
        return
    pool = ThreadPoolExecutor(workers)
    pending: deque[Future[ImageRecord]] = deque()
    try:
        for stated in images:
            pending.append(pool.submit(make_record, stated, label_map))
            if len(pending) >= 4 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
