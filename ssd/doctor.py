"""Is this computer ready, and if not, which command mends it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ssd import __version__, zoo

HOME = Path(__file__).resolve().parents[1]
REQUIREMENTS = HOME / "requirements.txt"
SUPPORTED_PYTHON = range(10, 14)  # 3.10 to 3.13
SUPPORTED_TENSORFLOW = ("2.20.", "2.21.")
IMPORT_SECONDS = 120.0  # a cold disk takes its time
MEMINFO, CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
LOW_MEMORY_BYTES = 4 << 30
LOW_DISK_BYTES = 2 << 30

# Runs in a process of its own: a broken TensorFlow may hang or kill the interpreter.
_PROBE = """
import json
import tensorflow as tf
gpus = []
for device in tf.config.list_physical_devices("GPU"):
    gpus.append(tf.config.experimental.get_device_details(device).get("device_name", device.name))
print(json.dumps({"version": tf.__version__, "gpus": gpus}))
"""


def report() -> dict[str, Any]:
    """Returns what was found, as a dictionary for JSON.

    `healthy`: bool; `problems` and `notes`: lists of {"what", "mend"}, the first stop the kit from
    working, the second do not. Memory and disk are bytes, None where the system does not tell. The
    commit is None outside a git checkout. The TensorFlow version is None if it cannot be imported;
    then "error" says why.
    """
    tensorflow = _tensorflow()
    found: dict[str, Any] = {
        "kit": {"version": __version__, "commit": _commit()},
        "python": {"version": platform.python_version(), "executable": sys.executable},
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "memory": _memory(),
        "disk": {"path": os.getcwd(), "free": shutil.disk_usage(".").free},
        "gpus": tensorflow.pop("gpus", []),
        "tensorflow": tensorflow,
        "requirements": _requirements(),
        "zoo": {"cache": str(zoo.cache_folder()), "models": zoo.statuses()},
    }
    problems = _problems(found)
    return {"healthy": not problems, "problems": problems, "notes": _notes(found), **found}


def print_report(as_json: bool = False) -> bool:
    """Prints the report, the verdict in the first line; returns whether everything is there."""
    found = report()
    print(json.dumps(found) if as_json else format_report(found))
    return found["healthy"]


def format_report(found: dict[str, Any]) -> str:
    """Returns the report as plain lines for a screen."""
    problems, python, rows = found["problems"], found["python"], found["requirements"]
    tensorflow = found["tensorflow"]["version"] or "missing"
    gpu = f"yes, {', '.join(found['gpus'])}" if found["gpus"] else "no"
    verdict = f"OK: Python {python['version']}, TensorFlow {tensorflow}, GPU {gpu}"
    if problems:
        verdict = f"NOT READY: {problems[0]['what']}; run: {problems[0]['mend']}"
    packages = [f"{row['name']} {row['installed'] or 'missing'}" for row in rows]
    cached = [row["name"] for row in found["zoo"]["models"] if row["state"] == "cached"]
    memory, disk = found["memory"], found["disk"]
    lines = [
        verdict,
        *(f"  also: {row['what']}; run: {row['mend']}" for row in problems[1:]),
        *(f"  note: {row['what']}; {row['mend']}" for row in found["notes"]),
        f"kit:          {found['kit']['version']}, commit {found['kit']['commit'] or 'unknown'}",
        f"python:       {python['version']} ({python['executable']})",
        f"platform:     {found['platform']}, {found['cpus']} CPUs",
        f"memory:       {_gb(memory['total'])}, {_gb(memory['available'])} available",
        f"disk:         {_gb(disk['free'])} free in {disk['path']}",
        f"tensorflow:   {tensorflow}, GPU {gpu}",
        f"packages:     {', '.join(packages)}",
        f"zoo cache:    {found['zoo']['cache']}: {', '.join(cached) or 'no model'}",
    ]
    return "\n".join(lines)


def _gb(size: int | None) -> str:
    return "unknown" if size is None else f"{size / (1 << 30):.1f} GB"


def _problems(found: dict[str, Any]) -> list[dict[str, str]]:
    rows, tensorflow = found["requirements"], found["tensorflow"]
    problems = []
    if sys.version_info[1] not in SUPPORTED_PYTHON:
        what = f"Python {platform.python_version()}, expected 3.10 to 3.13"
        problems.append((what, "rm -rf .venv && PYTHON=python3.11 ./run.sh doctor"))
    if wrong := [row for row in rows if row["state"] != "ok"]:
        said = [f"{row['line']} ({row['installed'] or 'not'} installed)" for row in wrong]
        problems.append((f"packages: {', '.join(said)}", _pip("-r", str(REQUIREMENTS))))
    # What the list of packages cannot tell: installed, but broken.
    if tensorflow["version"] is None and not any("tensorflow" in row["line"] for row in wrong):
        what = f"TensorFlow cannot be imported: {tensorflow['error']}"
        problems.append((what, _pip("--force-reinstall", "tensorflow==2.20.*")))
    if not os.access(found["disk"]["path"], os.W_OK):
        problems.append((f"{found['disk']['path']} cannot be written", "cd to a folder of yours"))
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        problems.append((f"KERAS_BACKEND={backend}, expected tensorflow", "unset KERAS_BACKEND"))
    return [{"what": what, "mend": mend} for what, mend in problems]


def _notes(found: dict[str, Any]) -> list[dict[str, str]]:
    notes = []
    available, free = found["memory"]["available"], found["disk"]["free"]
    if available is not None and available < LOW_MEMORY_BYTES:
        notes.append((f"{_gb(available)} of memory available", "train with a small --batch-size"))
    if free < LOW_DISK_BYTES:
        notes.append((f"{_gb(free)} of disk free", "give --output a folder on another disk"))
    version = found["tensorflow"]["version"]
    if shutil.which("nvidia-smi") and version and not found["gpus"]:
        mend = _pip(f"tensorflow[and-cuda]=={version}")
        if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
            mend = "unset CUDA_VISIBLE_DEVICES"
        notes.append(("there is a GPU, but TensorFlow does not see it", mend))
    return [{"what": what, "mend": mend} for what, mend in notes]


def _commit() -> str | None:
    """Returns the checkout's commit, with `+` behind it where files differ from it."""
    command = ["git", "-C", str(HOME), "describe", "--always", "--dirty=+", "--exclude=*"]
    if not (HOME / ".git").exists() or not shutil.which("git"):
        return None
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def _pip(*arguments: str) -> str:
    return shlex.join([sys.executable, "-m", "pip", "install", *arguments])


