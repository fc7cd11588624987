"""What is said before a model is built."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf

from ssd import label_map as label_maps
from ssd.errors import InputError
from ssd.label_map import LabelMap
from ssd.training import session
from ssd.training.options import TrainOptions
from ssd.training.plan import resolve


class ModelIsBuiltError(Exception):
    """Training got this far."""


@pytest.fixture
def begin(
    in_temporary_folder: Path, monkeypatch: pytest.MonkeyPatch, tiny_label_map: LabelMap
) -> Callable[..., None]:
    """(training records, validation records) -> begins to train on them, up to the model."""

    def build(config: object, **settings: object) -> None:
        raise ModelIsBuiltError

    def begin_training(train_records: str, val_records: str | None = None) -> None:
        options = TrainOptions(
            train_records=[train_records],
            val_records=[val_records] if val_records else None,
            label_map="labels.pbtxt",
            config="demo",
            checkpoint="none",
        )
        session.TrainingSession(resolve(options), options)

    label_maps.save(tiny_label_map, "labels.pbtxt")
    monkeypatch.setattr(session, "Learner", build)
    return begin_training


@pytest.fixture
def other(tiny_data: Path) -> str:
    """Five records as of another tool; the last names a class that no label map knows."""
    (source,) = tiny_data.glob("train-*.tfrecord")
    records = list(tf.data.TFRecordDataset(str(source)).as_numpy_iterator())
    with_bolt = next(r for r in records if b"bolt" in r)
    with tf.io.TFRecordWriter("other.record") as writer:
        for record in (*records, with_bolt.replace(b"bolt", b"b0lt")):
            writer.write(record)
    return "other.record"


def test_a_sample_of_the_records_is_read_first(
    begin: Callable[..., None], other: str, tiny_data: Path
) -> None:
    good = f"{tiny_data}/train-*.tfrecord"
    with pytest.raises(ModelIsBuiltError):
        begin(good, f"{tiny_data}/val-*.tfrecord")
    message = r"^other.record: record 5 at byte \d+: source_id .*: box \d: class text 'b0lt' is not"
    with pytest.raises(InputError, match=message):
        begin(other)
    with pytest.raises(InputError, match=message):
        begin(good, other)


def test_records_without_boxes_are_said(
    begin: Callable[..., None], tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (source,) = tiny_data.glob("train-*.tfrecord")
    empty = [r for r in tf.data.TFRecordDataset(str(source)).as_numpy_iterator() if b"p3" in r]
    with tf.io.TFRecordWriter("empty.record") as writer:
        for record in empty * 2:
            writer.write(record)
    with pytest.raises(ModelIsBuiltError):
        begin("empty.record")
    assert (
        "empty.record: none of 2 records that were looked at has a box" in capsys.readouterr().out
    )
