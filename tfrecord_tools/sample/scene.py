"""Composes one sample picture: objects placed on a surface, with the boxes of what is visible."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from tfrecord_tools.sample.objects import DRAWERS
from tfrecord_tools.sample.surfaces import SURFACES, photograph

Generator = np.random.Generator

PICTURE_SIZES = (
    (360, 480),
    (360, 480),
    (480, 360),
    (384, 512),
    (336, 448),
    (333, 500),
    (320, 480),
    (300, 400),
)
# Of an object's outline: so much stays visible beside its neighbours, and inside the picture.
MIN_VISIBLE = 0.7
MIN_INSIDE = 0.8
_ATTEMPTS = 25
# Around an object, room for its shadow.
_MARGIN = 24
_SHADOW_SHIFT = 4
_RIM = 2


@dataclass(frozen=True)
class SceneObject:
    """One visible object.

    Attributes:
      class_name: one of the sample classes.
      box_pixels: (ymin, xmin, ymax, xmax), tight around its visible pixels; max is exclusive.
      area: visible pixels.
      truncated: reaches over the edge of the picture.
    """

    class_name: str
    box_pixels: tuple[int, int, int, int]
    area: int
    truncated: bool


@dataclass(frozen=True)
class _Layer:
    class_name: str
    window: tuple[slice, slice]  # the part of the picture that pixels and alpha cover
    pixels: np.ndarray  # float32 [window height, window width, 3]
    alpha: np.ndarray  # float32 [window height, window width] in [0, 1]
    outline: np.ndarray  # bool [h, w], of the whole picture
    inside: float  # share of the outline that lies in the picture


def make_scene(rng: Generator) -> tuple[Image.Image, list[SceneObject]]:
    """Returns one picture and its objects, lowest first. Every object is clearly visible."""
    shape = PICTURE_SIZES[int(rng.integers(len(PICTURE_SIZES)))]
    scene = SURFACES[int(rng.integers(len(SURFACES)))](rng, shape)
    scene = np.clip(scene, 0, 255).astype(np.float32)
    layers = _place(rng, shape)
    for layer in layers:
        scene[layer.window] = _paste(rng, scene[layer.window], layer)
    objects = []
    covered = np.zeros(shape, bool)
    for layer in reversed(layers):
        objects.append(_visible_object(layer, layer.outline & ~covered))
        covered |= layer.outline
    return photograph(rng, scene), objects[::-1]


def _place(rng: Generator, shape: tuple[int, int]) -> list[_Layer]:
    wanted = int(rng.choice([1, 2, 3, 4, 5], p=[0.25, 0.3, 0.2, 0.15, 0.1]))
    names = list(DRAWERS)
    layers: list[_Layer] = []
    for _ in range(_ATTEMPTS):
        if len(layers) == wanted:
            break
        name = names[int(rng.integers(len(names)))]
        layer = _pose(rng, name, shape, crowd=wanted)
        if layer.inside >= MIN_INSIDE and _all_visible([*layers, layer]):
            layers.append(layer)
    return layers


def _pose(rng: Generator, name: str, shape: tuple[int, int], crowd: int) -> _Layer:
    """Draws one object, scaled, turned and seen at a slant, somewhere on the picture."""
    drawn = DRAWERS[name](rng)
    largest = 0.62 if crowd <= 2 else 0.45
    side = min(shape) * math.exp(rng.uniform(math.log(0.2), math.log(largest)))
    if name in ("barcode", "label"):
        side *= 1.2
    scale = side / max(drawn.size)
    width, height = (max(int(v * scale), 8) for v in drawn.size)
    # A clear rim, so that the edges are smoothed like everything else.
    patch = Image.new("RGBA", (width + 2 * _RIM, height + 2 * _RIM))
    patch.paste(drawn.resize((width, height), Image.Resampling.LANCZOS), (_RIM, _RIM))
    turn = rng.normal(0, 12) if rng.random() < 0.75 else rng.uniform(-180, 180)
    corners = _slanted_corners(rng, width, height, math.radians(turn))
    reach = np.abs(corners).max(axis=0)
    # A quarter of the objects may be cut by the edge; the rest lie inside.
    give = 0.35 if rng.random() < 0.25 else 0.0
    room = np.maximum(np.array(shape[::-1]) / 2 - reach * (1 - give), 0)
    center = np.array(shape[::-1]) / 2 + rng.uniform(-1, 1, 2) * room
    total = _polygon_area(corners) * float((np.asarray(drawn)[..., 3] >= 128).mean())
    corners = corners + center
    left, top = np.maximum(corners.min(axis=0).astype(int) - _MARGIN, 0)
    right, bottom = np.minimum(corners.max(axis=0).astype(int) + _MARGIN, shape[::-1])
    seen = patch.transform(
        (int(right - left), int(bottom - top)),
        Image.Transform.PERSPECTIVE,
        _perspective(corners - (left, top), width, height),
        Image.Resampling.BICUBIC,
    )
    pixels = np.asarray(seen, np.float32)
    alpha = pixels[..., 3] / 255
    window = (slice(top, bottom), slice(left, right))
    outline = np.zeros(shape, bool)
    outline[window] = alpha >= 0.5
    inside = float(outline.sum()) / max(total, 1.0)
    return _Layer(name, window, pixels[..., :3], alpha, outline, inside)


def _slanted_corners(rng: Generator, width: int, height: int, turn: float) -> np.ndarray:
    """Returns the four corners [4, 2] (x, y) around 0, turned, sheared and seen at a slant."""
    x, y = width / 2, height / 2
    corners = np.array([[-x, -y], [x, -y], [x, y], [-x, y]])
    shear = rng.uniform(-0.12, 0.12)
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    corners = corners @ np.array([[1, 0], [shear, 1]]) @ rotation.T
    slant = rng.uniform(-0.16, 0.16, 2) / max(width, height)
    return corners / (1 + corners @ slant)[:, None]


def _perspective(corners: np.ndarray, width: int, height: int) -> list[float]:
    """Returns the eight numbers with which Pillow maps picture to patch; see Image.transform."""
    patch = np.array([[0, 0], [width, 0], [width, height], [0, height]], float) + _RIM
    rows, values = [], []
    for (x, y), (u, v) in zip(corners, patch, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
        values += [u, v]
    return np.linalg.solve(np.array(rows), np.array(values)).tolist()


def _polygon_area(corners: np.ndarray) -> float:
    x, y = corners.T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def _all_visible(layers: list[_Layer]) -> bool:
    covered = layers[-1].outline
    for layer in reversed(layers[:-1]):
        if (layer.outline & ~covered).sum() < MIN_VISIBLE * layer.outline.sum():
            return False
        covered = covered | layer.outline
    return True


def _paste(rng: Generator, scene: np.ndarray, layer: _Layer) -> np.ndarray:
    """Returns the layer's window of the scene with a soft shadow and the layer on it."""
    blurred = Image.fromarray((layer.alpha * 255).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(rng.uniform(2, 6))
    )
    height, width = layer.alpha.shape
    down, right = (int(v) for v in rng.integers(0, 2 * _SHADOW_SHIFT + 1, 2))
    padded = np.pad(np.asarray(blurred, np.float32) / 255, _SHADOW_SHIFT, mode="edge")
    shadow = padded[down : down + height, right : right + width]
    darkened = scene * (1 - rng.uniform(0.15, 0.5) * shadow)[..., None]
    alpha = layer.alpha[..., None]
    gloss = rng.uniform(0.8, 1.05)
    return darkened * (1 - alpha) + layer.pixels * gloss * alpha


def _visible_object(layer: _Layer, visible: np.ndarray) -> SceneObject:
    rows = np.flatnonzero(visible.any(axis=1))
    columns = np.flatnonzero(visible.any(axis=0))
    box = (int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
    return SceneObject(layer.class_name, box, int(visible.sum()), layer.inside < 0.98)
