"""Detections of any form of a model on pictures and videos: drawn, or as numbers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ssd import coco_annotations, video
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
    annotations: str | None = None,
    frames: int | None = None,
) -> None:
    """The `detect` verb; arguments are its flags. Draws, or prints one JSON object.

    Raises:
      KeyboardInterrupt: Ctrl-C in a video; what was found until then is written or printed.
    """
    sources = list(_sources(inputs))
    _require_fitting_flags(sources, annotations, frames)
    predictor = load_predictor(model, label_map, num_threads=threads)
    outputs = [None if as_json else Path(output) / name for name in _output_names(sources)]
    _require_other_files(sources, outputs)
    pictures, videos, interrupted = [], [], ""
    for source, drawn in zip(sources, outputs, strict=True):
        if not video.is_video(source):
            pictures.append(_picture(predictor, source, drawn, score_threshold))
            continue
        found = _video(predictor, source, drawn, score_threshold, frames)
        videos.append(found.as_json())
        if found.is_interrupted:
            where = f" are in {drawn}" if drawn and found.times else ""
            interrupted = f"interrupted; {len(found.times)} frames of {source}{where}"
            break
    if as_json:
        print(json.dumps({"model": model, "images": pictures, "videos": videos}))
    if annotations:
        count = coco_annotations.write(annotations, pictures, model=model, score=score_threshold)
        # Nothing but the JSON object goes to stdout.
        print(f"{count} boxes of {len(pictures)} pictures -> {annotations}", file=sys.stderr)
    if interrupted:
        raise KeyboardInterrupt(interrupted)


def _picture(
    predictor: Predictor, path: Path, drawn: Path | None, score_threshold: float
) -> dict[str, Any]:
    image = read_image(path)
    detections = detect(predictor, image, score_threshold)
    if drawn is not None:
        _save(draw(image, detections), drawn)
        print(f"{path}: {_counts(detections)} -> {drawn}")
    height, width = image.shape[:2]
    return {"file": str(path), "height": height, "width": width, "detections": detections}


def _video(
    predictor: Predictor, path: Path, drawn: Path | None, score_threshold: float, limit: int | None
) -> video.Video:
    found = video.run(
        str(path),
        lambda frame: detect(predictor, frame, score_threshold),
        draw,
        output=drawn,
        limit=limit,
    )
    if drawn is not None and found.times:
        everything = [one for frame in found.detections for one in frame]
        print(f"{path}: {found.line()}; {_counts(everything)} -> {drawn}")
    return found


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


def _sources(inputs: Sequence[str]) -> Iterator[Path]:
    """Yields pictures, videos and camera:N, those of folders (pictures alone) by name."""
    for text in inputs:
        path = Path(text)
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in _SUFFIXES)
            if not inside:
                raise InputError(
                    f"{path}: no pictures in this folder ({', '.join(sorted(_SUFFIXES))})"
                )
            yield from inside
        elif path.is_file() or text.startswith(video.CAMERA):
            yield path
        else:
            raise InputError(f"{path}: no such file or folder")


def _require_fitting_flags(
    sources: Sequence[Path], annotations: str | None, frames: int | None
) -> None:
    """Raises for what cannot be done, before a model is loaded."""
    first = next(filter(video.is_video, sources), None)
    if first is not None:
        video.require_opencv(str(first))
        if annotations:
            raise InputError(f"--annotations is for pictures; {first} is none")
    elif frames is not None:
        raise InputError("--frames is for videos and cameras; here are only pictures")
    if annotations:
        coco_annotations.require_replaceable(annotations)


def _output_names(sources: Sequence[Path]) -> list[str]:
    """File names that do not collide when several folders hold the same ones."""
    # A colon is no part of a file name everywhere.
    stems = [source.stem.replace(":", "_") for source in sources]
    return [
        (stem if stems.count(stem) == 1 else f"{n:04d}_{stem}")
        + (".mp4" if video.is_video(source) else ".jpg")
        for n, (source, stem) in enumerate(zip(sources, stems, strict=True))
    ]


def _require_other_files(sources: Sequence[Path], outputs: Sequence[Path | None]) -> None:
    """Raises if a drawing would replace a picture or video that it is made from."""
    originals = {source.resolve() for source in sources}
    for path in outputs:
        if path is not None and path.resolve() in originals:
            raise InputError(
                f"{path}: the drawing would replace the original; give another --output"
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
