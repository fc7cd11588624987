"""Flips, pads, squares, boxes and labels: numbers by hand."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from ssd.data.augmentation import (
    aspect_ratios,
    boxes,
    concat,
    crop_pads,
    flips,
    pads,
    square,
)
from ssd.standard_fields import InputFields

_F = InputFields
_BOX = [0.1, 0.2, 0.4, 0.7]
_ANY_SEED = tf.constant([3, 4], tf.int64)


def _example(*rows: list[float]) -> dict[str, tf.Tensor]:
    """An example whose image holds each pixel's row and column."""
    y, x = np.mgrid[0:120, 0:200]
    count = len(rows)
    return {
        _F.image: tf.constant(np.stack([y, x, y], -1), tf.float32),
        _F.groundtruth_boxes: tf.reshape(tf.constant(rows, tf.float32), [-1, 4]),
        _F.groundtruth_classes: tf.range(1, count + 1, dtype=tf.int64),
        _F.groundtruth_weights: tf.range(1, count + 1, dtype=tf.float32) / 10,
    }


def test_flips_and_turn_by_hand() -> None:
    example = _example(_BOX, [0.0, 0.0, 1.0, 1.0])
    mirrored = flips.flip_left_right(example)
    # xmin' = 1 - 0.7, xmax' = 1 - 0.2.
    np.testing.assert_allclose(
        mirrored[_F.groundtruth_boxes], [[0.1, 0.3, 0.4, 0.8], [0, 0, 1, 1]], atol=1e-7
    )
    assert mirrored[_F.image][7, 0].numpy().tolist() == [7, 199, 7]
    assert mirrored[_F.image][7, 199].numpy().tolist() == [7, 0, 7]
    upside_down = flips.flip_up_down(example)
    # ymin' = 1 - 0.4, ymax' = 1 - 0.1.
    np.testing.assert_allclose(
        upside_down[_F.groundtruth_boxes], [[0.6, 0.2, 0.9, 0.7], [0, 0, 1, 1]], atol=1e-7
    )
    assert upside_down[_F.image][0, 5].numpy().tolist() == [119, 5, 119]
    turned = flips.rotate_left(example)
    # The right border goes up: ymin' = 1 - 0.7, xmin' = 0.1, ymax' = 1 - 0.2, xmax' = 0.4.
    np.testing.assert_allclose(
        turned[_F.groundtruth_boxes], [[0.3, 0.1, 0.8, 0.4], [0, 0, 1, 1]], atol=1e-7
    )
    assert turned[_F.image].shape == (200, 120, 3)
    assert turned[_F.image][0, 7].numpy().tolist() == [7, 199, 7]
    assert turned[_F.image][199, 7].numpy().tolist() == [7, 0, 7]


def test_four_turns_are_none() -> None:
    turned = example = _example(_BOX)
    for _ in range(4):
        turned = flips.rotate_left(turned)
    np.testing.assert_array_equal(turned[_F.image], example[_F.image])
    np.testing.assert_allclose(turned[_F.groundtruth_boxes], [_BOX], atol=1e-6)


def test_pad_by_hand() -> None:
    padded = pads.pad_to(
        _example(_BOX), tf.constant([30, 40]), tf.constant([240, 400]), tf.constant([5.0, 6.5, 7])
    )
    # Rows 12 to 48 of 120 are rows 42 to 78 of 240; columns 40 to 140 of 200 are 80 to 180 of 400.
    np.testing.assert_allclose(
        padded[_F.groundtruth_boxes], [[42 / 240, 80 / 400, 78 / 240, 180 / 400]], atol=1e-7
    )
    image = padded[_F.image].numpy()
    assert image.shape == (240, 400, 3)
    np.testing.assert_array_equal(image[30:150, 40:240], _example()[_F.image])
    for outside in (image[:30], image[150:], image[30:150, :40], image[30:150, 240:]):
        assert (outside == [5.0, 6.5, 7.0]).all()


def test_a_pad_without_a_colour_takes_the_mean_of_the_image() -> None:
    padded = pads.random_pad_image(
        _example(), _ANY_SEED, min_image_height=150, max_image_height=150, max_image_width=200
    )
    image = padded[_F.image].numpy()
    assert image.shape == (150, 200, 3)
    # Rows 0..119 and columns 0..199: (0 + 119) / 2 and (0 + 199) / 2.
    corners = {tuple(image[row, 0].tolist()) for row in (0, 149)}
    assert (59.5, 99.5, 59.5) in corners


