"""The command line: verbs, exit codes, one line for what is wrong, and a quick --help."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tfrecord_tools import splits
from tfrecord_tools.__main__ import main
from tfrecord_tools.convert_options import ConvertOptions
from tfrecord_tools.lint import lint
from tfrecord_tools.sample.data import write_sample_data
from tfrecord_tools.show.verb import show


@pytest.fixture
def voc(data_set: Path) -> list[str]:
    return [
        *("convert", "voc", "--images", str(data_set / "images")),
        *("--annotations", str(data_set / "annotations"), "--output", str(data_set / "out")),
    ]


def test_convert_show_and_sample_data(data_set: Path, voc, tmp_path: Path, capsys):
    flags = ["--val-fraction", "0.5", "--shards", "2", "--workers", "2", "--seed", "7", "--strict"]
    assert main([*voc, *flags]) == 0
    report = json.loads((data_set / "out" / "conversion_report.json").read_text())
    assert report["settings"]["seed"] == 7
    assert "val fraction 0.5" in report["settings"]["split"]
    assert main(["show", str(data_set / "out"), "--output", str(tmp_path / "p")]) == 0
    sample = tmp_path / "sample"
    assert main(["sample-data", "--output", str(sample), "--images", "2", "--seed", "1"]) == 0
    coco = [*("convert", "coco", "--images", str(sample / "images"), "--output", str(tmp_path))]
    annotations = str(sample / "annotations_coco.json")
    assert main([*coco, "--annotations", annotations, "--val-fraction", "0"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "wrote" in captured.out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, r"tfrecord_tools: the following arguments are required: VERB; see"),
        (
            ["convert"],
            2,
            r"convert: the following arguments are required: voc\|coco\|csv\|yolo; see convert",
        ),
        (["convert", "tfds"], 2, r"convert: .*invalid choice: 'tfds'"),
        (["convert", "voc", "--images", "x"], 2, r"convert: .*required: --annotations; see"),
        (["show", "nowhere"], 2, r"show: nowhere: no such file or folder"),
        (["sample-data", "--images", "few"], 2, r"sample-data: argument --images: invalid int"),
        (["dance"], 2, r"dance: .*invalid choice: 'dance'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments, code: int, message: str, capsys):
    assert main(arguments) == code
    captured = capsys.readouterr()
    assert re.match(message, captured.err), captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_a_refused_data_set_is_exit_3(data_set: Path, voc, write_voc, capsys):
    write_voc(data_set / "annotations" / "p0.xml", [("cat", 20, 30, 290, 110)])
    assert main([*voc, "--strict"]) == 3
    captured = capsys.readouterr()
    assert re.match(r"convert: --strict: 1 problems, .*p0\.xml: object 1: cat", captured.err)
    assert not (data_set / "out").exists()
    assert main([*voc, "--val-fraction", "0.2", "--split-dir", "x"]) == 2


@pytest.mark.parametrize(
    "arguments",
    [["--help"], *([*v.split(), "--help"] for v in ("convert", "convert voc", "lint", "show"))],
)
def test_help_needs_neither_numpy_nor_tensorflow(arguments):
    code = (
        "import sys; from tfrecord_tools.__main__ import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'PIL', 'lxml', 'tensorflow', 'google.protobuf'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout


def test_converting_never_imports_tensorflow(voc):
    code = (
        "import sys; from tfrecord_tools.__main__ import main\n"
        "assert main(sys.argv[1:]) == 0\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, *voc], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "function", "flags"),
    [
        (["convert", "voc"], ConvertOptions, ("val_fraction", "seed")),
        (["lint"], lint, ()),
        (["show"], show, ("pictures",)),
        (["sample-data"], write_sample_data, ("images", "seed", "workers")),
    ],
)
def test_help_states_the_defaults_that_count(arguments, function, flags, capsys):
    with pytest.raises(SystemExit):
        main([*arguments, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for flag in flags:
        default = inspect.signature(function).parameters[flag].default
        dashed = "--" + flag.replace("_", "-")
        described = text.split(f" {dashed} ")[-1]
        assert re.match(rf"[^)]*\(default: {default}\)", described), (dashed, described[:90])


def test_help_states_which_lists_count(capsys):
    with pytest.raises(SystemExit):
        main(["convert", "voc", "--help"])
    text = capsys.readouterr().out
    for rule in splits.LIST_RULES:
        assert all(list_name in text for list_name in rule.values())
