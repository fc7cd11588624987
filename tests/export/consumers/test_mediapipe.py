"""MediaPipe Tasks ObjectDetector on files of form nms."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def mediapipe(consumer):
    for library in ("libEGL.so.1", "libGLESv2.so.2"):
        try:
            ctypes.CDLL(library)
        except OSError:
            pytest.skip(f"MediaPipe needs the system's {library}")
    return consumer("mediapipe")


def detect(mediapipe, path: Path, pictures: np.ndarray, make_found) -> list:
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.ObjectDetectorOptions(
        base_options=BaseOptions(model_asset_path=str(path)), score_threshold=0.25, max_results=100
    )
    height, width = pictures.shape[1:3]
    size = np.array([height, width, height, width])
    found = []
    with vision.ObjectDetector.create_from_options(options) as detector:
        for picture in pictures:
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=picture)
            boxes, names, scores = [], [], []
            for detection in detector.detect(image).detections:
                box = detection.bounding_box
                # Detections with the same box, of an anchor with two classes, come as one.
                for category in detection.categories:
                    boxes.append((box.origin_y, box.origin_x, box.height, box.width))
                    names.append(category.category_name)
                    scores.append(category.score)
            corners = np.array(boxes, float).reshape(-1, 4)
            corners[:, 2:] += corners[:, :2]
            found.append(make_found(corners / size, tuple(names), np.array(scores)))
    return found


def cut_to_pixels(pictures: np.ndarray, tolerance: float = 0.01):
    """Whether a box of MediaPipe is one of ours cut to pixels: corner and size, each for itself.

    The corner is moved into the picture first, and the size is at most the picture's; that of a box
    that reaches beyond an edge stays as it was.

    Args:
      pictures: of which the boxes are.
      tolerance: in pixels; float32 may lie on the other side of a whole number.
    """
    height, width = pictures.shape[1:3]
    size = np.array([height, width, height, width])

    def is_cut(mine: np.ndarray, other: np.ndarray) -> bool:
        corner, extent = np.maximum(mine[:2], 0), np.minimum(mine[2:] - mine[:2], 1)
        exact = np.concatenate([corner, extent]) * size
        given = np.concatenate([other[:2], other[2:] - other[:2]]) * size
        lost = exact - given
        return bool(np.all((lost > -tolerance) & (lost < 1 + tolerance)))

    return is_cut


@pytest.mark.parametrize("quantize", ["none", "float16", "int8"])
def test_same_boxes(mediapipe, exported, differences, make_found, quantize):
    theirs = detect(mediapipe, exported.path("nms", quantize), exported.pictures, make_found)
    said = differences(
        exported.as_given("nms", quantize), theirs, is_same_box=cut_to_pixels(exported.pictures)
    )
    assert not said, "\n".join(said)


def test_dynamic_range_file(mediapipe, steady, differences, make_found):
    """Such a file quantizes activations as it runs, and every version of LiteRT does so otherwise.

    Scores move by up to 0.02 between MediaPipe's own runtime, LiteRT and TensorFlow, so that
    suppression may keep a neighbour; most detections have to be the same within that.
    """
    theirs = detect(mediapipe, steady.path("nms", "dynamic"), steady.pictures, make_found)
    ours = steady.as_given("nms", "dynamic")
    about = cut_to_pixels(steady.pictures, tolerance=4)
    said = differences(ours, theirs, is_same_box=about, max_score_error=0.03)
    total = sum(int((one.scores > 0.3).sum()) for one in (*ours, *theirs))
    assert len(said) <= total / 10


def test_file_without_metadata_is_refused(mediapipe, exported, tmp_path, make_found):
    """Why --target mediapipe looks for metadata."""
    path = tmp_path / "bare.tflite"
    path.write_bytes(exported.converter.nms("none").data)
    with pytest.raises((RuntimeError, ValueError), match=r"[Mm]etadata"):
        detect(mediapipe, path, exported.pictures[:1], make_found)
