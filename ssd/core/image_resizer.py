"""The image resizers of pipeline.config: any image -> one that the network takes."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from ssd.core.types import TensorLike

METHODS = ("BILINEAR", "NEAREST_NEIGHBOR", "BICUBIC", "AREA")
_GRAY_SHARES = (0.2989, 0.5870, 0.1140)
# What becomes 0 when values 0..255 are scaled to [-1, 1]: padding is added after that.
_MIDDLE = 127.5


def resize(
    images: TensorLike,
    size: tuple[int, int] | tf.Tensor,
    method: str = "BILINEAR",
    *,
    align_corners: bool = False,
) -> tf.Tensor:
    """Returns float32 images of `size`; source position = target position * in / out.

    That is the resize of TensorFlow 1, without half-pixel centres, as the original has it.

    Args:
      images: uint8 or float32, [h, w, C] or [B, h, w, C].
      size: (H, W), or int32 [2].
      method: one of METHODS.
      align_corners: source position = target position * (in - 1) / (out - 1) instead.
    """
    images = tf.convert_to_tensor(images)
    is_single = images.shape.rank == 3
    op = {
        "BILINEAR": tf.raw_ops.ResizeBilinear,
        "NEAREST_NEIGHBOR": tf.raw_ops.ResizeNearestNeighbor,
        "BICUBIC": tf.raw_ops.ResizeBicubic,
        "AREA": tf.raw_ops.ResizeArea,
    }[method]
    batch = images[tf.newaxis] if is_single else images
    resized = tf.cast(op(images=batch, size=size, align_corners=align_corners), tf.float32)
    return resized[0] if is_single else resized


def resize_bilinear_legacy(images: TensorLike, size: tuple[int, int]) -> tf.Tensor:
    """Returns `resize` with the method BILINEAR."""
    return resize(images, size)


class ImageResizer:
    """Base of the resizers; called with an image it returns (image, true_image_shape).

    The call takes uint8 or float32 [h, w, 3] in 0..255 and returns float32 [H, W, channels],
    padding included, and int32 [3], the part of it that is not padding.
    """

    @property
    def output_size(self) -> tuple[int, int] | None:
        """(H, W) that every image gets; None where it depends on the image."""
        return None

    @property
    def channels(self) -> int:
        """Of the images it returns: 3, or 1 where it takes the colour out."""
        return 3

    @property
    def is_plain(self) -> bool:
        """Whether it is `resize_bilinear_legacy` to one size, which others can do as well."""
        return False

    @property
    def has_padding(self) -> bool:
        """Whether images are padded, so that true_image_shape is not their whole shape."""
        return False

    def __call__(self, image: TensorLike) -> tuple[tf.Tensor, tf.Tensor]:
        raise NotImplementedError


@dataclass(frozen=True)
class FixedShapeResizer(ImageResizer):
    """`fixed_shape_resizer`: height x width, whatever the aspect ratio."""

    height: int
    width: int
    resize_method: str = "BILINEAR"

    @property
    def output_size(self) -> tuple[int, int]:
        return self.height, self.width

    @property
    def is_plain(self) -> bool:
        return self.resize_method == "BILINEAR"

    def __call__(self, image: TensorLike) -> tuple[tf.Tensor, tf.Tensor]:
        resized = resize(image, self.output_size, self.resize_method)
        return resized, tf.constant([self.height, self.width, 3])


@dataclass(frozen=True)
class KeepAspectRatioResizer(ImageResizer):
    """`keep_aspect_ratio_resizer`: shorter side min_dimension, longer at most max_dimension.

    Attributes:
      min_dimension, max_dimension: in pixels.
      resize_method: one of METHODS.
      pad_to_max_dimension: at the bottom and right, to max_dimension x max_dimension.
      per_channel_pad_value: of the padding, after scaling to [-1, 1].
    """

    min_dimension: int
    max_dimension: int
    resize_method: str = "BILINEAR"
    pad_to_max_dimension: bool = False
    per_channel_pad_value: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def output_size(self) -> tuple[int, int] | None:
        return (self.max_dimension, self.max_dimension) if self.pad_to_max_dimension else None

    @property
    def has_padding(self) -> bool:
        return self.pad_to_max_dimension

    def __call__(self, image: TensorLike) -> tuple[tf.Tensor, tf.Tensor]:
        image = tf.convert_to_tensor(image)
        sides = tf.cast(tf.shape(image)[:2], tf.float32)
        size = tf.round(sides * (self.min_dimension / tf.reduce_min(sides)))
        is_too_long = tf.reduce_max(size) > float(self.max_dimension)
        smaller = tf.round(sides * (self.max_dimension / tf.reduce_max(sides)))
        size = tf.cast(tf.where(is_too_long, smaller, size), tf.int32)
        resized = resize(image, size, self.resize_method)
        true_shape = tf.concat([size, [3]], axis=0)
        if not self.pad_to_max_dimension:
            return resized, true_shape
        values = (tf.constant(self.per_channel_pad_value) + 1.0) * _MIDDLE
        full = (self.max_dimension, self.max_dimension)
        # Where it is traced for images of any size, nothing else says that this one is known.
        return tf.ensure_shape(_padded(resized, full, values), [*full, 3]), true_shape


@dataclass(frozen=True)
class IdentityResizer(ImageResizer):
    """`identity_resizer`: images as they are."""

    def __call__(self, image: TensorLike) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.cast(image, tf.float32), tf.shape(image)


@dataclass(frozen=True)
class ConditionalShapeResizer(ImageResizer):
    """`conditional_shape_resizer`: only images that are too large, or too small, are resized.

    Attributes:
      condition: GREATER: the longer side becomes size_threshold if it is more; SMALLER: the shorter
        side becomes size_threshold if it is less.
      size_threshold: in pixels.
      resize_method: one of METHODS; corners are aligned, as in the original.
    """

    condition: str
    size_threshold: int
    resize_method: str = "BILINEAR"

    def __call__(self, image: TensorLike) -> tuple[tf.Tensor, tf.Tensor]:
        image = tf.convert_to_tensor(image)
        sides = tf.shape(image)[:2]
        if self.condition == "GREATER":
            side = tf.reduce_max(sides)
            wanted = tf.minimum(side, self.size_threshold)
        else:
            side = tf.reduce_min(sides)
            wanted = tf.maximum(side, self.size_threshold)
        ratio = tf.cast(wanted, tf.float32) / tf.cast(side, tf.float32)
        size = tf.cast(tf.cast(sides, tf.float32) * ratio, tf.int32)
        resized = resize(image, size, self.resize_method, align_corners=True)
        return resized, tf.concat([size, [3]], axis=0)


@dataclass(frozen=True)
class PadToMultipleResizer(ImageResizer):
    """`pad_to_multiple_resizer`: padded at the bottom and right to multiples of `multiple`."""

    multiple: int

    @property
    def has_padding(self) -> bool:
        return True

    def __call__(self, image: TensorLike) -> tuple[tf.Tensor, tf.Tensor]:
        image = tf.cast(image, tf.float32)
        sides = tf.shape(image)[:2]
        size = (sides + self.multiple - 1) // self.multiple * self.multiple
        return _padded(image, tf.unstack(size), tf.fill([3], _MIDDLE)), tf.shape(image)


@dataclass(frozen=True)
class GrayscaleResizer(ImageResizer):
    """`convert_to_grayscale`: what `resizer` gives, padding too, as one channel of brightness."""

    resizer: ImageResizer

    @property
    def output_size(self) -> tuple[int, int] | None:
        return self.resizer.output_size

    @property
    def channels(self) -> int:
        return 1

    @property
    def has_padding(self) -> bool:
        return self.resizer.has_padding

    def __call__(self, image: TensorLike) -> tuple[tf.Tensor, tf.Tensor]:
        resized, true_shape = self.resizer(image)
        # In [-1, 1], where the original does it: the shares add up to 0.9999, not to 1.
        gray = tf.reduce_sum((resized / _MIDDLE - 1.0) * _GRAY_SHARES, axis=-1, keepdims=True)
        return (gray + 1.0) * _MIDDLE, tf.concat([true_shape[:2], [1]], axis=0)


def _padded(image: tf.Tensor, size: tuple[int, int], values: tf.Tensor) -> tf.Tensor:
    """float32 [H, W, 3]: the image at the top left, the values of the channels everywhere else."""
    height, width = size
    shape = tf.shape(image)
    missing = [[0, height - shape[0]], [0, width - shape[1]], [0, 0]]
    is_padding = tf.pad(tf.zeros_like(image[..., :1]), missing, constant_values=1.0)
    return tf.pad(image, missing) + is_padding * values
