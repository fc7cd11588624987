"""Images of another size; boxes are relative to the image and stay as they are."""

from __future__ import annotations

from functools import partial

import tensorflow as tf

from ssd.data.augmentation.draws import Example, uniform
from ssd.errors import InputError
from ssd.standard_fields import InputFields

# ResizeImage.Method of pipeline.config, in the order of random_resize_method's draw.
_METHODS = {
    "BILINEAR": partial(tf.raw_ops.ResizeBilinear, half_pixel_centers=False),
    "NEAREST_NEIGHBOR": partial(tf.raw_ops.ResizeNearestNeighbor, half_pixel_centers=False),
    "BICUBIC": partial(tf.raw_ops.ResizeBicubic, half_pixel_centers=False),
    "AREA": tf.raw_ops.ResizeArea,
}

_IMAGE = InputFields.image


def resize_image(
    example: Example,
    seed: tf.Tensor,
    *,
    new_height: int = 0,
    new_width: int = 0,
    method: str = "BILINEAR",
) -> Example:
    """Returns the example with its image resized; the aspect ratio is not kept.

    Args:
      example: image float32 [h, w, 3].
      seed: unused; nothing is random.
      new_height, new_width: 1 or more.
      method: AREA, BICUBIC (which may leave 0..255), BILINEAR or NEAREST_NEIGHBOR.

    Raises:
      InputError: a size below 1 or another method.
    """
    if method not in _METHODS:
        raise InputError(
            f"resize_image: method is {method}; expected one of {', '.join(sorted(_METHODS))}"
        )
    _require_size("resize_image", new_height, new_width)
    return {**example, _IMAGE: resize(example[_IMAGE], [new_height, new_width], method)}


def random_resize_method(
    example: Example, seed: tf.Tensor, *, target_height: int = 0, target_width: int = 0
) -> Example:
    """Returns the example resized by one of the four methods of `resize_image`, evenly chosen.

    Raises:
      InputError: a size below 1.
    """
    _require_size("random_resize_method", target_height, target_width)
    image, size = example[_IMAGE], [target_height, target_width]
    chosen = uniform(seed, 0, len(_METHODS), dtype=tf.int32)
    branches = [partial(resize, image, size, method) for method in _METHODS]
    return {**example, _IMAGE: tf.switch_case(chosen, branches)}


def random_image_scale(
    example: Example,
    seed: tf.Tensor,
    *,
    min_scale_ratio: float = 0.5,
    max_scale_ratio: float = 2.0,
) -> Example:
    """Returns the example with both sides times one factor, cut to whole pixels.

    Bilinear with aligned corners: the centres of the four corner pixels stay where they are.
    """
    image = example[_IMAGE]
    scale = uniform(seed, min_scale_ratio, max_scale_ratio)
    size = tf.cast(tf.cast(tf.shape(image)[:2], tf.float32) * scale, tf.int32)
    # The original stops at a side of 0 pixels.
    size = tf.maximum(size, 1)
    return {**example, _IMAGE: resize(image, size, "BILINEAR", align_corners=True)}


def resize(
    image: tf.Tensor, size: list[int] | tf.Tensor, method: str, align_corners: bool = False
) -> tf.Tensor:
    """Returns float32 [H, W, 3]; source position = target position * in / out, as TF 1 did.

    Args:
      image: float32 [h, w, 3].
      size: int32 [2], (H, W).
      method: as for `resize_image`.
      align_corners: source position = target position * (in - 1) / (out - 1) instead.
    """
    return _METHODS[method](images=image[tf.newaxis], size=size, align_corners=align_corners)[0]


def _require_size(step: str, height: int, width: int) -> None:
    if min(height, width) < 1:
        raise InputError(f"{step}: the size is {height} x {width}; expected 1 or more for each")
