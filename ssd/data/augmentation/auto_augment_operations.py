"""The operations of AutoAugment's detection policies, by name.

What happens to pixels is tf-models-official's (`garden`: official.vision.ops.augment); what is
drawn, where it happens and what is filled in is the TF Object Detection API's. A moved image shows
gray where nothing was; tf-models-official would mirror its edge, objects without boxes included.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from ssd.data.augmentation.draws import chance, fold_in, uniform
from ssd.data.augmentation.patches import paste

_Pair = tuple[tf.Tensor, tf.Tensor]
# (content uint8 [h, w, 3], seed) -> content.
_Change = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

_GRAY = 128
_MAX_LEVEL = 10.0

# Size of each operation at the highest level.
_MAX_DEGREES = 30.0
_MAX_SHEAR = 0.3
_MAX_SHIFT = 250.0  # pixels
_MAX_SHIFT_IN_BOX = 120.0  # pixels
_MAX_CUTOUT = 100  # pixels, half a side
_MAX_CUTOUT_IN_BOX = 50  # pixels, half a side
_MAX_CUTOUT_SHARE = 0.75  # of the sides of a box


def apply_operation(
    garden: Any,
    name: str,
    probability: float,
    level: float,
    image: tf.Tensor,
    boxes: tf.Tensor,
    seed: tf.Tensor,
) -> _Pair:
    """Returns (image, boxes) after the operation in `probability` of the cases.

    Args:
      garden: official.vision.ops.augment.
      name: an operation of `POLICIES`.
      probability: of doing it; each single box of a "..._Only_BBoxes" gets a third of it.
      level: 0..10.
      image: uint8 [h, w, 3].
      boxes: float32 [N, 4].
      seed: int32 or int64 [2].
    """
    if probability <= 0.0:
        return image, boxes
    share, own_seed = level / _MAX_LEVEL, fold_in(seed, 0)
    if name in _INSIDE_BOXES:
        change = _INSIDE_BOXES[name](garden, share, fold_in(seed, 1))
        return _on_some_boxes(image, boxes, probability / 3.0, change, own_seed), boxes

    def do() -> _Pair:
        if name in _MOVES:
            return _MOVES[name](garden, image, boxes, share, own_seed)
        if name in _CUTOUTS:
            return _CUTOUTS[name](image, boxes, share, own_seed), boxes
        return _repainted(garden, name, image, share), boxes

    return tf.cond(chance(fold_in(seed, 1), probability), do, lambda: (image, boxes))


def _repainted(garden: Any, name: str, image: tf.Tensor, share: float) -> tf.Tensor:
    """Returns the image after an operation that draws nothing and moves nothing."""
    operation = getattr(garden, {"SolarizeAdd": "solarize_add"}.get(name, name.lower()))
    if name in ("AutoContrast", "Equalize"):
        return operation(image)
    if name == "Contrast":
        return _contrasted(garden, image, share * 1.8 + 0.1)
    if name == "Solarize" and share == 1.0:
        # Inverts values from 256 on: none.
        return image
    arguments = {
        "Posterize": int(share * 4),
        "Solarize": int(share * 256),
        "SolarizeAdd": int(share * 110),
    }
    return operation(image, arguments.get(name, share * 1.8 + 0.1))


def _contrasted(garden: Any, image: tf.Tensor, factor: float) -> tf.Tensor:
    """Returns the image's distance to one gray times `factor`.

    Not to its mean: the original's gray is the number of pixels / 256, white for most photos.
    """
    pixels = tf.cast(tf.reduce_prod(tf.shape(image)[:2]), tf.float32)
    gray = tf.cast(tf.minimum(pixels / 256.0, 255.0), tf.uint8)
    return garden.blend(tf.fill(tf.shape(image), gray), image, factor)


def _rotate(
    garden: Any, image: tf.Tensor, boxes: tf.Tensor, share: float, seed: tf.Tensor
) -> _Pair:
    degrees = _either_way(seed, share * _MAX_DEGREES)
    radians = degrees * (math.pi / 180.0)
    cosine, sine = tf.cos(radians), tf.sin(radians)
    bottom, right = tf.unstack(tf.cast(tf.shape(image)[:2], tf.float32) - 1.0)
    # Around the centre of the image.
    x = (right - (cosine * right - sine * bottom)) / 2.0
    y = (bottom - (sine * right + cosine * bottom)) / 2.0
    moved = _transformed(garden, image, [cosine, -sine, x, sine, cosine, y, 0.0, 0.0])
    return moved, _of_boxes(garden.rotate_with_bboxes, image, boxes, degrees)


def _shear(
    garden: Any, image: tf.Tensor, boxes: tf.Tensor, share: float, seed: tf.Tensor, along_x: bool
) -> _Pair:
    slope = _either_way(seed, share * _MAX_SHEAR)
    move = functools.partial(garden.shear_with_bboxes, shear_horizontal=along_x)
    moved = _transformed(garden, image, _shear_transform(slope, along_x))
    return moved, _of_boxes(move, image, boxes, slope)


def _translate(
    garden: Any, image: tf.Tensor, boxes: tf.Tensor, share: float, seed: tf.Tensor, along_x: bool
) -> _Pair:
    pixels = _either_way(seed, share * _MAX_SHIFT)
    move = functools.partial(garden.translate_bbox, shift_horizontal=along_x)
    moved = _transformed(garden, image, _shift_transform(pixels, along_x))
    return moved, _of_boxes(move, image, boxes, pixels)


def _of_boxes(
    move: Callable[..., _Pair], image: tf.Tensor, boxes: tf.Tensor, amount: tf.Tensor
) -> tf.Tensor:
    """Returns the boxes [N, 4] that tf-models-official moves together with an image."""
    # It cannot do with no box at all, so it gets one more.
    one_more = tf.concat([boxes, [[0.0, 0.0, 1.0, 1.0]]], axis=0)
    return move(image, one_more, amount, replace=[_GRAY] * 3)[1][:-1]


def _transformed(garden: Any, image: tf.Tensor, transform: list[Any]) -> tf.Tensor:
    """Returns the image seen through a projective transform (of output to input), else gray."""
    moved = garden.transform(garden.wrap(image), tf.stack(transform), fill_mode="constant")
    return tf.ensure_shape(garden.unwrap(moved, [_GRAY] * 3), image.shape)


def _shear_transform(slope: tf.Tensor, along_x: bool) -> list[Any]:
    x, y = (slope, 0.0) if along_x else (0.0, slope)
    return [1.0, x, 0.0, y, 1.0, 0.0, 0.0, 0.0]


def _shift_transform(pixels: tf.Tensor, along_x: bool) -> list[Any]:
    x, y = (pixels, 0.0) if along_x else (0.0, pixels)
    return [1.0, 0.0, x, 0.0, 1.0, y, 0.0, 0.0]


def _either_way(seed: tf.Tensor, size: float) -> tf.Tensor:
    """Returns float32 []: `size` or, as often, -size."""
    return tf.where(chance(seed, 0.5), size, -size)


def _cutout(image: tf.Tensor, half: int, seed: tf.Tensor) -> tf.Tensor:
    """Returns the image with a gray square around any of its pixels."""
    height, width = tf.unstack(tf.shape(image)[:2])
    y = uniform(fold_in(seed, 0), 0, height, dtype=tf.int32)
    x = uniform(fold_in(seed, 1), 0, width, dtype=tf.int32)
    return _grayed(image, y, x, half, half)


def _cutout_in_one_box(
    image: tf.Tensor, boxes: tf.Tensor, share: float, seed: tf.Tensor
) -> tf.Tensor:
    """Returns the image with a gray rectangle around a pixel of one of its boxes."""

    def cut() -> tf.Tensor:
        box = boxes[uniform(fold_in(seed, 2), 0, tf.shape(boxes)[0], dtype=tf.int32)]
        top, left, bottom, right = tf.unstack(_corners(image, box))
        y = uniform(fold_in(seed, 0), top, bottom + 1, dtype=tf.int32)
        x = uniform(fold_in(seed, 1), left, right + 1, dtype=tf.int32)
        sides = tf.cast([bottom - top + 1, right - left + 1], tf.float32)
        half = tf.cast(share * _MAX_CUTOUT_SHARE * (sides / 2.0), tf.int32)
        return _grayed(image, y, x, half[0], half[1])

    return tf.cond(tf.shape(boxes)[0] > 0, cut, lambda: image)


def _grayed(
    image: tf.Tensor,
    y: tf.Tensor,
    x: tf.Tensor,
    half_height: int | tf.Tensor,
    half_width: int | tf.Tensor,
) -> tf.Tensor:
    rows, columns = (tf.range(tf.shape(image)[axis]) for axis in (0, 1))
    in_rows = (rows >= y - half_height) & (rows < y + half_height)
    in_columns = (columns >= x - half_width) & (columns < x + half_width)
    is_gray = in_rows[:, tf.newaxis, tf.newaxis] & in_columns[:, tf.newaxis]
    return tf.where(is_gray, tf.constant(_GRAY, tf.uint8), image)


def _corners(image: tf.Tensor, box: tf.Tensor) -> tf.Tensor:
    """Returns int32 [4], (top, left, bottom, right) of a box in pixels, cut to whole ones."""
    height, width = tf.unstack(tf.cast(tf.shape(image)[:2], tf.float32))
    return tf.cast(box * tf.stack([height, width, height, width]), tf.int32)


def _on_some_boxes(
    image: tf.Tensor, boxes: tf.Tensor, probability: float, change: _Change, seed: tf.Tensor
) -> tf.Tensor:
    """Returns the image with the content of each box changed in `probability` of the cases.

    One after the other, in a random order: boxes may overlap.
    """
    count = tf.shape(boxes)[0]
    order = tf.argsort(uniform(fold_in(seed, 0), shape=[count]))
    is_done = uniform(fold_in(seed, 1), shape=[count]) < probability
    last_pixel = tf.shape(image)[:2] - 1

    def one(number: tf.Tensor, before: tf.Tensor) -> _Pair:
        corners = tf.reshape(_corners(before, boxes[order[number]]), [2, 2])
        first = tf.maximum(corners[0], 0)
        # The pixel that the lower right corner lies in belongs to the box.
        window = tf.concat([first, tf.minimum(corners[1], last_pixel) + 1], axis=0)
        is_inside = tf.reduce_all(window[2:] > window[:2])

        def changed() -> tf.Tensor:
            content = before[window[0] : window[2], window[1] : window[3]]
            return paste(before, window, change(content, fold_in(fold_in(seed, 2), number)))

        after = tf.cond(is_done[number] & is_inside, changed, lambda: before)
        return number + 1, after

    return tf.while_loop(lambda number, _: number < count, one, (0, image))[1]


def _sheared_inside(garden: Any, share: float, seed: tf.Tensor, along_x: bool) -> _Change:
    transform = _shear_transform(_either_way(seed, share * _MAX_SHEAR), along_x)
    return lambda content, _: _transformed(garden, content, transform)


def _shifted_inside(garden: Any, share: float, seed: tf.Tensor) -> _Change:
    transform = _shift_transform(_either_way(seed, share * _MAX_SHIFT_IN_BOX), False)
    return lambda content, _: _transformed(garden, content, transform)


_MOVES: dict[str, Callable[..., _Pair]] = {
    "Rotate_BBox": _rotate,
    "ShearX_BBox": functools.partial(_shear, along_x=True),
    "ShearY_BBox": functools.partial(_shear, along_x=False),
    "TranslateX_BBox": functools.partial(_translate, along_x=True),
    "TranslateY_BBox": functools.partial(_translate, along_x=False),
}
_CUTOUTS: dict[str, Callable[..., tf.Tensor]] = {
    "Cutout": lambda image, boxes, share, seed: _cutout(image, int(share * _MAX_CUTOUT), seed),
    "BBox_Cutout": _cutout_in_one_box,
}
# (garden, share, seed) -> what happens to the content of a box, in the same way for all boxes.
_INSIDE_BOXES: dict[str, Callable[[Any, float, tf.Tensor], _Change]] = {
    "Cutout_Only_BBoxes": lambda garden, share, _: (
        lambda content, seed: _cutout(content, int(share * _MAX_CUTOUT_IN_BOX), seed)
    ),
    "Equalize_Only_BBoxes": lambda garden, share, _: lambda content, seed: garden.equalize(content),
    "Flip_Only_BBoxes": lambda garden, share, _: lambda content, seed: tf.reverse(content, [1]),
    "ShearX_Only_BBoxes": functools.partial(_sheared_inside, along_x=True),
    "ShearY_Only_BBoxes": functools.partial(_sheared_inside, along_x=False),
    "TranslateY_Only_BBoxes": _shifted_inside,
}