def _memory() -> dict[str, int | None]:
    """Returns bytes; a container's limit counts. None where the system does not tell."""
    total = available = None
    try:
        lines = [line.split() for line in MEMINFO.read_text().splitlines()]
        values = {line[0]: int(line[1]) << 10 for line in lines}
        total, available = values["MemTotal:"], values["MemAvailable:"]
        limit, used = (int((CGROUP / f"memory.{n}").read_text()) for n in ("max", "current"))
        total, available = min(total, limit), min(available, max(0, limit - used))
    except (OSError, ValueError):
        pass  # Not Linux, or no limit ("max").
    return {"total": total, "available": available}


def _tensorflow() -> dict[str, Any]:
    """Returns {"version", "gpus"}, or {"version": None, "error"}."""
    command = [sys.executable, "-c", _PROBE]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=IMPORT_SECONDS)
    except subprocess.TimeoutExpired:
        return {"version": None, "error": f"no answer within {IMPORT_SECONDS:.0f} s"}
    # TensorFlow or a plug-in may have printed lines of its own around it.
    answers = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode == 0 and answers:
        return json.loads(answers[-1])
    # A negative code is the signal that killed it.
    said = done.stderr.strip() if done.returncode > 0 else ""
    error = (said or f"exit code {done.returncode}").splitlines()[-1][:300]
    return {"version": None, "error": error}


def _requirements() -> list[dict[str, str | None]]:
    """Returns, per line, its name, what is installed, and "ok", "missing" or "mismatch"."""
    rows = []
    for line in re.findall(r"^\w[^#\n]*", REQUIREMENTS.read_text(encoding="utf-8"), re.MULTILINE):
        name = re.split(r"[^\w.-]", line)[0]
        installed = _installed(name) or _installed(f"{name}-cpu")
        state = "missing"
        if installed:
            state = "ok" if _is_satisfied(line, installed) else "mismatch"
        rows.append({"line": line.strip(), "name": name, "installed": installed, "state": state})
    return rows


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _is_satisfied(line: str, installed: str) -> bool:
    # The pin is the default; the other release is supported as well.
    if line.startswith("tensorflow=") and installed.startswith(SUPPORTED_TENSORFLOW):
        return True
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return True  # TensorFlow brings it, so that one is missing, and named.
    return Requirement(line).specifier.contains(installed, prereleases=True)
