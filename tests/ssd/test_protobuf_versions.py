"""Config and label map under every protobuf that people have."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTED = ["tests/ssd/config", "tests/ssd/test_label_map.py"]


@pytest.fixture(scope="module", params=["5.29.*", "6.*", "7.*"])
def python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment that holds one protobuf and pytest, nothing else."""
    folder = tmp_path_factory.mktemp("protobuf")
    venv.create(folder, with_pip=True)
    interpreter = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    wanted = [f"protobuf=={request.param}", "pytest~=9.0"]
    subprocess.run([interpreter, "-m", "pip", "install", "-q", *wanted], check=True)
    return interpreter


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize("implementation", ["upb", "python"])
def test_all_tests_of_config_and_label_map_pass(python: Path, implementation: str) -> None:
    environment = {**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": implementation}
    said = subprocess.run(
        [python, "-c", "from google.protobuf.internal import api_implementation as a; print(a.Type())"],
        env=environment, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    assert said == implementation
    result = subprocess.run(
        [python, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", *TESTED],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-3000:]
    assert " passed" in result.stdout
    assert sys.version_info >= (3, 10)
