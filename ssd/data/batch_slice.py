"""Which examples of a run one of several workers reads: its rows of every global batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import tensorflow as tf

_Number = TypeVar("_Number", int, tf.Tensor)


@dataclass(frozen=True)
class BatchSlice:
    """Rows first to first + count - 1 of every batch of batch_size examples.

    The workers' slices side by side are the batches that one process alone would read, so that no
    example is read twice and none is left out.
    """

    batch_size: int
    first: int
    count: int

    @classmethod
    def of_worker(cls, batch_size: int, worker: int, num_workers: int) -> BatchSlice:
        """Returns the slice of one of several workers; `num_workers` divides `batch_size`."""
        count = batch_size // num_workers
        return cls(batch_size, worker * count, count)

    def example(self, position: _Number) -> _Number:
        """Returns the number in the run of the slice's own example `position`.

        Example: rows 2 and 3 of batches of four.
          >>> [BatchSlice(4, 2, 2).example(position) for position in range(5)]
          [2, 3, 6, 7, 10]
        """
        return position // self.count * self.batch_size + self.first + position % self.count

    def positions(self, num_examples: int) -> int:
        """Returns how many own examples the full batches of the first `num_examples` hold."""
        return num_examples // self.batch_size * self.count
