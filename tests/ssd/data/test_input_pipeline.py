"""TFRecords -> batches."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from ssd.config.messages import TrainEvalPipelineConfig
from ssd.core.image_resizer import (
    FixedShapeResizer,
    IdentityResizer,
    KeepAspectRatioResizer,
    resize_bilinear_legacy,
)
from ssd.data import augmentation, example_source, input_pipeline
from ssd.data.decoder import NUM_DROPPED_BOXES
from ssd.data.groundtruth import NUM_TRUNCATED_BOXES
from ssd.data.input_pipeline import explained
from ssd.data.record_index import RecordIndex, index_records
from ssd.errors import InputError
from ssd.label_map import from_names, save
from ssd.standard_fields import InputFields, TfExampleFields

NAN = float("nan")
LABELS = from_names(["cat", "cow", "dog"])
AUGMENTATIONS = (augmentation.random_horizontal_flip, augmentation.ssd_random_crop)

_F = InputFields
_T = TfExampleFields
Batches = list[dict[str, Any]]


def _boxes(count: int, shift: float = 0.0) -> list[list[float]]:
    return [[0.1 + 0.02 * n, 0.2 + shift, 0.4 + 0.03 * n, 0.7 + shift] for n in range(count)]


@pytest.fixture(scope="module")
def index(record: Callable[..., bytes], tmp_path_factory: pytest.TempPathFactory) -> RecordIndex:
    """Five records with 0 to 4 boxes of classes 1, 2, 3, 1; r4 has a NaN box more."""
    boxes = [_boxes(n, n / 100) for n in range(5)]
    boxes[4].append([NAN, 0.0, 1.0, 1.0])
    classes = [1, 2, 3, 1, 2]
    path = str(tmp_path_factory.mktemp("records") / "some.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for n, rows in enumerate(boxes):
            writer.write(record(f"r{n}", rows, classes[: len(rows)]))
    return index_records(path)


@pytest.fixture(scope="module")
def run(index: RecordIndex) -> Batches:
    """The first ten batches of a shuffled, augmented run that was never interrupted."""
    return _take(_train(index, augmentations=AUGMENTATIONS), 10)


def _train(index: RecordIndex, **changes: Any) -> tf.data.Dataset:
    arguments: dict[str, Any] = {
        "label_map": None,
        "num_classes": 3,
        "augmentations": (),
        "image_resizer": FixedShapeResizer(60, 90),
        "batch_size": 2,
        "max_number_of_boxes": 6,
        "seed": 5,
    }
    return input_pipeline.train_dataset(record_index=index, **{**arguments, **changes})


def _eval(index: RecordIndex, **changes: Any) -> tf.data.Dataset:
    arguments: dict[str, Any] = {"label_map": None, "num_classes": 3}
    return input_pipeline.eval_dataset(record_index=index, **{**arguments, **changes})


def _take(dataset: tf.data.Dataset, count: int) -> Batches:
    return list(dataset.take(count).as_numpy_iterator())


def _examples(batches: Batches) -> Batches:
    """Batches -> examples, in order."""
    return [
        {key: value[row] for key, value in batch.items()}
        for batch in batches
        for row in range(len(batch[_F.source_id]))
    ]


def _assert_same(first: Batches, second: Batches) -> None:
    assert len(first) == len(second)
    for n, (a, b) in enumerate(zip(first, second, strict=True)):
        assert set(a) == set(b)
        for key in a:
            np.testing.assert_array_equal(a[key], b[key], err_msg=f"{n} {key}")


def test_contents_of_a_training_batch(index: RecordIndex, pixels: np.ndarray) -> None:
    (batch,) = _take(_train(index, shuffle=False, start_example=3), 1)
    resized = resize_bilinear_legacy(tf.constant(pixels, tf.float32), (60, 90))
    np.testing.assert_array_equal(batch[_F.image], np.stack([resized, resized]))
    assert batch[_F.image].dtype == np.float32
    assert batch[_F.source_id].tolist() == [b"r3", b"r4"]
    assert batch[_F.original_image_size].tolist() == [[120, 200], [120, 200]]
    assert batch[_F.num_groundtruth_boxes].tolist() == [3, 4]
    assert batch[NUM_DROPPED_BOXES].tolist() == [0, 1]
    assert batch[NUM_TRUNCATED_BOXES].tolist() == [0, 0]
    boxes = np.zeros((2, 6, 4), np.float32)
    boxes[0, :3], boxes[1, :4] = _boxes(3, 0.03), _boxes(4, 0.04)
    np.testing.assert_allclose(batch[_F.groundtruth_boxes], boxes, rtol=1e-6)
    assert batch[_F.groundtruth_weights].tolist() == [[1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 0, 0]]
    # Class ids 1, 2, 3 (and 1) are class indices 0, 1, 2 (and 0); padding has no class.
    one_hot = np.zeros((2, 6, 3), np.float32)
    one_hot[[0, 0, 0, 1, 1, 1, 1], [0, 1, 2, 0, 1, 2, 3], [0, 1, 2, 0, 1, 2, 0]] = 1
    np.testing.assert_array_equal(batch[_F.groundtruth_classes_one_hot], one_hot)


def test_static_shapes_and_types_of_a_training_batch(index: RecordIndex) -> None:
    spec = _train(index).element_spec
    assert {key: (tuple(s.shape), s.dtype.name) for key, s in spec.items()} == {
        _F.image: ((2, 60, 90, 3), "float32"),
        _F.source_id: ((2,), "string"),
        _F.original_image_size: ((2, 2), "int32"),
        _F.true_image_shape: ((2, 3), "int32"),
        _F.groundtruth_boxes: ((2, 6, 4), "float32"),
        _F.groundtruth_classes_one_hot: ((2, 6, 3), "float32"),
        _F.groundtruth_weights: ((2, 6), "float32"),
        _F.num_groundtruth_boxes: ((2,), "int32"),
        NUM_DROPPED_BOXES: ((2,), "int32"),
        NUM_TRUNCATED_BOXES: ((2,), "int32"),
    }


def test_more_boxes_than_the_limit_are_cut_and_counted(index: RecordIndex) -> None:
    batch = _take(_train(index, shuffle=False, start_example=3, max_number_of_boxes=3), 1)[0]
    assert batch[_F.num_groundtruth_boxes].tolist() == [3, 3]
    assert batch[NUM_TRUNCATED_BOXES].tolist() == [0, 1]
    np.testing.assert_allclose(batch[_F.groundtruth_boxes][1], _boxes(3, 0.04), rtol=1e-6)


def test_label_map_decides_the_classes(
    record: Callable[..., bytes], write: Callable[..., str]
) -> None:
    more = {_T.object_class_text: ["dog", "cow", "cat"]}
    path = write([record(boxes=_boxes(3), classes=(1, 1, 1), more=more)])
    batch = _take(_train(index_records(path), label_map=LABELS, batch_size=1), 1)[0]
    assert np.argmax(batch[_F.groundtruth_classes_one_hot][0, :3], -1).tolist() == [2, 1, 0]
    assert batch[NUM_DROPPED_BOXES].tolist() == [0]


def test_every_epoch_has_every_record_once_in_another_order(index: RecordIndex) -> None:
    names = [e[_F.source_id].decode() for e in _examples(_take(_train(index, batch_size=5), 6))]
    epochs = [names[n : n + 5] for n in range(0, 30, 5)]
    assert all(sorted(epoch) == ["r0", "r1", "r2", "r3", "r4"] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_without_shuffling_records_come_in_their_order(index: RecordIndex) -> None:
    examples = _examples(_take(_train(index, shuffle=False, batch_size=3), 3))
    assert [e[_F.source_id].decode() for e in examples] == [f"r{n % 5}" for n in range(9)]


def test_same_seed_same_batches(index: RecordIndex, run: Batches) -> None:
    again = _train(index, augmentations=AUGMENTATIONS)
    _assert_same(run, _take(again, 10))
    _assert_same(run, _take(again, 10))


def test_another_seed_changes_order_and_augmentation(index: RecordIndex) -> None:
    ordered = {"augmentations": AUGMENTATIONS, "shuffle": False, "batch_size": 5}
    (five,), (six,) = (_take(_train(index, seed=seed, **ordered), 1) for seed in (5, 6))
    assert five[_F.source_id].tolist() == six[_F.source_id].tolist()
    assert np.any(five[_F.image] != six[_F.image], axis=(1, 2, 3)).sum() > 2
    shuffled = [_examples(_take(_train(index, seed=seed), 5)) for seed in (5, 6)]
    names = [[example[_F.source_id] for example in run] for run in shuffled]
    assert names[0] != names[1]


@pytest.mark.parametrize("done", [1, 7])
def test_a_resumed_run_goes_on_where_the_first_stopped(
    index: RecordIndex, run: Batches, done: int
) -> None:
    rest = _take(_train(index, augmentations=AUGMENTATIONS, start_example=2 * done), 3)
    _assert_same(run[done : done + 3], rest)


def test_neither_batch_size_nor_threads_change_the_examples(
    index: RecordIndex, run: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example_source, "_available_cpus", lambda: 1)
    threes = _examples(_take(_train(index, augmentations=AUGMENTATIONS, batch_size=3), 4))
    _assert_same(_examples(run)[:12], threes)


def test_the_same_image_is_augmented_differently_each_time(index: RecordIndex) -> None:
    one = index_records(index.files[0]).every(5)
    examples = _examples(_take(_train(one, augmentations=AUGMENTATIONS), 6))
    assert {e[_F.source_id] for e in examples} == {b"r0"}
    assert len({e[_F.image].tobytes() for e in examples}) > 6


def test_augmented_pixels_are_resized_from_the_crop(index: RecordIndex, pixels: np.ndarray) -> None:
    def left_half(example: dict[str, tf.Tensor], seed: tf.Tensor) -> dict[str, tf.Tensor]:
        return augmentation.crop_to_window(example, tf.constant([0, 0, 120, 100]))

    batch = _take(_train(index, augmentations=[left_half], shuffle=False, start_example=1), 1)[0]
    half = tf.constant(pixels[:, :100], tf.float32)
    np.testing.assert_array_equal(batch[_F.image][0], resize_bilinear_legacy(half, (60, 90)))
    # x from .21 to .71 of which .5 is the new right edge: .21 / .5 = .42.
    np.testing.assert_allclose(batch[_F.groundtruth_boxes][0, 0], [0.1, 0.42, 0.4, 1.0], rtol=1e-5)


def test_evaluation_reads_everything_once_in_order(index: RecordIndex) -> None:
    batches = list(_eval(index, image_size=(60, 90), batch_size=2).as_numpy_iterator())
    assert [len(b[_F.source_id]) for b in batches] == [2, 2, 1]
    assert [e[_F.source_id].decode() for e in _examples(batches)] == [f"r{n}" for n in range(5)]
    # G is the longest of the batch.
    assert [b[_F.groundtruth_boxes].shape for b in batches] == [(2, 1, 4), (2, 3, 4), (1, 4, 4)]
    assert batches[1][_F.num_groundtruth_boxes].tolist() == [2, 3]
    assert batches[1][_F.groundtruth_classes].tolist() == [[1, 2, 0], [1, 2, 3]]
    assert batches[1][_F.groundtruth_weights].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert batches[2][NUM_DROPPED_BOXES].tolist() == [1]
    assert {key: value.dtype.name for key, value in batches[1].items()} == {
        _F.image: "float32",
        _F.source_id: "object",
        _F.original_image_size: "int32",
        _F.groundtruth_boxes: "float32",
        _F.groundtruth_classes: "int64",
        _F.groundtruth_weights: "float32",
        _F.groundtruth_area: "float32",
        _F.groundtruth_is_crowd: "bool",
        _F.groundtruth_difficult: "bool",
        _F.groundtruth_group_of: "bool",
        _F.num_groundtruth_boxes: "int32",
        NUM_DROPPED_BOXES: "int32",
        NUM_TRUNCATED_BOXES: "int32",
    }


def test_evaluation_without_a_size_gives_the_images_themselves(
    record: Callable[..., bytes], write: Callable[..., str], pixels: np.ndarray
) -> None:
    small = tf.io.encode_png(pixels[:50, :30]).numpy()
    path = write([record("a"), record("b", more={_T.image_encoded: [small]})])
    first, second = _eval(index_records(path)).as_numpy_iterator()
    np.testing.assert_array_equal(first[_F.image], pixels[np.newaxis])
    np.testing.assert_array_equal(second[_F.image], pixels[np.newaxis, :50, :30])
    assert second[_F.image].dtype == np.uint8
    assert second[_F.original_image_size].tolist() == [[50, 30]]
    # 0.3 * 50 by 0.5 * 30 pixels.
    np.testing.assert_allclose(second[_F.groundtruth_area], [[225]], rtol=1e-5)


def test_evaluation_cuts_only_when_asked(
    record: Callable[..., bytes], write: Callable[..., str]
) -> None:
    many = index_records(write([record(boxes=[[0.1, 0.2, 0.4, 0.7]] * 150, classes=[1] * 150)]))
    assert next(_eval(many).as_numpy_iterator())[_F.num_groundtruth_boxes] == [150]
    cut = next(_eval(many, max_number_of_boxes=100).as_numpy_iterator())
    assert cut[_F.num_groundtruth_boxes] == [100]
    assert cut[NUM_TRUNCATED_BOXES] == [50]


def test_evaluation_is_the_same_in_any_batch(index: RecordIndex) -> None:
    ones = _examples(list(_eval(index, image_size=(60, 90)).as_numpy_iterator()))
    threes = _examples(list(_eval(index, image_size=(60, 90), batch_size=3).as_numpy_iterator()))
    for one, of_three in zip(ones, threes, strict=True):
        count = one[_F.num_groundtruth_boxes]
        for key in one:
            rows = slice(0, count) if key.startswith("groundtruth") else slice(None)
            if isinstance(one[key], bytes) or not one[key].ndim:
                assert one[key] == of_three[key]
            else:
                np.testing.assert_array_equal(one[key][rows], of_three[key][rows], err_msg=key)


def test_original_sizes_do_not_batch(index: RecordIndex) -> None:
    with pytest.raises(ValueError, match="batch_size 2 needs an image_size"):
        _eval(index, batch_size=2)


@pytest.mark.parametrize(
    ("kind", "bad", "message"),
    [
        ("train", {"classes": (4,)}, r"box 0: class id 4; num_classes is 3"),
        ("eval", {"boxes": ((0.5, 0.2, 0.1, 0.7),)}, r"box 0: ymax 0.1 < ymin 0.5"),
        ("eval", {"more": {_T.image_encoded: None}}, r"holds no image"),
        ("train", {"more": {_T.image_encoded: [b"\xff\xd8\xff cut"]}}, r"image/encoded does not d"),
        ("train", {"more": {_T.object_weight: [1.0, 2.0]}}, r"image/object/weight has 2 values"),
    ],
    ids=["class id", "inverted", "no image", "undecodable", "lists"],
)
def test_a_bad_record_is_named(
    record: Callable[..., bytes],
    write: Callable[..., str],
    kind: str,
    bad: dict[str, Any],
    message: str,
) -> None:
    index = index_records(write([record("good"), record("bad", **bad)]))
    place = rf"^{index.files[0]}: record 2 at byte {index.offsets[1]}: "
    make = functools.partial(_train, shuffle=False) if kind == "train" else _eval
    # The good one comes first, so the dataset itself can be made.
    dataset = make(index, batch_size=1)
    with pytest.raises(InputError, match=f"{place}source_id 'bad': {message}") as caught:
        list(itertools.islice(explained(dataset), 4))
    assert "\n" not in str(caught.value)


def test_damaged_bytes_are_named(record: Callable[..., bytes], write: Callable[..., str]) -> None:
    path = write([record("good"), record("hit")])
    index = index_records(path)
    data = bytearray(Path(path).read_bytes())
    data[index.offsets[1] + 1000] ^= 0xFF
    Path(path).write_bytes(bytes(data))
    with pytest.raises(InputError, match=rf"record at byte {index.offsets[1]}: the checksum of"):
        list(explained(_eval(index)))


def test_an_error_of_another_kind_stays_what_it_is() -> None:
    error = tf.errors.ResourceExhaustedError(None, None, "out of memory")
    assert input_pipeline.explain(error) is error


CONFIG = """
model { ssd { num_classes: 3 image_resizer { fixed_shape_resizer { height: 60 width: 90 } } } }
train_config {
  batch_size: 2
  data_augmentation_options { random_horizontal_flip {} }
  data_augmentation_options { ssd_random_crop {} }
}
train_input_reader {
  label_map_path: "LABELS"
  max_number_of_boxes: 6
  tf_record_input_reader { input_path: "RECORDS" }
}
"""


def _config(index: RecordIndex, labels: str) -> Any:
    text = CONFIG.replace("RECORDS", index.files[0]).replace("LABELS", labels)
    return text_format.Parse(text, TrainEvalPipelineConfig())


@pytest.fixture
def labels(tmp_path: Path) -> str:
    path = str(tmp_path / "label_map.pbtxt")
    save(LABELS, path)
    return path


def test_from_config_as_with_plain_arguments(index: RecordIndex, run: Batches, labels: str) -> None:
    config = _config(index, labels)
    made = input_pipeline.train_dataset_from_config(config, seed=5, start_example=4)
    _assert_same(run[2:5], _take(made, 3))


def test_from_config_unshuffled_and_with_given_data(index: RecordIndex) -> None:
    config = _config(index, "none.pbtxt")
    config.train_input_reader.shuffle = False
    made = input_pipeline.train_dataset_from_config(
        config, seed=5, record_index=index.every(2), label_map=LABELS
    )
    names = [e[_F.source_id].decode() for e in _examples(_take(made, 3))]
    assert names == ["r0", "r2", "r4", "r0", "r2", "r4"]


@pytest.mark.parametrize(
    ("batch_size", "drop_remainder", "sizes"),
    [
        (4, True, [4, 4]),  # 5 records twice: 4, 4, and 2 that are left
        (4, False, [4, 4, 2]),
        (5, True, [5, 5]),
        (11, True, []),
        (11, False, [10]),
    ],
)
def test_training_ends_after_its_epochs(
    index: RecordIndex, labels: str, batch_size: int, drop_remainder: bool, sizes: list[int]
) -> None:
    config = _config(index, labels)
    config.train_config.batch_size = batch_size
    config.train_input_reader.num_epochs = 2
    config.train_input_reader.drop_remainder = drop_remainder
    batches = list(
        input_pipeline.train_dataset_from_config(config, seed=5).as_numpy_iterator(),
    )
    assert [len(batch[_F.source_id]) for batch in batches] == sizes
    assert input_pipeline.num_train_batches(config, index) == len(sizes)
    if not drop_remainder:
        names = [e[_F.source_id].decode() for e in _examples(batches)]
        assert sorted(names[:5]) == sorted(names[5:]) == ["r0", "r1", "r2", "r3", "r4"]
    made = input_pipeline.train_dataset_from_config(
        config, seed=5, start_example=batch_size * len(sizes)
    )
    assert not list(made)
    config.train_input_reader.num_epochs = 0
    assert input_pipeline.num_train_batches(config, index) is None


def test_a_resumed_run_ends_where_the_whole_one_does(index: RecordIndex) -> None:
    whole = list(_train(index, num_epochs=3).as_numpy_iterator())
    rest = list(_train(index, num_epochs=3, start_example=6).as_numpy_iterator())
    assert len(whole) == 7  # 15 examples in twos
    _assert_same(whole[3:], rest)


def test_equal_boxes_are_merged_before_they_are_counted(
    record: Callable[..., bytes], write: Callable[..., str]
) -> None:
    one, other = [0.1, 0.2, 0.4, 0.7], [0.3, 0.3, 0.9, 0.8]
    path = write([record(boxes=[one, other, one], classes=(1, 2, 3))])
    changes = {"batch_size": 1, "max_number_of_boxes": 2}
    batch = _take(_train(index_records(path), merge_multiple_label_boxes=True, **changes), 1)[0]
    np.testing.assert_allclose(batch[_F.groundtruth_boxes][0], [one, other])
    assert batch[_F.groundtruth_classes_one_hot][0].tolist() == [[1, 0, 1], [0, 1, 0]]
    assert batch[_F.groundtruth_weights].tolist() == [[1, 1]]
    assert batch[_F.num_groundtruth_boxes].tolist() == [2]
    assert batch[NUM_TRUNCATED_BOXES].tolist() == [0]
    apart = _take(_train(index_records(path), **changes), 1)[0]
    assert apart[_F.groundtruth_classes_one_hot][0].tolist() == [[1, 0, 0], [0, 1, 0]]
    assert apart[NUM_TRUNCATED_BOXES].tolist() == [1]


def test_real_photos(shared: Path) -> None:
    path = shared / "data" / "tfrecords_by_others" / "algonacci__pets_examples.record"
    index = index_records(str(path))
    batches = list(_eval(index, image_size=(120, 200), batch_size=4, num_classes=37))
    assert [len(b[_F.source_id]) for b in batches] == [4, 4, 2]
    unknown = (
        r"record 1 at byte 0: .*box 0: class text 'chihuahua' is not in the label map \(giraffe"
    )
    with pytest.raises(InputError, match=unknown):
        next(explained(_eval(index, label_map=from_names(["giraffe"]))))


def test_padded_images_hold_their_boxes_where_they_were(index: RecordIndex) -> None:
    resizer = KeepAspectRatioResizer(40, 64, pad_to_max_dimension=True)
    dataset = _train(index, image_resizer=resizer, shuffle=False, batch_size=5)
    (batch,) = _take(dataset, 1)
    assert batch[_F.image].shape == (5, 64, 64, 3)
    height, width, _ = batch[_F.true_image_shape][3]
    expected = np.array(_boxes(3, 0.03)) * np.array([height, width, height, width]) / 64
    np.testing.assert_allclose(batch[_F.groundtruth_boxes][3, :3], expected, atol=1e-6)
    # What is padding becomes 0 when it is scaled to [-1, 1].
    assert np.all(batch[_F.image][3, height:] == 127.5)


def test_images_of_different_sizes_come_one_by_one(index: RecordIndex) -> None:
    (batch,) = _take(_train(index, image_resizer=IdentityResizer(), batch_size=1), 1)
    assert tuple(batch[_F.true_image_shape][0]) == batch[_F.image].shape[1:]
    with pytest.raises(InputError, match=r"^train_config.batch_size: 2, but with this model"):
        _train(index, image_resizer=IdentityResizer())
