"""Boxes of records without their pictures: those that the decoder gives."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from ssd.data import box_table, record_index
from ssd.data.decoder import Decoder
from ssd.errors import InputError
from ssd.label_map import from_names
from ssd.standard_fields import InputFields, TfExampleFields

_T = TfExampleFields
LABELS = from_names(["cat", "cow", "dog"])
NAN = float("nan")


@pytest.fixture
def index_of(tmp_path):
    """Records -> their index."""

    def write(*records: bytes):
        path = str(tmp_path / "x.tfrecord")
        with tf.io.TFRecordWriter(path) as writer:
            for each in records:
                writer.write(each)
        return record_index.index_records(path)

    return write


@pytest.fixture
def records(record) -> list[bytes]:
    """By id, without boxes, by text, by both, with a box that is no number."""
    three = ((0.1, 0.2, 0.4, 0.7), (0.0, 0.3, 0.5, 1.0), (0.25, 0.5, 0.26, 0.75))
    return [
        record(boxes=three, classes=(3, 1, 2)),
        record(boxes=(), classes=()),
        record(classes=(), more={_T.object_class_text: ["dog"]}),
        record(boxes=three[:2], classes=(1, 3), more={_T.object_class_text: ["cow", ""]}),
        record(boxes=((0.1, NAN, 0.4, 0.7), three[2]), classes=(1, 2)),
    ]


@pytest.mark.parametrize("batch", [1, 2, 256])
def test_boxes_and_ids_are_those_of_the_decoder(records, index_of, monkeypatch, batch):
    monkeypatch.setattr(box_table, "_BATCH_RECORDS", batch)
    table = box_table.read(index_of(*records), LABELS, with_sizes=True)
    decode = Decoder(LABELS)
    expected = [decode(tf.constant(each)) for each in records]
    for column, key in (
        (table.boxes, InputFields.groundtruth_boxes),
        (table.class_ids, InputFields.groundtruth_classes),
    ):
        np.testing.assert_array_equal(column, np.concatenate([each[key] for each in expected]))
    assert table.class_ids.tolist() == [3, 1, 2, 3, 2, 3, 2]
    assert table.image_sizes.tolist() == [[120, 200]] * 7
    assert (table.num_images, table.num_dropped) == (5, 1)
    assert [c.dtype for c in (table.boxes, table.class_ids, table.image_sizes)] == [
        np.float32,
        np.int64,
        np.int32,
    ]


def test_sizes_that_nobody_asked_for(records, index_of):
    table = box_table.read(index_of(*records), LABELS)
    assert table.image_sizes.tolist() == [[0, 0]] * 7


def test_only_some_records(records, index_of):
    table = box_table.read(index_of(*records), LABELS, progress=[1, 2])
    assert (table.num_images, table.class_ids.tolist()) == (2, [3])


def test_no_boxes_at_all(records, index_of):
    table = box_table.read(index_of(records[1]), LABELS, with_sizes=True)
    assert (table.boxes.shape, table.image_sizes.shape) == ((0, 4), (0, 2))
    assert (table.num_images, table.num_dropped) == (1, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"boxes": ((0.5, 0.2, 0.4, 0.7),)}, r"ymax 0\.4 < ymin 0\.5", id="inverted"),
        pytest.param({"boxes": ((10, 20, 40, 70),)}, r"ymin is 10", id="pixels"),
        pytest.param({"classes": (4,)}, r"class id 4", id="id above all"),
        pytest.param({"classes": (0,)}, r"class id 0", id="background"),
        pytest.param({"more": {_T.object_class_text: ["cat", "cow"]}}, r"class/text.* 2", id="2"),
        pytest.param({"classes": (1, 2)}, r"class/label.* 2", id="two ids"),
        pytest.param({"more": {_T.object_class_text: ["hen"]}}, r"'hen'", id="unknown text"),
        pytest.param({"more": {_T.object_bbox_xmax: [0.4, 0.5]}}, r"bbox/xmax.* 2", id="sides"),
        pytest.param({"more": {_T.object_bbox_xmax: [4]}}, r"xmax is a int64_list", id="integers"),
    ],
)
def test_unusable_records_are_named(record, records, index_of, changes, message):
    with pytest.raises(InputError, match=rf"x\.tfrecord: .*byte \d+: source_id 'bad': .*{message}"):
        box_table.read(index_of(records[0], record(source_id="bad", **changes)), LABELS)


def test_no_example_and_no_picture(record, records, index_of):
    with pytest.raises(InputError, match=r"no tf\.train\.Example"):
        box_table.read(index_of(records[0], b"\x0a\xff\xff\xff\xff"), LABELS)
    broken = record(more={_T.image_encoded: [b"no picture"]})
    assert len(box_table.read(index_of(broken), LABELS).boxes) == 1
    with pytest.raises(InputError, match=r"image/encoded does not decode: 10 bytes"):
        box_table.read(index_of(broken), LABELS, with_sizes=True)
