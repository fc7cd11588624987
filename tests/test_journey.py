"""The whole way on six generated pictures: convert, train, evaluate, detect, export."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

pytestmark = pytest.mark.slow

CONFIG = "ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8"
TINY = (
    "--set",
    "model.ssd.feature_extractor.depth_multiplier=0.25",
    "--set",
    "model.ssd.image_resizer.fixed_shape_resizer.height=64",
    "--set",
    "model.ssd.image_resizer.fixed_shape_resizer.width=96",
)
SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
# Starting TensorFlow and tracing a step on a busy machine.
PATIENCE = 600


def command(package: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", package, *map(str, arguments)]


def train_command(data: Path, output: str, steps: int, *more: str) -> list[str]:
    return command(
        "ssd",
        "train",
        "--config",
        CONFIG,
        "--data",
        data,
        "--checkpoint",
        "none",
        "--output",
        output,
        "--steps",
        steps,
        "--batch-size",
        "2",
        *TINY,
        *more,
    )


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("journey")


@pytest.fixture(scope="module")
def environment(project: Path, no_zoo: dict[str, str]) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(project),
        "TF_CPP_MIN_LOG_LEVEL": "2",
        **no_zoo,
    }


@pytest.fixture(scope="module")
def run(workspace, environment) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command in the workspace; fails the test unless it ends with `code`."""

    def run_it(command: list[str], code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            cwd=workspace,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}"
        return done

    return run_it


@pytest.fixture(scope="module")
def data(tiny_voc, run, workspace) -> Path:
    """Converted by the command line."""
    lists = workspace / "lists"
    lists.mkdir()
    (lists / "train.txt").write_text("p0\np1\np2\np3\n")
    (lists / "val.txt").write_text("p4\np5\n")
    run(
        command(
            "tfrecord_tools",
            "convert",
            "voc",
            "--images",
            tiny_voc / "images",
            "--annotations",
            tiny_voc / "annotations",
            "--output",
            "data",
            "--split-dir",
            lists,
        )
    )
    return workspace / "data"


@pytest.fixture(scope="module")
def trained(data, run, workspace) -> Path:
    """Two steps without interruption."""
    run(train_command(data, "runs/two", 2))
    return workspace / "runs/two"


def weights(folder: Path) -> dict[str, np.ndarray]:
    """Every variable of the newest training checkpoint, slots included."""
    reader = tf.train.load_checkpoint(str(folder / "checkpoints"))
    return {
        key: reader.get_tensor(key)
        for key in reader.get_variable_to_shape_map()
        if key.endswith(SUFFIX)
    }


def require_same(ours: Path, theirs: Path) -> None:
    """Bit-equal but for the order in which threads add up: 1e-6 of a variable's largest value."""
    a, b = weights(ours), weights(theirs)
    assert a.keys() == b.keys()
    for key in a:
        scale = max(float(np.max(np.abs(b[key]))), 1e-3)
        np.testing.assert_allclose(a[key], b[key], rtol=0, atol=1e-6 * scale, err_msg=key)


def test_convert(data):
    report = json.loads((data / "conversion_report.json").read_text())
    assert (report["images"], report["boxes"]) == (6, 8)
    assert report["classes"] == {"bolt": 3, "nut": 3, "washer": 2}
    assert (data / "label_map.pbtxt").is_file()


def test_train_leaves_what_scripts_rely_on(trained):
    names = {path.name for path in trained.iterdir()}
    assert {"pipeline.config", "label_map.pbtxt", "checkpoints", "best", "metrics.jsonl"} <= names
    assert {"report.html", "losses.jsonl"} <= names
    assert any(name.startswith("events.out.tfevents.") for name in names)
    lines = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    assert set(lines[-1]) >= {
        "AP",
        "AP50",
        "AP75",
        "APs",
        "APm",
        "APl",
        "AR1",
        "AR10",
        "AR100",
        "ARs",
        "ARm",
        "ARl",
        "per_class",
    }
    assert (trained / "checkpoints/ckpt-2.index").is_file()
    assert len(list((trained / "best").glob("ckpt-*.index"))) == 1
    assert all(np.all(np.isfinite(value)) for value in weights(trained).values())


def test_a_finished_run_is_not_overwritten(trained, data, run):
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    done = run(train_command(data, "runs/two", 2), code=2)
    # TensorFlow may have said before that there is no GPU.
    assert "this run is finished" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()} == before


def test_evaluate(trained, data, run):
    summary = json.loads(
        run(command("ssd", "evaluate", "--model", trained, "--data", data, "--json")).stdout
    )
    assert 0.0 <= summary["AP"] <= 1.0
    assert set(summary["per_class"]) == {"bolt", "nut", "washer"}
    # The run knows its own validation records, and best/ scored like this when it was written.
    own = json.loads(run(command("ssd", "evaluate", "--model", trained, "--json")).stdout)
    assert own == summary
    (index,) = (trained / "best").glob("ckpt-*.index")
    lines = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    (best,) = [line for line in lines if line["step"] == int(index.stem.split("-")[1])]
    assert best["AP"] == pytest.approx(summary["AP"], abs=1e-6)


