"""The TFLite Task Library's ObjectDetector, which Android apps have, on files of form nms."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

_RUNNER = Path(__file__).with_name("task_library_runner.py")


@pytest.fixture(scope="module")
def python() -> str:
    """A Python that has tflite-support."""
    path = os.environ.get("TASK_LIBRARY_PYTHON", "")
    if not path:
        pytest.skip("TASK_LIBRARY_PYTHON names no Python with tflite-support; see .ci/deploy")
    return path


def detect(python: str, path: Path, pictures: np.ndarray, folder: Path, make_found) -> list:
    np.save(folder / "pictures.npy", pictures)
    done = subprocess.run(
        [python, str(_RUNNER), *map(str, (path, folder / "pictures.npy", folder / "found.json"))],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    height, width = pictures.shape[1:3]
    found = []
    for rows in json.loads((folder / "found.json").read_text()):
        boxes = np.array([row[:4] for row in rows], float).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        size = np.array([height, width, height, width])
        found.append(
            make_found(
                boxes / size, tuple(row[4] for row in rows), np.array([row[5] for row in rows])
            )
        )
    return found


def cut_to_pixels(pictures: np.ndarray):
    """Whether a box is one of ours cut to pixels: corner and size, each for itself."""
    height, width = pictures.shape[1:3]
    size = np.array([height, width, height, width])

    def is_cut(mine: np.ndarray, other: np.ndarray) -> bool:
        exact, given = (
            np.concatenate([box[:2], box[2:] - box[:2]]) * size for box in (mine, other)
        )
        # float32 may lie on the other side of a whole number.
        return bool(np.all(np.abs(exact - given) < 1.01))

    return is_cut


@pytest.fixture(scope="module", params=["tiny", "coco"])
def model(request):
    """Not the small detector: the XNNPACK inside, of 2023, computes its first layer to zero."""
    return request.getfixturevalue(request.param)


@pytest.mark.slow
@pytest.mark.parametrize("quantize", ["none", "float16", "int8"])
def test_same_boxes(python, model, differences, make_found, tmp_path, quantize):
    path = model.path("nms", quantize)
    theirs = detect(python, path, model.pictures, tmp_path, make_found)
    cut = cut_to_pixels(model.pictures)
    said = differences(model.as_given("nms", quantize), theirs, is_same_box=cut)
    assert not said, "\n".join(said)


@pytest.mark.slow
def test_file_without_metadata_is_refused(python, model, tmp_path, make_found):
    """Why --target android-task looks for metadata."""
    path = tmp_path / "bare.tflite"
    path.write_bytes(model.converter.nms("none").data)
    with pytest.raises(RuntimeError, match=r"[Mm]etadata"):
        detect(python, path, model.pictures[:1], tmp_path, make_found)
