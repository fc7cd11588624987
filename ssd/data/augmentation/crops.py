"""Random windows cut out of an image: any aspect ratio within a range."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from ssd.data.augmentation.draws import Example, fold_in, uniform
from ssd.data.augmentation.windows import clip, crop_to_window
from ssd.standard_fields import InputFields

# All keyword arguments of `random_crop_image`, by name.
Crop = dict[str, Any]


def ssd_crop(coverage: float) -> Crop:
    """Returns one of the crops of the SSD paper: `coverage` of a box has to be in the window."""
    return {
        "min_object_covered": coverage,
        "min_aspect_ratio": 0.5,
        "max_aspect_ratio": 2.0,
        "min_area": 0.1,
        "max_area": 1.0,
        "overlap_thresh": coverage,
        "clip_boxes": True,
        "random_coef": 0.15,
    }


SSD_CROPS = tuple(ssd_crop(coverage) for coverage in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0))


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
    crop: Crop = {
        "min_object_covered": min_object_covered,
        "min_aspect_ratio": min_aspect_ratio,
        "max_aspect_ratio": max_aspect_ratio,
        "min_area": min_area,
        "max_area": max_area,
        "overlap_thresh": overlap_thresh,
        "clip_boxes": clip_boxes,
        "random_coef": random_coef,
    }
    return crop_with_one_of(example, seed, [crop])[0]


def ssd_random_crop(
    example: Example, seed: tf.Tensor, *, operations: Sequence[Crop] = ()
) -> Example:
    """Returns the example after one of several `random_crop_image`, chosen with equal chance.

    Args:
      example, seed: as for `random_crop_image`.
      operations: the choices. None given: seven with min_object_covered = overlap_thresh = 0, 0.1,
        0.3, 0.5, 0.7, 0.9, 1; aspect ratio 0.5 to 2; area 0.1 to 1; 15 % of the images left alone.
    """
    return crop_with_one_of(example, seed, operations or SSD_CROPS)[0]


def crop_with_one_of(
    example: Example, seed: tf.Tensor, crops: Sequence[Crop]
) -> tuple[Example, tf.Tensor]:
    """Returns the example after one of the crops, and int32 [], which of them was chosen."""
    choice_seed, window_seed, coef_seed = (fold_in(seed, n) for n in range(3))
    chosen = uniform(choice_seed, 0, len(crops), dtype=tf.int32)

    def of_chosen(key: str) -> tf.Tensor:
        return tf.gather([crop[key] for crop in crops], chosen)

    def cropped() -> Example:
        return crop_to_window(
            example,
            _draw_window(example, window_seed, crops, chosen),
            overlap_thresh=of_chosen("overlap_thresh"),
            clip_boxes=of_chosen("clip_boxes"),
        )

    if all(crop["random_coef"] <= 0.0 for crop in crops):
        return cropped(), chosen
    random_coef = of_chosen("random_coef")
    is_cropped = (random_coef <= 0.0) | (uniform(coef_seed) > random_coef)
    return tf.cond(is_cropped, cropped, lambda: dict(example)), chosen


def _draw_window(
    example: Example, seed: tf.Tensor, crops: Sequence[Crop], chosen: tf.Tensor
) -> tf.Tensor:
    """Returns int32 [4], (y, x, height, width) of a window as the chosen crop asks."""
    boxes = clip(example[InputFields.groundtruth_boxes])
    min_object_covered = tf.gather([crop["min_object_covered"] for crop in crops], chosen)

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
    ranges = [tuple(crop[key] for key in keys) for crop in crops]
    distinct = sorted(set(ranges))
    if len(distinct) == 1:
        return draw(*distinct[0])
    number = tf.gather([distinct.index(each) for each in ranges], chosen)
    return tf.switch_case(number, [functools.partial(draw, *each) for each in distinct])