def test_detect(trained, tiny_voc, run, workspace):
    found = json.loads(
        run(
            command(
                "ssd",
                "detect",
                "--model",
                trained,
                tiny_voc / "images",
                "--score-threshold",
                "0",
                "--json",
            )
        ).stdout
    )
    assert [Path(image["file"]).name for image in found["images"]] == [
        f"p{n}.png" for n in range(6)
    ]
    assert (found["images"][0]["height"], found["images"][0]["width"]) == (120, 200)
    for image in found["images"]:
        for detection in image["detections"]:
            assert detection["class"] in ("bolt", "nut", "washer")
            assert all(0.0 <= side <= 1.0 for side in detection["box"])
    run(
        command(
            "ssd",
            "detect",
            "--model",
            trained,
            tiny_voc / "images/p4.png",
            "--output",
            "drawn",
            "--score-threshold",
            "0",
        )
    )
    assert Image.open(workspace / "drawn/p4.jpg").size == (210, 130)


def test_exports_run(trained, data, run, workspace):
    """Two steps teach nothing, so that the drop may be anything."""
    run(
        command(
            "export",
            "export-tflite",
            "--run",
            trained,
            "--output",
            "export",
            "--max-map-drop",
            "100",
            "--force-calibration",  # of four images
        )
    )
    run(command("export", "export-saved-model", "--run", trained, "--output", "export"))
    report = json.loads((workspace / "export/export_report.json").read_text())
    assert set(report["files"]) >= {"model_int8.tflite", "model_float32.tflite"}
    for name, entry in report["files"].items():
        assert entry["bytes"] == (workspace / "export" / name).stat().st_size
    assert (workspace / "export/labels.txt").read_text().split() == ["bolt", "nut", "washer"]
    scores = {}
    for model in (
        trained,
        "export/saved_model",
        "export/model_float32.tflite",
        "export/model_int8.tflite",
    ):
        scores[str(model)] = json.loads(
            run(command("ssd", "evaluate", "--model", model, "--data", data, "--json")).stdout
        )["AP"]
    assert scores["export/saved_model"] == pytest.approx(scores[str(trained)], abs=1e-3)


def kill_after(
    command: list[str],
    is_time: Callable[[], bool],
    with_signal: signal.Signals,
    workspace: Path,
    environment: dict[str, str],
) -> subprocess.CompletedProcess[str]:
    """Starts the command and ends it by the signal as soon as `is_time`."""
    with subprocess.Popen(
        command,
        cwd=workspace,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs ignore SIGINT, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        deadline = time.monotonic() + PATIENCE
        while not is_time() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert process.poll() is None, process.communicate()
        process.send_signal(with_signal)
        out, err = process.communicate(timeout=PATIENCE)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


STEPS = 40
# Every step is saved and none but the last is evaluated, so that the signal falls between steps.
OFTEN = ("--checkpoint-every", "1", "--eval-every", str(STEPS), "--seed", "3")


@pytest.fixture(scope="module")
def uninterrupted(data, run, workspace) -> Path:
    run(train_command(data, "runs/whole", STEPS, *OFTEN))
    return workspace / "runs/whole"


@pytest.mark.parametrize("with_signal", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_killed_run_goes_on_to_the_same_weights(
    uninterrupted, data, run, workspace, environment, with_signal
):
    name = f"runs/{with_signal.name}"
    this_command = train_command(data, name, STEPS, *OFTEN)
    folder = workspace / name / "checkpoints"
    killed = kill_after(
        this_command, lambda: any(folder.glob("ckpt-3.index")), with_signal, workspace, environment
    )
    if with_signal == signal.SIGKILL:
        assert killed.returncode == -signal.SIGKILL
    else:
        assert killed.returncode == 130
        assert "the same command goes on" in killed.stderr
        assert "Traceback" not in killed.stderr
    assert not (workspace / name / "finished").exists()
    again = run(this_command)
    assert "resuming at step" in again.stdout
    require_same(workspace / name, uninterrupted)
    # Nothing is left behind by the writer that was killed.
    assert not list(folder.glob(".writing-*"))
    steps = [
        json.loads(line)["step"]
        for line in (workspace / name / "metrics.jsonl").read_text().splitlines()
    ]
    assert steps == [STEPS]


def test_a_run_killed_before_its_last_evaluation_evaluates(data, run, workspace, environment):
    this_command = train_command(data, "runs/late", 2, "--seed", "3", "--eval-every", "2")
    folder = workspace / "runs/late"
    kill_after(
        this_command,
        lambda: (folder / "checkpoints/ckpt-2.index").exists(),
        signal.SIGKILL,
        workspace,
        environment,
    )
    run(this_command)
    (line,) = (folder / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["step"] == 2
    assert (folder / "best/ckpt-2.index").is_file()
    assert (folder / "finished").exists()
