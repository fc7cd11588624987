"""The verdict, its reasons and the commands; on computers that miss something."""

from __future__ import annotations

import collections
import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

from ssd import doctor

FAKE_TENSORFLOW = """
print("a plug-in talks")
print('{"version": "2.20.0", "gpus": [], "is_built_with_cuda": true}')
"""


@pytest.fixture(autouse=True)
def quiet_computer(monkeypatch, tmp_path):
    """TensorFlow is there at once, one package is asked for, no variable is set."""
    for name in doctor._VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(doctor, "_PROBE", FAKE_TENSORFLOW)
    requirements(monkeypatch, tmp_path, "pytest>=7\n")


def requirements(monkeypatch, tmp_path, text):
    path = tmp_path / "requirements.txt"
    path.write_text(text)
    monkeypatch.setattr(doctor, "REQUIREMENTS", path)


def first_line(capsys, as_json=False):
    healthy = doctor.print_report(as_json)
    return healthy, capsys.readouterr().out.splitlines()[0]


def test_a_healthy_computer(capsys):
    version = sys.version.split()[0]
    assert first_line(capsys) == (True, f"OK: Python {version}, TensorFlow 2.20.0, GPU no")


@pytest.mark.skipif(not importlib.util.find_spec("tensorflow"), reason="no TensorFlow here")
def test_this_computer(monkeypatch):
    monkeypatch.undo()
    found = doctor.report()
    assert found["problems"] == []
    assert found["healthy"]
    assert found["tensorflow"]["version"].startswith("2.2")
    assert found["cpus"] >= 1
    assert found["memory"]["total"] > 1 << 28
    assert found["memory"]["available"] <= found["memory"]["total"]
    assert found["disk"]["free"] > 0
    assert [row["state"] for row in found["zoo"]["models"]]
    json.dumps(found)


def test_every_line_of_our_requirements_is_checked():
    path = Path(doctor.__file__).parents[1] / "requirements.txt"
    rows = doctor._requirements(path)
    assert {row["state"] for row in rows} <= {"ok", "missing", "mismatch"}
    assert "tensorflow" in {row["name"] for row in rows}


def test_json_is_one_object_with_the_same_verdict(capsys):
    healthy, line = first_line(capsys, as_json=True)
    found = json.loads(line)
    assert healthy
    assert found["healthy"] is True
    assert found["problems"] == []
    assert set(found) == {
        *("healthy", "problems", "notes", "python", "platform", "cpus", "memory", "disk", "gpus"),
        *("tensorflow", "protobuf", "requirements", "zoo", "environment"),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no-such-package~=1.2\n", r"missing: no-such-package~=1.2; run: .*pip install -r "),
        ("pytest>=7\npytest<3\n", r"other versions: pytest \d.* \(expected pytest<3\); run: .*-r"),
        ("no-such-a\npytest==0.1\nno-such-b\n", r"missing: no-such-a, no-such-b; run: "),
    ],
    ids=["missing", "other version", "both"],
)
def test_packages(monkeypatch, tmp_path, capsys, text, message):
    requirements(monkeypatch, tmp_path, text)
    healthy, line = first_line(capsys)
    assert not healthy
    assert line.startswith("NOT READY: ")
    assert re.search(message, line)
    assert line.endswith(f"pip install -r {tmp_path}/requirements.txt")


