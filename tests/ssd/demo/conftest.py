"""Two models that answer always the same, and what they are asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssd.demo.contestants import Contest, Contestant, TimedPredictor


class Scripted:
    """A predictor whose detections are written down; counts how often it was asked."""

    batch_size = 1

    def __init__(self, label_map, rows, image_size=None) -> None:
        self.label_map = label_map
        self.image_size = image_size
        self.rows = rows  # (class id, score, box)
        self.calls = 0

    def __call__(self, images):
        self.calls += 1
        return {
            "detection_boxes": np.array([[box for _, _, box in self.rows]], np.float32),
            "detection_scores": np.array([[score for _, score, _ in self.rows]], np.float32),
            "detection_classes": np.array([[number for number, _, _ in self.rows]]),
            "num_detections": np.array([len(self.rows)]),
        }


@pytest.fixture
def predictors(tiny_label_map) -> tuple[Scripted, Scripted]:
    """bolt 1, nut 2, washer 3. Both find the bolt; the first a nut, of which the second has less
    than is shown; the second a washer of which the first knows nothing."""
    bolt, nut, washer = [0.1, 0.2, 0.4, 0.7], [0.5, 0.1, 0.9, 0.3], [0.0, 0.8, 0.2, 1.0]
    # The bolt of the second is shifted by 0.1 in x: 0.3 * 0.4 / (2 * 0.15 - 0.12) = 2 / 3.
    shifted = [0.1, 0.3, 0.4, 0.8]
    first = Scripted(tiny_label_map, [(1, 0.75, bolt), (2, 0.5, nut)])
    second = Scripted(
        tiny_label_map, [(3, 0.625, washer), (1, 0.5, shifted), (2, 0.25, nut)], (64, 96)
    )
    return first, second


@pytest.fixture
def contest(predictors) -> Contest:
    """The two as A and B."""
    return Contest(
        [
            Contestant(f"{letter}: {name}", f"models/{name}", TimedPredictor(predictor))
            for letter, name, predictor in zip("AB", ("float", "int8"), predictors, strict=True)
        ]
    )


@pytest.fixture
def picture(tmp_path) -> Path:
    """120 x 200 pixels."""
    path = tmp_path / "part.png"
    Image.fromarray(np.full((120, 200, 3), 90, np.uint8)).save(path)
    return path
