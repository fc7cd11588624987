"""Detections from the outputs of a raw .tflite file: box encodings and scores.

This file needs NumPy and nothing else; copy it next to the model:

    decoding = ssd_decode.load("model_int8_raw.tflite")
    ...run the model; get the outputs named box_encodings and scores, as they are...
    boxes, classes, scores, num_detections = ssd_decode.decode(box_encodings, scores, decoding)
    names = [decoding.labels[n] for n in classes]

`ssd_decode.c` does the same on a microcontroller.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

DECODING_FILE = "decoding.json"
FORMAT, VERSION = "ssd_raw_detections", 1

# Anchors whose best scores are looked at first, per detection wanted, and how many times more are
# looked at each time they were not enough.
_FIRST_LOOK, _NEXT_LOOK = 4, 2
_F = np.float32
_STORED = ("int8", "uint8", "int16")
_NUMBERS = (
    *("num_classes", "score_threshold", "iou_threshold"),
    *("max_detections_per_class", "max_total_detections"),
)


class Quantization(NamedTuple):
    """real value = (stored value - zero_point) * scale."""

    scale: float
    zero_point: int


class AnchorLevel(NamedTuple):
    """The anchors of one feature map: the same boxes around every centre of a grid.

    Row by row, then column by column, then size by size. Everything in shares of the image.

    Attributes:
      rows, columns: of the grid.
      first: (y, x) of the first centre.
      step: (y, x) between centres.
      sizes: (height, width) of the anchors of a cell.
    """

    rows: int
    columns: int
    first: tuple[float, float]
    step: tuple[float, float]
    sizes: tuple[tuple[float, float], ...]


@dataclass(frozen=True, eq=False)
class Decoding:
    """What turns the outputs of one model into detections.

    Attributes:
      anchors: float32 [A, 4]: ycenter, xcenter, height, width.
      scale_factors: divide (ty, tx, th, tw).
      num_classes: C, background not counted.
      score_threshold: scores of more than this take part.
      iou_threshold: overlaps of more than this suppress.
      max_detections_per_class, max_total_detections: what is kept at most.
      labels: class names by class index.
      box_quantization, score_quantization: of the two outputs; None where they are float.
      levels: that the anchors can be made of; empty where no regular grid gives them.
    """

    anchors: np.ndarray
    scale_factors: tuple[float, float, float, float]
    num_classes: int
    score_threshold: float
    iou_threshold: float
    max_detections_per_class: int
    max_total_detections: int
    labels: tuple[str, ...] = ()
    box_quantization: Quantization | None = None
    score_quantization: Quantization | None = None
    levels: tuple[AnchorLevel, ...] = ()


class Detections(NamedTuple):
    """Detections of one image, highest score first.

    Attributes:
      boxes: float32 [D, 4]: ymin, xmin, ymax, xmax, in shares of the image, clipped to it.
      classes: int64 [D], class indices.
      scores: float32 [D].
      num_detections: D.
    """

    boxes: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    num_detections: int


def decode(
    box_encodings: np.ndarray,
    scores: np.ndarray,
    decoding: Decoding,
    *,
    score_threshold: float | None = None,
    max_candidates: int | None = None,
) -> Detections:
    """Returns the detections of one image.

    Class by class, best score first, a box is kept unless a kept one of its class overlaps it by
    more than iou_threshold. Boxes are clipped to the image after that; those left without area go;
    the best max_total_detections of all classes stay. On ties the lower class, then the lower
    anchor.

    Args:
      box_encodings: [A, 4] or [1, A, 4], float32, or integers as the file gives them.
      scores: [A, C] or [1, A, C], likewise; finite.
      decoding: of the model.
      score_threshold: instead of the model's own.
      max_candidates: only so many of the scores over the threshold take part, the first in the
        order above; None: all. A small work buffer of the C version does the same.

    Raises:
      ValueError: the arrays do not fit the model, or are integers of a model without quantization.
    """
    encodings, values = _checked(box_encodings, scores, decoding)
    threshold = decoding.score_threshold if score_threshold is None else score_threshold
    lowest = _lowest_passing(values.dtype, decoding.score_quantization, _F(threshold))
    best = values.max(axis=1)  # [A, C] -> [A]
    num_passing = int(np.count_nonzero(best >= lowest))
    look = _FIRST_LOOK * decoding.max_total_detections
    while True:
        # Suppression goes down the scores: the best alone give the same as far as they reach.
        is_partial = look < num_passing
        floor = np.partition(best, -look)[-look] if is_partial else lowest
        anchors, classes = _candidates(values, best, floor)
        is_cut = max_candidates is not None and len(anchors) >= max_candidates
        chosen = anchors[:max_candidates], classes[:max_candidates]
        found = _suppress(encodings, values, *chosen, decoding)
        if not is_partial or is_cut or found.num_detections == decoding.max_total_detections:
            return found
        look *= _NEXT_LOOK


def load(path: str | os.PathLike[str]) -> Decoding:
    """Returns the Decoding of a raw file.

    Args:
      path: of a .tflite with a decoding.json inside or a *_decoding.json beside, or of the latter.

    Raises:
      FileNotFoundError: neither is there.
      ValueError: what is there is no decoding.
    """
    path = Path(path)
    if path.suffix != ".json":
        try:
            with zipfile.ZipFile(path) as archive:
                return parse(archive.read(DECODING_FILE), archive.read)
        except (zipfile.BadZipFile, KeyError):  # nothing appended, or other files
            path = path.with_name(f"{path.stem}_{DECODING_FILE}")
    return parse(path.read_bytes(), lambda name: path.with_name(name).read_bytes())


def parse(text: bytes | str, read: Callable[[str], bytes]) -> Decoding:
    """Returns the Decoding that a decoding.json describes.

    Args:
      text: of the file.
      read: returns the bytes of the file of a name, where the anchors are in one of their own.

    Raises:
      ValueError: it describes none.
    """
    try:
        facts = json.loads(text)
        if (facts["format"], facts["version"]) != (FORMAT, VERSION):
            raise ValueError(f"format {facts['format']!r} {facts['version']!r} is not known")
        levels = tuple(_level(level) for level in facts["anchors"].get("levels", ()))
        if levels:
            anchors = grid_anchors(levels)
        else:
            anchors = np.load(io.BytesIO(read(facts["anchors"]["file"])), allow_pickle=False)
        if anchors.shape != (facts["num_anchors"], 4) or anchors.dtype != _F:
            raise ValueError(f"anchors are {anchors.dtype} {list(anchors.shape)}")
        return Decoding(
            anchors=anchors,
            scale_factors=tuple(facts["box_encodings"]["scale_factors"]),
            labels=tuple(facts["labels"]),
            box_quantization=_quantization(facts["box_encodings"]),
            score_quantization=_quantization(facts["scores"]),
            levels=levels,
            **{name: facts[name] for name in _NUMBERS},
        )
    except (KeyError, TypeError, AttributeError, ValueError, EOFError, OSError) as error:
        raise ValueError(f"no {FORMAT} version {VERSION}: {error!r}") from error


def grid_anchors(levels: Sequence[AnchorLevel]) -> np.ndarray:
    """Returns float32 [A, 4]: ycenter, xcenter, height, width of the anchors of all levels."""
    parts = []
    for rows, columns, first, step, sizes in levels:
        anchors = np.empty((rows, columns, len(sizes), 4), _F)
        y, x = (
            np.arange(count, dtype=_F) * _F(one) + _F(start)
            for count, one, start in zip((rows, columns), step, first, strict=True)
        )
        anchors[..., 0] = y[:, np.newaxis, np.newaxis]
        anchors[..., 1] = x[np.newaxis, :, np.newaxis]
        anchors[..., 2:] = np.array(sizes, _F)
        parts.append(anchors.reshape(-1, 4))
    return np.concatenate(parts)


def _level(facts: dict[str, Any]) -> AnchorLevel:
    return AnchorLevel(
        facts["rows"],
        facts["columns"],
        tuple(facts["first"]),
        tuple(facts["step"]),
        tuple((height, width) for height, width in facts["sizes"]),
    )


def _quantization(facts: dict[str, Any]) -> Quantization | None:
    return Quantization(facts["scale"], facts["zero_point"]) if facts.get("scale") else None


def _checked(
    box_encodings: np.ndarray, scores: np.ndarray, decoding: Decoding
) -> tuple[np.ndarray, np.ndarray]:
    """The two arrays as [A, 4] and [A, C]."""
    outputs = {
        "box_encodings": (box_encodings, 4, decoding.box_quantization),
        "scores": (scores, decoding.num_classes, decoding.score_quantization),
    }
    for name, (array, columns, quantization) in outputs.items():
        expected = (len(decoding.anchors), columns)
        if array.shape not in (expected, (1, *expected)):
            raise ValueError(f"{name}: shape {list(array.shape)}; the model has {list(expected)}")
        is_stored = quantization is not None and array.dtype in _STORED
        if array.dtype != _F and not is_stored:
            listed = ", ".join(_STORED) if quantization else "float32"
            raise ValueError(f"{name}: {array.dtype}; the model has {listed}")
    return box_encodings.reshape(-1, 4), scores.reshape(-1, decoding.num_classes)


def _real(values: np.ndarray, quantization: Quantization | None) -> np.ndarray:
    """float32 of values as the file gives them."""
    if values.dtype == _F or quantization is None:
        return values
    return (values.astype(_F) - _F(quantization.zero_point)) * _F(quantization.scale)


def _lowest_passing(
    dtype: np.dtype, quantization: Quantization | None, threshold: np.float32
) -> float | int:
    """The lowest value, as the file gives it, of more than `threshold`."""
    if dtype == _F:
        return np.nextafter(threshold, _F(np.inf))
    steps = np.arange(np.iinfo(dtype).min, np.iinfo(dtype).max + 1)
    passing = steps[_real(steps, quantization) > threshold]
    return int(passing[0]) if len(passing) else int(steps[-1]) + 1


def _candidates(
    values: np.ndarray, best: np.ndarray, floor: float | int
) -> tuple[np.ndarray, np.ndarray]:
    """Anchors and classes of all scores of at least `floor`: best first, on ties as `decode`."""
    rows = np.flatnonzero(best >= floor)
    places, classes = np.nonzero(values[rows] >= floor)
    anchors = rows[places]
    order = np.lexsort((anchors, classes, -values[anchors, classes].astype(_F)))
    return anchors[order], classes[order]


def _suppress(
    encodings: np.ndarray,
    values: np.ndarray,
    anchors: np.ndarray,
    classes: np.ndarray,
    decoding: Decoding,
) -> Detections:
    """The detections among candidates that come best first."""
    boxes = _boxes(_real(encodings[anchors], decoding.box_quantization), anchors, decoding)
    kept = _kept(boxes, classes, decoding)
    clipped = np.clip(boxes[kept], _F(0), _F(1))
    shown = np.flatnonzero(_areas(clipped) > 0)[: decoding.max_total_detections]
    anchors, classes = anchors[kept[shown]], classes[kept[shown]]
    scores = _real(values[anchors, classes], decoding.score_quantization)
    return Detections(clipped[shown], classes.astype(np.int64), scores, len(shown))


def _boxes(encodings: np.ndarray, anchors: np.ndarray, decoding: Decoding) -> np.ndarray:
    """float32 [N, 4], yxyx, not clipped, of encodings [N, 4] at these anchors."""
    offsets = encodings / np.array(decoding.scale_factors, _F)
    centers, sizes = np.split(decoding.anchors[anchors], 2, axis=1)
    centers = offsets[:, :2] * sizes + centers
    halves = np.exp(offsets[:, 2:]) * sizes / _F(2)
    return np.concatenate([centers - halves, centers + halves], axis=1)


def _kept(boxes: np.ndarray, classes: np.ndarray, decoding: Decoding) -> np.ndarray:
    """Which candidates survive in their class, as their places in ascending order.

    All classes at once: each round keeps every class's best one left and removes what it overlaps.
    """
    left = np.argsort(classes, kind="stable")
    areas = _areas(boxes)
    kept = []
    for _ in range(decoding.max_detections_per_class):
        if not len(left):
            break
        own = classes[left]
        is_best = np.concatenate([[True], own[1:] != own[:-1]])
        kept.append(left[is_best])
        rival = left[is_best][np.cumsum(is_best) - 1]
        low = np.maximum(boxes[left, :2], boxes[rival, :2])
        high = np.minimum(boxes[left, 2:], boxes[rival, 2:])
        shared = np.prod(np.maximum(high - low, _F(0)), axis=1)
        union = areas[left] + areas[rival] - shared
        # Where nothing is shared, nothing is divided.
        overlap = np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)
        left = left[~is_best & ~(overlap > _F(decoding.iou_threshold))]
    return np.sort(np.concatenate([*kept, left[:0]]))


def _areas(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
