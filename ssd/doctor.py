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
import tempfile
from pathlib import Path
from typing import Any

from ssd import zoo

REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements.txt"
SUPPORTED_PYTHON = ((3, 10), (3, 13))
SUPPORTED_TENSORFLOW = ((2, 20), (2, 21))
IMPORT_SECONDS = 120.0  # a cold disk takes its time
LOW_MEMORY_BYTES = 4 << 30
LOW_DISK_BYTES = 2 << 30

# Distributions that bring the same module as the one that requirements.txt names.
_TENSORFLOW_WHEELS = ("tensorflow", "tensorflow-cpu", "tensorflow-macos")
_VARIABLES = (
    "ZOO_CACHE", "ZOO_MIRROR", "NO_VENV", "CUDA_VISIBLE_DEVICES", "TF_CONFIG", "TF_XLA_FLAGS",
    "XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS", "TF_FORCE_GPU_ALLOW_GROWTH", "TF_USE_LEGACY_KERAS",
    "TF_CPP_MIN_LOG_LEVEL", "KERAS_BACKEND", "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION",
    "OMP_NUM_THREADS", "LD_LIBRARY_PATH", "PYTHONPATH", "http_proxy", "https_proxy", "HTTP_PROXY",
    "HTTPS_PROXY", "no_proxy",
)  # fmt: skip

# Runs in a process of its own: a broken TensorFlow may hang or kill the interpreter.
_PROBE = """
import json
import tensorflow as tf
gpus = []
for device in tf.config.list_physical_devices("GPU"):
    gpus.append(tf.config.experimental.get_device_details(device).get("device_name", device.name))
print(json.dumps({
    "version": tf.__version__, "gpus": gpus, "is_built_with_cuda": tf.test.is_built_with_cuda()}))
"""


def report() -> dict[str, Any]:
    """Returns what was found.

    Returns:
      A dictionary for JSON. `healthy`: bool; `problems` and `notes`: lists of {"what", "mend"},
      the first stop the kit from working, the second do not. The other keys say what is there:
      `python`, `platform`, `cpus`, `memory` and `disk` (bytes, None where the system does not
      tell), `tensorflow` ("version" None if it cannot be imported, then "error" says why), `gpus`,
      `protobuf`, `requirements` (one per line of requirements.txt), `zoo`, `environment`.
    """
    found: dict[str, Any] = {
        "python": {"version": platform.python_version(), "executable": sys.executable},
        "platform": platform.platform(),
        "cpus": _cpu_count(),
        "memory": _memory(),
        "disk": _disk(Path.cwd()),
        "tensorflow": _tensorflow(),
        "protobuf": _protobuf(),
        "requirements": _requirements(REQUIREMENTS),
        "zoo": {"cache": str(zoo.cache_folder()), "models": zoo.statuses()},
        "environment": {
            name: zoo.shown_url(os.environ[name]) for name in _VARIABLES if name in os.environ
        },
    }
    found["gpus"] = found["tensorflow"].pop("gpus", [])
    problems = [*_python_problems(), *_package_problems(found), *_place_problems(found)]
    return {"healthy": not problems, "problems": problems, "notes": _notes(found), **found}


def print_report(as_json: bool = False) -> bool:
    """Prints the report, the verdict in the first line; returns whether everything is there."""
    found = report()
    print(json.dumps(found) if as_json else format_report(found))
    return found["healthy"]


def format_report(found: dict[str, Any]) -> str:
    """Returns the report as plain lines for a screen."""
    problems = found["problems"]
    tensorflow = found["tensorflow"]["version"] or "missing"
    gpu = f"yes, {', '.join(found['gpus'])}" if found["gpus"] else "no"
    if problems:
        lines = [f"NOT READY: {problems[0]['what']}; run: {problems[0]['mend']}"]
    else:
        python = found["python"]["version"]
        lines = [f"OK: Python {python}, TensorFlow {tensorflow}, GPU {gpu}"]
    lines += [f"  also: {row['what']}; run: {row['mend']}" for row in problems[1:]]
    lines += [f"  note: {row['what']}; {row['mend']}" for row in found["notes"]]
    wrong = [row for row in found["requirements"] if row["state"] not in ("ok", "not checked")]
    count = len(found["requirements"])
    cached = [row["name"] for row in found["zoo"]["models"] if row["state"] == "cached"]
    memory, disk = found["memory"], found["disk"]
    lines += [
        f"python:       {found['python']['version']} ({found['python']['executable']})",
        f"platform:     {found['platform']}, {found['cpus']} CPUs",
        f"memory:       {_gb(memory['total'])}, {_gb(memory['available'])} available",
        f"disk:         {_gb(disk['free'])} free in {disk['path']}",
        f"tensorflow:   {tensorflow}",
        f"GPU:          {gpu}",
        f"protobuf:     {found['protobuf']['version'] or 'missing'}"
        f" ({found['protobuf']['implementation'] or 'no'} implementation)",
        f"requirements: {count - len(wrong)} of {count} lines satisfied",
        *(f"  {row['name']:<18} {row['installed'] or '-':<10} {row['line']}" for row in wrong),
        f"zoo cache:    {found['zoo']['cache']}: {', '.join(cached) or 'no model'}",
        *(f"environment:  {name}={value}" for name, value in found["environment"].items()),
    ]
    return "\n".join(lines)


