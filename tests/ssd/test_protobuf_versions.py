"""Config and label map under every protobuf that people have."""

from __future__ import annotations

import os
import subprocess
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = ["-p", "no:cacheprovider"]
TESTED = ["tests/ssd/config", "tests/ssd/test_label_map.py"]


@pytest.fixture(scope="module", params=["5.29.*", "6.*", "7.*"])
def python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment: one protobuf, and what tests/conftest.py imports."""
    folder = tmp_path_factory.mktemp("protobuf")
    venv.create(folder, with_pip=True)
    interpreter = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    wanted = [f"protobuf=={request.param}", "pytest~=9.0", "numpy", "pillow"]
    subprocess.run([interpreter, "-m", "pip", "install", "-q", *wanted], check=True)
    return interpreter


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize("implementation", ["upb", "python"])
def test_all_tests_of_config_and_label_map_pass(python: Path, implementation: str) -> None:
    environment = {**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": implementation}
    ask = "from google.protobuf.internal import api_implementation as a; print(a.Type())"
    said = _run(python, environment, "-c", ask)
    assert said.stdout.strip() == implementation
    result = _run(python, environment, "-m", "pytest", "-W", "error", *OPTIONS, *TESTED)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    assert " passed" in result.stdout


def _run(
    python: Path, environment: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    command = [str(python), *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
