"""Example number i of a run -> its record, decoded and checked; the same i gives the same record.

Numbers count on through the epochs: example i is position i % N of epoch i // N. Nothing else
decides what is read, so a run may begin at any number and use any number of threads.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from ssd.data import record_faults
from ssd.data.decoder import Decoder, Example
from ssd.data.record_index import RecordIndex
from ssd.errors import InputError
from ssd.standard_fields import LABEL_ID_OFFSET, InputFields

MakeExample = Callable[[tf.Tensor], Example]

_NUMBER = "example_number"


@functools.lru_cache(maxsize=4)
def epoch_order(num_records: int, seed: int, epoch: int) -> np.ndarray:
    """Returns int64 [num_records], the order of the records in one epoch.

    A permutation: records sorted by the words of a Philox stream whose key is (seed, epoch). NumPy
    keeps that stream the same in all its versions, unlike `Generator.permutation`.
    """
    key = np.array([seed % 2**64, epoch], np.uint64)
    words = np.random.Philox(key=key).random_raw(num_records)
    order = np.argsort(words, kind="stable")
    order.flags.writeable = False
    return order


class ExampleSource:
    """Reads, decodes and checks examples by number."""

    def __init__(
        self,
        record_index: RecordIndex,
        decode: Decoder,
        num_classes: int,
        shuffle_seed: int | None = None,
    ) -> None:
        """Without `shuffle_seed` the records come in the order of the index."""
        self._records = record_index
        self._decode = decode
        self._num_classes = num_classes
        self._shuffle_seed = shuffle_seed

    def record_number(self, number: int) -> int:
        """Returns which record of the index example `number` is."""
        epoch, position = divmod(int(number), len(self._records))
        if self._shuffle_seed is None:
            return position
        return int(epoch_order(len(self._records), self._shuffle_seed, epoch)[position])

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

    def refuse(self, number: int) -> None:
        """Raises what is wrong with the record of example `number`, an InputError."""
        record = self.record_number(number)
        place = self._records.place(record)
        fault = record_faults.find(self._records.read(record), self._decode, self._num_classes)
        if fault:
            raise InputError(f"{place}: {fault}")
        # Not the record: either this raises the bug again, or the fault has passed.
        self.load(tf.constant(number, tf.int64))
        raise InputError(
            f"{place}: could not be used, yet a second look finds nothing wrong; memory may have "
            f"run out: free some and start again"
        )

    def dataset(self, first: int, end: int | None, make: MakeExample) -> tf.data.Dataset:
        """Returns examples first, first + 1, ... as `make(number)` builds them, in this order.

        The first unusable record ends the iteration with an error that `input_pipeline.explain`
        turns into an InputError with its file, byte and source_id.

        Args:
          first: number of the first example.
          end: number after the last one; None for an endless dataset.
          make: int64 [] -> example; calls `load`. It may fail for an unusable record only.

        Raises:
          InputError: the first example is unusable.
        """
        self._require_usable(first, make)
        numbers = tf.data.Dataset.range(first, np.iinfo(np.int64).max if end is None else end)
        examples = numbers.map(
            lambda number: {**make(number), _NUMBER: number},
            num_parallel_calls=len(os.sched_getaffinity(0)),
            deterministic=True,
        )
        # An error here has no file in it. So failed examples are left out, a gap in the numbers
        # shows that one was, and `refuse` puts it in words. The gap ends, since the first example
        # is usable and comes again in each epoch.
        examples = examples.ignore_errors()
        if end is not None:
            examples = examples.concatenate(_end_mark(examples.element_spec, end)).scan(
                tf.constant(first, tf.int64), self._without_gap
            )
            return examples.take(end - first)
        return examples.scan(tf.constant(first, tf.int64), self._without_gap)

    def _read(self, number: np.int64) -> tuple[bytes, np.int64]:
        record = self.record_number(int(number))
        return self._records.read(record), np.int64(record)

    def _check(self, example: Example) -> tf.Operation | None:
        boxes = example[InputFields.groundtruth_boxes]
        class_indices = example[InputFields.groundtruth_classes] - LABEL_ID_OFFSET
        is_usable = (
            tf.reduce_all(tf.math.is_finite(boxes))
            & tf.reduce_all(boxes[:, :2] <= boxes[:, 2:])
            & tf.reduce_all((class_indices >= 0) & (class_indices < self._num_classes))
        )
        return tf.debugging.Assert(is_usable, [boxes, class_indices])

    def _require_usable(self, number: int, make: MakeExample) -> None:
        try:
            make(tf.constant(number, tf.int64))
        except tf.errors.OpError:
            self.refuse(number)

    def _without_gap(self, expected: tf.Tensor, example: Example) -> tuple[tf.Tensor, Example]:
        example = dict(example)
        is_next = tf.equal(example.pop(_NUMBER), expected)
        checked = tf.cond(
            is_next,
            lambda: tf.constant(True),
            lambda: tf.numpy_function(self._refuse_op, [expected], tf.bool),
        )
        with tf.control_dependencies([checked]):
            return expected + 1, {key: tf.identity(value) for key, value in example.items()}

    def _refuse_op(self, number: np.int64) -> bool:
        self.refuse(int(number))
        return False


def _end_mark(spec: dict[str, tf.TensorSpec], end: int) -> tf.data.Dataset:
    """Returns one example of zeros with number `end`: it shows a gap at the very end."""
    mark = {
        key: tf.zeros([size or 0 for size in tensor.shape], tensor.dtype)
        for key, tensor in spec.items()
    }
    return tf.data.Dataset.from_tensors({**mark, _NUMBER: tf.constant(end, tf.int64)})
