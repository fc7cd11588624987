"""The detections of one evaluation in one file, so that a resumed run can still show its best."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ssd.evaluated_image import EvaluatedImage

_TABLES = (
    ("groundtruth_boxes", np.float32),
    ("groundtruth_classes", np.int32),
    ("groundtruth_is_crowd", bool),
    ("detection_boxes", np.float32),
    ("detection_scores", np.float32),
    ("detection_classes", np.int32),
)


def save(path: Path, images: Sequence[EvaluatedImage], step: int) -> None:
    """Writes a compressed .npz; whole or absent.

    Raises:
      OSError: the file cannot be written.
    """
    arrays: dict[str, np.ndarray] = {
        "step": np.array(step),
        "numbers": np.array([image.number for image in images], np.int64),
        "source_ids": np.array([image.source_id for image in images], np.str_),
        "image_sizes": np.array([image.image_size for image in images], np.int32).reshape(-1, 2),
    }
    for name, dtype in _TABLES:
        rows = [np.asarray(getattr(image, name), dtype) for image in images]
        width = (0, 4) if name.endswith("boxes") else (0,)
        arrays[name] = np.concatenate([np.zeros(width, dtype), *rows])
        arrays[f"num_{name}"] = np.array([len(row) for row in rows], np.int64)
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def load(path: Path, step: int) -> list[EvaluatedImage] | None:
    """Returns what was saved at `step`; None where there is nothing whole of that step."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return None
    if int(arrays["step"]) != step:
        return None
    parts = {
        name: np.split(arrays[name], np.cumsum(arrays[f"num_{name}"])[:-1]) for name, _ in _TABLES
    }
    return [
        EvaluatedImage(
            number=int(number),
            source_id=str(arrays["source_ids"][row]),
            image_size=(int(arrays["image_sizes"][row, 0]), int(arrays["image_sizes"][row, 1])),
            **{name: rows[row] for name, rows in parts.items()},
        )
        for row, number in enumerate(arrays["numbers"])
    ]