def test_no_requirements_file(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(doctor, "REQUIREMENTS", tmp_path / "gone.txt")
    healthy, line = first_line(capsys)
    assert not healthy
    assert line == (
        f"NOT READY: {tmp_path}/gone.txt is missing; run: git checkout requirements.txt"
    )


@pytest.mark.parametrize(
    ("probe", "reason"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        (
            "raise TypeError('Descriptors cannot be created')",
            "TypeError: Descriptors cannot be created",
        ),
        ("import os; os.abort()", "the interpreter was killed by signal 6"),
        ("import sys; sys.exit(3)", "exit code 3"),
        ("import time; time.sleep(20)", "no answer within 1 s"),
    ],
    ids=["missing", "broken", "crash", "exit", "hang"],
)
def test_tensorflow_that_cannot_be_imported(monkeypatch, capsys, probe, reason):
    monkeypatch.setattr(doctor, "_PROBE", probe)
    if "sleep" in probe:
        monkeypatch.setattr(doctor, "IMPORT_SECONDS", 1.0)
    healthy, line = first_line(capsys)
    assert not healthy
    assert line == (
        f"NOT READY: TensorFlow cannot be imported: {reason}; run: {sys.executable} -m pip install "
        "--force-reinstall 'tensorflow==2.20.*'"
    )


@pytest.mark.parametrize(
    ("version", "healthy"),
    [("2.20.1", True), ("2.21.0", True), ("2.19.0", False), ("2.22.0rc1", False), ("3.0", False)],
)
def test_tensorflow_versions(monkeypatch, capsys, version, healthy):
    monkeypatch.setattr(doctor, "_PROBE", FAKE_TENSORFLOW.replace("2.20.0", version))
    verdict, line = first_line(capsys)
    assert verdict is healthy
    if not healthy:
        assert f"TensorFlow {version}, expected 2.20 or 2.21" in line


@pytest.mark.parametrize(
    ("wheel", "version", "state"),
    [
        ("tensorflow", "2.20.0", "ok"),
        ("tensorflow", "2.21.0", "ok"),
        ("tensorflow-cpu", "2.20.0", "ok"),
        ("tensorflow", "2.18.1", "mismatch"),
        ("keras", "3.0", "missing"),
    ],
)
def test_any_supported_tensorflow_wheel_will_do(monkeypatch, tmp_path, wheel, version, state):
    def installed(name):
        if name != wheel:
            raise doctor.importlib.metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(doctor.importlib.metadata, "version", installed)
    requirements(monkeypatch, tmp_path, "tensorflow==2.20.*\n")
    assert [row["state"] for row in doctor._requirements(doctor.REQUIREMENTS)] == [state]


def test_a_gpu_is_named(monkeypatch, capsys):
    monkeypatch.setattr(
        doctor, "_PROBE", FAKE_TENSORFLOW.replace('"gpus": []', '"gpus": ["Tesla T4"]')
    )
    assert first_line(capsys)[1].endswith("GPU yes, Tesla T4")


@pytest.mark.parametrize(
    ("visible", "note"),
    [
        (
            None,
            r"does not see it",
        ),
        ("-1", r"CUDA_VISIBLE_DEVICES hides the GPU"),
        ("", r"CUDA_VISIBLE_DEVICES hides the GPU"),
    ],
)
def test_a_gpu_that_is_not_seen(monkeypatch, visible, note):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: f"/usr/bin/{name}")
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = doctor.report()
    assert found["healthy"]
    assert [note in row["what"] for row in found["notes"]] == [True]


VersionInfo = collections.namedtuple("VersionInfo", "major minor micro releaselevel serial")


@pytest.mark.parametrize(("minor", "healthy"), [(9, False), (10, True), (13, True), (14, False)])
def test_python_versions(monkeypatch, capsys, minor, healthy):
    monkeypatch.setattr(doctor.sys, "version_info", VersionInfo(3, minor, 1, "final", 0))
    monkeypatch.setattr(doctor.platform, "python_version", lambda: f"3.{minor}.1")
    verdict, line = first_line(capsys)
    assert verdict is healthy
    if not healthy:
        assert line.startswith(f"NOT READY: Python 3.{minor}.1, expected 3.10 to 3.13; run: rm -rf")


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        (
            "KERAS_BACKEND",
            "jax",
            "KERAS_BACKEND=jax, expected tensorflow; run: unset KERAS_BACKEND",
        ),
        ("TF_USE_LEGACY_KERAS", "1", "asks for Keras 2; run: unset TF_USE_LEGACY_KERAS"),
    ],
)
def test_variables_that_stop_the_kit(monkeypatch, capsys, name, value, line):
    monkeypatch.setenv(name, value)
    healthy, said = first_line(capsys)
    assert not healthy
    assert said.endswith(line)