def _gb(size: int | None) -> str:
    return "unknown" if size is None else f"{size / (1 << 30):.1f} GB"


# --- What is wrong ---


def _problem(what: str, mend: str) -> dict[str, str]:
    return {"what": what, "mend": mend}


def _pip(*arguments: str) -> str:
    return shlex.join([sys.executable, "-m", "pip", "install", *arguments])


def _python_problems() -> list[dict[str, str]]:
    low, high = SUPPORTED_PYTHON
    if low <= sys.version_info[:2] <= high:
        return []
    wanted = f"{low[0]}.{low[1]} to {high[0]}.{high[1]}"
    what = f"Python {platform.python_version()}, expected {wanted}"
    return [_problem(what, "rm -rf .venv && PYTHON=python3.11 ./run.sh doctor")]


def _package_problems(found: dict[str, Any]) -> list[dict[str, str]]:
    rows = found["requirements"]
    problems = []
    missing = [row["line"] for row in rows if row["state"] == "missing"]
    mend = _pip("-r", str(REQUIREMENTS))
    if not rows:
        problems.append(_problem(f"{REQUIREMENTS} is missing", "git checkout requirements.txt"))
    if missing:
        problems.append(_problem(f"missing: {', '.join(missing)}", mend))
    wrong = [row for row in rows if row["state"] == "mismatch"]
    if wrong:
        text = ", ".join(
            f"{row['name']} {row['installed']} (expected {row['line']})" for row in wrong
        )
        problems.append(_problem(f"other versions: {text}", mend))
    if not any(row["name"] in _TENSORFLOW_WHEELS for row in rows if row["state"] != "ok"):
        problems += _tensorflow_problems(found["tensorflow"], mend if missing or wrong else "")
    return problems


def _tensorflow_problems(tensorflow: dict[str, Any], mend: str) -> list[dict[str, str]]:
    """What the list of packages cannot tell: installed, but broken or not the one it seems."""
    mend = mend or _pip("--force-reinstall", "tensorflow==2.20.*")
    version = tensorflow["version"]
    if version is None:
        return [_problem(f"TensorFlow cannot be imported: {tensorflow['error']}", mend)]
    if _release(version)[:2] not in SUPPORTED_TENSORFLOW:
        return [_problem(f"TensorFlow {version}, expected 2.20 or 2.21", mend)]
    return []


def _place_problems(found: dict[str, Any]) -> list[dict[str, str]]:
    problems = []
    if not found["disk"]["is_writable"]:
        problems.append(
            _problem(f"{found['disk']['path']} cannot be written", "cd to a folder of your own")
        )
    environment = found["environment"]
    if environment.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        problems.append(
            _problem(
                f"KERAS_BACKEND={environment['KERAS_BACKEND']}, expected tensorflow",
                "unset KERAS_BACKEND",
            )
        )
    if environment.get("TF_USE_LEGACY_KERAS", "").lower() in ("1", "true"):
        problems.append(
            _problem("TF_USE_LEGACY_KERAS asks for Keras 2", "unset TF_USE_LEGACY_KERAS")
        )
    return problems


def _notes(found: dict[str, Any]) -> list[dict[str, str]]:
    notes = []
    available, free = found["memory"]["available"], found["disk"]["free"]
    if available is not None and available < LOW_MEMORY_BYTES:
        notes.append(
            _problem(f"{_gb(available)} of memory available", "train with a small --batch-size")
        )
    if free is not None and free < LOW_DISK_BYTES:
        notes.append(
            _problem(f"{_gb(free)} of disk free", "give --output a folder on another disk")
        )
    if found["protobuf"]["implementation"] == "python":
        notes.append(
            _problem(
                "protobuf runs its slow Python implementation",
                "unset PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION, or install protobuf again",
            )
        )
    if shutil.which("nvidia-smi") and found["tensorflow"]["version"] and not found["gpus"]:
        if found["environment"].get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1"):
            notes.append(
                _problem("CUDA_VISIBLE_DEVICES hides the GPU", "unset CUDA_VISIBLE_DEVICES")
            )
        else:
            mend = _pip(f"tensorflow[and-cuda]=={found['tensorflow']['version']}")
            notes.append(_problem("there is a GPU, but TensorFlow does not see it", mend))
    return notes


# --- What is there ---


