from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from ssd.data import input_pipeline
from ssd.data.batch_slice import BatchSlice
from ssd.data.input_reader import open_records
from ssd.data.record_index import RecordIndex
from ssd.errors import InputError
from ssd.standard_fields import InputFields


def test_rows_of_workers():
    slices = [BatchSlice.of_worker(6, worker, 3) for worker in range(3)]
    assert slices[1] == BatchSlice(batch_size=6, first=2, count=2)
    assert [slices[1].example(position) for position in range(5)] == [2, 3, 8, 9, 14]
    assert int(slices[2].example(tf.constant(3, tf.int64))) == 11
    # 20 examples are 3 full batches; 6 of them are the worker's.
    assert [slices[1].positions(count) for count in (0, 5, 6, 20)] == [0, 0, 2, 6]


@pytest.fixture
def config(tiny_config, tiny_data):
    """The four training pictures in batches of four, twelve epochs."""
    reader = tiny_config.train_input_reader
    reader.tf_record_input_reader.input_path[:] = [f"{tiny_data}/train-*.tfrecord"]
    reader.label_map_path = f"{tiny_data}/label_map.pbtxt"
    reader.num_epochs = 3
    tiny_config.train_config.batch_size = 4
    return tiny_config


def batches(config, **settings) -> list[dict[str, np.ndarray]]:
    dataset = input_pipeline.train_dataset_from_config(config, seed=5, **settings)
    return [{k: v.numpy() for k, v in batch.items()} for batch in input_pipeline.explained(dataset)]


@pytest.mark.parametrize("start_batch", [0, 1])
def test_the_slices_side_by_side_are_the_batches_of_one_process(config, start_batch):
    start = start_batch * 4
    whole = batches(config, start_example=start)
    assert len(whole) == 3 - start_batch
    parts = [
        batches(config, start_example=start, part=BatchSlice.of_worker(4, worker, 2))
        for worker in range(2)
    ]
    assert [len(part) for part in parts] == [len(whole)] * 2
    for number, batch in enumerate(whole):
        assert len(set(batch[InputFields.source_id])) == 4  # an epoch, no image twice
        for key, value in batch.items():
            rows = np.concatenate([part[number][key] for part in parts])
            np.testing.assert_array_equal(rows, value, err_msg=key)


def test_only_full_batches_are_shared(config):
    config.train_config.batch_size = 10
    config.train_input_reader.drop_remainder = False
    assert [len(b[InputFields.source_id]) for b in batches(config)] == [10, 2]
    part = BatchSlice.of_worker(10, 1, 2)
    assert [len(b[InputFields.source_id]) for b in batches(config, part=part)] == [5]


def test_each_worker_reads_its_own_records_only(config, monkeypatch):
    read: list[int] = []
    original = RecordIndex.read

    def recorded(index: RecordIndex, number: int) -> bytes:
        read.append(number)
        return original(index, number)

    monkeypatch.setattr(RecordIndex, "read", recorded)
    counts = []
    for worker in range(2):
        read.clear()
        batches(config, part=BatchSlice.of_worker(4, worker, 2))
        counts.append(len(read))
    assert counts == [6, 6]  # of 3 x 4


def test_an_unusable_record_is_named_by_the_worker_that_reads_it(config, tmp_path):
    index = open_records(config.train_input_reader, "train_input_reader")
    records = [index.read(number) for number in range(len(index))]
    bad = next(n for n, record in enumerate(records) if b"nut" in record)
    with tf.io.TFRecordWriter(str(tmp_path / "bad.tfrecord")) as writer:
        for number, record in enumerate(records):
            writer.write(record.replace(b"nut", b"nux") if number == bad else record)
    config.train_input_reader.tf_record_input_reader.input_path[:] = [
        str(tmp_path / "bad.tfrecord")
    ]
    config.train_input_reader.shuffle = False
    owner = bad // 2
    assert len(batches(config, part=BatchSlice.of_worker(4, 1 - owner, 2))) == 3
    with pytest.raises(InputError, match=rf"bad.tfrecord: record {bad + 1} at byte .*'nux'"):
        batches(config, part=BatchSlice.of_worker(4, owner, 2))
