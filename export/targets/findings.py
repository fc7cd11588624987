"""What the check of one file for one target found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ssd.errors import GateError


@dataclass(frozen=True)
class Findings:
    """What a check found.

    Attributes:
      target: its name.
      problems: why the consumer would refuse the file or run it badly; each one line that names op
        or tensor and says what to do. Empty for a good file.
      facts: for export_report.json, such as {"int8_share": 1.0}.
      lines: the same for the screen.
      files: suffix -> bytes of what belongs beside the file: "vela.tflite" of model_int8.tflite is
        model_int8_vela.tflite.
    """

    target: str
    problems: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)

    def require_none(self) -> None:
        """Returns if there is no problem.

        Raises:
          GateError: names the first problem and how many more there are.
        """
        if self.problems:
            more = len(self.problems) - 1
            suffix = f" (and {more} more)" if more else ""
            raise GateError(f"--target {self.target}: {self.problems[0]}{suffix}")
