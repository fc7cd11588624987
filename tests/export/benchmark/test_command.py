from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys

import pytest
from PIL import Image

from export.benchmark import command
from ssd.errors import CommandParser, InputError


def parsed(*words: str) -> dict:
    parser = CommandParser(prog="run.sh benchmark", allow_abbrev=False)
    command.add_arguments(parser)
    return vars(parser.parse_args(words))


def test_defaults():
    assert parsed("a.tflite", "b.tflite") == {
        "files": ["a.tflite", "b.tflite"],
        "threads": 2,
        "runs": 100,
        "image": None,
        "as_json": False,
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param([], r"required: FILE\.tflite; see run\.sh benchmark --help", id="no file"),
        pytest.param(["a", "--runs", "0"], "--runs: 0 is not a positive number", id="no runs"),
        pytest.param(["a", "--runs", "-3"], "--runs: -3 is not a positive", id="fewer than none"),
        pytest.param(["a", "--threads", "x"], "--threads: x is not a positive", id="no number"),
        pytest.param(
            ["a", "--thread", "2"], "unrecognized arguments: --thread 2", id="abbreviated"
        ),
    ],
)
def test_flags_that_are_wrong(words, message):
    with pytest.raises(InputError, match=message):
        parsed(*words)


def test_json_is_one_object_and_nothing_else(written, flat, capfd):
    twice = written("other.tflite", flat.small_convolution(2.0))
    command.run(parsed(written(), twice, "--runs", "2", "--json", "--threads", "3"))
    output = capfd.readouterr()
    report = json.loads(output.out)
    assert output.out.count("\n") == 1
    assert output.err == ""
    assert report["threads"] == [1, 3]
    assert (report["rounds"], report["runs"]) == (2, 2)
    assert [set(facts["latency"]) for facts in report["files"]] == [{"1", "3"}] * 2
    # 3 * 5 * 4 outputs of 3 * 3 * 3 inputs each
    assert [facts["macs"] for facts in report["files"]] == [1620, 1620]
    assert report["files"][1]["ratios"]["bytes"] == 1.0


def test_one_thread_is_one_table(written, capsys):
    command.run(parsed(written(), "--runs", "1", "--threads", "1"))
    text = capsys.readouterr().out
    assert text.startswith(
        "1 file, 1 round: in each every file once, in a new process; 1 timed run"
    )
    assert text.count("\nms with ") == 1
    assert "\nms with 1 thread " in text


def test_the_picture_is_named(written, tmp_path, capsys):
    Image.new("RGB", (7, 5), (10, 200, 90)).save(tmp_path / "room.png")
    picture = str(tmp_path / "room.png")
    command.run(parsed(written(), "--runs", "1", "--threads", "1", "--image", picture))
    assert f"picture: {picture}." in capsys.readouterr().out


def test_a_picture_that_is_none(written, tmp_path):
    with pytest.raises(InputError, match=r"none\.png: not a readable picture"):
        command.run(parsed(written(), "--image", str(tmp_path / "none.png")))


def test_tensorflow_is_not_needed(written, project):
    """Neither here nor in the processes that run the files."""
    code = (
        "import sys\n"
        "sys.modules['tensorflow'] = sys.modules['keras'] = None\n"
        "from export.benchmark import command\n"
        "from argparse import ArgumentParser\n"
        "parser = ArgumentParser()\n"
        "command.add_arguments(parser)\n"
        "command.run(vars(parser.parse_args()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, written(), "--runs", "1"],
        env=os.environ | {"PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert "CONV_2D" in done.stdout


def test_flags_load_nothing_heavy(project):
    code = (
        "import sys\n"
        "from export.benchmark import command\n"
        "print(sorted({'numpy', 'PIL', 'ai_edge_litert', 'tensorflow', 'tqdm'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_the_help_names_every_flag():
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    text = parser.format_help()
    assert all(flag in text for flag in ("FILE.tflite", "--threads", "--runs", "--image", "--json"))


@pytest.mark.parametrize("quantize", ["int8", "f16"])
def test_files_of_other_makers(shared, quantize, capsys):
    folder = shared / "data/tflite_coco"
    original = str(folder / f"nuvoton_ssd_mobilenet_v2_fpnlite_0.5_224_{quantize}.tflite")
    other = str(folder / "st_ssd_mobilenet_v2_fpnlite_100_256_int8.tflite")
    command.run(parsed(original, other, "--runs", "2", "--json"))
    first, second = json.loads(capsys.readouterr().out)["files"]
    dtype, share = {"int8": ("int8", 1.0), "f16": ("float32", 0.0)}[quantize]
    assert (first["inputs"][0]["shape"], first["inputs"][0]["dtype"]) == ([1, 224, 224, 3], dtype)
    # The file itself does not tell these shapes.
    assert sorted(t["shape"] for t in first["outputs"]) == [[1], [1, 10], [1, 10], [1, 10, 4]]
    assert first["int8_mac_share"] == share
    assert first["custom_ops"] == {"TFLite_Detection_PostProcess": 1}
    assert second["custom_ops"] == {}
    assert second["inputs"][0]["dtype"] == "uint8"
    assert second["int8_mac_share"] == 1.0
    assert 5e6 < second["peak_bytes"] < 1e8
    assert 1e6 < second["arena_bytes"] < 1e8
    assert second["ratios"]["latency"]["1"]["median"] > 0
