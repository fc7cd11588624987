"""The verdict, its reasons and the commands; on computers that miss something."""

from __future__ import annotations

import collections
import importlib.util
import json
import sys

import pytest

from ssd import doctor

FAKE_TENSORFLOW = """
print("a plug-in talks")
print('{"version": "2.20.0", "gpus": []}')
print("and says good-bye")
"""


@pytest.fixture(autouse=True)
def quiet_computer(monkeypatch, tmp_path):
    """TensorFlow is there at once, one package is asked for, no variable is set."""
    for name in ("KERAS_BACKEND", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(doctor, "_PROBE", FAKE_TENSORFLOW)
    monkeypatch.setattr(doctor, "REQUIREMENTS", tmp_path / "requirements.txt")
    doctor.REQUIREMENTS.write_text("pytest>=7\n")


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
    assert {row["state"] for row in found["requirements"]} == {"ok"}
    assert found["tensorflow"]["version"].startswith("2.2")


def test_json_is_one_object_with_the_same_verdict(capsys):
    healthy, line = first_line(capsys, as_json=True)
    found = json.loads(line)
    assert healthy
    assert found["healthy"] is True
    assert set(found) == {
        *(
            "kit",
            "healthy",
            "problems",
            "notes",
            "python",
            "platform",
            "cpus",
            "memory",
            "disk",
            "gpus",
        ),
        *("tensorflow", "requirements", "zoo"),
    }
    assert found["memory"]["available"] <= found["memory"]["total"]
    assert found["disk"]["free"] > 0


# --- Packages ---


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no-such-package~=1.2\n", "no-such-package~=1.2 (not installed)"),
        ("pytest>=7\npytest<3\n", f"pytest<3 ({pytest.__version__} installed)"),
        ("no-such-a\npytest>=7\nno-such-b\n", "no-such-a (not installed), no-such-b (not install"),
    ],
    ids=["missing", "other version", "two"],
)
def test_packages(tmp_path, capsys, text, said):
    doctor.REQUIREMENTS.write_text(text)
    healthy, line = first_line(capsys)
    assert not healthy
    assert line.startswith(f"NOT READY: packages: {said}")
    assert line.endswith(f"; run: {sys.executable} -m pip install -r {tmp_path}/requirements.txt")


@pytest.mark.parametrize(
    ("line", "name", "state"),
    [
        ("pytest", "pytest", "ok"),
        ("pytest>=7,<1000  # why", "pytest", "ok"),
        ("PyTest[extra, other] >= 7", "PyTest", "ok"),
        ("pytest<1", "pytest", "mismatch"),
        ("no_such.package-x==1", "no_such.package-x", "missing"),
    ],
)
def test_requirement_lines(line, name, state):
    doctor.REQUIREMENTS.write_text(f"# comment\n\n-r other.txt\n{line}\n")
    (row,) = doctor._requirements()
    assert (row["name"], row["state"]) == (name, state)


@pytest.mark.parametrize(
    ("wheel", "version", "state"),
    [
        ("tensorflow", "2.20.0", "ok"),
        ("tensorflow", "2.21.0", "ok"),
        ("tensorflow-cpu", "2.20.0", "ok"),
        ("tensorflow", "2.18.1", "mismatch"),
        ("tensorflow", "2.200.0", "mismatch"),
        ("keras", "3.0", "missing"),
    ],
)
def test_any_supported_tensorflow_wheel_will_do(monkeypatch, wheel, version, state):
    def installed(name):
        if name != wheel:
            raise doctor.importlib.metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(doctor.importlib.metadata, "version", installed)
    doctor.REQUIREMENTS.write_text("tensorflow==2.20.*\n")
    assert [row["state"] for row in doctor._requirements()] == [state]


