"""The resize of `image_resizer` where TensorFlow is not loaded."""

from __future__ import annotations

import numpy as np


def resize_bilinear_legacy_numpy(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns float32 [H, W, C]; equal to `resize_bilinear_legacy` but for rounding.

    Args:
      image: uint8 or float32 [h, w, C].
      size: (H, W).

    Example: two columns become four; the last source column has no right neighbour.
      >>> resize_bilinear_legacy_numpy(np.array([[[0.0], [8.0]]]), (1, 4))[0, :, 0].tolist()
      [0.0, 4.0, 8.0, 8.0]
    """
    if image.shape[:2] == tuple(size):
        return image.astype(np.float32)
    (top, bottom, y_share), (left, right, x_share) = (
        _neighbours(length, target) for length, target in zip(image.shape[:2], size, strict=True)
    )
    x_share, y_share = x_share[:, np.newaxis], y_share[:, np.newaxis, np.newaxis]

    def rows(indices: np.ndarray) -> np.ndarray:
        band = image[indices].astype(np.float32)
        first = band[:, left]
        return first + (band[:, right] - first) * x_share

    upper = rows(top)
    return upper + (rows(bottom) - upper) * y_share


def _neighbours(length: int, target: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices before and after each target position, and the share of the one after."""
    position = np.arange(target, dtype=np.float32) * np.float32(length / target)
    before = position.astype(np.int64)
    after = np.minimum(before + 1, length - 1)
    return before, after, (position - before).astype(np.float32)
