"""What was restored from a checkpoint, and what became of the rest."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass
class RestoreReport:
    """Accounts for every tensor on both sides; paths without the key suffix.

    Attributes:
      checkpoint: prefix of the file.
      checkpoint_type: classification, detection, full or matching, as restored.
      note: why the type is not the one asked for, and what is special about the file; empty
        otherwise.
      restored: in the model, set from the file.
      renamed: {path in the model: name in the file} of those restored under another name.
      kept_at_init: in the model, left at its initial value: {path: reason}.
      not_used: in the file, not wanted: {name there: reason}.
    """

    checkpoint: str
    checkpoint_type: str
    note: str = ""
    restored: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    kept_at_init: dict[str, str] = field(default_factory=dict)
    not_used: dict[str, str] = field(default_factory=dict)

    def summary(self) -> str:
        """Returns one line for the screen."""
        total = len(self.restored) + len(self.kept_at_init)
        line = (
            f"restored {len(self.restored)} of {total} tensors from {self.checkpoint} "
            f"(type {self.checkpoint_type})"
        )
        if self.kept_at_init:
            reasons = sorted(set(self.kept_at_init.values()))
            line += f"; {len(self.kept_at_init)} new: {'; '.join(reasons)}"
        return line

    def save(self, path: Path) -> None:
        """Writes restore_report.json."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")