def test_passwords_in_variables_are_not_shown(monkeypatch, capsys):
    monkeypatch.setenv("https_proxy", "http://me:secret@proxy:3128")
    monkeypatch.setenv("ZOO_MIRROR", "https://me:secret@zoo")
    doctor.print_report()
    out = capsys.readouterr().out
    assert "secret" not in out
    assert "https_proxy=http://***@proxy:3128" in out


def test_a_folder_that_cannot_be_written(monkeypatch, capsys):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    healthy, line = first_line(capsys)
    assert not healthy
    assert line == f"NOT READY: {Path.cwd()} cannot be written; run: cd to a folder of your own"


def test_little_memory_and_disk_are_notes(monkeypatch):
    memory = {"total": 8 << 30, "available": 3 << 29}
    monkeypatch.setattr(doctor, "_memory", lambda: memory)
    monkeypatch.setattr(
        doctor, "_disk", lambda path: {"path": str(path), "free": 1 << 30, "is_writable": True}
    )
    found = doctor.report()
    assert found["healthy"]
    assert [row["what"] for row in found["notes"]] == [
        "1.5 GB of memory available",
        "1.0 GB of disk free",
    ]


def test_a_computer_that_tells_nothing(monkeypatch):
    monkeypatch.setattr(doctor, "_memory", lambda: {"total": None, "available": None})
    monkeypatch.setattr(
        doctor, "_disk", lambda path: {"path": str(path), "free": None, "is_writable": True}
    )
    found = doctor.report()
    assert found["healthy"]
    assert "memory:       unknown, unknown available" in doctor.format_report(found)


def test_memory_of_a_container(monkeypatch):
    numbers = {"/sys/fs/cgroup/memory.max": 2 << 20, "/sys/fs/cgroup/memory.current": 3 << 19}
    monkeypatch.setattr(doctor, "_number", numbers.get)
    # 2 MiB less 1.5 MiB used is 512 KiB.
    assert doctor._memory() == {"total": 2 << 20, "available": 1 << 19}


@pytest.mark.parametrize(
    ("line", "name", "state"),
    [
        ("pytest", "pytest", "ok"),
        ("pytest>=7,<1000  # why", "pytest", "ok"),
        ("PyTest[extra, other] >= 7", "PyTest", "ok"),
        ("pytest!=0.1", "pytest", "ok"),
        ("pytest<1", "pytest", "mismatch"),
        ("pytest=7", "pytest", "mismatch"),
        ("no_such.package-x==1", "no_such.package-x", "missing"),
        ('pytest>=7; python_version < "3.11"', None, "not checked"),
        ("pytest @ https://example.org/pytest.whl", None, "not checked"),
    ],
)
def test_requirement_lines(tmp_path, line, name, state):
    path = tmp_path / "requirements.txt"
    path.write_text(f"# comment\n\n-r other.txt\n{line}\n")
    (row,) = doctor._requirements(path)
    assert row["state"] == state
    assert row["name"] == (name or line)


def test_version_clauses_equal_packaging():
    specifiers = pytest.importorskip("packaging.specifiers")
    versions = [
        "2.19.0",
        "2.20",
        "2.20.0",
        "2.20.1",
        "2.21.0",
        "2.3",
        "3",
        "3.14.9",
        "3.15",
        "3.15.1",
    ]
    versions += ["4.0", "10.2.3", "0.9"]
    clauses = ["==2.20.*", "!=2.20.*", "~=3.15", "~=2.20.0", ">=2.20", "<3", "<=2.20", ">2.20"]
    clauses += ["==2.20", "!=2.20", "==3", "~=0.9", ">=10"]
    for clause in clauses:
        oracle = specifiers.SpecifierSet(clause)
        for version in versions:
            assert doctor._agrees(version, clause) == oracle.contains(version), (version, clause)
