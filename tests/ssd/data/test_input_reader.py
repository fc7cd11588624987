"""Sections of a pipeline.config -> records, label map, size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from google.protobuf import text_format

from ssd.config.messages import message_class
from ssd.data import input_reader
from ssd.errors import InputError
from ssd.label_map import from_names, save


def _message(name: str, text: str) -> Any:
    return text_format.Parse(text, message_class(name)())


def test_records_of_several_paths_one_of_n(write: Callable[..., str]) -> None:
    first, second = write([b"0", b"1", b"2"], "a.record"), write([b"3", b"4"], "b.record")
    paths = f'tf_record_input_reader {{ input_path: ["{first}", "{second}"] }}'
    all_of_them = input_reader.open_records(_message("InputReader", paths), "train_input_reader")
    assert [all_of_them.read(n) for n in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
    thinned = _message("InputReader", paths + "sample_1_of_n_examples: 3")
    index = input_reader.open_records(thinned, "train_input_reader")
    assert [index.read(n) for n in range(len(index))] == [b"0", b"3"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "eval_input_reader: no reader given; expected tf_record_input_reader"),
        ("external_input_reader {}", "eval_input_reader: external_input_reader; expected tf_rec"),
        (
            "tf_record_input_reader {}",
            "eval_input_reader.tf_record_input_reader.input_path: empty; expected at least one",
        ),
        (
            'tf_record_input_reader { input_path: "PATH_TO_BE_CONFIGURED" }',
            "eval_input_reader.tf_record_input_reader.input_path still says PATH_TO_BE_CONFIGURED",
        ),
    ],
)
def test_records_that_cannot_be_opened(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        input_reader.open_records(_message("InputReader", text), "eval_input_reader")


def test_label_map(tmp_path: Path) -> None:
    path = tmp_path / "labels.pbtxt"
    labels = from_names(["bird", "cat", "cow", "dog"])
    save(labels, str(path))
    reader = _message("InputReader", f'label_map_path: "{path}"')
    assert input_reader.open_label_map(reader, 4, "train_input_reader") == labels
    # COCO's 80 classes have ids up to 90; more classes than names is no fault.
    assert input_reader.open_label_map(reader, 90, "train_input_reader") == labels
    assert input_reader.open_label_map(_message("InputReader", ""), 4, "train") is None
    with pytest.raises(
        InputError,
        match=r"num_classes is 3, but .*labels.pbtxt goes up to id 4 \(bird, cat, cow, dog\); corr",
    ):
        input_reader.open_label_map(reader, 3, "train_input_reader")


def test_label_map_placeholder() -> None:
    reader = _message("InputReader", 'label_map_path: "PATH_TO_BE_CONFIGURED/label_map.txt"')
    with pytest.raises(
        InputError,
        match=r"^train_input_reader.label_map_path still says PATH_TO_BE_CONFIGURED \(.*\); give",
    ):
        input_reader.open_label_map(reader, 3, "train_input_reader")


def test_weighted_data_sets(record: Callable[..., bytes], tmp_path: Path) -> None:
    for name, count in (("a", 3), ("b", 2)):
        with tf.io.TFRecordWriter(str(tmp_path / f"{name}.tfrecord")) as writer:
            for n in range(count):
                writer.write(record(f"{name}{n}", [[0.1, 0.1, 0.5, 0.5]], [1]))
    text = (
        "tf_record_input_reader { "
        f'input_path: ["{tmp_path}/a.tfrecord", "{tmp_path}/b.tfrecord"] }} '
        "sample_from_datasets_weights: [0.2, 0.8]"
    )
    index = input_reader.open_records(_message("InputReader", text), "train_input_reader")
    assert (index.dataset_sizes, len(index)) == ((3, 2), 5)
    assert index.dataset_weights == pytest.approx((0.2, 0.8))
    assert b"b1" in index.read(4)


def test_a_path_without_weight_is_not_looked_for(write: Callable[..., str]) -> None:
    path = write([b"0", b"1"], "a.record")
    text = f'tf_record_input_reader {{ input_path: ["{path}.gone", "{path}", "{path}"] }}'
    text += "sample_from_datasets_weights: [0, 1, 3]"
    index = input_reader.open_records(_message("InputReader", text), "train_input_reader")
    assert (index.dataset_sizes, index.dataset_weights) == ((2, 2), (1.0, 3.0))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("[0.5]", r"weights: 1 weights \(0.5\) for 2 input_path; give one for each"),
        ("[1, 2, 0.1]", r"weights: 3 weights \(1, 2, 0.1\) for 2 input_path"),
        ("[0, 0]", r"weights: 2 weights \(0, 0\) for 2 input_path; .* at least one above 0"),
    ],
)
def test_weights_that_do_not_fit(weights: str, message: str) -> None:
    text = 'tf_record_input_reader { input_path: ["a", "b"] }'
    reader = _message("InputReader", f"{text} sample_from_datasets_weights: {weights}")
    with pytest.raises(InputError, match=r"^train_input_reader.sample_from_datasets_" + message):
        input_reader.open_records(reader, "train_input_reader")
