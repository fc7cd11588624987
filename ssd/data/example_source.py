"""Example number i of a run -> its record, decoded and checked; the same i gives the same record.

Numbers count on through the epochs; `example_order` says which record each is. Nothing else decides
what is read, so a run may begin at any number and use any number of threads.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from ssd.data import record_faults
from ssd.data.batch_slice import BatchSlice
from ssd.data.decoder import ANY_NUMBER_OF_CLASSES, Decoder, Example
from ssd.data.example_order import EpochOrder, ExampleOrder, WeightedOrder
from ssd.data.record_index import RecordIndex
from ssd.errors import InputError
from ssd.standard_fields import LABEL_ID_OFFSET, InputFields

if TYPE_CHECKING:
    from ssd.label_map import LabelMap

MakeExample = Callable[[tf.Tensor], Example]

# Examples per chunk of `dataset`: so many are tried, at most, before a fault is reported.
_CHUNK = 1024

# Records that are looked at before training; each takes as long as decoding its image.
_SAMPLE = 16

_NUMBER = "example_number"
_IS_MARK = "is_mark"


def check_sample(
    record_index: RecordIndex, label_map: LabelMap | None, num_classes: int
) -> list[str]:
    """Looks at a few records, spread over all; returns a line where none of them has a box.

    What a tool does wrong it mostly does in every record: this finds it before a model is built.

    Raises:
      InputError: a record is unusable; begins with its file, its number there, and its byte.
    """
    decode = Decoder(label_map)
    numbers = sorted({round(n) for n in np.linspace(0, len(record_index) - 1, _SAMPLE)})
    num_boxes = 0
    for number in numbers:
        _refuse_record(record_index, number, decode, num_classes)
        num_boxes += record_faults.num_boxes(record_index.read(number))
    if num_boxes:
        return []
    names = record_faults.feature_names(record_index.read(numbers[0]))
    return [
        f"{record_index.files[0]}: none of {len(numbers)} records that were looked at has a box; "
        f"the features of the first are: {names}"
    ]


class ExampleSource:
    """Reads, decodes and checks examples by number."""

    def __init__(
        self,
        record_index: RecordIndex,
        decode: Decoder,
        num_classes: int,
        shuffle_seed: int | None = None,
    ) -> None:
        """Without `shuffle_seed` the records come in the order of the index.

        `num_classes` may be ANY_NUMBER_OF_CLASSES.
        """
        self._records = record_index
        self._decode = decode
        self._num_classes = num_classes
        sizes, weights = record_index.dataset_sizes, record_index.dataset_weights
        self._order: ExampleOrder = (
            WeightedOrder(sizes, weights, shuffle_seed)
            if weights
            else EpochOrder(len(record_index), shuffle_seed)
        )

    def record_number(self, number: int) -> int:
        """Returns which record of the index example `number` is."""
        return self._order.record_number(int(number))

    def load(self, number: tf.Tensor) -> Example:
        """Returns example `number` (int64 []) as `Decoder` does; source_id is never empty.

        Raises:
          tf.errors.OpError: the record is unusable; `refuse` says why.
        """
        serialized, record = tf.numpy_function(
            self._read, [number], [tf.string, tf.int64], stateful=False
        )
        serialized.set_shape([])
        record.set_shape([])
        example = self._decode(serialized)
        # Evaluation tells images apart by source_id, and some tools leave it empty.
        source_id = example[InputFields.source_id]
        stand_in = tf.strings.join(["record-", tf.strings.as_string(record)])
        source_id = tf.where(tf.equal(source_id, ""), stand_in, source_id)
        with tf.control_dependencies([self._check(example)]):
            return {**example, InputFields.source_id: tf.identity(source_id)}

    def refuse(self, number: int, make: MakeExample) -> None:
        """Raises what is wrong with example `number`: an InputError, or the bug in `make`."""
        record = self.record_number(number)
        _refuse_record(self._records, record, self._decode, self._num_classes)
        place = self._records.place(record)
        # Not the record: either this raises the bug again, or the fault has passed.
        make(tf.constant(number, tf.int64))
        raise InputError(
            f"{place}: could not be used, yet a second look finds nothing wrong; memory may have "
            f"run out: free some and start again"
        )

    def dataset(
        self, first: int, end: int | None, make: MakeExample, part: BatchSlice | None = None
    ) -> tf.data.Dataset:
        """Returns examples first, first + 1, ... as `make(number)` builds them, in this order.

        The first unusable record ends the iteration with an error that `input_pipeline.explain`
        turns into an InputError with its file, byte and source_id.

        Args:
          first: number of the first example.
          end: number after the last one; None for an endless dataset.
          make: int64 [] -> example; calls `load`. It may fail for an unusable record only.
          part: only its examples; `first` and `end` are multiples of its batch size then.
        """
        if part is None:
            return self._dataset(first, end, make, lambda number: self.refuse(number, make))
        return self._dataset(
            part.positions(first),
            None if end is None else part.positions(end),
            lambda position: make(part.example(position)),
            lambda position: self.refuse(part.example(position), make),
        )

    def _dataset(
        self, first: int, end: int | None, make: MakeExample, refuse: Callable[[int], None]
    ) -> tf.data.Dataset:
        stop = np.iinfo(np.int64).max if end is None else end
        starts = tf.data.Dataset.range(first, stop, _CHUNK)
        examples = starts.flat_map(
            lambda start: _chunk(make, start, tf.minimum(start + _CHUNK, stop))
        )
        checked = functools.partial(_without_gap, refuse)
        examples = examples.scan(tf.constant(first, tf.int64), checked)
        return examples.filter(lambda is_mark, _: ~is_mark).map(lambda _, example: example)

    def _read(self, number: np.int64) -> tuple[bytes, np.int64]:
        record = self.record_number(int(number))
        return self._records.read(record), np.int64(record)

    def _check(self, example: Example) -> tf.Operation | None:
        boxes = example[InputFields.groundtruth_boxes]
        class_indices = example[InputFields.groundtruth_classes] - LABEL_ID_OFFSET
        low, high = record_faults.BOX_LIMITS
        is_usable = tf.reduce_all((boxes >= low) & (boxes <= high)) & tf.reduce_all(
            boxes[:, :2] <= boxes[:, 2:]
        )
        if self._num_classes != ANY_NUMBER_OF_CLASSES:
            is_known = (class_indices >= 0) & (class_indices < self._num_classes)
            is_usable &= tf.reduce_all(is_known)
        return tf.debugging.Assert(is_usable, [boxes, class_indices])


def _without_gap(
    refuse: Callable[[int], None], expected: tf.Tensor, element: Example
) -> tuple[tf.Tensor, tuple[tf.Tensor, Example]]:
    """One step of a scan: the next number, and the element without its own; `refuse`s a gap."""
    example = dict(element)
    number, is_mark = example.pop(_NUMBER), example.pop(_IS_MARK)

    def refused(number: np.int64) -> bool:
        refuse(int(number))
        return False

    checked = tf.cond(
        tf.equal(number, expected),
        lambda: tf.constant(True),
        lambda: tf.numpy_function(refused, [expected], tf.bool),
    )
    with tf.control_dependencies([checked]):
        following = expected + tf.cast(~is_mark, tf.int64)
        return following, (is_mark, {k: tf.identity(v) for k, v in example.items()})


def _refuse_record(
    record_index: RecordIndex, record: int, decode: Decoder, num_classes: int
) -> None:
    fault = record_faults.find(record_index.read(record), decode, num_classes)
    if fault:
        raise InputError(f"{record_index.place(record)}: {fault}")


def _available_cpus() -> int:
    # What a container or `taskset` allows, where the system can tell.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _chunk(make: MakeExample, start: tf.Tensor, stop: tf.Tensor) -> tf.data.Dataset:
    """Returns the usable examples of start..stop-1, then a mark with the number `stop`.

    An error of the graph has no file in it. So an example that fails is left out; the gap in the
    numbers shows that one was, `refuse` puts it in words. The mark shows a gap at the end, and ends
    the search for a usable example when nothing can be read any more.
    """
    examples = tf.data.Dataset.range(start, stop).map(
        lambda number: {**make(number), _NUMBER: number, _IS_MARK: tf.constant(False)},
        num_parallel_calls=_available_cpus(),
        deterministic=True,
    )
    zeros = {
        key: tf.zeros([size or 0 for size in spec.shape], spec.dtype)
        for key, spec in examples.element_spec.items()
    }
    mark = {**zeros, _NUMBER: stop, _IS_MARK: tf.constant(True)}
    return examples.ignore_errors().concatenate(tf.data.Dataset.from_tensors(mark))
