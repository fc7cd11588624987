"""Example number -> record."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from ssd.data import example_source
from ssd.data.decoder import Decoder
from ssd.data.example_order import epoch_order
from ssd.data.example_source import ExampleSource
from ssd.data.record_index import index_records
from ssd.errors import InputError
from ssd.standard_fields import InputFields


def test_an_epoch_is_a_permutation_and_epochs_differ() -> None:
    orders = [epoch_order(50, 7, epoch).tolist() for epoch in range(3)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert orders[0] != orders[1] != orders[2] != list(range(50))
    assert epoch_order(50, 8, 0).tolist() != orders[0]


def test_the_order_of_a_seed_never_changes() -> None:
    # A stored run goes on with these; a new NumPy or Python must not change them.
    assert epoch_order(10, 0, 0).tolist() == [0, 2, 9, 1, 8, 5, 4, 3, 6, 7]
    assert epoch_order(10, 2**40 + 3, 5).tolist() == [8, 9, 7, 3, 6, 5, 0, 1, 2, 4]


@pytest.mark.parametrize("seed", [-1, 2**63, 2**64 - 2])
def test_any_int_is_a_seed(seed: int) -> None:
    assert sorted(epoch_order(10, seed, 0).tolist()) == list(range(10))


def test_the_order_cannot_be_changed_by_its_reader() -> None:
    with pytest.raises(ValueError, match="read-only"):
        epoch_order(5, 0, 0)[0] = 3


def test_every_place_of_an_epoch_is_as_likely() -> None:
    first = [epoch_order(5, seed, 0)[0] for seed in range(1000)]
    assert np.bincount(first, minlength=5).min() > 150


def _source(paths: str, shuffle_seed: int | None = None) -> ExampleSource:
    return ExampleSource(index_records(paths), Decoder(None), 3, shuffle_seed)


def test_numbers_go_on_through_the_epochs(
    record: Callable[..., bytes], write: Callable[..., str]
) -> None:
    path = write([record(name) for name in "abc"])
    plain, shuffled = _source(path), _source(path, 11)
    assert [plain.record_number(n) for n in range(7)] == [0, 1, 2, 0, 1, 2, 0]
    expected = [*epoch_order(3, 11, 0), *epoch_order(3, 11, 1)]
    assert [shuffled.record_number(n) for n in range(6)] == expected
    loaded = [shuffled.load(tf.constant(n, tf.int64))[InputFields.source_id] for n in range(6)]
    assert [name.numpy().decode() for name in loaded] == ["abc"[n] for n in expected]


def test_records_without_source_id_are_told_apart(
    record: Callable[..., bytes], write: Callable[..., str]
) -> None:
    path = write([record(""), record("own"), record("")])
    source = _source(path)
    loaded = [source.load(tf.constant(n, tf.int64))[InputFields.source_id] for n in range(3)]
    assert [name.numpy() for name in loaded] == [b"record-0", b"own", b"record-2"]


INVERTED = ((0.5, 0.2, 0.1, 0.7),)


def _names(dataset: tf.data.Dataset) -> list[bytes]:
    return list(dataset.as_numpy_iterator())


@pytest.mark.parametrize("bad", [1, 3], ids=["in the middle", "at the very end"])
def test_a_gap_stops_a_finite_dataset(
    record: Callable[..., bytes], write: Callable[..., str], bad: int
) -> None:
    records = [
        record(f"r{n}", INVERTED if n == bad else INVERTED[:0], (1,) * (n == bad)) for n in range(4)
    ]
    source = _source(write(records))
    examples = iter(source.dataset(0, 4, source.load))
    seen = [next(examples)[InputFields.source_id].numpy() for _ in range(bad)]
    assert seen == [b"r%d" % n for n in range(bad)]
    with pytest.raises(tf.errors.OpError, match=rf"InputError: .*source_id 'r{bad}': box 0: ymax"):
        next(examples)


def test_a_finite_dataset_ends(record: Callable[..., bytes], write: Callable[..., str]) -> None:
    source = _source(write([record(f"r{n}") for n in range(4)]))
    names = source.dataset(1, 4, source.load).map(lambda example: example[InputFields.source_id])
    assert _names(names) == [b"r1", b"r2", b"r3"]


def test_an_endless_dataset_stops_too(
    record: Callable[..., bytes], write: Callable[..., str]
) -> None:
    source = _source(write([record("good"), record("bad", INVERTED), record("worse", INVERTED)]))
    examples = iter(source.dataset(0, None, source.load))
    next(examples)
    with pytest.raises(tf.errors.OpError, match=r"InputError: .*source_id 'bad': box 0"):
        next(examples)


def test_a_set_of_bad_records_only_does_not_hang(
    record: Callable[..., bytes], write: Callable[..., str]
) -> None:
    source = _source(write([record("bad", INVERTED)] * 3))
    examples = iter(source.dataset(0, None, source.load))
    with pytest.raises(
        tf.errors.OpError, match=r"InputError: .*record 1 at byte 0: source_id 'bad'"
    ):
        next(examples)


def test_records_that_go_away_do_not_hang(
    record: Callable[..., bytes], write: Callable[..., str]
) -> None:
    path = write([record("good")])
    source = _source(path)
    examples = iter(source.dataset(0, None, source.load))
    next(examples)
    os.remove(path)
    # What was read ahead still comes.
    with pytest.raises(tf.errors.OpError, match=r"some.tfrecord: record at byte 0: No such file"):
        list(examples)


def test_more_examples_than_a_chunk(
    record: Callable[..., bytes], write: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example_source, "_CHUNK", 3)
    source = _source(write([record(f"r{n}") for n in range(5)]))
    names = source.dataset(1, 9, source.load).map(lambda example: example[InputFields.source_id])
    assert _names(names) == [b"r1", b"r2", b"r3", b"r4", b"r0", b"r1", b"r2", b"r3"]


def test_a_fault_that_has_passed_is_said_so(
    record: Callable[..., bytes], write: Callable[..., str]
) -> None:
    source = _source(write([record("good")]))
    with pytest.raises(
        InputError, match=r"record 1 at byte 0: could not be used, yet a second look"
    ):
        source.refuse(0, source.load)


def test_a_bug_in_the_pipeline_keeps_its_own_words(
    record: Callable[..., bytes], write: Callable[..., str]
) -> None:
    source = _source(write([record("good")]))

    def make(number: tf.Tensor) -> dict[str, tf.Tensor]:
        tf.debugging.assert_less(number, tf.constant(2, tf.int64), message="our own fault")
        return source.load(number)

    examples = iter(source.dataset(0, None, make))
    with pytest.raises(tf.errors.OpError, match="our own fault"):
        list(examples)