def _cpu_count() -> int:
    """Returns the CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> dict[str, int | None]:
    """Returns bytes; a container's limit counts where there is one."""
    total = available = None
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        values = {line.split(":")[0]: int(line.split()[1]) << 10 for line in lines if " kB" in line}
        total, available = values.get("MemTotal"), values.get("MemAvailable")
    except (OSError, ValueError):
        names = getattr(os, "sysconf_names", {})
        if "SC_PHYS_PAGES" in names and "SC_PAGE_SIZE" in names:
            total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit, used = (_number(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
    if total is not None and limit is not None and limit < total:
        total = limit
        if available is not None and used is not None:
            available = min(available, max(0, limit - used))
    return {"total": total, "available": available}


def _number(path: str) -> int | None:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):
        return None


def _disk(folder: Path) -> dict[str, Any]:
    try:
        # Tried, not asked: file systems and permissions know best together.
        with tempfile.TemporaryFile(dir=folder):
            is_writable = True
    except OSError:
        is_writable = False
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        free = None
    return {"path": str(folder), "free": free, "is_writable": is_writable}


def _tensorflow() -> dict[str, Any]:
    """Returns {"version", "gpus", "is_built_with_cuda"}, or {"version": None, "error"}."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE],
            capture_output=True,
            text=True,
            timeout=IMPORT_SECONDS,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"version": None, "error": f"no answer within {IMPORT_SECONDS:.0f} s"}
    except OSError as error:
        return {"version": None, "error": str(error)}
    # TensorFlow or a plug-in may have printed lines of its own around it.
    answers = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode == 0 and answers:
        return json.loads(answers[-1])
    said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    if done.returncode < 0:
        said.append(f"the interpreter was killed by signal {-done.returncode}")
    return {"version": None, "error": said[-1][:300] if said else f"exit code {done.returncode}"}


def _protobuf() -> dict[str, str | None]:
    try:
        # Inside the function: it may be missing, and that is one of the answers.
        import google.protobuf
        from google.protobuf.internal import api_implementation
    except ImportError:
        return {"version": None, "implementation": None}
    return {
        "version": google.protobuf.__version__,
        "implementation": api_implementation.Type(),
    }


def _requirements(path: Path) -> list[dict[str, Any]]:
    """Returns {"line", "name", "installed", "state"} per requirement of the file.

    state: "ok", "missing", "mismatch", or "not checked" for a line with an environment marker, an
    address or anything else that is not a name with versions.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    rows = []
    for raw in lines:
        line = re.sub(r"(^|\s)#.*", "", raw).strip()
        if not line or line.startswith("-"):
            continue
        match = re.fullmatch(r"([A-Za-z0-9][\w.-]*)(?:\[[^]]*\])?\s*([^;@]*)", line)
        if match is None:
            rows.append({"line": line, "name": line, "installed": None, "state": "not checked"})
            continue
        name = match[1]
        installed = _installed(name)
        if installed is None:
            state = "missing"
        else:
            state = "ok" if _is_satisfied(name, installed, match[2]) else "mismatch"
        rows.append({"line": line, "name": name, "installed": installed, "state": state})
    return rows


def _installed(name: str) -> str | None:
    for distribution in _TENSORFLOW_WHEELS if name in _TENSORFLOW_WHEELS else (name,):
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def _is_satisfied(name: str, installed: str, versions: str) -> bool:
    if name in _TENSORFLOW_WHEELS and _release(installed)[:2] in SUPPORTED_TENSORFLOW:
        return True
    return all(_agrees(installed, part) for part in versions.replace(" ", "").split(",") if part)


def _agrees(installed: str, part: str) -> bool:
    """Returns whether a version obeys one clause such as ~=3.15, ==2.20.*, >=2.0 or <3."""
    match = re.fullmatch(r"(===|==|~=|!=|<=|>=|<|>)(.+)", part)
    if match is None:
        return False
    operator, wanted = match.groups()
    have, want = _release(installed), _release(wanted)
    fixed = len(want) - 1 if operator == "~=" else len(want)
    # 2.20 means 2.20.0: the shorter one gets zeros.
    length = max(len(have), len(want))
    have, want = ((*numbers, *[0] * (length - len(numbers))) for numbers in (have, want))
    if operator == "~=":
        return have[:fixed] == want[:fixed] and have >= want
    if wanted.endswith(".*"):
        return (have[:fixed] == want[:fixed]) == (operator == "==")
    return {
        "===": have == want,
        "==": have == want,
        "!=": have != want,
        "<=": have <= want,
        ">=": have >= want,
        "<": have < want,
        ">": have > want,
    }[operator]


def _release(version: str) -> tuple[int, ...]:
    """Returns the numbers at the start of a version: "2.20.0rc1+cpu" gives (2, 20, 0)."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(number) for number in match[0].split(".")) if match else (0,)
