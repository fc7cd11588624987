from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from export import __main__ as command_line
from export.options import TfliteOptions
from ssd.errors import InputError


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["export-tflite", "--form", "bare"], r"--form: .*'bare'", id="form"),
        pytest.param(["export-tflite", "--quantize", "int4"], r"--quantize: .*'int4'", id="quant"),
        pytest.param(
            ["export-tflite", "--calibration-images", "0"],
            r"--calibration-images: 0 is not a positive number",
            id="no images",
        ),
        pytest.param(
            ["export-tflite", "--max-map-drop", "nan"],
            r"--max-map-drop: nan is not a number of points",
            id="nan",
        ),
        pytest.param(["export-tflite", "--max-map-drop", "some"], r"--max-map-drop", id="words"),
        pytest.param(["export-tflite", "--max-detections", "-1"], r"-1 is not", id="negative"),
        pytest.param(["export-tflite", "--calib", "x"], r"--calib", id="abbreviated"),
        pytest.param(["export-saved-model", "--input-type", "jpeg"], r"--input-type", id="input"),
        pytest.param(
            ["export-tflite", "--fast-nms", "--regular-nms"], r"not allowed with", id="two kinds"
        ),
        pytest.param([], r"verb", id="no verb"),
    ],
)
def test_wrong_flags(arguments, message, capsys):
    with pytest.raises(InputError, match=message) as caught:
        command_line.main(arguments)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr() == ("", "")


def test_flags_of_export_tflite(monkeypatch):
    from export import tflite_files

    given = []
    monkeypatch.setattr(tflite_files, "run", given.append)
    command_line.main(["export-tflite"])
    flags = (
        "--run r --output o --label-map l --quantize all --form all --calibration a* b* "
        "--calibration-images 60 --force-calibration --max-map-drop 0.5 --max-detections 10 "
        "--fine-tune-steps 7 --fast-nms --classes-per-detection 2 --val-records v"
    )
    command_line.main(["export-tflite", *flags.split()])
    assert given == [
        TfliteOptions(),
        TfliteOptions(
            run="r",
            output="o",
            label_map="l",
            quantize="all",
            form="all",
            calibration=("a*", "b*"),
            calibration_images=60,
            force_calibration=True,
            fine_tune_steps=7,
            max_map_drop=0.5,
            max_detections=10,
            nms="fast",
            classes_per_detection=2,
            val_records=("v",),
        ),
    ]


@pytest.mark.parametrize(
    ("flags", "form", "quantize"),
    [
        ("", "nms", "int8"),
        ("--target micro", "raw", "int8"),
        ("--target mediapipe", "nms", "int8"),
        ("--target mediapipe --quantize all", "nms", "all"),
        ("--target edgetpu --form all", "all", "int8"),
        ("--format onnx", "raw", "int8"),
        ("--format onnx --form all --quantize none", "all", "none"),
    ],
)
def test_target_and_format_say_what_no_flag_says(flags, form, quantize, monkeypatch):
    from export import tflite_files

    given = []
    monkeypatch.setattr(tflite_files, "run", given.append)
    command_line.main(["export-tflite", *flags.split()])
    assert [(options.form, options.quantize) for options in given] == [(form, quantize)]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--target micro --form nms", r"--target micro with --form nms: .* takes --form raw"),
        ("--target ethos-u --quantize all", r"--target ethos-u with --quantize none"),
        ("--target mediapipe --form all", r"--target mediapipe with --form raw"),
        ("--format onnx --form nms", r"--format onnx with --form nms: an ONNX file is raw"),
        ("--classes-per-detection 2", r"belongs to --fast-nms"),
        ("--form raw --fast-nms", r"a raw file has no NMS; give --form nms"),
        ("--target micro --regular-nms", r"a raw file has no NMS"),
        ("--quantize float16 --fine-tune-steps 9", r"--fine-tune-steps is for int8 files"),
        ("--target coral", r"--target: .*'coral'"),
    ],
)
def test_targets_that_cannot_run_the_file(flags, message):
    with pytest.raises(InputError, match=message):
        command_line.main(["export-tflite", *flags.split()])


def test_flags_of_export_saved_model(monkeypatch, capsys):
    from types import SimpleNamespace

    from export import saved_model, source

    exported = SimpleNamespace(
        detector="detector",
        label_map="labels",
        default_output=Path("exports/bolts"),
        predictor=SimpleNamespace(name="ckpt-8"),
    )
    loaded, written = [], []
    monkeypatch.setattr(source, "load", lambda *given: loaded.append(given) or exported)
    monkeypatch.setattr(
        saved_model, "export_saved_model", lambda *given, **named: written.append((given, named))
    )
    command_line.main(["export-saved-model"])
    command_line.main(
        ["export-saved-model", "--run", "r", "--output", "o", "--input-type", "tf_example"]
    )
    assert loaded == [(None, None), ("r", None)]
    named = {"label_map": "labels", "input_type": "image_tensor"}
    assert written == [
        (("detector", Path("exports/bolts/saved_model")), named),
        (("detector", Path("o/saved_model")), {**named, "input_type": "tf_example"}),
    ]
    said = capsys.readouterr().out
    assert "./run.sh detect --model exports/bolts/saved_model photo.jpg" in said
    assert "--model o/saved_model" not in said


@pytest.mark.parametrize("verb", ["export-tflite", "export-saved-model"])
def test_help_needs_no_tensorflow(verb, project):
    code = (
        "import sys; from export.__main__ import main\n"
        f"try: main(['{verb}', '--help'])\n"
        "except SystemExit as end: print(end.code, 'tensorflow' in sys.modules)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert finished.stdout.splitlines()[-1] == "0 False"
    assert "--run DIR" in finished.stdout


def test_errors_are_one_line(project, tmp_path):
    finished = subprocess.run(
        [sys.executable, "-m", "export", "export-tflite", "--run", "nowhere"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={"PYTHONPATH": str(project), "TF_CPP_MIN_LOG_LEVEL": "3", "PATH": ""},
    )
    assert finished.returncode == 2
    assert finished.stdout == ""
    assert finished.stderr.startswith("run.sh export-tflite: nowhere: no such file or folder")
    assert finished.stderr.count("\n") == 1
