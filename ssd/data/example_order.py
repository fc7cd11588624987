"""Which record example number i of a run is; nothing but the number decides, in any process."""

from __future__ import annotations

import functools
from typing import Protocol

import numpy as np

# Examples of a block, in which every data set has its share: weights count to a ten-thousandth.
_BLOCK = 10_000
# Keys of the streams of blocks and of data sets; those of epochs are the seed itself.
_OF_BLOCKS, _OF_DATASETS = 1, 2


class ExampleOrder(Protocol):
    """The order of the examples of a run."""

    def record_number(self, number: int) -> int:
        """Returns the number of the record that example `number` is."""


@functools.lru_cache(maxsize=32)
def epoch_order(num_records: int, seed: int, epoch: int) -> np.ndarray:
    """Returns int64 [num_records], the order of the records in one epoch.

    A permutation: records sorted by the words of a Philox stream whose key is (seed, epoch). NumPy
    keeps that stream the same in all its versions, unlike `Generator.permutation`.
    """
    key = np.array([seed % 2**64, epoch], np.uint64)
    return _sorted_by_stream(key, num_records)


class EpochOrder:
    """All records once per epoch.

    Args:
      num_records: N.
      shuffle_seed: another order in every epoch; None: always that of the index.
    """

    def __init__(self, num_records: int, shuffle_seed: int | None) -> None:
        self._num_records = num_records
        self._shuffle_seed = shuffle_seed

    def record_number(self, number: int) -> int:
        epoch, position = divmod(number, self._num_records)
        if self._shuffle_seed is None:
            return position
        return int(epoch_order(self._num_records, self._shuffle_seed, epoch)[position])


class WeightedOrder:
    """Several data sets, drawn from in proportion to weights (`sample_from_datasets_weights`).

    Every block of 10,000 examples holds the same number of each data set, its share of the
    weights, in another order; so how many of a data set came before an example is known from its
    number alone. Each data set goes through its own epochs.

    Args:
      sizes: records of each data set; they follow each other in the index.
      weights: as many, not negative, one at least above 0; they need not add up to 1.
      shuffle_seed: as for EpochOrder; None keeps the records in order, blocks are shuffled still.
    """

    def __init__(
        self, sizes: tuple[int, ...], weights: tuple[float, ...], shuffle_seed: int | None
    ) -> None:
        self._first_records = np.concatenate([[0], np.cumsum(sizes)])
        self._counts = block_counts(weights)
        self._seed = shuffle_seed or 0
        self._orders = [
            EpochOrder(size, None if shuffle_seed is None else shuffle_seed + n + _OF_DATASETS)
            for n, size in enumerate(sizes)
        ]

    def record_number(self, number: int) -> int:
        block, position = divmod(number, _BLOCK)
        datasets, ranks = _block(tuple(self._counts.tolist()), self._seed, block)
        dataset = int(datasets[position])
        earlier = block * int(self._counts[dataset]) + int(ranks[position])
        return int(self._first_records[dataset]) + self._orders[dataset].record_number(earlier)


def block_counts(weights: tuple[float, ...]) -> np.ndarray:
    """Returns int64, how many of a block's examples each data set gives; they add up to a block.

    Example: what is left over goes to those with the largest fractions.
      >>> block_counts((1.0, 1.0, 1.0)).tolist()
      [3334, 3333, 3333]
    """
    shares = np.asarray(weights, np.float64) / np.sum(weights) * _BLOCK
    counts = np.floor(shares).astype(np.int64)
    for dataset in np.argsort(counts - shares, kind="stable")[: _BLOCK - counts.sum()]:
        counts[dataset] += 1
    return counts


@functools.lru_cache(maxsize=8)
def _block(counts: tuple[int, ...], seed: int, block: int) -> tuple[np.ndarray, np.ndarray]:
    """(data set of each example of a block, how many of that data set come before it in there)."""
    key = np.array([seed % 2**64, block * 4 + _OF_BLOCKS], np.uint64)
    datasets = np.repeat(np.arange(len(counts)), counts)[_sorted_by_stream(key, _BLOCK)]
    ranks = np.empty(_BLOCK, np.int64)
    for dataset, count in enumerate(counts):
        ranks[datasets == dataset] = np.arange(count)
    return datasets, ranks


def _sorted_by_stream(key: np.ndarray, count: int) -> np.ndarray:
    order = np.argsort(np.random.Philox(key=key).random_raw(count), kind="stable")
    order.flags.writeable = False
    return order
