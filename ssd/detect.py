"""Detections of any form of a model on pictures: drawn, or as numbers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ssd.core.image_resizer_numpy import resize_bilinear_legacy_numpy
from ssd.errors import InputError
from ssd.label_map import LabelMap
from ssd.predictor import Predictor, load_predictor
from ssd.standard_fields import LABEL_ID_OFFSET, DetectionFields
from ssd.visualize import draw_boxes

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"}


def detect(
    predictor: Predictor, image: np.ndarray, score_threshold: float = 0.0
) -> list[dict[str, Any]]:
    """Returns the detections of one picture, highest score first.

    Args:
      predictor: any form of a model.
      image: uint8 [h, w, 3], RGB.
      score_threshold: lower scores are left out.

    Returns:
      [{"class": name, "class_id": 1..C, "score": 0..1, "box": [ymin, xmin, ymax, xmax]}, ...];
      boxes normalized and clipped to the picture.
    """
    batch: np.ndarray = image[np.newaxis]
    if predictor.image_size is not None:
        batch = resize_bilinear_legacy_numpy(image, predictor.image_size)[np.newaxis]
    detections = predictor(batch)
    count = int(detections[DetectionFields.num_detections][0])
    rows = zip(
        detections[DetectionFields.detection_classes][0, :count].tolist(),
        detections[DetectionFields.detection_scores][0, :count].tolist(),
        np.clip(detections[DetectionFields.detection_boxes][0, :count], 0.0, 1.0).tolist(),
        strict=True,
    )
    found = [
        {
            "class": _class_name(predictor.label_map, class_id),
            "class_id": class_id,
            "score": score,
            "box": box,
        }
        for class_id, score, box in rows
        if score >= score_threshold
    ]
    return sorted(found, key=lambda detection: -detection["score"])


def run(
    model: str,
    inputs: Sequence[str],
    *,
    output: str,
    score_threshold: float,
    as_json: bool,
    label_map: LabelMap | None,
    threads: int,
) -> None:
    """The `detect` verb; arguments are its flags. Draws, or prints one JSON object."""
    pictures = list(_pictures(inputs))
    predictor = load_predictor(model, label_map, num_threads=threads)
    folder = Path(output)
    names = _output_names(pictures)
    if not as_json:
        _require_other_files(pictures, [folder / name for name in names])
    results = []
    for path, name in zip(pictures, names, strict=True):
        image = read_image(path)
        detections = detect(predictor, image, score_threshold)
        results.append(
            {
                "file": str(path),
                "height": image.shape[0],
                "width": image.shape[1],
                "detections": detections,
            }
        )
        if not as_json:
            drawn = folder / name
            _save(draw(image, detections), drawn)
            print(f"{path}: {_counts(detections)} -> {drawn}")
    if as_json:
        print(json.dumps({"model": model, "images": results}))


def draw(image: np.ndarray, detections: list[dict[str, Any]]) -> np.ndarray:
    """Returns a copy of uint8 [h, w, 3] with the boxes of `detect`, best on top."""
    ordered = detections[::-1]
    return draw_boxes(
        image,
        np.array([d["box"] for d in ordered], np.float32).reshape(-1, 4),
        [d["class"] for d in ordered],
        [d["class_id"] - LABEL_ID_OFFSET for d in ordered],
        [d["score"] for d in ordered],
    )


def read_image(path: Path) -> np.ndarray:
    """Returns uint8 [h, w, 3] RGB as a viewer shows it, EXIF orientation applied.

    Raises:
      InputError: not a readable picture.
    """
    try:
        with Image.open(path) as picture:
            upright = ImageOps.exif_transpose(picture)
            return np.asarray(upright.convert("RGB"))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError) as error:
        raise InputError(f"{path}: not a readable picture ({error})") from error


def _pictures(inputs: Sequence[str]) -> Iterator[Path]:
    for text in inputs:
        path = Path(text)
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in _SUFFIXES)
            if not inside:
                raise InputError(
                    f"{path}: no pictures in this folder ({', '.join(sorted(_SUFFIXES))})"
                )
            yield from inside
        elif path.is_file():
            yield path
        else:
            raise InputError(f"{path}: no such file or folder")


def _output_names(pictures: Sequence[Path]) -> list[str]:
    """File names that do not collide when several folders hold the same ones."""
    stems = [path.stem for path in pictures]
    return [
        f"{path.stem}.jpg" if stems.count(path.stem) == 1 else f"{n:04d}_{path.stem}.jpg"
        for n, path in enumerate(pictures)
    ]


def _require_other_files(pictures: Sequence[Path], outputs: Sequence[Path]) -> None:
    """Raises if a drawing would replace a picture that it is made from."""
    originals = {picture.resolve() for picture in pictures}
    for path in outputs:
        if path.resolve() in originals:
            raise InputError(
                f"{path}: the drawing would replace the picture; give another --output"
            )


def _save(image: np.ndarray, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.tmp")
        Image.fromarray(image).save(aside, format="JPEG", quality=92)
        os.replace(aside, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error


def _class_name(label_map: LabelMap | None, class_id: int) -> str:
    return (label_map.name_of(class_id) if label_map else "") or f"class {class_id}"


def _counts(detections: list[dict[str, Any]]) -> str:
    names = [d["class"] for d in detections]
    return ", ".join(f"{names.count(n)} {n}" for n in dict.fromkeys(names)) or "nothing found"
