"""Random changes of a training example: flip and crops, boxes included.

Every op takes an example and a seed and is a pure function of both: the same seed gives the same
result, eagerly and inside tf.data, in any process. An op leaves the dtype of the image alone, the
values it was given untouched, and every field without rows per box as it is; that includes
groundtruth_area, which stays in square pixels of the original image.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from ssd.data.decoder import Example, keep_boxes
from ssd.standard_fields import InputFields

# Takes (example, seed int32 or int64 [2]), returns an example.
Augmentation = Callable[[Example, tf.Tensor], Example]

_SSD_RANDOM_CROP_DEFAULTS = tuple(
    {
        "min_object_covered": coverage,
        "min_aspect_ratio": 0.5,
        "max_aspect_ratio": 2.0,
        "min_area": 0.1,
        "max_area": 1.0,
        "overlap_thresh": coverage,
        "clip_boxes": True,
        "random_coef": 0.15,
    }
    for coverage in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
)

_fold_in = tf.random.experimental.stateless_fold_in
_uniform = tf.random.stateless_uniform


def apply(example: Example, augmentations: Sequence[Augmentation], seed: tf.Tensor) -> Example:
    """Returns the example after one op after the other, each with a seed of its own."""
    for number, augmentation in enumerate(augmentations):
        example = augmentation(example, _fold_in(seed, tf.constant(number, seed.dtype)))
    return example


def random_horizontal_flip(
    example: Example, seed: tf.Tensor, *, probability: float = 0.5
) -> Example:
    """Returns the example mirrored left to right in `probability` of the cases."""
    is_flipped = _uniform([], seed) < probability
    return tf.cond(is_flipped, lambda: flip_left_right(example), lambda: dict(example))


def flip_left_right(example: Example) -> Example:
    """Returns the mirrored example: columns reversed, (xmin, xmax) -> (1 - xmax, 1 - xmin)."""
    ymin, xmin, ymax, xmax = tf.unstack(example[InputFields.groundtruth_boxes], axis=-1)
    return {
        **example,
        InputFields.image: tf.reverse(example[InputFields.image], axis=[1]),
        InputFields.groundtruth_boxes: tf.stack([ymin, 1.0 - xmax, ymax, 1.0 - xmin], axis=-1),
    }


def random_crop_image(
    example: Example,
    seed: tf.Tensor,
    *,
    min_object_covered: float = 1.0,
    min_aspect_ratio: float = 0.75,
    max_aspect_ratio: float = 1.33,
    min_area: float = 0.1,
    max_area: float = 1.0,
    overlap_thresh: float = 0.3,
    clip_boxes: bool = True,
    random_coef: float = 0.0,
) -> Example:
    """Returns the example cut to a random window; it may end with zero boxes.

    Args:
      example: image [h, w, 3], groundtruth_boxes float32 [N, 4] and the other per-box fields.
      seed: int32 or int64 [2].
      min_object_covered: share of at least one box that the window must cover; a box of any
        weight, crowd or difficult, counts. Without boxes the whole image is that box.
      min_aspect_ratio, max_aspect_ratio: width / height of the window in pixels, not relative to
        the image's.
      min_area, max_area: area of the window as a share of the image's.
      overlap_thresh: a box stays when at least this share of its own area lies in the window; one
        that does not touch it is dropped in any case.
      clip_boxes: whether the boxes that stay are clipped to the window.
      random_coef: share of the images that are left alone.

    Returns:
      The example; image uncropped where 100 windows did not fit.
    """
    operation = {
        "min_object_covered": min_object_covered,
        "min_aspect_ratio": min_aspect_ratio,
        "max_aspect_ratio": max_aspect_ratio,
        "min_area": min_area,
        "max_area": max_area,
        "overlap_thresh": overlap_thresh,
        "clip_boxes": clip_boxes,
        "random_coef": random_coef,
    }
    return ssd_random_crop(example, seed, operations=[operation])


def ssd_random_crop(
    example: Example, seed: tf.Tensor, *, operations: Sequence[dict[str, Any]] = ()
) -> Example:
    """Returns the example after one of several `random_crop_image`, chosen with equal chance.

    Args:
      example: as for `random_crop_image`.
      seed: int32 or int64 [2].
      operations: the choices, each a dict with all keyword arguments of `random_crop_image`. None
        given: seven with min_object_covered = overlap_thresh = 0, 0.1, 0.3, 0.5, 0.7, 0.9, 1;
        aspect ratio 0.5 to 2; area 0.1 to 1; 15 % of the images left alone.
    """
    choices = tuple(operations) or _SSD_RANDOM_CROP_DEFAULTS
    seeds = [_fold_in(seed, tf.constant(n, seed.dtype)) for n in range(3)]
    chosen = _uniform([], seeds[0], maxval=len(choices), dtype=tf.int32)

    def of_chosen(key: str) -> tf.Tensor:
        return tf.gather([choice[key] for choice in choices], chosen)

    def crop() -> Example:
        window_pixels = _draw_window(example, seeds[1], choices, chosen)
        return crop_to_window(
            example,
            window_pixels,
            overlap_thresh=of_chosen("overlap_thresh"),
            clip_boxes=of_chosen("clip_boxes"),
        )

    if all(choice["random_coef"] <= 0.0 for choice in choices):
        return crop()
    random_coef = of_chosen("random_coef")
    is_cropped = (random_coef <= 0.0) | (_uniform([], seeds[2]) > random_coef)
    return tf.cond(is_cropped, crop, lambda: dict(example))


def crop_to_window(
    example: Example,
    window_pixels: tf.Tensor,
    *,
    overlap_thresh: float | tf.Tensor = 0.0,
    clip_boxes: bool | tf.Tensor = True,
) -> Example:
    """Returns the example cut to a window, its boxes relative to that window.

    Args:
      example: as for `random_crop_image`.
      window_pixels: int32 [4], (y, x, height, width), inside the image.
      overlap_thresh, clip_boxes: as for `random_crop_image`. A box without area has no share in
        the window and is dropped.
    """
    image, boxes = example[InputFields.image], example[InputFields.groundtruth_boxes]
    y, x, height, width = tf.unstack(window_pixels)
    image_size = tf.cast(tf.shape(image)[:2], tf.float32)
    top_left = tf.cast(tf.stack([y, x]), tf.float32) / image_size
    bottom_right = tf.cast(tf.stack([y + height, x + width]), tf.float32) / image_size
    cropped = {
        **example,
        InputFields.image: image[y : y + height, x : x + width],
        InputFields.groundtruth_boxes: _relative_to(boxes, top_left, bottom_right, clip_boxes),
    }
    return keep_boxes(cropped, _is_inside(boxes, top_left, bottom_right, overlap_thresh))


def _is_inside(
    boxes: tf.Tensor,
    top_left: tf.Tensor,
    bottom_right: tf.Tensor,
    overlap_thresh: float | tf.Tensor,
) -> tf.Tensor:
    """Returns bool [N]: the box touches the window and has its share of area in it."""
    touches = tf.reduce_all((boxes[:, :2] < bottom_right) & (boxes[:, 2:] > top_left), axis=-1)
    shared_sides = tf.minimum(boxes[:, 2:], bottom_right) - tf.maximum(boxes[:, :2], top_left)
    shared_area = tf.reduce_prod(tf.maximum(shared_sides, 0.0), axis=-1)
    # 0 / 0 is NaN and NaN >= anything is False: that drops boxes without area.
    share = shared_area / tf.reduce_prod(boxes[:, 2:] - boxes[:, :2], axis=-1)
    return touches & (share >= overlap_thresh)


def _relative_to(
    boxes: tf.Tensor, top_left: tf.Tensor, bottom_right: tf.Tensor, clip_boxes: bool | tf.Tensor
) -> tf.Tensor:
    scale = 1.0 / (bottom_right - top_left)
    corners = tf.reshape(boxes, [-1, 2, 2])  # [N, 4] -> [N, corner, (y, x)]
    relative = tf.reshape((corners - top_left) * scale, [-1, 4])
    return tf.where(clip_boxes, tf.clip_by_value(relative, 0.0, 1.0), relative)


def _draw_window(
    example: Example, seed: tf.Tensor, choices: Sequence[dict[str, Any]], chosen: tf.Tensor
) -> tf.Tensor:
    """Returns int32 [4], (y, x, height, width) of a window as the chosen operation asks."""
    boxes = tf.clip_by_value(example[InputFields.groundtruth_boxes], 0.0, 1.0)
    min_object_covered = tf.gather([choice["min_object_covered"] for choice in choices], chosen)

    def draw(min_aspect: float, max_aspect: float, min_area: float, max_area: float) -> tf.Tensor:
        begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
            tf.shape(example[InputFields.image]),
            boxes[tf.newaxis],
            seed,
            min_object_covered=min_object_covered,
            aspect_ratio_range=(min_aspect, max_aspect),
            area_range=(min_area, max_area),
            max_attempts=100,
            use_image_if_no_bounding_boxes=True,
        )
        return tf.concat([begin[:2], size[:2]], axis=0)

    # The ranges are fixed in the op, so there is one op for each that occurs.
    keys = ("min_aspect_ratio", "max_aspect_ratio", "min_area", "max_area")
    ranges = [tuple(choice[key] for key in keys) for choice in choices]
    distinct = sorted(set(ranges))
    if len(distinct) == 1:
        return draw(*distinct[0])
    number = tf.gather([distinct.index(each) for each in ranges], chosen)
    return tf.switch_case(number, [functools.partial(draw, *each) for each in distinct])