def test_nothing_to_pad_leaves_everything() -> None:
    example = _example(_BOX)
    for padded in (
        pads.random_absolute_pad_image(example, _ANY_SEED),
        pads.random_pad_image(example, _ANY_SEED, max_image_height=100, max_image_width=200),
    ):
        np.testing.assert_array_equal(padded[_F.image], example[_F.image])
        np.testing.assert_allclose(padded[_F.groundtruth_boxes], [_BOX], atol=1e-7)


def test_doubled_by_hand() -> None:
    below = concat.doubled(_example(_BOX, [0.0, 0.0, 1.0, 1.0]), axis=0)
    assert below[_F.image].shape == (240, 200, 3)
    assert below[_F.image][120, 3].numpy().tolist() == [0, 3, 0]
    np.testing.assert_allclose(
        below[_F.groundtruth_boxes],
        [[0.05, 0.2, 0.2, 0.7], [0, 0, 0.5, 1], [0.55, 0.2, 0.7, 0.7], [0.5, 0, 1, 1]],
        atol=1e-7,
    )
    beside = concat.doubled(_example(_BOX), axis=1)
    assert beside[_F.image].shape == (120, 400, 3)
    np.testing.assert_allclose(
        beside[_F.groundtruth_boxes], [[0.1, 0.1, 0.4, 0.35], [0.1, 0.6, 0.4, 0.85]], atol=1e-7
    )
    assert beside[_F.groundtruth_classes].numpy().tolist() == [1, 1]


@pytest.mark.parametrize(
    ("aspect_ratio", "size"),
    # 120 * 0.5 columns; 200 / 2.5 rows; the image's own; 200 / 300 rounds to one row.
    [(0.5, (120, 60)), (2.5, (80, 200)), (200 / 120, (120, 200)), (300.0, (1, 200))],
)
def test_crop_to_aspect_ratio_is_as_large_as_can_be(
    aspect_ratio: float, size: tuple[int, int]
) -> None:
    cropped = aspect_ratios.random_crop_to_aspect_ratio(
        _example(), _ANY_SEED, aspect_ratio=aspect_ratio
    )
    assert cropped[_F.image].shape == (*size, 3)


def test_a_small_scale_puts_the_whole_image_into_the_corner() -> None:
    squared = square.random_scale_crop_and_pad_to_square(
        _example(_BOX), _ANY_SEED, output_size=100, scale_min=0.5, scale_max=0.5
    )
    image = squared[_F.image].numpy()
    # Width 50, height 50 * 120 / 200 = 30.
    assert image.shape == (100, 100, 3)
    assert image[29, 49].tolist() == pytest.approx([116, 196, 116])
    assert (image[30:] == 0).all()
    assert (image[:, 50:] == 0).all()
    # y * 30 / 100, x * 50 / 100.
    np.testing.assert_allclose(squared[_F.groundtruth_boxes], [[0.03, 0.1, 0.12, 0.35]], atol=1e-6)


def test_jittered_boxes_stay_in_the_image_and_keep_their_centre_if_symmetric() -> None:
    example = _example([0.0, 0.0, 1.0, 1.0], [0.1, 0.6, 0.3, 1.0])
    for number in range(10):
        seed = tf.constant([number, 2], tf.int64)
        jittered = boxes.random_jitter_boxes(
            example, seed, ratio=0.9, jitter_mode="EXPAND_SYMMETRIC"
        )[_F.groundtruth_boxes].numpy()
        assert jittered.min() >= 0.0
        assert jittered.max() <= 1.0
        centres = (jittered[:, :2] + jittered[:, 2:]) / 2
        np.testing.assert_allclose(centres, [[0.5, 0.5], [0.2, 0.8]], atol=1e-6)


def test_pixel_coordinates_by_hand() -> None:
    scaled = boxes.scale_boxes_to_pixel_coordinates(_example(_BOX), _ANY_SEED)
    np.testing.assert_allclose(scaled[_F.groundtruth_boxes], [[12, 40, 48, 140]], rtol=1e-6)


def test_a_crop_pad_is_as_large_as_the_image_before_the_crop() -> None:
    for number in range(10):
        padded = crop_pads.random_crop_pad_image(
            _example(_BOX),
            tf.constant([number, 1], tf.int64),
            min_object_covered=0.0,
            max_area=0.3,
            max_padded_size_ratio=(1.0, 1.0),
        )
        assert padded[_F.image].shape == (120, 200, 3)