def test_versions_are_not_judged_without_the_package_that_can(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    doctor.REQUIREMENTS.write_text("pytest<3\nno-such-package\n")
    healthy, line = first_line(capsys)
    assert not healthy
    assert line.startswith("NOT READY: packages: no-such-package (not installed); run: ")


@pytest.mark.parametrize(
    ("probe", "reason"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise TypeError('Descriptors cannot be created')", "TypeError: Descriptors cannot be cr"),
        ("import os; os.abort()", "exit code -6"),
        ("import time; time.sleep(20)", "no answer within 1 s"),
    ],
    ids=["missing", "broken", "crash", "hang"],
)
def test_tensorflow_that_cannot_be_imported(monkeypatch, capsys, probe, reason):
    monkeypatch.setattr(doctor, "_PROBE", probe)
    if "sleep" in probe:
        monkeypatch.setattr(doctor, "IMPORT_SECONDS", 1.0)
    healthy, line = first_line(capsys)
    assert not healthy
    assert line.startswith(f"NOT READY: TensorFlow cannot be imported: {reason}")
    assert line.endswith(f"{sys.executable} -m pip install --force-reinstall 'tensorflow==2.20.*'")
    # Where the package itself is missing, one command is enough.
    doctor.REQUIREMENTS.write_text("tensorflow-of-mine==1.0\n")
    if "sleep" not in probe:
        assert len(doctor.report()["problems"]) == 1


# --- The computer ---


def test_a_gpu_is_named(monkeypatch, capsys):
    probe = FAKE_TENSORFLOW.replace('"gpus": []', '"gpus": ["Tesla T4"]')
    monkeypatch.setattr(doctor, "_PROBE", probe)
    assert first_line(capsys)[1].endswith("GPU yes, Tesla T4")


@pytest.mark.parametrize(
    ("visible", "mend"),
    [
        (None, f"{sys.executable} -m pip install 'tensorflow[and-cuda]==2.20.0'"),
        ("-1", "unset CUDA_VISIBLE_DEVICES"),
        ("", "unset CUDA_VISIBLE_DEVICES"),
    ],
)
def test_a_gpu_that_is_not_seen(monkeypatch, visible, mend):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: f"/usr/bin/{name}")
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = doctor.report()
    assert found["healthy"]
    assert f"note: there is a GPU, but TensorFlow does not see it; {mend}" in (
        doctor.format_report(found)
    )


VersionInfo = collections.namedtuple("VersionInfo", "major minor micro releaselevel serial")


@pytest.mark.parametrize(("minor", "healthy"), [(9, False), (10, True), (13, True), (14, False)])
def test_python_versions(monkeypatch, capsys, minor, healthy):
    monkeypatch.setattr(doctor.sys, "version_info", VersionInfo(3, minor, 1, "final", 0))
    monkeypatch.setattr(doctor.platform, "python_version", lambda: f"3.{minor}.1")
    verdict, line = first_line(capsys)
    assert verdict is healthy
    if not healthy:
        assert line.startswith(f"NOT READY: Python 3.{minor}.1, expected 3.10 to 3.13; run: rm -rf")


def test_all_that_is_wrong_is_said(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    monkeypatch.chdir(tmp_path)
    assert not doctor.print_report()
    assert capsys.readouterr().out.splitlines()[:2] == [
        f"NOT READY: {tmp_path} cannot be written; run: cd to a folder of yours",
        "  also: KERAS_BACKEND=jax, expected tensorflow; run: unset KERAS_BACKEND",
    ]


def test_little_memory_and_disk_are_notes(monkeypatch):
    monkeypatch.setattr(doctor, "_memory", lambda: {"total": 8 << 30, "available": 3 << 29})
    monkeypatch.setattr(doctor, "LOW_DISK_BYTES", 1 << 80)
    found = doctor.report()
    assert found["healthy"]
    assert [row["what"] for row in found["notes"]] == [
        "1.5 GB of memory available",
        f"{found['disk']['free'] / 2**30:.1f} GB of disk free",
    ]


# MemTotal 8 MiB, available 6 MiB; the container may have 2 MiB and uses 1.5 MiB of them.
@pytest.mark.parametrize(
    ("limit", "memory"),
    [
        (None, {"total": 8 << 20, "available": 6 << 20}),
        ("max", {"total": 8 << 20, "available": 6 << 20}),
        ("2097152", {"total": 2 << 20, "available": 1 << 19}),
    ],
)
def test_memory_of_a_container(monkeypatch, tmp_path, limit, memory):
    (tmp_path / "meminfo").write_text("MemTotal: 8192 kB\nMemAvailable: 6144 kB\nHuge: 0\n")
    monkeypatch.setattr(doctor, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(doctor, "CGROUP", tmp_path)
    if limit:
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        (tmp_path / "memory.current").write_text("1572864\n")
    assert doctor._memory() == memory


def test_a_computer_that_tells_nothing(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(doctor, "MEMINFO", tmp_path / "gone")
    assert doctor.print_report()
    assert "memory:       unknown, unknown available" in capsys.readouterr().out
