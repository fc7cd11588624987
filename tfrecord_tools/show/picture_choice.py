"""Which few pictures of many to look at: from all over the data set, every class among them."""

from __future__ import annotations

import numpy as np


def choose(owners: np.ndarray, class_indices: np.ndarray, count: int, most: int) -> list[int]:
    """Returns rows of at most `most` of `count` pictures, ascending.

    Pictures that show classes not seen yet come first, rare classes before common ones; of several
    that do it equally well, the one farthest from those chosen. Room that is left is filled from
    all over the data set.

    Args:
      owners: int64 [M], the row of the picture of each box, 0..count-1.
      class_indices: int64 [M].
      count: pictures.
      most: 1 or more.
    """
    chosen: list[int] = []
    pairs = np.unique(np.stack([owners, class_indices], axis=-1).reshape(-1, 2), axis=0)
    frequency = np.bincount(pairs[:, 1]) if len(pairs) else np.zeros(0, np.int64)
    is_missing = frequency > 0
    while is_missing.any() and len(chosen) < most:
        rarest = int(np.where(is_missing, frequency, np.iinfo(np.int64).max).argmin())
        new = np.bincount(pairs[:, 0], is_missing[pairs[:, 1]], minlength=count)
        candidates = pairs[pairs[:, 1] == rarest, 0]
        candidates = candidates[new[candidates] == new[candidates].max()]
        best = int(candidates[_distances(candidates, chosen, count).argmax()])
        chosen.append(best)
        is_missing[pairs[pairs[:, 0] == best, 1]] = False
    return sorted(chosen + _spread(chosen, count, most - len(chosen)))


def _distances(rows: np.ndarray, chosen: list[int], count: int) -> np.ndarray:
    """How far each row is from the nearest chosen one; with none, how near to the middle."""
    if not chosen:
        return -np.abs(rows - count / 2)
    distances: np.ndarray = np.abs(rows[:, np.newaxis] - np.array(chosen)).min(axis=1)
    return distances


def _spread(chosen: list[int], count: int, room: int) -> list[int]:
    """Returns `room` rows that are not chosen, evenly spaced among these."""
    free = np.setdiff1d(np.arange(count), chosen)
    room = min(room, len(free))
    if room <= 0:
        return []
    places = ((np.arange(room) + 0.5) * len(free) / room).astype(int)
    return [int(row) for row in free[places]]
