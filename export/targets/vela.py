"""Arm's compiler for the Ethos-U, where it is installed: the compiled file and what it promises."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

# Named configurations of Vela's own vela.ini.
ACCELERATOR = "ethos-u55-128"
_SYSTEM, _MEMORY = "Ethos_U55_High_End_Embedded", "Shared_Sram"
_OPERATORS = re.compile(r"^(CPU|NPU) operators = (\d+)", re.MULTILINE)
_SECONDS = 120
_MILLISECONDS = 1e3


class VelaError(Exception):
    """Vela did not compile the file; the message is its last line."""


@dataclass(frozen=True)
class Compiled:
    """A compiled file.

    Attributes:
      data: the .tflite with the Ethos-U's custom op.
      npu_ops, cpu_ops: how many ops run where.
      cycles: of one image, estimated by Vela.
      milliseconds: the same at `megahertz`.
      megahertz: clock of the accelerator.
      sram_kib: memory for activations.
    """

    data: bytes
    npu_ops: int
    cpu_ops: int
    cycles: int
    milliseconds: float
    megahertz: float
    sram_kib: float


def command() -> str | None:
    """Returns the path of `vela`: beside this Python, else in PATH; None where there is none."""
    beside = Path(sys.executable).with_name("vela")
    return str(beside) if beside.is_file() else shutil.which("vela")


def compile_file(data: bytes, vela: str) -> Compiled:
    """Returns a .tflite compiled for ethos-u55-128 (Ethos_U55_High_End_Embedded, Shared_Sram).

    Args:
      data: an int8 .tflite.
      vela: path of the command.

    Raises:
      VelaError: Vela failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(data)
        done = subprocess.run(
            [
                *(vela, str(path), "--output-dir", folder),
                *("--accelerator-config", ACCELERATOR),
                *("--system-config", _SYSTEM, "--memory-mode", _MEMORY),
            ],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_SECONDS,
        )
        summaries = list(Path(folder).glob("*summary*.csv"))
        compiled = Path(folder) / "model_vela.tflite"
        counts = dict(_OPERATORS.findall(done.stdout))
        if done.returncode or not compiled.is_file() or len(summaries) != 1 or len(counts) != 2:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise VelaError(said[-1] if said else f"exit code {done.returncode}")
        with summaries[0].open(newline="") as file:
            row = next(csv.DictReader(file))
        return Compiled(
            compiled.read_bytes(),
            npu_ops=int(counts["NPU"]),
            cpu_ops=int(counts["CPU"]),
            cycles=round(float(row["cycles_total"])),
            milliseconds=float(row["inference_time"]) * _MILLISECONDS,
            megahertz=float(row["core_clock"]) / 1e6,
            sram_kib=float(row["sram_memory_used"]),
        )
