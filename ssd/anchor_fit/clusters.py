"""Which shapes the boxes of a data set have: k-means whose distance is 1 - IoU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_RESTARTS = 6
_MAX_ROUNDS = 100
# Shapes of more boxes than these are the same shapes.
_MAX_FITTED = 20_000
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Clusters:
    """Shapes, smallest area first.

    Attributes:
      sides: float64 [k, 2], height and width.
      shares: float64 [k], of the boxes.
      mean_ious: float64 [k], of the boxes of a cluster with its shape at the same centre.
      mean_iou: of all boxes.
    """

    sides: np.ndarray
    shares: np.ndarray
    mean_ious: np.ndarray
    mean_iou: float


def shape_iou(sides: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns float64 [N, K], the IoU of boxes around one centre; 0 for those without area.

    Args:
      sides: [N, 2], height and width, of the boxes.
      others: [K, 2].

    Example: 2 x 6 and 4 x 3 share 2 x 3 of 18.
      >>> shape_iou(np.array([[2.0, 6.0]]), np.array([[4.0, 3.0]])).round(4).tolist()
      [[0.3333]]
    """
    sides, others = sides.astype(np.float64), others.astype(np.float64)
    shared = np.minimum(sides[:, :1], others[:, 0]) * np.minimum(sides[:, 1:], others[:, 1])
    union = sides.prod(axis=1)[:, np.newaxis] + others.prod(axis=1) - shared
    return shared / np.maximum(union, np.finfo(np.float64).tiny)


def cluster(sides: np.ndarray, k: int, *, seed: int = 0) -> Clusters:
    """Returns the k shapes that the boxes are nearest to, the best of several beginnings.

    A cluster's shape is the median height and the median width of its boxes: one freak does not
    move it. Of many boxes some are drawn to find the shapes; the figures are those of all.

    Args:
      sides: [M, 2], height and width of the boxes; those without area are left out.
      k: fewer where the boxes have fewer different shapes.
      seed: the same boxes and seed give the same shapes.
    """
    sides = sides[(sides > 0).all(axis=1)].astype(np.float64)
    generator = np.random.default_rng(seed)
    fitted = sides
    if len(sides) > _MAX_FITTED:
        fitted = sides[np.sort(generator.choice(len(sides), _MAX_FITTED, replace=False))]
    k = min(k, len(np.unique(fitted, axis=0)))
    if k == 0:
        return Clusters(np.zeros((0, 2)), np.zeros(0), np.zeros(0), 0.0)
    found = [_fit(fitted, k, generator) for _ in range(_RESTARTS)]
    shapes = max(found, key=lambda shapes: float(shape_iou(fitted, shapes).max(axis=1).mean()))
    shapes = shapes[np.lexsort((shapes[:, 1], shapes.prod(axis=1)))]
    return _figures(sides, shapes)


def _fit(sides: np.ndarray, k: int, generator: np.random.Generator) -> np.ndarray:
    shapes = _beginning(sides, k, generator)
    for _ in range(_MAX_ROUNDS):
        similarity = shape_iou(sides, shapes)
        owners = similarity.argmax(axis=1)
        moved = shapes.copy()
        for number in range(k):
            own = sides[owners == number]
            # A shape that nobody is nearest to begins anew where the fit is worst.
            worst = sides[similarity.max(axis=1).argmin()]
            moved[number] = np.median(own, axis=0) if len(own) else worst
        if np.array_equal(moved, shapes):
            break
        shapes = moved
    return shapes


def _beginning(sides: np.ndarray, k: int, generator: np.random.Generator) -> np.ndarray:
    """Returns k different shapes, each drawn the likelier the farther it is from those before."""
    shapes = sides[[int(generator.integers(len(sides)))]]
    while len(shapes) < k:
        distance = np.square(1.0 - shape_iou(sides, shapes).max(axis=1))
        # Rounding leaves a trace where a shape is taken already.
        distance[distance < 1e-24] = 0.0
        number = int(generator.choice(len(sides), p=distance / distance.sum()))
        shapes = np.concatenate([shapes, sides[[number]]])
    return shapes


def _figures(sides: np.ndarray, shapes: np.ndarray) -> Clusters:
    counts, sums = np.zeros(len(shapes)), np.zeros(len(shapes))
    for begin in range(0, len(sides), _CHUNK):
        similarity = shape_iou(sides[begin : begin + _CHUNK], shapes)
        owners = similarity.argmax(axis=1)
        counts += np.bincount(owners, minlength=len(shapes))
        sums += np.bincount(owners, similarity.max(axis=1), minlength=len(shapes))
    means = sums / np.maximum(counts, 1)
    return Clusters(shapes, counts / len(sides), means, float(sums.sum() / len(sides)))
