"""A window of an image: what of the image and its boxes is in it, and where."""

from __future__ import annotations

import tensorflow as tf

from ssd.data.augmentation.draws import Example
from ssd.data.decoder import keep_boxes
from ssd.standard_fields import InputFields


def crop_to_window(
    example: Example,
    window_pixels: tf.Tensor,
    *,
    overlap_thresh: float | tf.Tensor = 0.0,
    clip_boxes: bool | tf.Tensor = True,
    drops_untouched: bool | tf.Tensor = True,
) -> Example:
    """Returns the example cut to a window, its boxes relative to that window.

    Args:
      example: image [h, w, 3], groundtruth_boxes float32 [N, 4] and the other per-box fields.
      window_pixels: int32 [4], (y, x, height, width), inside the image.
      overlap_thresh: a box stays when at least this share of its own area lies in the window. A
        box without area has no share and is dropped.
      clip_boxes: whether the boxes that stay are clipped to the window.
      drops_untouched: whether a box that does not touch the window goes though overlap_thresh is 0.
    """
    image, boxes = example[InputFields.image], example[InputFields.groundtruth_boxes]
    y, x, height, width = tf.unstack(window_pixels)
    image_size = tf.cast(tf.shape(image)[:2], tf.float32)
    top_left = tf.cast(tf.stack([y, x]), tf.float32) / image_size
    bottom_right = tf.cast(tf.stack([y + height, x + width]), tf.float32) / image_size
    relative = relative_to(boxes, top_left, bottom_right)
    cropped = {
        **example,
        InputFields.image: image[y : y + height, x : x + width],
        InputFields.groundtruth_boxes: tf.where(clip_boxes, clip(relative), relative),
    }
    is_kept = _share_inside(boxes, top_left, bottom_right) >= overlap_thresh
    is_kept &= touches(boxes, top_left, bottom_right) | tf.logical_not(drops_untouched)
    return keep_boxes(cropped, is_kept)


def keep_touching(example: Example) -> Example:
    """Returns the example without the boxes that do not touch the image, the others clipped.

    A box that ends at the border of the image does not touch it; one without area inside does.
    """
    boxes = example[InputFields.groundtruth_boxes]
    clipped = {**example, InputFields.groundtruth_boxes: clip(boxes)}
    return keep_boxes(clipped, touches(boxes, tf.zeros([2]), tf.ones([2])))


def relative_to(boxes: tf.Tensor, top_left: tf.Tensor, bottom_right: tf.Tensor) -> tf.Tensor:
    """Returns float32 [N, 4]: the boxes with the window's corners at (0, 0) and (1, 1).

    Args:
      boxes: float32 [N, 4].
      top_left, bottom_right: float32 or float64 [2], (y, x) normalized; they may lie outside the
        image. The window's size is computed in their precision.
    """
    scale = tf.cast(1.0 / (bottom_right - top_left), tf.float32)
    corners = tf.reshape(boxes, [-1, 2, 2])  # [N, 4] -> [N, corner, (y, x)]
    return tf.reshape((corners - tf.cast(top_left, tf.float32)) * scale, [-1, 4])


def clip(boxes: tf.Tensor) -> tf.Tensor:
    """Returns the boxes with every coordinate in [0, 1]."""
    return tf.clip_by_value(boxes, 0.0, 1.0)


def touches(boxes: tf.Tensor, top_left: tf.Tensor, bottom_right: tf.Tensor) -> tf.Tensor:
    """Returns bool [N]: the box reaches into the window; sharing a border is not enough."""
    return tf.reduce_all((boxes[:, :2] < bottom_right) & (boxes[:, 2:] > top_left), axis=-1)


def _share_inside(boxes: tf.Tensor, top_left: tf.Tensor, bottom_right: tf.Tensor) -> tf.Tensor:
    """Returns float32 [N]: the share of each box's area in the window; NaN for 0 / 0.

    NaN >= anything is False: that drops boxes without area.
    """
    shared_sides = tf.minimum(boxes[:, 2:], bottom_right) - tf.maximum(boxes[:, :2], top_left)
    shared_area = tf.reduce_prod(tf.maximum(shared_sides, 0.0), axis=-1)
    return shared_area / tf.reduce_prod(boxes[:, 2:] - boxes[:, :2], axis=-1)
