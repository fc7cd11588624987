"""What holds for every op of pipeline.config; numbers of single ops are in the other files."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from ssd.config.messages import message_class
from ssd.data import augmentation, augmentation_builder
from ssd.data.augmentation import Augmentation
from ssd.data.decoder import PER_BOX_FIELDS
from ssd.standard_fields import InputFields

_F = InputFields
_CROP = "min_aspect_ratio: 0.5 max_aspect_ratio: 2 min_area: 0.1 max_area: 1"
_PROBABLY = "concat_vertical_probability: 0.5 concat_horizontal_probability: 0.5"

# Steps that do something to an image of 120x200 in some draws and to its boxes.
SETTINGS: dict[str, str] = {
    **dict.fromkeys(augmentation_builder.OPS, ""),
    "random_crop_image": "min_object_covered: 0.3 random_coef: 0.3",
    "random_crop_pad_image": "min_object_covered: 0.3 random_coef: 0.3",
    "random_absolute_pad_image": "max_height_padding: 30 max_width_padding: 50 pad_color: 7",
    "ssd_random_crop": f"operations {{ {_CROP} }} operations {{ {_CROP} random_coef: 0.9 }}",
    "ssd_random_crop_pad": f"operations {{ {_CROP} pad_color_g: 9 }} operations {{ {_CROP} }}",
    "random_self_concat_image": _PROBABLY,
    "random_scale_crop_and_pad_to_square": "output_size: 96",
    "drop_label_probabilistically": "label: 2 drop_probability: 0.5",
    "remap_labels": "original_labels: 3 original_labels: 1 new_label: 2",
    "normalize_image": "original_maxval: 255 target_minval: -1",
    "subtract_channel_mean": "means: 120 means: 110 means: 100",
    "random_rgb_to_gray": "probability: 0.5",
    "random_downscale_to_target_pixels": "min_target_pixels: 6000 max_target_pixels: 30000",
    "random_patch_gaussian": "random_coef: 0.3",
    "random_jpeg_quality": "random_coef: 0.3",
    "adjust_gamma": "gamma: 1.7",
    "resize_image": "new_height: 30 new_width: 70 method: AREA",
    "random_resize_method": "target_height: 30 target_width: 70",
}
# Needs the extra of requirements/modelgarden.txt and has tests of its own.
del SETTINGS["autoaugment_image"]

# Steps that may leave out or repeat boxes, and those that may change none of their fields.
_CHANGES_COUNT = {
    *(step for step in SETTINGS if "crop" in step),
    "random_self_concat_image",
    "drop_label_probabilistically",
}
_SEEDS = 5


def _op(step: str) -> Augmentation:
    text = f"data_augmentation_options {{ {step} {{ {SETTINGS[step]} }} }}"
    config = text_format.Parse(text, message_class("TrainConfig")())
    (op,) = augmentation_builder.build(config.data_augmentation_options)
    return op


def _example(count: int) -> dict[str, tf.Tensor]:
    """An example whose boxes can be told by their weights: 0.1, 0.2 and so on."""
    image = np.random.default_rng(4).integers(0, 256, [120, 200, 3]).astype(np.float32)
    boxes = np.array([[0.1, 0.2, 0.4, 0.7], [0.5, 0.05, 0.95, 0.9], [0.2, 0.3, 0.25, 0.35]])
    numbers = tf.range(count)
    return {
        _F.image: tf.constant(image),
        _F.source_id: tf.constant("a"),
        _F.original_image_size: tf.constant([120, 200]),
        _F.groundtruth_boxes: tf.constant(boxes[:count], tf.float32),
        _F.groundtruth_classes: tf.range(1, count + 1, dtype=tf.int64),
        _F.groundtruth_weights: tf.cast(numbers + 1, tf.float32) / 10,
        _F.groundtruth_area: tf.cast(numbers, tf.float32) * 100,
        _F.groundtruth_is_crowd: numbers == 1,
        _F.groundtruth_difficult: numbers == 2,
        _F.groundtruth_group_of: numbers != 0,
    }


def _seed(number: Any) -> tf.Tensor:
    return tf.stack([tf.cast(number, tf.int64), tf.constant(9, tf.int64)])


def test_every_step_of_the_schema_but_one_is_here() -> None:
    steps = message_class("PreprocessingStep").DESCRIPTOR.oneofs_by_name["preprocessing_step"]
    # It changes multiclass scores, and those are not read.
    left_out = {"convert_class_logits_to_softmax"}
    assert set(augmentation_builder.OPS) == {field.name for field in steps.fields} - left_out


@pytest.mark.parametrize("count", [3, 0])
@pytest.mark.parametrize("step", SETTINGS)
def test_same_seed_same_result_inside_tf_data_and_out(step: str, count: int) -> None:
    op, example = _op(step), _example(count)
    before = {key: np.array(value) for key, value in example.items()}

    def of_unknown_size(number: tf.Tensor) -> Any:
        none = tf.cast(number, tf.int32) * 0
        sizes = dict.fromkeys(PER_BOX_FIELDS, count + none) | {_F.image: 120 + none}
        given = {k: value[: sizes[k]] if k in sizes else value for k, value in example.items()}
        return op(given, _seed(number))

    inside = tf.data.Dataset.range(_SEEDS).map(of_unknown_size, num_parallel_calls=2)
    for number, changed in enumerate(inside):
        outside = op(example, _seed(number))
        assert set(changed) == set(outside) == set(example)
        assert outside[_F.image].shape[2] == 3
        for key, value in outside.items():
            # The same kernels; a graph may only fuse their roundings.
            close = {"rtol": 1e-5, "atol": 1e-3} if value.dtype == tf.float32 else {"rtol": 0}
            if value.dtype == tf.string:
                assert changed[key].numpy() == value.numpy()
            else:
                np.testing.assert_allclose(changed[key], value, err_msg=f"{number} {key}", **close)
            assert changed[key].dtype == value.dtype == example[key].dtype
    for key, value in before.items():
        np.testing.assert_array_equal(example[key], value, err_msg=key)


@pytest.mark.parametrize("step", SETTINGS)
def test_weights_difficult_and_crowd_stay_with_their_boxes(step: str) -> None:
    op, example = _op(step), _example(3)
    for number in range(_SEEDS):
        changed = {key: value.numpy() for key, value in op(example, _seed(number)).items()}
        rows = np.round(changed[_F.groundtruth_weights] * 10).astype(int) - 1
        if step not in _CHANGES_COUNT:
            assert rows.tolist() == [0, 1, 2]
        assert changed[_F.groundtruth_boxes].shape == (len(rows), 4)
        assert np.isfinite(changed[_F.groundtruth_boxes]).all()
        for key in set(PER_BOX_FIELDS) - {_F.groundtruth_boxes, _F.groundtruth_classes}:
            np.testing.assert_array_equal(changed[key], example[key].numpy()[rows], err_msg=key)
        classes = rows + 1 if step != "remap_labels" else np.full(len(rows), 2)
        assert changed[_F.groundtruth_classes].tolist() == classes.tolist()
        assert changed[_F.original_image_size].tolist() == [120, 200]


@pytest.mark.parametrize("step", SETTINGS)
def test_zero_boxes_stay_zero_boxes(step: str) -> None:
    op = _op(step)
    for number in range(_SEEDS):
        changed = op(_example(0), _seed(number))
        assert changed[_F.groundtruth_boxes].shape == (0, 4)
        assert all(changed[key].shape[0] == 0 for key in PER_BOX_FIELDS)
        assert min(changed[_F.image].shape) > 0


@pytest.mark.parametrize("step", SETTINGS)
def test_a_tiny_image_comes_through(step: str) -> None:
    op = _op(step)
    for number, (height, width) in enumerate([(1, 1), (1, 3), (2, 1)]):
        image = tf.fill([height, width, 3], 90.0)
        changed = op({**_example(3), _F.image: image}, _seed(number))
        assert min(changed[_F.image].shape) > 0
        assert np.isfinite(changed[_F.groundtruth_boxes]).all()


def test_each_op_of_a_list_has_its_own_seed() -> None:
    drawn = []

    def spy(example: dict[str, tf.Tensor], seed: tf.Tensor) -> dict[str, tf.Tensor]:
        drawn.append(tuple(seed.numpy()))
        return example

    for word in (2, 3):
        augmentation.apply(_example(1), [spy, spy], tf.constant([1, word], tf.int64))
    assert len(set(drawn)) == 4


def test_ops_that_compute_pixels_see_float32_so_that_nothing_is_rounded_between_them() -> None:
    pixels = tf.constant([[[10, 20, 31]]], tf.uint8)
    seen = []

    def halve(example: dict[str, tf.Tensor], seed: tf.Tensor) -> dict[str, tf.Tensor]:
        seen.append(example[_F.image].dtype)
        return {**example, _F.image: example[_F.image] / 2}

    seed = tf.constant([1, 2], tf.int64)
    ops = [_op("random_horizontal_flip"), halve, halve]
    changed = augmentation.apply({**_example(0), _F.image: pixels}, ops, seed)
    assert seen == [tf.float32, tf.float32]
    assert changed[_F.image].numpy().tolist() == [[[2.5, 5.0, 7.75]]]


@pytest.mark.parametrize("step", SETTINGS)
def test_uint8_and_float32_images_come_out_the_same(step: str) -> None:
    example, op = _example(3), _op(step)
    as_bytes = {**example, _F.image: tf.cast(example[_F.image], tf.uint8)}
    changed, of_bytes = (augmentation.apply(each, [op], _seed(1)) for each in (example, as_bytes))
    np.testing.assert_array_equal(changed[_F.image], of_bytes[_F.image])
    np.testing.assert_array_equal(changed[_F.groundtruth_boxes], of_bytes[_F.groundtruth_boxes])
