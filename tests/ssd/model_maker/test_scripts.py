"""Scripts written for TFLite Model Maker, run with only their import lines changed."""

from __future__ import annotations

import ast
import csv
import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
PATIENCE = 1800
METRICS = ["AP", "AP50", "AP75", "APs", "APm", "APl"]
METRICS += ["ARmax1", "ARmax10", "ARmax100", "ARs", "ARm", "ARl"]


def with_import_lines_changed(script: str) -> str:
    """The script for this kit: nothing but lines that begin with from or import may differ."""
    lines = script.splitlines()
    changed = [
        re.sub(r"^import tflite_model_maker$", "import ssd.model_maker as tflite_model_maker", line)
        if line.startswith("import ")
        else line.replace("tflite_model_maker", "ssd.model_maker", 1)
        if line.startswith("from ")
        else line
        for line in lines
    ]
    return "\n".join(changed) + "\n"


def run(script: str, folder: Path, project: Path, no_zoo: dict[str, str]) -> str:
    """Returns what the script prints, run in `folder` where no zoo can be reached."""
    (folder / "script.py").write_text(with_import_lines_changed((HERE / script).read_text()))
    environment = {
        **os.environ,
        "PYTHONPATH": str(project),
        "TF_CPP_MIN_LOG_LEVEL": "2",
        **no_zoo,
    }
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def printed(out: str, what: str) -> dict[str, float]:
    line = next(line for line in out.splitlines() if line.startswith(f"{what} "))
    return ast.literal_eval(line.removeprefix(f"{what} "))


def write_automl(rows: list[dict[str, str]], path: Path) -> None:
    """AutoML's CSV of the sample pictures: two vertices or all four, in turns."""
    names = sorted({row["filename"] for row in rows})
    sets = {name: ("TRAIN", "TRAIN", "VALIDATE", "TEST")[i % 4] for i, name in enumerate(names)}
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        for number, row in enumerate(rows):
            width, height = int(row["width"]), int(row["height"])
            left, right = (int(row[side]) / width for side in ("xmin", "xmax"))
            top, bottom = (int(row[side]) / height for side in ("ymin", "ymax"))
            second, fourth = ((right, top), (left, bottom)) if number % 2 else (("", ""),) * 2
            writer.writerow(
                [
                    sets[row["filename"]],
                    f"sample/images/{row['filename']}",
                    row["class"],
                    *(left, top, *second, right, bottom, *fourth),
                ]
            )


@pytest.fixture(scope="module")
def salad(
    tmp_path_factory: pytest.TempPathFactory, project: Path, no_zoo: dict[str, str]
) -> tuple[Path, str, list[str]]:
    """The folder of the tutorial's script after its run, what it printed, and its classes."""
    from tfrecord_tools.sample.data import write_sample_data

    folder = tmp_path_factory.mktemp("salad")
    write_sample_data(folder / "sample", images=32)
    with (folder / "sample/annotations.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    write_automl(rows, folder / "salads.csv")
    out = run("salad.py.txt", folder, project, no_zoo)
    return folder, out, sorted({row["class"] for row in rows})


def test_only_import_lines_change():
    script = (HERE / "salad.py.txt").read_text()
    pairs = zip(script.splitlines(), with_import_lines_changed(script).splitlines(), strict=True)
    changed = [old for old, new in pairs if old != new]
    assert len(changed) == 4
    assert all(line.startswith("from tflite_model_maker") for line in changed)


def test_the_tutorial_runs(salad):
    folder, out, classes = salad
    assert "efficientdet_lite0: ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8 at 320x320" in out
    assert "2 epochs of 16 pictures: 4 steps of 8" in out
    for what in ("EVALUATED", "TFLITE"):
        assert list(printed(out, what)) == [*METRICS, *(f"AP_/{name}" for name in classes)]
    assert (folder / "model.tflite").is_file()


def test_the_file_is_int8_with_labels(salad):
    from ai_edge_litert.interpreter import Interpreter

    from ssd.tflite_predictor import TflitePredictor

    folder, _, classes = salad
    interpreter = Interpreter(model_path=str(folder / "model.tflite"))
    (pixels,) = interpreter.get_input_details()
    assert (pixels["dtype"], pixels["shape"].tolist()) == (np.uint8, [1, 320, 320, 3])
    kinds = [detail["dtype"] for detail in interpreter.get_tensor_details()]
    assert kinds.count(np.int8) > 100
    predictor = TflitePredictor(folder / "model.tflite")
    assert list(predictor.label_map.names) == classes
    found = predictor(np.zeros((1, 320, 320, 3), np.float32))
    assert found["detection_boxes"].shape == (1, 25, 4)


def test_mediapipe_loads_it(salad):
    mediapipe = pytest.importorskip("mediapipe", reason="pip install -r requirements/deploy.txt")
    for library in ("libEGL.so.1", "libGLESv2.so.2"):
        try:
            ctypes.CDLL(library)
        except OSError:
            pytest.skip(f"MediaPipe needs the system's {library}")
    from mediapipe.tasks.python import BaseOptions, vision
    from PIL import Image

    folder, _, classes = salad
    picture = np.asarray(Image.open(next((folder / "sample/images").iterdir())).convert("RGB"))
    options = vision.ObjectDetectorOptions(
        base_options=BaseOptions(model_asset_path=str(folder / "model.tflite")), score_threshold=0.0
    )
    with vision.ObjectDetector.create_from_options(options) as detector:
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=picture)
        found = detector.detect(image).detections
    names = {category.category_name for one in found for category in one.categories}
    assert names
    assert names <= set(classes)


def test_a_voc_script_runs(tiny_voc, tmp_path, project, no_zoo):
    for name in ("images", "annotations"):
        (tmp_path / name).symlink_to(tiny_voc / name)
    out = run("voc.py.txt", tmp_path, project, no_zoo)
    assert "SIZES 4 2 {1: 'bolt', 2: 'nut', 3: 'washer'}" in out
    assert "4 steps of 2" in out
    assert list(printed(out, "EVALUATED"))[:12] == METRICS
    assert (tmp_path / "trained/finished").is_file()
    assert (tmp_path / "out/names.txt").read_text() == "bolt\nnut\nwasher\n"
    sizes = {path.stem: path.stat().st_size for path in (tmp_path / "out").glob("*.tflite")}
    assert sizes["int8"] < sizes["float16"] < sizes["float32"]
    assert (tmp_path / "out/saved_model/saved_model.pb").is_file()
    assert not list((tmp_path / "out").glob(".*"))
