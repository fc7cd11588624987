"""Random crops: numbers by hand."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from ssd.data.augmentation import Augmentation, crops
from ssd.data.augmentation.windows import crop_to_window
from ssd.standard_fields import InputFields

_F = InputFields

ZOO_CROP: Augmentation = functools.partial(
    crops.random_crop_image,
    min_object_covered=0.0,
    max_aspect_ratio=3.0,
    min_area=0.75,
    overlap_thresh=0.0,
)
OPS: dict[str, Augmentation] = {
    "crop": crops.random_crop_image,
    "zoo crop": ZOO_CROP,
    "ssd crop": crops.ssd_random_crop,
}


def _seed(*words: int) -> tf.Tensor:
    return tf.constant(words, tf.int64)


def _example(boxes: Any, image: np.ndarray | None = None) -> dict[str, tf.Tensor]:
    """An example whose image holds each pixel's row and column."""
    rows, columns = np.mgrid[0:120, 0:200]
    image = np.stack([rows, columns, rows], -1).astype(np.uint8) if image is None else image
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    count = len(boxes)
    return {
        _F.image: tf.constant(image),
        _F.source_id: tf.constant("a"),
        _F.original_image_size: tf.constant(image.shape[:2]),
        _F.groundtruth_boxes: tf.constant(boxes),
        _F.groundtruth_classes: tf.range(1, count + 1, dtype=tf.int64),
        _F.groundtruth_weights: tf.range(count, dtype=tf.float32) / 10 + 0.1,
        _F.groundtruth_is_crowd: tf.math.mod(tf.range(count), 2) == 1,
    }


def _window(example: dict[str, tf.Tensor]) -> list[int]:
    """(y, x, height, width) of a crop of the image of `_example`."""
    image = example[_F.image].numpy()
    return [int(image[0, 0, 0]), int(image[0, 0, 1]), *image.shape[:2]]


# The window: rows 30..89 of 120, columns 50..149 of 200; normalized (.25, .25, .75, .75).
WINDOW = (30, 50, 60, 100)


@pytest.mark.parametrize(
    ("box", "share", "expected"),
    [
        # (y - .25) / .5 and (x - .25) / .5.
        ((0.3, 0.35, 0.6, 0.7), 1.0, (0.1, 0.2, 0.7, 0.9)),
        # Half outside: x from .15 to .35, of which .25 to .35 is inside.
        ((0.3, 0.15, 0.6, 0.35), 0.5, (0.1, 0.0, 0.7, 0.2)),
        # A quarter: y .15 .. .35 and x .65 .. .85, half of each inside.
        ((0.15, 0.65, 0.35, 0.85), 0.25, (0.0, 0.8, 0.2, 1.0)),
        # All of the image: the window is .5 * .5 of it.
        ((0.0, 0.0, 1.0, 1.0), 0.25, (0.0, 0.0, 1.0, 1.0)),
        # Reaching beyond the image: 1.2 * 1.2 = 1.44, of which .25.
        ((-0.1, -0.1, 1.1, 1.1), 0.25 / 1.44, (0.0, 0.0, 1.0, 1.0)),
    ],
    ids=["inside", "half", "corner", "whole image", "beyond the image"],
)
def test_crop_by_hand(box: tuple[float, ...], share: float, expected: tuple[float, ...]) -> None:
    example = _example([box])
    cropped = crop_to_window(example, tf.constant(WINDOW), overlap_thresh=share - 0.001)
    np.testing.assert_allclose(cropped[_F.groundtruth_boxes], [expected], atol=1e-6)
    assert _window(cropped) == list(WINDOW)
    assert cropped[_F.image].shape == (60, 100, 3)
    dropped = crop_to_window(example, tf.constant(WINDOW), overlap_thresh=share + 0.001)
    assert dropped[_F.groundtruth_boxes].shape == (0, 4)


@pytest.mark.parametrize(
    "box",
    [
        (0.0, 0.3, 0.25, 0.5),
        (0.75, 0.3, 0.9, 0.5),
        (0.3, 0.1, 0.5, 0.25),
        (0.3, 0.75, 0.5, 0.8),
        (0.3, 0.4, 0.3, 0.6),
        (0.3, 0.4, 0.5, 0.4),
    ],
    ids=["touches above", "below", "left", "right", "no height", "no width"],
)
def test_boxes_that_no_threshold_keeps(box: tuple[float, ...]) -> None:
    cropped = crop_to_window(_example([box]), tf.constant(WINDOW), overlap_thresh=0.0)
    assert cropped[_F.groundtruth_boxes].shape == (0, 4)


