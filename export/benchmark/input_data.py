"""What the files are fed with: a smooth picture, or a person's own.

Zeros or noise would not do: the detection op sorts what passes its threshold, and float kernels
slow down over denormal numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from export.benchmark.graph import InputTensor
from ssd.core.image_resizer_numpy import resize_bilinear_legacy_numpy
from ssd.errors import InputError
from ssd.tflite_file import TfliteFile
from ssd.tflite_predictor import input_values

_SEED = 0
# Cells per side and weight: large areas, objects, texture.
_OCTAVES = ((4, 1.0), (16, 0.5), (64, 0.2))
_PICTURE_TYPES = ("float32", "uint8", "int8")
_GRAY, _RGB = 1, 3


def of(
    path: str, inputs: Sequence[InputTensor], file: TfliteFile, image: np.ndarray | None = None
) -> list[np.ndarray]:
    """Returns an array for each input, in its own shape and dtype; the same at every call.

    Inputs [B, H, W, C] get the picture as `detect` would feed it. Others: floats and 8 or 16 bit
    integers get uniform noise, wide integers, which may be indices, zeros.

    Args:
      path: of the file, for messages.
      inputs: of the file, shapes fixed.
      file: its metadata says how pixels become values.
      image: uint8 [h, w, 3] RGB, stretched to the input; None takes `smooth_picture`.

    Raises:
      InputError: an image was given, but no input takes it.
    """
    takes_image = [t for t in inputs if _is_picture(t) and t.shape[3] in (_GRAY, _RGB)]
    if image is not None and not takes_image:
        listed = ", ".join(f"{t.name} {t.dtype} {list(t.shape)}" for t in inputs) or "nothing"
        raise InputError(
            f"{path}: takes {listed}; --image needs an input [1, H, W, 3]; leave it out"
        )
    return [
        _pixels(t, file, image if t in takes_image else None) if _is_picture(t) else _noise(t)
        for t in inputs
    ]


def smooth_picture(shape: Sequence[int]) -> np.ndarray:
    """Returns float32 [H, W, C], 0..255: areas, blobs and texture, seeded."""
    height, width, channels = shape
    random = np.random.default_rng(_SEED)
    picture = np.zeros((height, width, channels), np.float32)
    for cells, weight in _OCTAVES:
        coarse = random.uniform(-weight, weight, (channels, cells, cells)).astype(np.float32)
        fine = [
            Image.fromarray(c).resize((width, height), Image.Resampling.BICUBIC) for c in coarse
        ]
        picture += np.stack([np.asarray(plane) for plane in fine], axis=-1)
    low, high = float(picture.min()), float(picture.max())
    return (picture - low) / max(high - low, 1e-6) * np.float32(255)


def _is_picture(tensor: InputTensor) -> bool:
    return len(tensor.shape) == 4 and tensor.dtype in _PICTURE_TYPES


def _pixels(tensor: InputTensor, file: TfliteFile, image: np.ndarray | None) -> np.ndarray:
    batch, height, width, channels = tensor.shape
    if image is None:
        picture = smooth_picture((height, width, channels))
    else:
        picture = resize_bilinear_legacy_numpy(image, (height, width))
        if channels == _GRAY:
            picture = picture.mean(axis=-1, keepdims=True)
    detail = {
        "dtype": np.dtype(tensor.dtype).type,
        "quantization": (tensor.scale, tensor.zero_point),
    }
    values = input_values(detail, file)(picture)
    return np.repeat(values[np.newaxis], batch, axis=0)


def _noise(tensor: InputTensor) -> np.ndarray:
    random, dtype = np.random.default_rng(_SEED), np.dtype(tensor.dtype)
    if dtype.kind == "f":
        return random.uniform(-1.0, 1.0, tensor.shape).astype(dtype)
    if dtype.kind in "iu" and dtype.itemsize <= 2:
        limits = np.iinfo(dtype)
        return random.integers(limits.min, limits.max, tensor.shape, dtype, endpoint=True)
    return np.zeros(tensor.shape, dtype)
