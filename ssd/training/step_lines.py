"""Files with one JSON object per line and step, over stops and resumes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def read_up_to(path: Path, step: int) -> list[dict[str, Any]]:
    """Returns the lines of no later step than `step`, and removes the others from the file.

    Lines of later steps belong to steps that are done again; a line that was cut off while it was
    written is no line.

    Args:
      path: may not exist yet.
      step: where the run stands.
    """
    text = path.read_text(errors="replace") if path.is_file() else ""
    lines: list[dict[str, Any]] = []
    for line in text.splitlines():
        try:
            values = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(values, dict) and values.get("step", step + 1) <= step:
            lines.append(values)
    kept = "".join(json.dumps(line) + "\n" for line in lines)
    if kept != text:
        aside = path.with_name(path.name + ".tmp")
        aside.write_text(kept)
        os.replace(aside, path)
    return lines


def append(path: Path, values: dict[str, Any]) -> None:
    """Adds a line; a process that is killed afterwards has written it."""
    with path.open("a") as file:
        file.write(json.dumps(values) + "\n")