def test_without_clipping_boxes_reach_out_of_the_window() -> None:
    example = _example([[0.15, 0.65, 0.35, 0.85]])
    cropped = crop_to_window(example, tf.constant(WINDOW), clip_boxes=False)
    # (.15 - .25) / .5 and so on.
    np.testing.assert_allclose(cropped[_F.groundtruth_boxes], [[-0.2, 0.8, 0.2, 1.2]], atol=1e-6)


def test_fields_of_a_box_go_together() -> None:
    boxes = [[0.3, 0.3, 0.5, 0.5], [0.8, 0.8, 0.9, 0.9], [0.4, 0.4, 0.6, 0.7], [0, 0, 0.1, 0.1]]
    cropped = crop_to_window(_example(boxes), tf.constant(WINDOW))
    assert cropped[_F.groundtruth_classes].numpy().tolist() == [1, 3]
    np.testing.assert_allclose(cropped[_F.groundtruth_weights], [0.1, 0.3], rtol=1e-6)
    assert cropped[_F.groundtruth_is_crowd].numpy().tolist() == [False, False]
    assert cropped[_F.original_image_size].numpy().tolist() == [120, 200]


@pytest.mark.parametrize("op", OPS.values(), ids=OPS)
def test_zero_boxes_stay_zero_boxes(op: Augmentation) -> None:
    windows = set()
    for n in range(12):
        changed = op(_example([]), _seed(n, 3))
        assert changed[_F.groundtruth_boxes].shape == (0, 4)
        windows.add(tuple(_window(changed)))
    # The whole image stands in for a box: covering all of it leaves one window, else many.
    assert (len(windows) == 1) == (op is OPS["crop"])


def test_random_coef_leaves_that_share_of_images_alone() -> None:
    example = _example([[0.1, 0.2, 0.4, 0.7]])
    crop = functools.partial(
        crops.random_crop_image, min_object_covered=0.0, max_area=0.5, random_coef=0.7
    )

    def is_whole(n: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(crop(example, tf.stack([n, tf.constant(4, tf.int64)]))[_F.image])
        return tf.reduce_all(shape[:2] == [120, 200])

    whole = list(tf.data.Dataset.range(400).map(is_whole).as_numpy_iterator())
    assert 0.6 < np.mean(whole) < 0.8


def test_windows_obey_area_and_pixel_aspect_on_a_wide_image() -> None:
    example = _example([[0.1, 0.2, 0.4, 0.7]])
    for n in range(60):
        _, _, height, width = _window(ZOO_CROP(example, _seed(n, 1)))
        assert 0.745 <= height * width / (120 * 200) <= 1.0
        assert 0.74 <= width / height <= 3.02


def test_an_unsatisfiable_crop_leaves_the_image_whole() -> None:
    # No window of a tenth of the image covers all of a box over the whole image.
    crop = functools.partial(crops.random_crop_image, min_object_covered=1.0, max_area=0.1)
    cropped = crop(_example([[0.0, 0.0, 1.0, 1.0]]), _seed(0, 0))
    assert _window(cropped) == [0, 0, 120, 200]
    np.testing.assert_array_equal(cropped[_F.groundtruth_boxes], [[0, 0, 1, 1]])


def test_operations_of_an_ssd_random_crop_are_chosen_evenly() -> None:
    defaults: dict[str, Any] = dict(crops.random_crop_image.__kwdefaults__ or {})
    operations = [
        {**defaults, "min_object_covered": 0.0, "min_area": area, "max_area": area + 0.02}
        for area in (0.1, 0.3, 0.5)
    ]
    # The third differs in its ranges of aspect, the second in leaving most images alone.
    operations[1]["random_coef"] = 0.8
    operations[2].update(min_aspect_ratio=1.6, max_aspect_ratio=1.7)
    crop = functools.partial(crops.ssd_random_crop, operations=operations)
    example = _example([[0.1, 0.2, 0.4, 0.7]])

    def size(n: tf.Tensor) -> tf.Tensor:
        image = crop(example, tf.stack([n, tf.constant(4, tf.int64)]))[_F.image]
        return tf.shape(image)[:2]

    sizes = np.stack(list(tf.data.Dataset.range(600).map(size).as_numpy_iterator()))
    areas, aspects = sizes.prod(axis=1) / (120 * 200), sizes[:, 1] / sizes[:, 0]
    first, second, third, whole = (np.abs(areas - a - 0.01) < 0.03 for a in (0.1, 0.3, 0.5, 1.0))
    assert np.sum(first) + np.sum(second) + np.sum(third) + np.sum(whole) == 600
    # A third each, of the second choice 80 % as they were: 200, 40, 200, 160; 4 sigma about 46.
    assert abs(np.sum(first) - 200) < 46
    assert abs(np.sum(second) - 40) < 25
    assert abs(np.sum(third) - 200) < 46
    assert (aspects[third] > 1.5).all()
    assert (aspects[first] < 1.4).all()
