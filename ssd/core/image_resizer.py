"""The resize of the original: bilinear without half-pixel centres."""

from __future__ import annotations

import tensorflow as tf

from ssd.core.types import TensorLike


def resize_bilinear_legacy(images: TensorLike, size: tuple[int, int]) -> tf.Tensor:
    """Returns float32 images of `size`; source position = target position * in / out.

    Args:
      images: uint8 or float32, [h, w, C] or [B, h, w, C].
      size: (H, W).
    """
    images = tf.convert_to_tensor(images)
    is_single = images.shape.rank == 3
    resized = tf.raw_ops.ResizeBilinear(
        images=images[tf.newaxis] if is_single else images,
        size=size,
        align_corners=False,
        half_pixel_centers=False,
    )
    return resized[0] if is_single else resized
