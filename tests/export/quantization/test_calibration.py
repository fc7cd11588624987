from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from export.quantization import calibration
from ssd import label_map as label_maps
from ssd.errors import InputError

LABEL_MAP = label_maps.from_names(["bolt", "nut", "washer"])


def picture(number: int) -> np.ndarray:
    """uint8 [120, 200, 3], its number in every pixel, no black and no white."""
    return np.full((120, 200, 3), 20 + number, np.uint8)


def example(number: int, text: str = "nut", label: int = 2) -> bytes:
    def values(kind: str, value: object) -> tf.train.Feature:
        lists = {"bytes": tf.train.BytesList, "int64": tf.train.Int64List}
        make = lists.get(kind, tf.train.FloatList)
        return tf.train.Feature(**{f"{kind}_list": make(value=[value])})

    feature = {
        "image/encoded": values("bytes", tf.io.encode_png(picture(number)).numpy()),
        "image/source_id": values("bytes", f"{number}.png".encode()),
        "image/object/class/label": values("int64", label),
        **{
            f"image/object/bbox/{side}": values("float", value)
            for side, value in (("ymin", 0.1), ("xmin", 0.2), ("ymax", 0.5), ("xmax", 0.9))
        },
    }
    if text:
        feature["image/object/class/text"] = values("bytes", text.encode())
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def empty_example(number: int) -> bytes:
    message = tf.train.Example.FromString(example(number))
    for name in [name for name in message.features.feature if name.startswith("image/object")]:
        del message.features.feature[name]
    return message.SerializeToString()


@pytest.fixture(scope="module")
def records(tmp_path_factory) -> str:
    """A pattern over two shards of 40 and 30 records."""
    folder = tmp_path_factory.mktemp("records")
    for shard, numbers in enumerate((range(40), range(40, 70))):
        with tf.io.TFRecordWriter(str(folder / f"train-0000{shard}-of-00002.tfrecord")) as writer:
            for number in numbers:
                writer.write(example(number))
    return str(folder / "train-*.tfrecord")


def choose(*patterns: str, number: int = 9, **flags: object) -> calibration.CalibrationSet:
    return calibration.choose(patterns, number, place="--calibration", is_forced=True, **flags)


def numbers_of(chosen: calibration.CalibrationSet, detector) -> list[int]:
    """Which pictures come out."""
    images = calibration.batches(chosen, detector, LABEL_MAP)()
    return [round((float(image[0, 30, 50, 0]) + 1) * 127.5) - 20 for image in images]


def test_chosen_images_are_spread_and_repeatable(records, small_detector):
    chosen = calibration.choose([records], 50, place="--calibration")
    again = calibration.choose([records], 50, place="--calibration")
    other = calibration.choose([records], 50, seed=1, place="--calibration")
    numbers = numbers_of(chosen, small_detector)
    assert len(set(numbers)) == 50
    assert max(numbers) >= 40 > min(numbers)  # both shards
    assert numbers == numbers_of(again, small_detector)
    assert numbers != numbers_of(other, small_detector)
    assert (chosen.available, chosen.seed) == (70, 0)


def test_all_where_there_are_fewer(records, small_detector, capsys):
    chosen = calibration.choose([records], 200, place="--calibration")
    assert sorted(numbers_of(chosen, small_detector)) == list(range(70))
    assert capsys.readouterr().err == ""


def test_fewer_than_50_are_refused_unless_forced(records):
    message = (
        r"^train_input_reader: 49 calibration images; int8 ranges need at least 50: give "
        r"--calibration more records, or --force-calibration"
    )
    with pytest.raises(InputError, match=message):
        calibration.choose([records], 49, place="train_input_reader")
    assert len(choose(records, number=49).index) == 49


def test_one_picture_only_is_refused_unless_forced(tmp_path):
    path = tmp_path / "same.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for _ in range(60):
            writer.write(example(3))
    with pytest.raises(InputError, match=r"^--calibration: all calibration images are the same"):
        calibration.choose([str(path)], 50, place="--calibration")
    assert len(choose(str(path), number=50).index) == 50


def test_classes_take_turns_the_rarest_first(tmp_path, small_detector):
    """30 nuts, 2 bolts and 3 pictures without anything: 8 images have 3, 2 and 3 of them."""
    path = tmp_path / "uneven.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for number in range(30):
            writer.write(example(number))
        for number in (30, 31):
            writer.write(example(number, "bolt", 1))
        for number in (32, 33, 34):
            writer.write(empty_example(number))
    numbers = numbers_of(choose(str(path), number=8), small_detector)
    assert set(numbers) >= {30, 31, 32, 33, 34}
    assert numbers[0] in (30, 31)  # the rarest
    assert numbers[1] in (32, 33, 34)
    assert len([number for number in numbers if number < 30]) == 3


def test_images_are_what_the_network_gets(records, small_detector):
    chosen = calibration.choose([records], 60, place="--calibration")
    batches = calibration.batches(chosen, small_detector, LABEL_MAP)
    images = list(batches())
    assert all(image.shape == (1, 64, 96, 3) and image.dtype == np.float32 for image in images)
    numbers = numbers_of(chosen, small_detector)
    for image, number in zip(images, numbers, strict=True):
        # (20 + number) / 127.5 - 1, all over the picture
        np.testing.assert_allclose(image, (20 + number) / 127.5 - 1, atol=1e-6)
    # A second pass gives the same.
    np.testing.assert_array_equal(np.concatenate(list(batches())), np.concatenate(images))


@pytest.mark.parametrize(
    ("text", "label"),
    [
        pytest.param("aeroplane", 7, id="text of another label map"),
        pytest.param("", 7, id="id above the model's classes"),
    ],
)
def test_records_of_other_classes_calibrate_too(tmp_path, small_detector, text, label, capsys):
    path = tmp_path / "other.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(example(3, text, label))
    chosen = choose(str(path))
    assert numbers_of(chosen, small_detector) == [3]


def test_no_records(tmp_path):
    (tmp_path / "val.tfrecord").touch()
    message = r"val\.tfrecord: 0 records\. Int8 export needs calibration images; give --calibration"
    with pytest.raises(InputError, match=message):
        calibration.choose([str(tmp_path / "*.tfrecord")], 9, place="--calibration")


def test_no_files(tmp_path):
    with pytest.raises(InputError, match=r"--calibration: '.*none\*' matches no file"):
        calibration.choose([str(tmp_path / "none*")], 9, place="--calibration")
