"""What sample objects lie on, and what a camera makes of the scene."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

Generator = np.random.Generator


def smooth_noise(rng: Generator, shape: tuple[int, int], cell: tuple[float, float]) -> np.ndarray:
    """Returns float32 [h, w] in about [-1, 1]: random values every `cell` pixels, cubic between."""
    rows = max(int(shape[0] / cell[0]), 1) + 2
    columns = max(int(shape[1] / cell[1]), 1) + 2
    coarse = Image.fromarray(rng.uniform(-1, 1, (rows, columns)).astype(np.float32))
    return np.asarray(coarse.resize(shape[::-1], Image.Resampling.BICUBIC))


def _octaves(rng: Generator, shape: tuple[int, int], cell: float) -> np.ndarray:
    return (
        smooth_noise(rng, shape, (cell, cell))
        + 0.5 * smooth_noise(rng, shape, (cell / 3, cell / 3))
        + 0.25 * smooth_noise(rng, shape, (cell / 9, cell / 9))
    )


def _muted(rng: Generator, low: float, high: float) -> np.ndarray:
    """Returns a colour [3] as walls and boxes have it: rarely bright and pure at once."""
    color = rng.uniform(low, high, 3)
    grey = rng.uniform(0.35, 0.9)
    return color * (1 - grey) + color.mean() * grey


def _tinted(color: tuple[float, float, float], texture: np.ndarray) -> np.ndarray:
    return np.array(color, np.float32) * (1 + texture[..., None]).astype(np.float32)


def cardboard(rng: Generator, shape: tuple[int, int]) -> np.ndarray:
    """Returns brown board with faint flutes and, at times, a strip of tape."""
    color = np.array([182, 142, 98]) * rng.uniform(0.7, 1.15) + rng.uniform(-10, 10, 3)
    y = np.arange(shape[0], dtype=np.float32)[:, None]
    flutes = 0.02 * np.sin(y * 2 * np.pi / rng.uniform(5, 9))
    fibres = 0.04 * smooth_noise(rng, shape, (1.5, 14))
    board = _tinted(tuple(color), flutes + fibres + 0.07 * _octaves(rng, shape, 120))
    if rng.random() < 0.4:
        start, width = rng.integers(0, shape[0]), rng.integers(25, 60)
        board[start : start + width] = board[start : start + width] * 0.82 + 34
    return board


def wood(rng: Generator, shape: tuple[int, int]) -> np.ndarray:
    """Returns planks with grain along one side and dark gaps between them."""
    is_upright = rng.random() < 0.5
    height, width = shape if not is_upright else shape[::-1]
    color = np.array([158, 112, 70]) * rng.uniform(0.55, 1.25) + rng.uniform(-12, 12, 3)
    y = np.arange(height, dtype=np.float32)[:, None]
    warp = 14 * smooth_noise(rng, (height, width), (40, 260))
    grain = rng.uniform(0.05, 0.13) * np.sin((y + warp) * 2 * np.pi / rng.uniform(7, 16))
    fine = 0.1 * smooth_noise(rng, (height, width), (1.5, 40))
    planks = _tinted(tuple(color), grain + fine)
    step = int(rng.integers(90, 190))
    for top in range(int(rng.integers(0, step)), height, step):
        planks[top : top + 3] *= 0.4
        planks[top + 3 :] *= rng.uniform(0.9, 1.1)
    return planks if not is_upright else planks.transpose(1, 0, 2)


def cloth(rng: Generator, shape: tuple[int, int]) -> np.ndarray:
    """Returns a weave with folds."""
    color = tuple(_muted(rng, 35, 205))
    y = np.arange(shape[0], dtype=np.float32)[:, None]
    x = np.arange(shape[1], dtype=np.float32)[None, :]
    period, depth = rng.uniform(4.0, 9.0), rng.uniform(0.08, 0.22)
    weave = depth * np.sin((y + x) * 2 * np.pi / period) * np.sin((y - x) * 2 * np.pi / period)
    folds = 0.2 * smooth_noise(rng, shape, (rng.uniform(60, 200), rng.uniform(60, 200)))
    return _tinted(color, weave + folds)


def concrete(rng: Generator, shape: tuple[int, int]) -> np.ndarray:
    """Returns a grey, speckled floor or wall."""
    level = rng.uniform(70, 190)
    color = tuple(level + rng.uniform(-10, 10, 3))
    speckle = 0.06 * smooth_noise(rng, shape, (2, 2))
    return _tinted(color, 0.14 * _octaves(rng, shape, 90) + speckle)


def wall(rng: Generator, shape: tuple[int, int]) -> np.ndarray:
    """Returns a plain painted surface whose colour drifts from side to side."""
    first, second = _muted(rng, 50, 225), rng.uniform(-25, 25, 3)
    across = np.linspace(0, 1, shape[1], dtype=np.float32)[None, :, None]
    return (first + across * second) * (1 + 0.05 * _octaves(rng, shape, 150)[..., None])


def shelf(rng: Generator, shape: tuple[int, int]) -> np.ndarray:
    """Returns boxes of different colours side by side on boards."""
    picture = concrete(rng, shape) * 0.45
    board = int(rng.integers(12, 24))
    top = 0
    while top < shape[0]:
        height = int(rng.integers(130, 230))
        left = int(rng.integers(-60, 0))
        while left < shape[1]:
            width = int(rng.integers(70, 210))
            is_board = rng.random() < 0.5
            color = (
                np.array([176, 138, 98]) * rng.uniform(0.6, 1.2)
                if is_board
                else _muted(rng, 40, 210)
            )
            rows = slice(top + int(rng.integers(0, 40)), top + height - board)
            columns = slice(max(left, 0), max(left + width - 4, 0))
            shade = np.linspace(1.08, 0.88, picture[rows, columns].shape[1])[None, :, None]
            picture[rows, columns] = color * shade
            left += width
        picture[top + height - board : top + height] = rng.uniform(90, 170)
        top += height
    return picture * (1 + 0.06 * smooth_noise(rng, shape, (3, 3))[..., None])


SURFACES: tuple[Callable[[Generator, tuple[int, int]], np.ndarray], ...] = (
    cardboard,
    wood,
    cloth,
    concrete,
    wall,
    shelf,
)


def photograph(rng: Generator, scene: np.ndarray) -> Image.Image:
    """Returns the scene as a phone would take it: uneven light, colour cast, blur, sensor noise.

    Args:
      rng: random generator.
      scene: float32 [h, w, 3], 0..255.
    """
    height, width = scene.shape[:2]
    angle = rng.uniform(0, 2 * np.pi)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    slope = rng.uniform(0.0, 0.3) * (x * np.cos(angle) + y * np.sin(angle))
    vignette = rng.uniform(0.0, 0.16) * (x * x + y * y)
    light = rng.uniform(0.72, 1.08) * (1 + slope - vignette)
    cast = rng.uniform(0.93, 1.07, 3).astype(np.float32)
    lit = scene * light[..., None].astype(np.float32) * cast
    picture = Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8))
    if rng.random() < 0.7:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.5)))
    noise = rng.standard_normal((height, width, 3), dtype=np.float32) * rng.uniform(1.5, 7.0)
    return Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8))
