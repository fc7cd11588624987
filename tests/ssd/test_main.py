from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ssd import __main__ as command_line
from ssd.errors import InputError


def run(*arguments: str, folder: Path, project: Path) -> subprocess.CompletedProcess[str]:
    """The verb as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "ssd", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={"PYTHONPATH": str(project), "TF_CPP_MIN_LOG_LEVEL": "2", "PATH": ""},
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["train", "--steps", "0"], r"--steps: 0 is not a positive number", id="zero"),
        pytest.param(["train", "--steps", "many"], r"--steps: .*many", id="no number"),
        pytest.param(
            ["train", "--batch-size", "all"],
            r"--batch-size: all is neither a positive number nor auto;",
            id="batch of words",
        ),
        pytest.param(["train", "--batch-size", "0"], r"--batch-size: 0 is neither", id="no batch"),
        pytest.param(["train", "--batch-size", "-4"], r"--batch-size", id="negative batch"),
        pytest.param(
            ["train", "--precision", "float16"], r"--precision: .*'float16'", id="no precision"
        ),
        pytest.param(["train", "--stepz", "3"], r"--stepz", id="misspelt"),
        pytest.param(["train", "--step", "3"], r"--step", id="abbreviated"),
        pytest.param(
            ["train", "--batch-norm-statistics", "none"],
            r"--batch-norm-statistics: .*none",
            id="not a choice",
        ),
        pytest.param(
            ["detect", "--model", "m", "--score-threshold", "1.5", "a.jpg"],
            r"--score-threshold: 1\.5 is not between 0 and 1",
            id="above one",
        ),
        pytest.param(["detect", "--model", "m"], r"IMAGE\|DIR", id="no picture"),
        pytest.param(["evaluate"], r"--model", id="no model"),
        pytest.param(["evaluate", "--model", "m", "--split", "test"], r"--split", id="split"),
        pytest.param(["fly"], r"fly", id="unknown verb"),
        pytest.param([], r"verb", id="no verb"),
        pytest.param(["zoo"], r"action|list", id="no action"),
        pytest.param(["zoo", "fetch"], r"name|NAME", id="fetch what"),
        pytest.param(["config", "check"], r"FILE", id="check what"),
    ],
)
def test_wrong_flags(arguments, message, capsys):
    with pytest.raises(InputError, match=message) as caught:
        command_line.main(arguments)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr() == ("", "")


def test_flags_of_train(monkeypatch):
    from ssd.training import plan, session

    given = []
    monkeypatch.setattr(plan, "resolve", lambda options: "plan")
    monkeypatch.setattr(session, "run", lambda plan, options: given.append(options))
    command_line.main(
        [
            "train",
            "--config",
            "c",
            "--data",
            "d",
            "--train-records",
            "a*",
            "b*",
            "--steps",
            "8",
            "--batch-size",
            "4",
            "--set",
            "a.b=1",
            "--set",
            "c.d=2",
            "--eval-every",
            "3",
            "--patience",
            "2",
            "--seed",
            "5",
            "--fresh",
            "--checkpoint",
            "none",
            "--output",
            "o",
            "--batch-norm-statistics",
            "moving",
        ]
    )
    (options,) = given
    assert (options.config, options.data, options.train_records, options.val_records) == (
        "c",
        "d",
        ["a*", "b*"],
        None,
    )
    assert (
        options.steps,
        options.batch_size,
        options.eval_every,
        options.patience,
        options.seed,
    ) == (8, 4, 3, 2, 5)
    assert options.overrides == ("a.b=1", "c.d=2")
    assert (options.fresh, options.checkpoint, options.output, options.batch_norm_statistics) == (
        True,
        "none",
        "o",
        "moving",
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], (None, "float32")),
        (["--batch-size", "auto", "--precision", "mixed_bfloat16"], ("auto", "mixed_bfloat16")),
        (["--batch-size", "012", "--precision", "mixed_float16"], (12, "mixed_float16")),
    ],
)
def test_batch_size_and_precision_of_train(monkeypatch, arguments, expected):
    from ssd.training import plan, session

    given = []
    monkeypatch.setattr(plan, "resolve", lambda options: "plan")
    monkeypatch.setattr(session, "run", lambda plan, options: given.append(options))
    command_line.main(["train", *arguments])
    assert (given[0].batch_size, given[0].precision) == expected


def test_flags_of_evaluate_and_detect(monkeypatch):
    from ssd import detect, evaluate

    given = []
    monkeypatch.setattr(evaluate, "run", lambda **flags: given.append(flags))
    monkeypatch.setattr(detect, "run", lambda **flags: given.append(flags))
    command_line.main(["evaluate", "--model", "m", "--records", "r", "--label-map", "l", "--json"])
    assert given.pop() == {
        "model": "m",
        "threads": 2,
        "data": None,
        "split": "val",
        "records": ["r"],
        "label_map": "l",
        "output": None,
        "reference_kernels": False,
        "as_json": True,
    }
    command_line.main(["detect", "--model", "m", "a.jpg", "b", "--score-threshold", "0.5"])
    assert given.pop() == {
        "model": "m",
        "threads": 2,
        "inputs": ["a.jpg", "b"],
        "output": "detections",
        "score_threshold": 0.5,
        "label_map": None,
        "annotations": None,
        "frames": None,
        "as_json": False,
    }


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["evaluate", "--model", "nowhere", "--records", "x", "--label-map", "none.pbtxt"],
            "run.sh evaluate: none.pbtxt: no such file",
        ),
        (
            ["detect", "--model", "nowhere", "none.jpg"],
            "run.sh detect: none.jpg: no such file or folder",
        ),
        (["train", "--flag"], "run.sh train: "),
    ],
    ids=["evaluate", "detect", "flag"],
)
def test_input_errors_are_one_line_and_code_2(tmp_path, project, arguments, line):
    done = run(*arguments, folder=tmp_path, project=project)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1


def test_a_refused_config_is_code_2(tmp_path, project):
    good = project / "pipeline_configs/ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8.config"
    text = good.read_text().replace("num_classes: 90", "num_classes: 0")
    (tmp_path / "bad.config").write_text(text)
    done = run(
        "config", "check", "bad.config", str(good), "--json", folder=tmp_path, project=project
    )
    assert done.returncode == 2
    first, second = json.loads(done.stdout)["files"]
    line = 1 + text[: text.index("num_classes: 0")].count("\n")
    assert (first["obeyed"], second["obeyed"]) == (False, True)
    assert [(r["line"], r["path"]) for r in first["refused"]] == [(line, "model.ssd.num_classes")]
    done = run("config", "check", str(good), folder=tmp_path, project=project)
    assert done.returncode == 0
