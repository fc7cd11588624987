from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from ssd.data.example_order import EpochOrder, WeightedOrder, block_counts


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ((1.0,), [10_000]),
        ((0.5, 0.25, 0.25), [5000, 2500, 2500]),
        # They need not add up to 1: 2 / 7, 5 / 7 of 10,000 are 2857.1 and 7142.9.
        ((2.0, 5.0), [2857, 7143]),
        ((0.0, 3.0), [0, 10_000]),
    ],
)
def test_block_counts(weights, expected):
    assert block_counts(weights).tolist() == expected


def test_data_sets_come_in_proportion_and_epoch_by_epoch():
    order = WeightedOrder((30, 7), (0.75, 0.25), shuffle_seed=5)
    records = [order.record_number(n) for n in range(20_000)]
    first = [r for r in records if r < 30]
    second = [r for r in records if r >= 30]
    # 7,500 and 2,500 of each block.
    assert (len(first), len(second)) == (15_000, 5_000)
    # Every epoch of a data set holds each of its records once, across blocks too.
    for part, size in ((first, 30), (second, 7)):
        for start in range(0, len(part) - size + 1, size):
            assert len(set(part[start : start + size])) == size
    # Mixed, not one after the other: about a quarter of any 400.
    shares = [np.mean([r >= 30 for r in records[n : n + 400]]) for n in range(0, 20_000, 400)]
    assert 0.15 < min(shares) <= max(shares) < 0.35


def test_a_number_decides_alone():
    order = WeightedOrder((30, 7), (1.0, 2.0), shuffle_seed=5)
    numbers = [25_001, 3, 9_999, 10_000, 25_001]
    again = WeightedOrder((30, 7), (1.0, 2.0), shuffle_seed=5)
    assert [order.record_number(n) for n in numbers] == [again.record_number(n) for n in numbers]
    other = WeightedOrder((30, 7), (1.0, 2.0), shuffle_seed=6)
    assert [order.record_number(n) for n in range(50)] != [
        other.record_number(n) for n in range(50)
    ]


def test_without_shuffle_each_data_set_keeps_its_order():
    order = WeightedOrder((3, 2), (1.0, 1.0), shuffle_seed=None)
    records = [order.record_number(n) for n in range(40)]
    first = [r for r in records if r < 3]
    assert first == [n % 3 for n in range(len(first))]
    assert [EpochOrder(3, None).record_number(n) for n in range(5)] == [0, 1, 2, 0, 1]
    assert Counter(r for r in records if r >= 3).keys() == {3, 4}
